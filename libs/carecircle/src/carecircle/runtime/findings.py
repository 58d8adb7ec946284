"""What a check of the surroundings found. `carecircle doctor` collects these from every part that has a check.

A service package may have a module `doctor` with `async def check() -> list[Finding]`, which reads the environment as
the service would, looks, changes nothing, and never raises for what it finds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    """It works, but will one day surprise somebody."""
    FAIL = "fail"
    """Reminders do not go out like this, or could get lost."""


@dataclass(frozen=True, slots=True)
class Finding:
    subject: str
    """What was looked at: `PostgreSQL`."""
    check: str
    """What about it: `version`."""
    level: Level
    detail: str
    """What is the case. Holds no secrets."""
    remedy: str | None = None
    """What to do about it."""

    @classmethod
    def ok(cls, subject: str, check: str, detail: str) -> Finding:
        return cls(subject, check, Level.OK, detail)

    @classmethod
    def warn(cls, subject: str, check: str, detail: str, remedy: str) -> Finding:
        return cls(subject, check, Level.WARN, detail, remedy)

    @classmethod
    def fail(cls, subject: str, check: str, detail: str, remedy: str) -> Finding:
        return cls(subject, check, Level.FAIL, detail, remedy)
