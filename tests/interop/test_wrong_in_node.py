"""What BullMQ does wrong, shown beside what carequeue does: once BullMQ mends it, its test here fails and says so.

`docs/differences.md` lists all of them; what only carequeue can show is in the tests that it names.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.interop.acting import Painter
from tests.waiting import eventually, until

from carequeue import KeepJobs, Queue, Repeat, Worker, WorkerOptions
from carequeue.testing import Signal

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from tests.interop.support import Node

pytestmark = [pytest.mark.node, pytest.mark.redis]

HOUR_MS = 3_600_000
SHORT_MS = 300


def ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


async def looked_after(queue: Queue, redis: Redis) -> None:
    """Return when a worker of Node's has looked for what is stalled, twice: by then all of the first look is done."""

    async def looked() -> int:
        return await redis.exists(queue.keys.stalled_check)

    for _ in range(2):
        await redis.delete(queue.keys.stalled_check)
        await eventually(looked, "a worker looks after the queue")


@pytest.mark.parametrize(
    ("zone", "pattern", "since", "theirs", "ours"),
    [
        ("Africa/Cairo", "0 0 * * *", "2027-04-29T12:00Z", "2027-05-01T00:00+03:00", "2027-04-30T01:00+03:00"),
        ("Asia/Beirut", "0 0 * * *", "2027-03-27T12:00Z", "2027-03-29T00:00+03:00", "2027-03-28T01:00+03:00"),
        ("America/Santiago", "30 0 * * *", "2027-09-04T12:00Z", "2027-09-06T00:30-03:00", "2027-09-05T01:00-03:00"),
        ("America/Havana", "0 0 * * *", "2027-03-13T12:00Z", "2027-03-15T00:00-04:00", "2027-03-14T01:00-04:00"),
        ("Australia/Lord_Howe", "15 2 * * *", "2027-10-02T12:00Z", "2027-10-04T02:15+11:00", "2027-10-03T02:30+11:00"),
    ],
)  # fmt: skip
async def test_a_day_whose_midnight_is_missing_is_skipped_by_node(
    node: Node, queue: Queue, zone: str, pattern: str, since: str, theirs: str, ours: str
) -> None:
    start = datetime.fromisoformat(since)
    await node.make("Queue", "q", queue.name)
    rule = {"pattern": pattern, "tz": zone, "startDate": ms(start)}
    await node.call("q", "upsertJobScheduler", "theirs", rule, {"name": "tick"})
    await queue.schedule("ours", Repeat.cron(pattern, zone=zone, start=start), "tick")

    found = {scheduler.id: scheduler.next_run for scheduler in await queue.schedulers()}

    assert found == {"theirs": datetime.fromisoformat(theirs), "ours": datetime.fromisoformat(ours)}


async def test_a_hashed_pattern_is_another_one_each_time_in_node(node: Node, queue: Queue) -> None:
    await node.make("Queue", "q", queue.name)
    theirs, ours = set[int](), set[datetime]()
    for _ in range(5):
        await node.call("q", "upsertJobScheduler", "theirs", {"pattern": "H H 1 1 *", "tz": "UTC"}, {"name": "tick"})
        theirs.add((await node.call("q", "getJobScheduler", "theirs"))["next"])
        await queue.unschedule("ours")
        job = await queue.schedule("ours", Repeat.cron("H H 1 1 *"), "tick")
        assert job.scheduled_for is not None
        ours.add(job.scheduled_for)
    assert len(theirs) > 1
    assert len(ours) == 1


async def test_scheduling_while_paused_leaves_runs_behind_in_node(node: Node, queue: Queue) -> None:
    """The run that waits in the paused queue stays beside each new one: all of them run after the pause."""
    await node.make("Queue", "q", queue.name)
    await node.make("Worker", "hand", queue.name, {"processor": False})
    yearly, soon = {"pattern": "0 0 1 1 *", "tz": "UTC"}, {"every": 100, "startDate": ms(datetime.now(UTC)) + 200}

    async def due() -> bool:
        await node.call("hand", "getNextJob", "t:1", {"block": False})  # it looks what is due, and may take nothing
        return (await queue.counts()).waiting == 1

    async def runs() -> int:
        return len(await queue.jobs(["waiting", "delayed"]))

    await node.call(
        "q", "upsertJobScheduler", "theirs", {**soon, "startDate": ms(datetime.now(UTC)) + 200}, {"name": "t"}
    )
    await queue.pause()
    await eventually(due, "the run is due")
    await node.call("q", "upsertJobScheduler", "theirs", yearly, {"name": "t"})
    assert await runs() == 2
    await queue.drain(delayed=True)
    assert await node.call("q", "removeJobScheduler", "theirs")

    for repeat in (Repeat.every(timedelta(milliseconds=100)), Repeat.cron("0 0 1 1 *")):
        await queue.schedule("ours", repeat, "t")
        assert await runs() == 1


