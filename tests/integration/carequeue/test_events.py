"""QueueEvents: everything that happens in a queue, in order, whoever does it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from carequeue import (
    ConnectionLost,
    Event,
    InvalidOption,
    Job,
    JobContext,
    Queue,
    QueueEvents,
    QueueEventsProducer,
    Worker,
)
from carequeue.store.client import LinkedRedis
from carequeue.testing import drain

if TYPE_CHECKING:
    from redis.asyncio import Redis

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


# About one job


async def test_what_happens_to_one_job_is_told_until_it_ends(
    queue: Queue, new_worker: NewWorker, redis_url: str
) -> None:
    async with QueueEvents(queue.name, redis_url) as events, events.about("mine") as told:
        for name in ("other", "mine"):
            await queue.add("job", job_id=name)
        await drain(new_worker(lambda job: job.id))
        heard = [event async for event in told]
        first = await anext(events)  # all of them are still told to whoever iterates over all
    assert [(event.name, event.job_id) for event in heard] == [
        (name, "mine") for name in ("added", "waiting", "active", "completed")
    ]
    assert (heard[-1].value, first.job_id) == ("mine", "other")


async def test_several_listen_to_one_job_and_wait_for_it(queue: Queue, redis_url: str) -> None:
    async with (
        QueueEvents(queue.name, redis_url) as events,
        events.about("a") as one,
        events.about("a") as other,
        events.waiting("a") as ended,
    ):
        await queue.add("job", job_id="a")
        await queue.remove("a")
        heard = [[event.name async for event in told] for told in (one, other)]
        assert (await ended).name == "removed"
    assert heard == [["added", "waiting", "removed"]] * 2


async def test_closing_the_events_ends_listening_to_a_job(queue: Queue, redis_url: str) -> None:
    async with QueueEvents(queue.name, redis_url) as events, events.about("a") as told:
        await events.close()
        with pytest.raises(ConnectionLost):
            await anext(told)


async def test_a_reader_that_is_cancelled_twice_leaves_no_error_that_nobody_has_seen(
    queue: Queue, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, ending, lost = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def xread(*_: Any, **__: Any) -> None:
        """A reply that the connection loses while whoever asked for it is leaving."""
        reading.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ending.set()
            await lost.wait()
            raise RedisConnectionError("lost") from None

    unseen: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, about: unseen.append(about))
    async with asyncio.timeout(20), QueueEvents(queue.name, redis_url) as events:
        monkeypatch.setattr(LinkedRedis, "xread", xread)
        reader = asyncio.ensure_future(anext(events))
        await reading.wait()
        reader.cancel()
        await ending.wait()
        reader.cancel()
        await asyncio.wait({reader})
        left = [task for task in asyncio.all_tasks() if "xread" in repr(task.get_coro())]
        assert len(left) == 1
        lost.set()
        await asyncio.wait(left)
    assert reader.cancelled()
    del left, reader
    gc.collect()
    assert unseen == []


async def test_who_listens_while_nobody_answers_is_told(queue_name: str) -> None:
    events = QueueEvents(queue_name, "redis://127.0.0.1:1")
    async with events.about("a") as told:
        with pytest.raises(ConnectionLost):
            await anext(told)
    async with events.waiting("a") as ended:
        with pytest.raises(ConnectionLost):
            await asyncio.wait_for(ended, 5)
    await events.close()


# Events of one's own


async def test_an_event_of_ones_own_is_read_like_any_other(queue: Queue, redis_url: str) -> None:
    async with (
        QueueEvents(queue.name, redis_url) as events,
        QueueEventsProducer(queue.name, redis_url) as producer,
    ):
        place = await producer.publish("painted", {"colour": "é☃", "coats": 2, "jobId": "7"})
        event = await anext(events)
    assert (event.id, event.name, event.job_id) == (place, "painted", "7")
    assert dict(event.fields) == {"colour": "é☃", "coats": "2", "jobId": "7"}


async def test_events_of_ones_own_keep_the_stream_bounded(queue: Queue, redis_url: str, redis: Redis) -> None:
    await redis.hset(queue.keys.meta, "opts.maxLenEvents", "100")  # type: ignore[misc]
    async with QueueEventsProducer(queue.name, redis_url) as producer:
        for _ in range(450):
            await producer.publish("tick")
        assert await redis.xlen(queue.keys.events) <= 200  # a node of the stream holds a hundred
        for _ in range(5):
            await producer.publish("tick", max_events=1)
        assert await redis.xlen(queue.keys.events) <= 100


@pytest.mark.parametrize(
    ("name", "fields"),
    [("", {}), ("completed", {}), ("x", {"event": "y"}), ("x", {"": "y"}), ("x", {"a": None}), ("x", {"a": True})],
)
async def test_what_cannot_be_an_event_is_refused(
    queue: Queue, redis_url: str, redis: Redis, name: str, fields: Any
) -> None:
    before = await redis.xlen(queue.keys.events)
    async with QueueEventsProducer(queue.name, redis_url) as producer:
        with pytest.raises(InvalidOption):
            await producer.publish(name, fields)
        with pytest.raises(InvalidOption):
            await producer.publish("fine", max_events=0)
    assert await redis.xlen(queue.keys.events) == before
