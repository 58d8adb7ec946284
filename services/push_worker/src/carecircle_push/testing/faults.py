"""Faults to order: how the push service answers, for which subscription and how often."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Mapping


class Act(StrEnum):
    REPLY = "reply"
    """Answer with `status` and `headers`. A 2xx keeps the message; anything else does not."""
    HANG = "hang"
    """Keep the message and never answer."""
    CLOSE = "close"
    """Keep the message and close the connection without an answer."""
    FLOOD = "flood"
    """Keep the message, answer `status`, then send a body without end."""


@dataclass(frozen=True, slots=True)
class PushFault:
    """One way to misbehave. `times` None is until cleared; `endpoint` limits it to one subscription."""

    status: int = 503
    act: Act = Act.REPLY
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    times: int | None = 1
    endpoint: str | None = None

    def __post_init__(self) -> None:
        if not 200 <= self.status <= 599:
            raise ValueError(f"not a final HTTP status: {self.status}")
        if self.times is not None and self.times < 1:
            raise ValueError("times is at least 1, or None for always")
        if any(not text.isprintable() for pair in self.headers.items() for text in pair):
            raise ValueError("headers are printable")

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> PushFault:
        """From `{"status": 429, "headers": {"Retry-After": "30"}, "times": 2, "endpoint": "…"}`."""
        unknown = data.keys() - {"act", "status", "headers", "times", "endpoint"}
        if unknown:
            raise ValueError("a fault may have `act`, `status`, `headers`, `times`, `endpoint`")
        headers = data.get("headers", {})
        if not isinstance(headers, dict):
            raise TypeError("headers is an object")
        named = {str(name): str(value) for name, value in cast("dict[object, object]", headers).items()}
        rest = {name: data[name] for name in ("status", "times", "endpoint") if name in data}
        return cls(act=Act(data.get("act", Act.REPLY)), headers=named, **rest)

    def as_json(self) -> dict[str, Any]:
        return {
            "act": self.act,
            "status": self.status,
            "headers": dict(self.headers),
            "times": self.times,
            "endpoint": self.endpoint,
        }


class Faults:
    """The faults still to come; the first that fits is used up."""

    def __init__(self) -> None:
        self._pending: list[tuple[PushFault, int | None]] = []

    def add(self, fault: PushFault) -> None:
        self._pending.append((fault, fault.times))

    def clear(self) -> None:
        self._pending.clear()

    def pending(self) -> list[PushFault]:
        return [fault for fault, _ in self._pending]

    def take(self, endpoint: str) -> PushFault | None:
        """The fault that strikes now, counted as used."""
        for index, (fault, left) in enumerate(self._pending):
            if fault.endpoint not in (None, endpoint):
                continue
            if left == 1:
                del self._pending[index]
            elif left is not None:
                self._pending[index] = (fault, left - 1)
            return fault
        return None