async def test_a_scheduler_that_lost_its_run_never_runs_again_in_node(
    node: Node, queue: Queue, redis: Redis, redis_url: str
) -> None:
    await node.make("Queue", "q", queue.name)
    await node.call("q", "upsertJobScheduler", "s", {"pattern": "0 0 1 1 *", "tz": "UTC"}, {"name": "tick"})
    [lost] = await queue.jobs("delayed")
    await redis.delete(queue.keys.delayed, queue.keys.job(lost.id))
    await node.make("Worker", "w", queue.name, {"stalledInterval": 50})
    await looked_after(queue, redis)
    assert await node.call("q", "getJobSchedulersCount") == 1
    assert (await queue.counts()).pending == 0
    await node.drop("w")
    repaired = Signal("repaired")
    worker = Worker(queue.name, redis_url, Painter())
    worker.on_scheduler_repaired(repaired)

    async with worker:
        assert await repaired.wait() == [("s", lost.scheduled_for)]

    assert [job.id for job in await queue.jobs("delayed")] == [lost.id]


@pytest.mark.parametrize("way", ["promoteJobs", "retryJobs"])
async def test_priorities_are_forgotten_in_bulk_by_node(node: Node, queue: Queue, way: str) -> None:
    await node.make("Queue", "q", queue.name)
    await node.make("Worker", "hand", queue.name, {"processor": False})

    async def taken() -> list[str]:
        ids: list[str] = []
        while job := await node.call("hand", "getNextJob", f"t:{len(ids)}", {"block": False}, keep=f"job {len(ids)}"):
            ids.append(job["id"])
        for number in reversed(range(len(ids))):
            await node.call(f"job {number}", "moveToFailed", {"$throw": "no"}, f"t:{number}", False)
        return ids

    async def delayed() -> None:
        for job_id, priority in (("low", 9), ("high", 1), ("none", 0)):
            await node.call("q", "add", "paint", {}, {"jobId": job_id, "priority": priority, "delay": HOUR_MS})

    await delayed()
    assert await queue.promote_all() == 3
    assert await taken() == ["none", "high", "low"]
    if way == "retryJobs":
        await node.call("q", "retryJobs", {"state": "failed"})
        assert await taken() == ["low", "high", "none"]
        assert await queue.retry_all("failed") == 3
        assert await taken() == ["none", "high", "low"]
    else:
        await queue.retry_all("failed")
        await taken()
        for job_id in ("low", "high", "none"):
            await queue.remove(job_id)
        await delayed()
        await node.call("q", "promoteJobs")
        assert await taken() == ["low", "high", "none"]


async def test_a_processor_whose_lock_is_lost_goes_on_in_node(node: Node, queue: Queue, redis: Redis) -> None:
    """Ours is cancelled: `test_a_lost_lock_cancels_the_handler_and_nothing_is_reported`."""
    await queue.add("paint", {"acts": [{"hold": True}]}, job_id="a")
    await node.make("Worker", "w", queue.name, {"lockDuration": SHORT_MS, "skipStalledCheck": True})
    await node.wait_for("act", "run")
    await redis.set(queue.keys.lock("a"), "another:1")
    await node.wait_for("w", "lockRenewalFailed")

    await node.release()

    async def ran_to_its_end() -> bool:
        refused = "Lock mismatch for job a. Cmd moveToFinished from active"
        return any(error["message"] == refused for [error] in node.seen("w", "error"))

    await eventually(ran_to_its_end, "the processor ends, and its report is refused")


@pytest.mark.slow
async def test_a_job_that_came_due_in_a_pause_waits_ten_seconds_in_node(node: Node, queue: Queue, redis: Redis) -> None:
    """Its worker knew when the job is due, and forgets it in the pause. Ours starts it at once:
    `test_a_job_that_came_due_in_a_pause_starts_at_once_afterwards`.
    """
    await node.make("Queue", "q", queue.name)
    await node.make("Worker", "w", queue.name)
    await node.call("q", "add", "paint", {}, {"jobId": "a", "delay": 1000})
    due = datetime.now(UTC) + timedelta(seconds=1)

    async def heard() -> bool:
        return await redis.exists(queue.keys.marker) == 0

    await eventually(heard, "the worker knows of the job")
    await node.call("w", "pause")
    await until(due + timedelta(seconds=0.2))
    resumed = time.monotonic()
    await node.call("w", "resume")
    await node.wait_for("act", "run")
    assert time.monotonic() - resumed > 5


async def test_what_is_too_old_stays_in_a_queue_at_rest_in_node(
    node: Node, queue: Queue, redis: Redis, redis_url: str
) -> None:
    """Both keep what has completed for an hour. Node looks at that when another job completes, and only then."""
    await node.make("Queue", "q", queue.name)
    await node.make("Worker", "w", queue.name, {"stalledInterval": 50, "removeOnComplete": {"age": 3600}})
    await node.call("q", "add", "paint", {}, {"jobId": "a"})
    await node.wait_for("w", "completed")
    await redis.zadd(queue.keys.completed, {"a": time.time() * 1000 - 2 * HOUR_MS})
    await looked_after(queue, redis)
    assert (await queue.counts()).completed == 1
    await node.drop("w")

    options = WorkerOptions(keep_completed=KeepJobs(age=timedelta(hours=1)))
    async with Worker(queue.name, redis_url, Painter(), options=options):

        async def gone() -> bool:
            return (await queue.counts()).completed == 0

        await eventually(gone, "the old job is gone")
