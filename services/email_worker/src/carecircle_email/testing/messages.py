"""The mails that the sink took, in order, kept in memory and if wanted as a JSON line each."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import EmailMessage
    from pathlib import Path

KEPT = 1000
"""Mails kept in memory: the newest. A demo that runs for days stays small."""


@dataclass(frozen=True)
class Message:
    """One mail as it came in: envelope, exact bytes, and what a reader would see of it."""

    number: int
    received_at: datetime
    sender: str
    recipients: tuple[str, ...]
    content: bytes
    encrypted: bool

    @cached_property
    def parsed(self) -> EmailMessage:
        return message_from_bytes(self.content, policy=policy.default)

    @property
    def raw(self) -> str:
        """Every byte of it, as text."""
        return self.content.decode("utf-8", "replace")

    @property
    def subject(self) -> str:
        return str(self.parsed.get("Subject", ""))

    @property
    def text(self) -> str:
        return self._part("plain")

    @property
    def html(self) -> str:
        return self._part("html")

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.number,
            "received_at": self.received_at.isoformat(),
            "sender": self.sender,
            "recipients": list(self.recipients),
            "subject": self.subject,
            "message_id": str(self.parsed.get("Message-ID", "")),
            "headers": {name: str(value) for name, value in self.parsed.items()},
            "text": self.text,
            "html": self.html,
            "encrypted": self.encrypted,
            "raw_base64": base64.b64encode(self.content).decode("ascii"),
        }

    def _part(self, kind: str) -> str:
        part = self.parsed.get_body((kind,))
        return str(part.get_content()).replace("\r\n", "\n") if part is not None else ""


class Inbox:
    """What arrived. Waiting for more is waiting on a condition, never sleeping."""

    def __init__(self, file: Path | None = None) -> None:
        self.total = 0
        self._messages: list[Message] = []
        self._file = file
        self._arrival = asyncio.Condition()

    @property
    def messages(self) -> tuple[Message, ...]:
        return tuple(self._messages)

    async def add(self, sender: str, recipients: tuple[str, ...], content: bytes, *, encrypted: bool) -> Message:
        self.total += 1
        message = Message(self.total, datetime.now(UTC), sender, recipients, content, encrypted)
        self._messages.append(message)
        del self._messages[:-KEPT]
        if self._file is not None:
            await asyncio.to_thread(_append, self._file, json.dumps(message.as_json()))
        async with self._arrival:
            self._arrival.notify_all()
        return message

    async def wait_for(self, enough: Callable[[tuple[Message, ...]], bool], timeout: float) -> None:  # noqa: ASYNC109 - a test's deadline
        async with asyncio.timeout(timeout), self._arrival:
            await self._arrival.wait_for(lambda: enough(self.messages))

    async def clear(self) -> None:
        self._messages.clear()
        async with self._arrival:
            self._arrival.notify_all()


def _append(file: Path, line: str) -> None:
    with file.open("a", encoding="utf-8") as out:
        out.write(line + "\n")
