"""Each side sees what the other did: events, counts, listings, workers."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.interop.acting import Painter

from carequeue import QueueEvents, QueueEventsProducer, Worker, WorkerOptions
from carequeue.testing import Signal, drain

if TYPE_CHECKING:
    from tests.interop.support import Node

    from carequeue import Event, Queue

pytestmark = [pytest.mark.node, pytest.mark.redis]

HOUR = timedelta(hours=1)


async def test_nodes_queue_events_hear_what_we_do(node: Node, queue: Queue, redis_url: str) -> None:
    await node.make("QueueEvents", "events", queue.name)
    ended = Signal("ended")
    worker = Worker(queue.name, redis_url, Painter())
    worker.on_completed(ended)
    worker.on_failed(ended)
    async with worker:
        await queue.add("paint", {"acts": [{"progress": 50, "return": {"ok": True}}]}, job_id="good")
        await queue.add("paint", {"acts": [{"throw": "no paint"}]}, job_id="bad", attempts=2)
        await ended.wait(3)
    await queue.add("paint", job_id="good")
    await queue.add("paint", job_id="later", delay=HOUR)
    await queue.promote("later")
    await queue.pause()
    await queue.resume()
    await queue.remove("later")
    await queue.clean(timedelta(0))
    await queue.drain()
    await node.wait_for("events", "cleaned")

    def heard(event: str) -> list[Any]:
        return [arguments[0] for arguments in node.seen("events", event)]

    assert [one["jobId"] for one in heard("added")] == ["good", "bad", "later"]
    assert heard("progress") == [{"jobId": "good", "data": 50}]
    assert heard("completed") == [{"jobId": "good", "returnvalue": {"ok": True}, "prev": "active"}]
    assert heard("failed") == [{"jobId": "bad", "failedReason": "no paint", "prev": "active"}]
    assert heard("retries-exhausted") == [{"jobId": "bad", "attemptsMade": "2"}]
    assert {"jobId": "bad", "prev": "active"} in heard("waiting")
    assert [one["jobId"] for one in heard("active")] == ["good", "bad", "bad"]
    assert [one["jobId"] for one in heard("delayed")] == ["later"]
    assert {"jobId": "later", "prev": "delayed"} in heard("waiting")
    assert heard("duplicated") == [{"jobId": "good"}]
    assert heard("removed")[0] == {"jobId": "later", "prev": "wait"}
    assert heard("cleaned") == [{"count": "1"}]
    assert len(heard("drained")) >= 1
    assert len(heard("paused")) == len(heard("resumed")) == 1


async def test_our_queue_events_hear_what_node_does(node: Node, queue: Queue, redis_url: str) -> None:
    await node.make("Queue", "q", queue.name)
    heard: list[Event] = []
    async with QueueEvents(queue.name, redis_url) as events:
        await node.call("q", "add", "paint", {"acts": [{"progress": 50, "return": {"ok": True}}]}, {"jobId": "good"})
        await node.call("q", "add", "paint", {"acts": [{"throw": "no paint"}]}, {"jobId": "bad"})
        await node.call("q", "add", "paint", {}, {"jobId": "later", "delay": 3_600_000})
        await node.make("Worker", "w", queue.name)
        async with asyncio.timeout(20):
            async for event in events:
                heard.append(event)
                if event.name == "failed":
                    break
    await node.drop("w")

    by_name = {event.name: event for event in heard}
    assert by_name["completed"].job_id == "good"
    assert by_name["completed"].value == {"ok": True}
    assert by_name["completed"].previous == "active"
    assert by_name["progress"].value == 50
    assert (by_name["failed"].job_id, by_name["failed"].reason) == ("bad", "no paint")
    job = await queue.get("later")
    assert job is not None
    assert job.added_at is not None
    assert by_name["delayed"].due == job.added_at + HOUR


async def test_events_of_ones_own_are_heard_on_the_other_side(node: Node, queue: Queue, redis_url: str) -> None:
    await node.make("QueueEvents", "events", queue.name)
    await node.make("QueueEventsProducer", "producer", queue.name)
    async with QueueEventsProducer(queue.name, redis_url) as producer, QueueEvents(queue.name, redis_url) as events:
        await producer.publish("painted", {"colour": "red", "coats": 2})
        [(theirs, *_)] = await node.wait_for("events", "painted")
        await anext(events)
        await node.call("producer", "publishEvent", {"eventName": "painted", "colour": "blue", "coats": 3})
        ours = await anext(events)
    await node.drop("producer")
    assert theirs == {"colour": "red", "coats": "2"}
    assert (ours.name, dict(ours.fields)) == ("painted", {"colour": "blue", "coats": "3"})


async def test_node_waits_for_the_end_of_a_job_that_we_run(node: Node, queue: Queue, redis_url: str) -> None:
    await node.make("Queue", "q", queue.name)
    await node.make("QueueEvents", "events", queue.name)
    await node.call("q", "add", "paint", {"acts": [{"return": "done"}]}, {"jobId": "a"}, keep="job")
    ending = asyncio.create_task(node.call_with("job", "waitUntilFinished", "events", 20_000))

    await drain(Worker(queue.name, redis_url, Painter()))

    assert await ending == "done"


async def test_nodes_getters_see_the_states_that_we_left(node: Node, queue: Queue, redis_url: str) -> None:
    await node.make("Queue", "q", queue.name)
    await queue.add("paint", {"acts": [{"log": ["one", "two"], "progress": 7, "return": 1}]}, job_id="good")
    await queue.add("paint", {"acts": [{"throw": "no"}]}, job_id="bad")
    await drain(Worker(queue.name, redis_url, Painter()))
    await queue.add("paint", job_id="w1")
    await queue.add("paint", job_id="w2")
    await queue.add("paint", job_id="p", priority=3)
    await queue.add("paint", {"n": 1}, job_id="d", delay=HOUR)

    async def ids(*arguments: Any) -> list[str]:
        return [job["id"] for job in await node.call("q", "getJobs", *arguments)]

    assert await node.call("q", "getJobCounts", "wait", "prioritized", "delayed", "completed", "failed", "active") == {
        "wait": 2, "prioritized": 1, "delayed": 1, "completed": 1, "failed": 1, "active": 0,
    }  # fmt: skip
    assert await ids(["waiting"], 0, -1, True) == ["w1", "w2"]
    assert await ids(["waiting"], 0, 0, True) == ["w1"]
    assert await ids(["delayed"]) == ["d"]
    assert (await node.call("q", "getJobLogs", "good"))["logs"] == ["one", "two"]
    assert (await node.call("q", "getJob", "good"))["progress"] == 7
    delayed = await node.call("q", "getJob", "d")
    assert (delayed["data"], delayed["delay"]) == ({"n": 1}, 3_600_000)
    states = {job_id: await node.call("q", "getJobState", job_id) for job_id in ("w1", "p", "d", "good", "bad", "none")}
    assert states == {
        "w1": "waiting", "p": "prioritized", "d": "delayed", "good": "completed", "bad": "failed", "none": "unknown",
    }  # fmt: skip


async def test_our_getters_see_the_states_that_node_left(node: Node, queue: Queue) -> None:
    await node.make("Queue", "q", queue.name)
    await node.call(
        "q", "add", "paint", {"acts": [{"log": ["one", "two"], "progress": 7, "return": 1}]}, {"jobId": "g"}
    )
    await node.call("q", "add", "paint", {"acts": [{"throw": "no"}]}, {"jobId": "b"})
    await node.make("Worker", "w", queue.name)
    await node.wait_for("w", "drained")
    await node.drop("w")
    for job_id, options in [("w1", {}), ("w2", {}), ("p", {"priority": 3}), ("d", {"delay": 3_600_000})]:
        await node.call("q", "add", "paint", {}, {"jobId": job_id, **options})

    counts = await queue.counts()
    assert (counts.waiting, counts.prioritized, counts.delayed) == (2, 1, 1)
    assert (counts.completed, counts.failed, counts.active) == (1, 1, 0)
    assert [job.id for job in await queue.jobs("waiting", ascending=True)] == ["w1", "w2"]
    assert [job.id async for job in queue.iterate(["waiting", "delayed"], page=1)] == ["w2", "w1", "d"]
    assert await queue.logs("g") == ["one", "two"]
    read = await queue.get("g")
    assert read is not None
    assert (read.progress, read.return_value) == (7, 1)
    delayed = await queue.get("d")
    assert delayed is not None
    assert delayed.delay == HOUR


async def test_each_side_lists_the_workers_of_the_other(node: Node, queue: Queue, redis_url: str) -> None:
    await node.make("Queue", "q", queue.name)
    await node.make("Worker", "w", queue.name, {"name": "from-node"})
    await node.wait_for("w", "ready")

    completed = Signal("completed")
    worker = Worker(queue.name, redis_url, Painter(), options=WorkerOptions(name="from-python"))
    worker.on_completed(completed)
    async with worker:
        await worker.wait_until_idle()
        await node.call("w", "pause")
        await queue.add("paint")  # an idle worker hears of it on the connection that bears its name
        await completed.wait()
        theirs = {one["rawname"] for one in await node.call("q", "getWorkers")}
        ours = {one.name for one in await queue.workers()}
    await node.drop("w")

    assert {name.rpartition(":")[2] for name in theirs} == {"from-node", "from-python"}
    assert ours == {"from-node", "from-python"}


async def test_those_who_listen_are_seen_by_both(node: Node, queue: Queue, redis_url: str) -> None:
    await node.make("Queue", "q", queue.name)
    await node.make("QueueEvents", "events", queue.name)
    assert len(await queue.listeners()) == 1
    async with QueueEvents(queue.name, redis_url) as events:
        await queue.add("paint")
        await anext(aiter(events))
        assert len(await queue.listeners()) == 2
        assert len(await node.call("q", "getQueueEvents")) == 2
        assert await node.call("q", "getWorkersCount") == len(await queue.workers()) == 0


async def test_nodes_search_for_orphans_does_not_know_of_groups(node: Node, queue: Queue) -> None:
    """The one call of BullMQ's that our groups do not survive; docs/upkeep.md says so."""
    await node.make("Queue", "q", queue.name)
    await queue.add("paint", job_id="grouped", group="g")
    await queue.add("paint", job_id="plain")
    assert await queue.remove_orphans() == 0
    assert await node.call("q", "removeOrphanedJobs") == 1
    assert await queue.exists(["grouped", "plain"]) == {"plain"}
