"""What BullMQ is known to do wrong, done right: the cases that have no other place. `docs/differences.md` lists all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.waiting import eventually

from carequeue import Job, JobState, KeepJobs, NewJob, Queue, Repeat
from carequeue.store.commands import Commands, Step
from carequeue.testing import FakeClock, Signal, drain

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.asyncio import Redis

    from carequeue import Worker

pytestmark = pytest.mark.redis

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PATIENT: dict[str, Any] = {"drain_delay": timedelta(minutes=1)}
"""A worker that would look by itself only after a minute: what starts at once was told."""


async def nothing(job: Job[Any]) -> None:
    """The handler that does nothing."""


async def order_of(queue: Queue, new_worker: Callable[..., Worker]) -> list[Any]:
    seen: list[Any] = []

    async def note(job: Job[Any]) -> None:
        seen.append(job.data)

    await drain(new_worker(note))
    return seen


async def test_an_interval_with_an_end_never_runs_after_it(
    queue_name: str, redis_url: str, queue: Queue, new_worker: Callable[..., Worker]
) -> None:
    clock = FakeClock(datetime(2026, 11, 24, 12, tzinfo=UTC))
    ran: list[datetime | None] = []

    async def note(job: Job[Any]) -> None:
        ran.append(job.scheduled_for)

    start, end = clock.now, clock.now + 2 * MINUTE + timedelta(seconds=30)
    async with Queue(queue_name, redis_url, clock=clock) as timed, new_worker(note, clock=clock) as worker:
        await timed.schedule("s", Repeat.every(MINUTE, end=end), "tick")
        for _ in range(5):
            await worker.wait_until_idle()
            clock.advance(MINUTE)
        await worker.wait_until_idle()
    assert ran == [start, start + MINUTE, start + 2 * MINUTE]
    assert (await queue.schedulers(), (await queue.counts()).pending) == ([], 0)


async def test_scheduling_while_the_queue_is_paused_leaves_one_pending_run(
    queue_name: str, redis_url: str, queue: Queue, new_worker: Callable[..., Worker]
) -> None:
    clock = FakeClock(datetime(2026, 11, 24, 12, tzinfo=UTC))
    async with Queue(queue_name, redis_url, clock=clock) as timed, new_worker(nothing, clock=clock) as worker:
        await timed.schedule("s", Repeat.cron("0 * * * *"), "tick")
        await timed.pause()
        clock.advance(HOUR + MINUTE)
        await worker.wait_until_idle()  # the run is due: it waits in the paused queue
        assert (await queue.counts()).waiting == 1
        for repeat in (Repeat.cron("0 * * * *"), Repeat.cron("30 * * * *"), Repeat.every(HOUR), Repeat.every(HOUR)):
            job = await timed.schedule("s", repeat, "tick")
            assert [one.id for one in await queue.jobs(["waiting", "delayed"])] == [job.id]
        await timed.resume()
        await worker.wait_until_idle()
    assert ((await queue.counts()).completed, (await queue.counts()).pending) == (1, 1)


@pytest.mark.parametrize("pauses", ["queue", "worker"])
async def test_a_job_that_came_due_in_a_pause_starts_at_once_afterwards(
    queue: Queue, new_worker: Callable[..., Worker], pauses: str
) -> None:
    clock, started = FakeClock(), Signal("started")
    async with new_worker(started, clock=clock, **PATIENT) as worker:
        await queue.add("later", delay=HOUR)
        await worker.wait_until_idle()
        if pauses == "queue":
            await queue.pause()
        else:
            worker.pause()
        clock.advance(2 * HOUR)
        if pauses == "queue":
            await worker.wait_until_idle()
        assert started.calls == []
        if pauses == "queue":
            await queue.resume()
        else:
            worker.resume()
        await started.wait(timeout=5)


@pytest.mark.parametrize("where", [{}, {"priority": 3}, {"group": "family"}])
async def test_a_delayed_job_whose_hash_is_gone_is_dropped(
    queue: Queue, new_worker: Callable[..., Worker], redis: Redis, where: dict[str, Any]
) -> None:
    clock, ran = FakeClock(), Signal("ran")
    lost = await queue.add("lost", delay=HOUR, **where)
    await queue.add("kept", delay=HOUR, **where)
    await redis.delete(queue.keys.job(lost.id))
    clock.advance(2 * HOUR)

    await drain(new_worker(lambda job: ran(job.name), clock=clock))

    assert ran.calls == [("kept",)]
    assert await redis.exists(queue.keys.job(lost.id)) == 0
    assert (await queue.counts()).pending == 0


async def test_a_stalled_job_comes_back_in_its_class_of_priority(
    queue: Queue, new_worker: Callable[..., Worker]
) -> None:
    """BullMQ puts it into `wait`, before everything that has a priority."""
    commands = Commands(queue.client, queue.keys)
    stalls = await queue.add("work", "stalled, low", priority=10)
    await commands.step(Step((), 1, 1, "gone", 0, 1))
    await queue.add("work", "low", priority=10)
    await queue.add("work", "high", priority=1)

    async def unlocked() -> bool:
        return await queue.client.exists(queue.keys.lock(stalls.id)) == 0

    await eventually(unlocked, "the lock of a millisecond has run out")
    back: list[str] = []
    for _ in range(2):
        await queue.client.delete(queue.keys.stalled_check)
        back += await commands.check_stalled(max_stalled=5, interval_ms=60_000, now=1)
    assert back == [stalls.id]
    assert await queue.state(stalls.id) is JobState.PRIORITIZED
    assert await order_of(queue, new_worker) == ["high", "stalled, low", "low"]


async def test_many_that_are_promoted_or_retried_keep_their_priorities(
    queue: Queue, new_worker: Callable[..., Worker]
) -> None:
    for data, priority in (("low", 9), ("high", 1), ("none", 0)):
        await queue.add("work", data, priority=priority, delay=HOUR)
    assert await queue.promote_all() == 3
    assert await order_of(queue, new_worker) == ["none", "high", "low"]
    assert await queue.retry_all("completed") == 3
    assert await order_of(queue, new_worker) == ["none", "high", "low"]


async def test_what_is_too_old_goes_from_a_queue_at_rest(
    queue: Queue, new_worker: Callable[..., Worker], redis: Redis
) -> None:
    clock, failed = FakeClock(), Signal("failed")

    async def work(job: Job[Any]) -> None:
        if job.data == "bad":
            raise ValueError("bad")

    keep = {"keep_completed": KeepJobs(age=HOUR), "keep_failed": KeepJobs(age=3 * HOUR)}
    interval = timedelta(milliseconds=20)
    async with new_worker(work, clock=clock, stalled_interval=interval, **keep) as worker:
        worker.on_failed(failed)
        await queue.add_bulk([NewJob("work", "good"), NewJob("work", "bad")])
        await failed.wait()
        await worker.wait_until_idle()
        assert ((await queue.counts()).completed, (await queue.counts()).failed) == (1, 1)
        clock.advance(2 * HOUR)
        await until_counts(queue, completed=0, failed=1)
        clock.advance(2 * HOUR)
        await until_counts(queue, completed=0, failed=0)
    assert [key async for key in redis.scan_iter(f"{queue.keys.base}:[0-9]*")] == []


async def test_what_has_no_age_stays(queue: Queue, new_worker: Callable[..., Worker]) -> None:
    clock = FakeClock()
    keep: dict[str, Any] = {"keep_completed": KeepJobs(count=5), "keep_failed": KeepJobs(age=HOUR)}

    async def work(job: Job[Any]) -> None:
        if job.data == "bad":
            raise ValueError("bad")

    async with new_worker(work, clock=clock, stalled_interval=timedelta(milliseconds=20), **keep) as worker:
        await queue.add_bulk([NewJob("work", "good"), NewJob("work", "bad")])
        await worker.wait_until_idle()
        clock.advance(timedelta(days=400))
        await until_counts(queue, completed=1, failed=0)


async def until_counts(queue: Queue, **expected: int) -> None:
    async def holds() -> bool:
        counts = await queue.counts()
        return all(getattr(counts, name) == value for name, value in expected.items())

    await eventually(holds, f"counts are {expected}")
