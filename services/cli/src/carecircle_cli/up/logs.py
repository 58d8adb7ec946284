"""The log file of one child, and which of a service's lines people see at once. Used by the supervisor."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self, cast

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 10 * 1024 * 1024
NOTABLE = frozenset({"warning", "error", "critical"})
HIDDEN = frozenset({"event", "level", "logger", "timestamp", "exception", "service"})
LONGEST = 400


class LogFile:
    """Appends to `path`; a full one is kept beside it as `<name>.1`."""

    def __init__(self, path: Path, largest: int = LARGEST) -> None:
        self.path = path
        self.largest = largest
        self._failed = False

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("ab", buffering=0)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, chunk: bytes) -> str | None:
        """Append it. The first time that this fails (a full disk) returns what to tell people, instead of raising:
        a child whose output nobody reads any more would stand still.
        """
        try:
            self._file.write(chunk)
            if self._file.tell() > self.largest:
                self._turn()
        except OSError as error:
            told, self._failed = self._failed, True
            return None if told else f"its log cannot be written ({self.path}: {error.strerror})"
        return None

    def _turn(self) -> None:
        self.path.replace(self.path.with_name(f"{self.path.name}.1"))
        self._file.close()
        self._file = self.path.open("ab", buffering=0)


class Lines:
    """Cuts a stream of bytes into lines of text, whatever the chunks and whatever the bytes."""

    def __init__(self, longest: int = 64 * 1024) -> None:
        self.longest = longest
        self._rest = b""

    def feed(self, chunk: bytes) -> list[str]:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > self.longest:
            lines, self._rest = [*lines, self._rest], b""
        return [line.decode(errors="replace").rstrip() for line in lines]


def shown(line: str) -> str | None:
    """A service's warnings and errors, in few words; a line that is no event (a traceback) as it is."""
    event = _event(line)
    if not line.strip() or (event is not None and str(event.get("level", "")).lower() not in NOTABLE):
        return None
    return brief(line)


def brief(line: str) -> str:
    """An event as `event key=value`; any other line as it is. Not longer than a person reads."""
    event = _event(line)
    if event is None:
        return line[:LONGEST]
    facts = " ".join(f"{key}={value}" for key, value in event.items() if key not in HIDDEN and value is not None)
    return f"{event.get('event', '')} {facts}".strip()[:LONGEST]


def _event(line: str) -> dict[str, Any] | None:
    try:
        parsed: object = json.loads(line)
    except ValueError:
        return None
    return cast("dict[str, Any]", parsed) if isinstance(parsed, dict) else None
