"""QueueEvents: everything that happens in a queue, in order, whoever does it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from carequeue import ConnectionLost, Event, Job, JobContext, Queue, QueueEvents, Worker
from carequeue.testing import drain

if TYPE_CHECKING:
    from carecircle_cli.engines import EmbeddedValkey

pytestmark = pytest.mark.redis

NewWorker = Callable[..., Worker]


async def take(events: QueueEvents, count: int) -> list[Event]:
    async with asyncio.timeout(20):
        return [await anext(events) for _ in range(count)]


async def test_the_life_of_a_job_is_told_in_order(queue: Queue, new_worker: NewWorker, redis_url: str) -> None:
    async def work(job: Job[Any], context: JobContext) -> dict[str, int]:
        await context.update_progress(50)
        return {"sent": 1}

    async with QueueEvents(queue.name, redis_url) as events:
        job = await queue.add("job")
        await drain(new_worker(work))
        added, waiting, active, progress, completed, drained = await take(events, 6)
    assert [event.name for event in (added, waiting, active, progress, completed, drained)] == [
        "added", "waiting", "active", "progress", "completed", "drained",
    ]  # fmt: skip
    assert {event.job_id for event in (added, waiting, active, progress, completed)} == {job.id}
    assert drained.job_id is None
    assert (active.previous, progress.value, completed.value, completed.previous) == (
        "waiting", 50, {"sent": 1}, "active",
    )  # fmt: skip
    assert abs(completed.at - datetime.now(UTC)) < timedelta(minutes=1)


async def test_failures_and_delays_say_why_and_when(queue: Queue, new_worker: NewWorker, redis_url: str) -> None:
    async def fail(job: Job[Any]) -> None:
        raise ValueError("boom")

    due = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    async with QueueEvents(queue.name, redis_url) as events:
        await queue.add("later", run_at=due)
        await queue.add("job")
        await drain(new_worker(fail))
        found = {event.name: event for event in await take(events, 7)}
    assert found["delayed"].due == due
    assert found["failed"].reason == "boom"
    assert "retries-exhausted" in found


async def test_from_now_on_means_from_when_it_was_opened(queue: Queue, redis_url: str) -> None:
    await queue.add("before")
    async with QueueEvents(queue.name, redis_url) as events:
        after = await queue.add("after")
        [event] = await take(events, 1)
    assert (event.name, event.job_id) == ("added", after.id)


async def test_a_reader_goes_on_after_an_event_or_from_the_beginning(queue: Queue, redis_url: str) -> None:
    for _ in range(3):
        await queue.add("job")
    async with QueueEvents(queue.name, redis_url, since="0") as events:
        everything = await take(events, 6)
    async with QueueEvents(queue.name, redis_url, since=everything[2].id) as events:
        assert await take(events, 3) == everything[3:]


async def test_several_readers_each_see_everything(queue: Queue, redis_url: str) -> None:
    async with QueueEvents(queue.name, redis_url) as one, QueueEvents(queue.name, redis_url) as other:
        await queue.add("job")
        assert await take(one, 2) == await take(other, 2)


async def test_a_lost_connection_loses_no_event(
    queue: Queue, redis_url: str, fault_proxy: Callable[[str], Awaitable[Any]]
) -> None:
    proxy = await fault_proxy(redis_url)
    async with QueueEvents(queue.name, proxy.url) as events:
        first = await queue.add("job")
        assert [event.job_id for event in await take(events, 2)] == [first.id] * 2
        following = asyncio.create_task(take(events, 4))
        await proxy.refuse()
        second = await queue.add("job")  # while nobody can listen
        await proxy.start()
        third = await queue.add("job")
        assert [event.job_id for event in await following] == [second.id] * 2 + [third.id] * 2


async def test_a_restarted_server_is_read_on(own_valkey: EmbeddedValkey, queue_name: str) -> None:
    async with Queue(queue_name, own_valkey.url()) as queue, QueueEvents(queue_name, own_valkey.url()) as events:
        await queue.add("job")
        await take(events, 1)
        own_valkey.process.kill()
        await asyncio.to_thread(own_valkey.start)
        second = await queue.add("job")
        assert [event.job_id for event in await take(events, 3)][1:] == [second.id] * 2


async def test_opening_without_a_server_says_so(own_valkey: EmbeddedValkey, queue_name: str) -> None:
    own_valkey.stop()
    with pytest.raises(ConnectionLost):
        await QueueEvents(queue_name, own_valkey.url()).open()
