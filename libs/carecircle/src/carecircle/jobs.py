"""Every queue and every kind of job of the system, and the one place that opens queues.

Jobs carry ids and a generation, nothing about people: a handler reads its row and asks whether it still matters.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID  # noqa: TC003 - read at run time by the payload decoder

from carecircle.domain.medication import Severity
from carecircle.runtime.redis_url import with_timeouts
from carequeue import Backoff, JobKind, KeepJobs, Queue

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

REMINDERS = "reminders"
HOUSEKEEPING = "housekeeping"
# A channel's queue has the channel's name.


@dataclass(frozen=True, slots=True)
class Remind:
    occurrence_id: UUID
    generation: int


@dataclass(frozen=True, slots=True)
class Send:
    delivery_id: UUID
    generation: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Nothing to say: the planner's watermarks are in the rows."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """Nothing to say: what is overdue is in the rows."""


@dataclass(frozen=True, slots=True)
class WatchSupplies:
    """Nothing to say: which supplies to look at is in the rows."""


_SENDING: Mapping[str, Any] = {
    # Only for what nobody foresaw: a refusal that was foreseen comes back as RetryAt, at the time its row says.
    "attempts": 5,
    "backoff": Backoff.exponential(timedelta(minutes=1), jitter=0.2),
    "keep_completed": KeepJobs(count=100),
    "keep_failed": True,
}
_ROUTINE: Mapping[str, Any] = {
    "attempts": 1,  # the next one comes anyway
    "keep_completed": KeepJobs(count=20),
    "keep_failed": KeepJobs(count=100),
    "priority": Severity.NORMAL.priority,
}

REMIND = JobKind("remind", Remind, **_SENDING)
SEND = JobKind("send", Send, **_SENDING)
PLAN = JobKind("plan", Plan, **_ROUTINE)
SWEEP = JobKind("sweep", Sweep, **_ROUTINE)
WATCH_SUPPLIES = JobKind("supplies", WatchSupplies, **_ROUTINE)


def job_id(row_id: UUID, generation: int) -> str:
    """The id of a row's job. A finished job's id cannot be used again, so each enqueue raises the generation."""
    return f"{row_id}-g{generation}"


class Queues:
    """The queues by name, each opened when it is first needed.

    Entering never talks to Redis, so a process starts, and serves, while Redis is away. `get` raises what
    `Queue.open()` raises; the next `get` tries again.
    """

    def __init__(self, redis_url: str, prefix: str = "bull") -> None:
        self.redis_url = redis_url
        self.prefix = prefix
        self._open: dict[str, Queue] = {}
        self._opening = asyncio.Lock()
        self._stack = AsyncExitStack()

    async def get(self, name: str) -> Queue:
        """The opened queue of this name."""
        if name not in self._open:
            async with self._opening:
                if name not in self._open:
                    queue = Queue(name, with_timeouts(self.redis_url), prefix=self.prefix)
                    self._open[name] = await self._stack.enter_async_context(queue)
        return self._open[name]

    async def __aenter__(self) -> Queues:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.clear()
        await self._stack.aclose()
