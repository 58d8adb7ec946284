"""Waiting for what a job returns."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from carequeue import ConnectionLost, InvalidOption, Job, JobFailed, JobNotFound, Queue, QueueEvents
from carequeue.testing import Signal, drain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from carequeue import Worker

PATIENCE = timedelta(seconds=20)
HOUR = timedelta(hours=1)

pytestmark = pytest.mark.redis


class Watched(Queue):
    """Says when a job was looked at: who waits for it then waits for its events."""

    def __init__(self, name: str, url: str) -> None:
        super().__init__(name, url)
        self.looked = Signal("looked")

    async def get(self, job_id: str, kind: Any = None) -> Any:
        found = await super().get(job_id, kind)
        self.looked(found)
        return found


@pytest.fixture
async def events(queue_name: str, redis_url: str) -> AsyncIterator[QueueEvents]:
    async with QueueEvents(queue_name, redis_url) as events:
        yield events


async def paint(job: Job[Any]) -> Any:
    if "throw" in job.data:
        raise RuntimeError(job.data["throw"])
    return job.data["return"]


async def test_many_wait_with_one_connection_and_each_gets_its_own(
    queue: Queue, new_worker: Callable[..., Worker], events: QueueEvents
) -> None:
    jobs = [await queue.add("paint", {"return": {"n": n}}, keep_completed=bool(n % 2)) for n in range(50)]
    waiting = [asyncio.create_task(queue.wait_until_finished(job, events, PATIENCE)) for job in jobs]
    async with new_worker(paint, concurrency=10):
        assert await asyncio.gather(*waiting) == [{"n": n} for n in range(50)]


async def test_a_job_that_ended_before_answers_at_once(
    queue: Queue, new_worker: Callable[..., Worker], events: QueueEvents
) -> None:
    done = await queue.add("paint", {"return": 5})
    failed = await queue.add("paint", {"throw": "no paint"})
    await drain(new_worker(paint))

    assert await queue.wait_until_finished(done.id, events, PATIENCE) == 5
    with pytest.raises(JobFailed) as raised:
        await queue.wait_until_finished(failed, events, PATIENCE)
    assert (raised.value.job_id, raised.value.reason) == (failed.id, "no paint")


async def test_a_failure_is_told_after_the_last_attempt(
    queue: Queue, new_worker: Callable[..., Worker], events: QueueEvents
) -> None:
    attempts: list[int] = []

    async def fail(job: Job[Any]) -> None:
        attempts.append(job.attempts_made)
        raise RuntimeError(f"no {len(attempts)}")

    job = await queue.add("paint", attempts=3)
    async with new_worker(fail):
        with pytest.raises(JobFailed, match="no 3"):
            await queue.wait_until_finished(job, events, PATIENCE)


async def test_a_job_that_is_not_there_or_goes_is_said(queue: Queue, events: QueueEvents) -> None:
    with pytest.raises(JobNotFound):
        await queue.wait_until_finished("nobody", events)


async def test_a_job_that_goes_while_somebody_waits_is_said(
    queue_name: str, queue: Queue, events: QueueEvents, redis_url: str
) -> None:
    async with Watched(queue_name, redis_url) as watched:
        job = await queue.add("paint", delay=HOUR)
        waiting = asyncio.create_task(watched.wait_until_finished(job, events, PATIENCE))
        await watched.looked.wait()
        await queue.remove(job.id)
        with pytest.raises(JobNotFound):
            await waiting


async def test_closing_the_events_tells_those_who_wait(queue_name: str, queue: Queue, redis_url: str) -> None:
    async with Watched(queue_name, redis_url) as watched, QueueEvents(queue_name, redis_url) as events:
        job = await queue.add("paint", delay=HOUR)
        waiting = asyncio.create_task(watched.wait_until_finished(job, events, PATIENCE))
        await watched.looked.wait()
        await events.close()
        with pytest.raises(ConnectionLost):
            await waiting


async def test_patience_ends(queue: Queue, events: QueueEvents) -> None:
    job = await queue.add("paint", delay=HOUR)
    with pytest.raises(TimeoutError):
        await queue.wait_until_finished(job, events, timedelta(milliseconds=50))
    assert not events._watch._listening


async def test_iterating_goes_on_beside_it(
    queue: Queue, new_worker: Callable[..., Worker], events: QueueEvents
) -> None:
    job = await queue.add("paint", {"return": 1})
    async with new_worker(paint):
        await queue.wait_until_finished(job, events, PATIENCE)
    seen = [(await anext(events)).name for _ in range(4)]
    assert seen == ["added", "waiting", "active", "completed"]


async def test_the_events_of_another_queue_are_refused(queue: Queue, redis_url: str) -> None:
    async with QueueEvents("another", redis_url) as other:
        with pytest.raises(InvalidOption):
            await queue.wait_until_finished("a", other)


async def test_a_lost_connection_is_told_to_those_who_wait_and_the_next_wait_works(
    queue: Queue, new_worker: Callable[..., Worker], fault_proxy: Callable[[str], Any], redis_url: str
) -> None:
    proxy = await fault_proxy(redis_url)
    job = await queue.add("paint", {"return": 1})
    async with QueueEvents(queue.name, proxy.url) as events:
        async with events.waiting(job.id) as ended:
            proxy.cut()
            with pytest.raises(ConnectionLost):
                await asyncio.wait_for(ended, 20)
        waiting = asyncio.create_task(queue.wait_until_finished(job, events, PATIENCE))
        async with new_worker(paint):
            assert await waiting == 1
