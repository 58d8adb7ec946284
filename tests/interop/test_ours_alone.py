"""What only carequeue knows does not disturb Node: expiry, dead letters, jobs that run anew, groups of failures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from carequeue import JobState, Queue, Worker
from carequeue.testing import FakeClock, Signal, drain

if TYPE_CHECKING:
    from tests.interop.support import Node

    from carequeue import Job

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


async def test_node_reads_works_off_and_removes_dead_letters(node: Node, queue: Queue, redis_url: str) -> None:
    def fail(job: Job[Any]) -> None:
        raise ValueError("torn")

    async with Queue(f"{queue.name}-dead", redis_url) as letters:
        for job_id in ("a", "b", "c"):
            await queue.add("paint", {"acts": [{}], "colour": "réd/☃"}, job_id=job_id, dead_letters=letters.name)
        await drain(Worker(queue.name, redis_url, fail))

        await node.make("Queue", "dead", letters.name)
        letter = await node.call("dead", "getJob", f"dead:{queue.name}:a", keep="letter")
        assert (letter["name"], letter["attemptsMade"]) == ("paint", 0)
        told = {key: letter["data"][key] for key in ("queue", "jobId", "reason", "attemptsMade", "data", "opts")}
        assert told == {
            "queue": queue.name, "jobId": "a", "reason": "torn", "attemptsMade": 1,
            "data": {"acts": [{}], "colour": "réd/☃"},
            "opts": {"attempts": 0, "jobId": "a", "deadLetters": letters.name},
        }  # fmt: skip
        assert await node.call("dead", "getJobCounts", "wait") == {"wait": 3}
        await node.call("letter", "remove")
        await node.make("Worker", "w", letters.name)
        await node.wait_for("w", "completed", 2)
        await node.drop("w")
        assert (await letters.counts()).completed == 2

        # an original that Node retries is an ordinary job
        await node.make("Queue", "q", queue.name)
        await node.call("q", "getJob", "b", keep="b")
        await node.call("b", "retry")
        await node.make("Worker", "w", queue.name)
        await node.wait_for("w", "completed", 3)
        await letters.pause()
        await letters.obliterate()


async def test_node_runs_what_we_add_anew_and_we_what_node_ran(node: Node, queue: Queue, redis_url: str) -> None:
    ran = Signal()
    await node.make("Queue", "q", queue.name)
    await node.make("Worker", "w", queue.name)
    await node.call("q", "add", "paint", {"acts": [{"return": 1}]}, {"jobId": "a"})
    await node.wait_for("w", "completed")
    await queue.add("paint", {"acts": [{"return": 2}]}, job_id="a", when_exists="rerun")
    await node.wait_for("w", "completed", 2)
    await node.drop("w")
    job = await node.call("q", "getJob", "a")
    assert (job["returnvalue"], job["attemptsMade"]) == (2, 1)
    assert await node.call("q", "getJobCounts", "completed", "failed", "wait") == {
        "completed": 1, "failed": 0, "wait": 0
    }  # fmt: skip
    await queue.add("paint", {}, job_id="a", when_exists="rerun")
    await drain(Worker(queue.name, redis_url, ran))
    assert len(ran.calls) == 1


async def test_what_fails_in_node_is_grouped(node: Node, queue: Queue, redis_url: str) -> None:
    for number in range(3):
        await queue.add("paint", {"acts": [{"throw": f"no colour {number}"}]})
    await queue.add("paint", {"acts": [{"unrecoverable": "no brush"}]})
    await node.make("Worker", "w", queue.name)
    await node.wait_for("w", "failed", 4)
    groups = await queue.error_groups()
    assert [(group.error, group.place, group.count) for group in groups] == [
        ("Error", "peer.mjs in act", 3),
        ("UnrecoverableError", "peer.mjs in act", 1),
    ]
    assert await queue.retry_error_group(groups[1].fingerprint) == 1
    await node.wait_for("w", "failed", 5)
