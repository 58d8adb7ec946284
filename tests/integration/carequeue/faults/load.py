"""Load on a server that a test may do anything to: some jobs are done, some held in their handlers, the others wait."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.integration.carequeue.faults.mix import Mix

from carequeue import Job, Queue
from carequeue.testing import Signal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redis.asyncio import Redis
    from tests.queue_state import QueueState

THROUGH = 8
"""How many jobs a gate lets through."""
WORKERS = 2


@dataclass(slots=True)
class Gate:
    """Lets the handlers of some jobs through and holds the others, until it is opened."""

    left: int = THROUGH
    held: Signal = field(default_factory=lambda: Signal("held"))
    open: asyncio.Event = field(default_factory=asyncio.Event)

    async def pass_by(self, job: Job[Any]) -> None:
        self.left -= 1
        if self.left < 0:
            self.held(job.id)
            await self.open.wait()


@dataclass(slots=True)
class Load:
    """The jobs of a mix, and its workers."""

    mix: Mix
    gate: Gate
    queue: Queue
    redis: Redis
    errors: Signal
    """What the workers said went wrong."""
    unreported: Signal
    """Jobs whose end Redis did not take."""

    async def end(self) -> QueueState:
        self.gate.open.set()
        return await self.mix.end(self.queue, self.redis)


@asynccontextmanager
async def load(name: str, url: str, redis: Redis, size: int = 6, **options: Any) -> AsyncIterator[Load]:
    """Two workers have done some jobs and hold others."""
    gate = Gate()
    mix = Mix(size, before=gate.pass_by)
    errors, unreported = Signal("errors"), Signal("unreported")
    workers = [mix.worker(name, url, **options) for _ in range(WORKERS)]
    for worker in workers:
        worker.on_error(errors)
        worker.telemetry.subscribe(lambda _, fields: unreported(fields["job_id"]), "job.unreported")
    async with Queue(name, url) as queue, workers[0], workers[1]:
        await mix.add(queue)
        await gate.held.wait(3)
        try:
            yield Load(mix, gate, queue, redis, errors, unreported)
        finally:
            gate.open.set()
