"""Where one call is broken: a queue behind a proxy, the same queue without it, and what must be true afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from tests.queue_state import QueueState

from carequeue import ConnectionLost, Job, ManualWorker, Queue, Worker
from carequeue.testing import drain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from redis.asyncio import Redis
    from tests.redis_proxy import CommandProxy, Fault

R = TypeVar("R")

MINUTE = timedelta(minutes=1)
Scenario = Any
SCENARIOS: dict[str, Scenario] = {}
"""By the name of the script: `await scenario(stage)` breaks one call of it, and repeats it where that is harmless."""


def scenario(command: str) -> Callable[[Scenario], Scenario]:
    def add(function: Scenario) -> Scenario:
        assert command not in SCENARIOS, f"{command} has a scenario already"
        SCENARIOS[command] = function
        return function

    return add


@dataclass(slots=True)
class Stage:
    """`queue` is behind the proxy; with `direct` and `redis` the test prepares and looks."""

    proxy: CommandProxy
    proxied: str
    """The proxy's URL."""
    command: str
    fault: Fault
    queue: Queue
    direct: Queue
    redis: Redis

    async def lose(self, call: Callable[[], Awaitable[R]], *, again: type[Exception] | None = None) -> R | None:
        """Break the call, which has to tell so, and make it once more: what comes back then.

        `again` is what the repetition raises if the broken call has done it, which is documented then.
        """
        self.proxy.strike(self.command, self.fault)
        with pytest.raises(ConnectionLost):
            await call()
        assert self.proxy.struck.is_set(), f"{self.command} was not called"
        if again is not None and self.fault.ran:
            with pytest.raises(again):
                await call()
            return None
        return await call()

    async def lose_once(self, call: Callable[[], Awaitable[Any]]) -> None:
        """Break the call, and do not repeat it: that would do it twice."""
        self.proxy.strike(self.command, self.fault)
        with pytest.raises(ConnectionLost):
            await call()
        assert self.proxy.struck.is_set(), f"{self.command} was not called"

    async def fail_one(self, **options: Any) -> str:
        """A job that has failed."""
        job = await self.direct.add("job", **options)
        async with self.by_hand() as worker:
            held = await worker.next_job()
            assert held is not None
            await held.fail("no paper", for_good=True)
        return job.id

    async def complete_one(self, **options: Any) -> str:
        job = await self.direct.add("job", **options)
        await self.work()
        return job.id

    def by_hand(self) -> ManualWorker:
        return ManualWorker(self.direct.name, self.direct.client, skip_stalled_check=True)

    async def work(self) -> None:
        """A worker that nothing is wrong with does what there is to do."""
        await drain(Worker(self.direct.name, self.direct.client, done, concurrency=4))

    async def rest(self) -> None:
        """Lift what keeps jobs from running, let them run, and look whether all is as it must be."""
        (await self.state()).check()
        await self.direct.resume()
        await self.direct.remove_rate_limit()
        async for group in self.direct.groups():
            await self.direct.resume_group(group.id)
            await self.direct.lift_group_rate_limit(group.id)
        for scheduler in await self.direct.schedulers():
            await self.direct.unschedule(scheduler.id)
        await self.direct.promote_all()
        await self.work()
        (await self.state()).check_at_rest()

    async def state(self) -> QueueState:
        return await QueueState.read(self.redis, self.direct.keys)


async def done(job: Job[Any]) -> str:
    return "done"
