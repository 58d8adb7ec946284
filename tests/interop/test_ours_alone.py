"""What only carequeue knows does not disturb Node: expiry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from carequeue import JobState, Worker
from carequeue.testing import FakeClock, Signal, drain

if TYPE_CHECKING:
    from tests.interop.support import Node

    from carequeue import Queue

pytestmark = [pytest.mark.node, pytest.mark.redis]

MINUTE = timedelta(minutes=1)


async def test_node_reads_retries_runs_and_removes_jobs_that_expire(node: Node, queue: Queue, redis_url: str) -> None:
    later = FakeClock(datetime.now(UTC) + 2 * MINUTE)
    await node.make("Queue", "q", queue.name)
    await node.make("QueueEvents", "e", queue.name)
    for job_id in ("a", "b"):
        await queue.add("paint", {}, job_id=job_id, expires_after=MINUTE)
    waiting = await node.call("q", "getJob", "a")
    assert waiting["opts"]["expireAfter"] == 60_000

    await drain(Worker(queue.name, redis_url, Signal(), clock=later))

    failed = await node.call("q", "getJob", "a", keep="a")
    assert (failed["failedReason"], failed["attemptsMade"]) == ("expired", 0)
    assert [job["id"] for job in await node.call("q", "getFailed")] == ["b", "a"]
    [told] = [args for args in await node.wait_for("e", "failed", 2) if args[0]["jobId"] == "a"]
    assert told[0]["failedReason"] == "expired"
    await node.call("a", "retry")
    assert await queue.state("a") is JobState.WAITING
    await node.make("Worker", "w", queue.name)
    await node.wait_for("w", "completed")
    await node.call("q", "remove", "b")
    assert await queue.get("b") is None


async def test_jobs_that_node_adds_expire_too(node: Node, queue: Queue, redis_url: str) -> None:
    ran = Signal()
    await node.make("Queue", "q", queue.name)
    await node.call("q", "add", "paint", {}, {"jobId": "a", "expireAfter": 60_000})
    await node.call("q", "add", "paint", {}, {"jobId": "b", "expireAt": 7_000_000_000_000})
    every = {"every": 3_600_000}
    await node.call("q", "upsertJobScheduler", "pulse", every, {"name": "pulse", "opts": {"expireAfter": 60_000}})

    await drain(Worker(queue.name, redis_url, ran, clock=FakeClock(datetime.now(UTC) + 2 * MINUTE)))

    assert [job.id for (job,) in ran.calls] == ["b"]
    assert (await queue.counts()).failed == 2
