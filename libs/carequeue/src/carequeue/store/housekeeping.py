"""What one worker of a queue does for all, once an interval: whose turn it is, and what gets too old to be kept."""

from __future__ import annotations

from typing import Literal, cast

from carequeue.store.script import Scripts


class Housekeeping(Scripts):
    """The chores of one queue."""

    async def take_round(self, now: int, interval_ms: int) -> bool:
        """Whether it is the caller's turn; it is not another's until the interval is over."""
        return await self._run("takeRound", now, interval_ms) == 1

    async def evict_aged(self, state: Literal["completed", "failed"], now: int, age_ms: int, most: int) -> int:
        """Remove finished jobs that are older, at most so many; returns how many. Safe to repeat."""
        return cast("int", await self._run("evictAged", now, state, age_ms, most))
