"""The pushes that the sink took, in order, and which of them a browser would still show."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from carecircle_push.testing.service import Accepted

KEPT = 1000
"""Pushes kept in memory: the newest."""


@dataclass(frozen=True, slots=True)
class Message:
    """One push as it came in, and what the browser decrypted."""

    number: int
    received_at: datetime
    endpoint: str
    accepted: Accepted
    plaintext: bytes | None
    """None when it could not be decrypted: the service takes it all the same, and the browser drops it."""
    body: bytes

    @property
    def text(self) -> str:
        return (self.plaintext or b"").decode("utf-8", "replace")

    @property
    def json(self) -> Mapping[str, Any]:
        """The plaintext as the JSON object that it should be; empty when it is not."""
        try:
            read: object = json.loads(self.plaintext or b"null")
        except ValueError:
            return {}
        return cast("dict[str, Any]", read) if isinstance(read, dict) else {}

    @property
    def slot(self) -> tuple[str, str]:
        """Messages in one slot replace each other on the screen."""
        return self.endpoint, str(self.json.get("tag") or self.accepted.topic or self.number)

    def as_json(self, *, shown: bool) -> dict[str, Any]:
        return {
            "id": self.number,
            "received_at": self.received_at.isoformat(),
            "endpoint": self.endpoint,
            "ttl": self.accepted.ttl,
            "urgency": self.accepted.urgency,
            "topic": self.accepted.topic,
            "decrypted": self.plaintext is not None,
            "payload": dict(self.json),
            "shown": shown,
        }


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that the sink did not take, other than by an ordered fault."""

    received_at: datetime
    endpoint: str
    status: int
    reason: str


class Arrivals:
    """What arrived. Waiting for more is waiting on a condition, never sleeping."""

    def __init__(self) -> None:
        self.total = 0
        self.refusals: list[Refusal] = []
        self._messages: list[Message] = []
        self._arrival = asyncio.Condition()

    @property
    def messages(self) -> tuple[Message, ...]:
        return tuple(self._messages)

    def shown(self) -> set[int]:
        """The numbers of those that no later one replaced."""
        return set({message.slot: message.number for message in self._messages}.values())

    async def add(
        self, received_at: datetime, endpoint: str, accepted: Accepted, plaintext: bytes | None, body: bytes
    ) -> Message:
        self.total += 1
        message = Message(self.total, received_at, endpoint, accepted, plaintext, body)
        self._messages.append(message)
        del self._messages[:-KEPT]
        async with self._arrival:
            self._arrival.notify_all()
        return message

    def refuse(self, refusal: Refusal) -> None:
        self.refusals.append(refusal)
        del self.refusals[:-KEPT]

    async def wait_for(self, enough: Callable[[], bool], timeout: float) -> None:  # noqa: ASYNC109 - a test's deadline
        async with asyncio.timeout(timeout), self._arrival:
            await self._arrival.wait_for(enough)

    def clear(self) -> None:
        self._messages.clear()
        self.refusals.clear()
