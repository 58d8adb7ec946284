"""Faults to order: at which step the sink misbehaves, how, for whom and how often."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

REPLY = re.compile(r"[2-5]\d\d( [ -~]*)?")


class Point(StrEnum):
    CONNECT = "connect"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"
    """While the body comes in, before its final dot."""
    END = "end"
    """After the final dot."""


class Act(StrEnum):
    REPLY = "reply"
    """Say `reply` instead of the usual. At the end, a refusal is not kept; everything else is."""
    HANG = "hang"
    """Say nothing and read nothing, with the connection open."""
    CLOSE = "close"
    """Close the connection without a word."""
    RESET = "reset"
    """The same with a TCP reset."""
    TRICKLE = "trickle"
    """Say the reply for ever: one byte at a time, never the line's end."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to misbehave. `times` None is until cleared; `recipient` only counts from RCPT on."""

    at: Point
    act: Act = Act.REPLY
    reply: str = "451 4.3.0 Try again later"
    times: int | None = 1
    recipient: str | None = None

    def __post_init__(self) -> None:
        if not REPLY.fullmatch(self.reply):
            raise ValueError(f"not an SMTP reply: {self.reply!r}")
        if self.times is not None and self.times < 1:
            raise ValueError("times is at least 1, or None for always")
        if self.at is Point.BODY and self.act is Act.REPLY:
            raise ValueError("no reply is due while the body comes in; order it at `end`")

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Fault:
        """From `{"at": "rcpt", "reply": "550 5.1.1 Unknown", "times": 2, "recipient": "a@example.org"}`."""
        unknown = data.keys() - {"at", "act", "reply", "times", "recipient"}
        if unknown or "at" not in data:
            raise ValueError("a fault has `at` and may have `act`, `reply`, `times`, `recipient`")
        rest = {name: data[name] for name in ("reply", "times", "recipient") if name in data}
        return cls(at=Point(data["at"]), act=Act(data.get("act", Act.REPLY)), **rest)


class Faults:
    """The faults still to come; the first that fits is used up."""

    def __init__(self) -> None:
        self._pending: list[tuple[Fault, int | None]] = []

    def add(self, fault: Fault) -> None:
        self._pending.append((fault, fault.times))

    def clear(self) -> None:
        self._pending.clear()

    def pending(self) -> list[Fault]:
        return [fault for fault, _ in self._pending]

    def take(self, point: Point, recipient: str | None = None) -> Fault | None:
        """The fault that strikes now, counted as used."""
        for index, (fault, left) in enumerate(self._pending):
            if fault.at is not point or (fault.recipient is not None and fault.recipient != recipient):
                continue
            if left == 1:
                del self._pending[index]
            elif left is not None:
                self._pending[index] = (fault, left - 1)
            return fault
        return None
