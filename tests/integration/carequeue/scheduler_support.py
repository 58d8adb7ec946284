"""What tests of schedulers share: the hour they begin, and a handler that notes for when its runs were meant."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from carequeue import Job

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Ran:
    """A handler that notes for when its runs were meant."""

    def __init__(self) -> None:
        self.hours: list[int] = []

    async def __call__(self, job: Job[Any]) -> None:
        assert job.scheduled_for is not None
        self.hours.append(job.scheduled_for.hour)
