"""Limits that all workers of a queue keep together: how many jobs run at once, and how many start in a time."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from carequeue import InvalidOption, Job, JobContext, NewJob, Queue, RateLimit, RateLimited
from carequeue.testing import Signal

if TYPE_CHECKING:
    from collections.abc import Callable

    from carequeue import Worker

WINDOW = timedelta(milliseconds=400)
MINUTE = timedelta(minutes=1)

pytestmark = pytest.mark.redis


class Ledger:
    """A handler that notes when it started and how many ran at once, and holds until released."""

    def __init__(self, *, holds: bool = False) -> None:
        self.started = Signal("started")
        self.release = asyncio.Event()
        self.running = self.peak = 0
        if not holds:
            self.release.set()

    async def __call__(self, job: Job[Any]) -> None:
        self.running += 1
        self.peak = max(self.peak, self.running)
        self.started(job.id, time.monotonic())
        await self.release.wait()
        self.running -= 1

    async def starts(self, count: int) -> list[float]:
        return [at for _, at in await self.started.wait(count)]


async def add_some(queue: Queue, count: int) -> None:
    await queue.add_bulk(NewJob("paint", {}) for _ in range(count))


@pytest.mark.parametrize("whose", ["worker", "queue"])
async def test_so_many_start_in_each_window_and_none_waits_longer(
    queue: Queue, new_worker: Callable[..., Worker], whose: str
) -> None:
    limit, ledger = RateLimit(2, WINDOW), Ledger()
    if whose == "queue":
        await queue.set_global_rate_limit(limit)
    await add_some(queue, 6)

    async with new_worker(ledger, concurrency=5, limiter=limit if whose == "worker" else None):
        starts = await ledger.starts(6)

    gaps = [starts[place] - starts[place - 2] for place in (2, 4)]
    assert all(0.35 < gap < 2 for gap in gaps), gaps
    assert await queue.global_rate_limit() == (limit if whose == "queue" else None)


async def test_workers_share_one_limit(queue: Queue, new_worker: Callable[..., Worker]) -> None:
    limit, ledger = RateLimit(3, MINUTE), Ledger()
    await add_some(queue, 10)

    one, other = (new_worker(ledger, concurrency=5, limiter=limit) for _ in range(2))
    async with one, other:
        await ledger.starts(3)
        await one.wait_until_idle()
        await other.wait_until_idle()

    assert len(ledger.started.calls) == 3
    assert timedelta(seconds=50) < await queue.rate_limit_ttl(3) <= MINUTE
    assert (await queue.counts()).waiting == 7


async def test_the_concurrency_of_the_queue_bounds_all_its_workers(
    queue: Queue, new_worker: Callable[..., Worker]
) -> None:
    ledger = Ledger(holds=True)
    await queue.set_global_concurrency(2)
    await add_some(queue, 10)

    async with new_worker(ledger, concurrency=5), new_worker(ledger, concurrency=5):
        await ledger.starts(2)
        assert await queue.is_maxed()
        await queue.set_global_concurrency(3)
        await ledger.starts(3)  # at once, although nothing ended and nothing was added
        assert (await queue.global_concurrency(), ledger.peak) == (3, 3)
        await queue.remove_global_concurrency()
        await ledger.starts(10)
        ledger.release.set()

    assert await queue.global_concurrency() is None
    assert not await queue.is_maxed()


async def test_a_handler_that_is_told_to_slow_down_stops_the_queue_for_that_time(
    queue: Queue, new_worker: Callable[..., Worker]
) -> None:
    attempts, ended = Signal("attempts"), Signal("ended")

    async def call(job: Job[Any], context: JobContext) -> None:
        attempts(job.id, context.attempt, time.monotonic())
        if len(attempts.calls) == 1:
            raise RateLimited(WINDOW)

    worker = new_worker(call)
    worker.on_completed(ended)
    worker.on_failed(ended)
    await queue.add("paint", job_id="a")
    await queue.add("paint", job_id="b")
    async with worker:
        await ended.wait(2)

    calls = await attempts.wait(3)
    assert [(job_id, attempt) for job_id, attempt, _ in calls] == [("a", 1), ("a", 1), ("b", 1)]
    assert 0.35 < calls[1][2] - calls[0][2] < 2
    job = await queue.get("a")
    assert job is not None
    assert (job.attempts_made, job.attempts_started) == (1, 2)


async def test_a_queue_that_was_limited_by_hand_goes_on_at_once_when_the_limit_is_removed(
    queue: Queue, new_worker: Callable[..., Worker]
) -> None:
    ledger = Ledger()
    await queue.rate_limit(MINUTE)
    await add_some(queue, 2)
    async with new_worker(ledger) as worker:
        await worker.wait_until_idle()
        assert ledger.started.calls == []
        assert await queue.rate_limit_ttl() > timedelta(seconds=50)

        assert await queue.remove_rate_limit()
        await ledger.starts(2)

    assert not await queue.remove_rate_limit()
    assert await queue.rate_limit_ttl() == timedelta(0)


async def test_limits_that_cannot_be_are_refused(queue: Queue) -> None:
    with pytest.raises(InvalidOption):
        await queue.set_global_concurrency(0)
    with pytest.raises(InvalidOption):
        await queue.rate_limit(timedelta(0))
    with pytest.raises(InvalidOption):
        RateLimit(0, MINUTE)
    with pytest.raises(InvalidOption):
        RateLimit(1, timedelta(0))
    with pytest.raises(InvalidOption):
        RateLimited(timedelta(0))
