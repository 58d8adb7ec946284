"""A worker that dies with a job in its hands: a worker of the other kind finds the job and runs it."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.interop.acting import Painter

from carequeue import Worker, WorkerOptions
from carequeue.store.commands import Commands, Step
from carequeue.testing import Signal

if TYPE_CHECKING:
    from tests.interop.support import Node

    from carequeue import Queue

pytestmark = [pytest.mark.node, pytest.mark.redis]

SHORT_MS = 300


async def test_node_finds_a_job_that_we_lost(node: Node, queue: Queue) -> None:
    await queue.add("paint", {"acts": [{"return": "done"}]}, job_id="a")
    step = Step([], 1, int(time.time() * 1000), "dead", 1, SHORT_MS)
    [taken] = (await Commands(queue.client, queue.keys).step(step)).jobs  # and never heard of again
    assert taken.id == "a"

    await node.make("Worker", "w", queue.name, {"stalledInterval": SHORT_MS})
    [stalled] = await node.wait_for("w", "stalled")
    await node.wait_for("w", "completed")
    await node.drop("w")

    assert stalled == ["a", "active"]
    job = await queue.get("a")
    assert job is not None
    assert (job.return_value, job.attempts_made, job.attempts_started, job.stalled_count) == ("done", 1, 2, 1)


async def test_we_find_a_job_that_node_lost(node: Node, queue: Queue, redis_url: str) -> None:
    await queue.add("paint", {"acts": [{"hold": True}]}, job_id="a")
    await node.make("Worker", "w", queue.name, {"lockDuration": SHORT_MS, "stalledInterval": SHORT_MS})
    await node.wait_for("act", "run")
    await node.kill()

    painter = Painter()
    painter.release.set()
    stalled, completed = Signal("stalled"), Signal("completed")
    options = WorkerOptions(stalled_interval=timedelta(milliseconds=SHORT_MS))
    worker = Worker(queue.name, redis_url, painter, options=options)
    worker.on_stalled(stalled)
    worker.on_completed(completed)
    async with worker:
        await stalled.wait()
        await completed.wait()

    assert stalled.calls == [("a",)]
    job = await queue.get("a")
    assert job is not None
    assert (job.attempts_made, job.attempts_started, job.stalled_count) == (1, 2, 1)


async def test_a_job_that_stalls_too_often_fails_whoever_finds_it(node: Node, queue: Queue, redis_url: str) -> None:
    """Node condemns it, and leaves the sentence to whoever takes it next: us."""
    await node.make("Queue", "q", queue.name)
    await node.make("Worker", "hand", queue.name, {"processor": False, "maxStalledCount": 0})
    await queue.add("paint", job_id="a", attempts=5)
    await node.call("hand", "getNextJob", "t:1", {"block": False})
    for _ in range(2):
        await queue.client.delete(queue.keys.stalled_check)
        await node.call("hand", "moveStalledJobsToWait")
        await queue.client.delete(queue.keys.lock("a"))
    await node.drop("hand")
    failed = Signal("failed")
    painter = Painter()
    worker = Worker(queue.name, redis_url, painter)
    worker.on_failed(failed)

    async with worker:
        await failed.wait()

    assert painter.runs == []
    job = await node.call("q", "getJob", "a")
    assert job["failedReason"] == "job stalled more than allowable limit"
    assert await node.call("q", "getJobState", "a") == "failed"
