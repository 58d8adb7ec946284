"""Groups do not disturb Node, which knows nothing of them, and what Node does to their jobs leaves groups whole."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.waiting import eventually

from carequeue import Backoff, GroupStatus, JobOptions, JobState, NewJob, Worker
from carequeue.testing import Signal, drain

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from tests.interop.support import Node

    from carequeue import Job, JobContext, Queue

pytestmark = [pytest.mark.node, pytest.mark.redis]

HOUR = timedelta(hours=1)


async def run_all(queue: Queue, redis_url: str) -> list[str]:
    """The ids of what a worker of ours finds to do, in its order."""
    ran = Signal()
    await drain(Worker(queue.name, redis_url, ran))
    return [job.id for (job,) in ran.calls]


async def test_node_reads_a_job_that_waits_in_a_group_and_does_not_count_it(
    node: Node, queue: Queue, redis_url: str
) -> None:
    await node.make("Queue", "q", queue.name)
    await queue.add("paint", {"n": 1}, job_id="a", group="tenant 7", priority=2)
    await queue.add("paint", job_id="later", group="tenant 7", delay=HOUR)

    job = await node.call("q", "getJob", "a", keep="a")
    assert (job["data"], job["opts"]["group"], job["priority"]) == ({"n": 1}, {"id": "tenant 7"}, 2)
    assert await node.call("a", "getState") == "unknown"
    counts = await node.call("q", "getJobCounts")
    assert {state: count for state, count in counts.items() if count} == {"delayed": 1}
    assert await node.call("q", "getJobs", ["waiting", "prioritized"]) == []
    await node.call("a", "updateData", {"n": 2})
    assert (await queue.counts()).waiting == 1
    assert await run_all(queue, redis_url) == ["a"]
    assert await node.call("a", "getState") == "completed"


async def test_node_promotes_and_retries_jobs_past_their_group(node: Node, queue: Queue, redis_url: str) -> None:
    await node.make("Queue", "q", queue.name)
    await queue.pause_group("a")
    await queue.add("paint", job_id="promoted", group="a", delay=HOUR)
    await queue.add("paint", job_id="waits", group="a")
    await node.call("q", "getJob", "promoted", keep="promoted")
    await node.call("promoted", "promote")
    await node.call("q", "add", "paint", {}, {"jobId": "of node", "group": {"id": "a"}})
    assert await run_all(queue, redis_url) == ["promoted", "of node"]

    await node.call("promoted", "retry", "completed")
    assert await queue.state("promoted") is JobState.WAITING
    await node.make("Worker", "w", queue.name)
    await node.wait_for("w", "completed")
    await node.drop("w")
    assert (await queue.get_group("a")).waiting == 1
    await queue.resume_group("a")
    assert await run_all(queue, redis_url) == ["waits"]


async def test_a_worker_of_node_serves_what_has_no_group_and_leaves_groups_alone(
    node: Node, queue: Queue, redis_url: str
) -> None:
    await node.make("Worker", "w", queue.name)
    await node.wait_for("w", "ready")
    await queue.add("paint", job_id="grouped", group="a")
    await queue.add("paint", job_id="soon", group="a", delay=timedelta(milliseconds=50))
    await queue.add("paint", job_id="plain")
    await node.wait_for("w", "completed", 2)
    await node.drop("w")
    assert await queue.states(["plain", "soon", "grouped"]) == {
        "plain": JobState.COMPLETED, "soon": JobState.COMPLETED, "grouped": JobState.WAITING,
    }  # fmt: skip
    assert await run_all(queue, redis_url) == ["grouped"]


async def test_workers_of_node_and_ours_together_run_every_job_and_leave_no_place_behind(
    node: Node, queue: Queue, redis_url: str
) -> None:
    runs: Counter[str] = Counter()

    async def work(job: Job[Any], context: JobContext) -> None:
        runs[job.id] += 1
        if job.id.endswith("7") and context.attempt == 1:
            raise RuntimeError("once more")

    await queue.set_group_defaults(concurrency=1)
    await node.make("Worker", "w", queue.name, {"concurrency": 3})
    await node.wait_for("w", "ready")
    more = {"attempts": 2, "backoff": Backoff.fixed(timedelta(milliseconds=20))}
    async with Worker(queue.name, redis_url, work, concurrency=3):
        await queue.add_bulk(
            NewJob(
                "paint", {}, JobOptions(
                    job_id=f"j{number}", group="abc"[number % 3] if number % 4 else None,
                    delay=timedelta(milliseconds=10 * (number % 5)), **more,
                ),
            )
            for number in range(60)
        )  # fmt: skip
        await eventually(lambda: all_completed(queue, 60), "every job has completed")
    await node.drop("w")
    assert max(runs.values()) <= 2
    assert set(runs) >= {f"j{number}" for number in range(5, 60, 20)}  # at once, in groups: nobody else takes those
    assert await queue.client.exists(queue.keys.groups_active, queue.keys.groups_turns, queue.keys.groups_waiting) == 0


async def all_completed(queue: Queue, count: int) -> bool:
    return (await queue.counts()).completed == count


async def test_a_job_that_node_removes_has_left_its_group(node: Node, queue: Queue, redis_url: str) -> None:
    await node.make("Queue", "q", queue.name)
    await queue.set_group_concurrency("a", 1)
    for job_id in ("a1", "a2"):
        await queue.add("paint", job_id=job_id, group="a")
    await node.call("q", "remove", "a1")
    assert await run_all(queue, redis_url) == ["a2"]
    assert await queue.get("a1") is None
    assert [group async for group in queue.groups()] == []
    await queue.add("paint", job_id="a1", group="b")
    assert await run_all(queue, redis_url) == ["a1"]


async def test_nodes_worker_puts_a_stalled_job_into_the_queue_and_its_place_is_given_back(
    node: Node, queue: Queue, redis_url: str, redis: Redis
) -> None:
    await node.make("Queue", "q", queue.name)
    await queue.set_group_concurrency("a", 1)
    for job_id in ("a1", "a2"):
        await queue.add("paint", job_id=job_id, group="a")
    await node.make("Worker", "w", queue.name, {"stalledInterval": 100, "autorun": False})
    taken, stalled = Signal("taken"), Signal("stalled")

    async def hang(job: Any) -> None:
        taken(job.id)
        await stalled.wait()

    holder = Worker(queue.name, redis_url, hang, skip_lock_renewal=True, skip_stalled_check=True)
    async with holder:
        await taken.wait()
        await redis.delete(queue.keys.lock("a1"))
        await node.call("w", "startStalledCheckTimer")
        await node.wait_for("w", "stalled")
        await node.drop("w")
        holder.pause()
        stalled()
    assert await redis.lrange(queue.keys.wait, 0, -1) == ["a1"]
    assert (await queue.get_group("a")).status is GroupStatus.MAXED
    await redis.delete(queue.keys.groups_checked, queue.keys.stalled_check)  # an interval later
    ran = Signal("ran")
    async with Worker(queue.name, redis_url, ran):
        assert [job.id for (job,) in await ran.wait(2)] == ["a1", "a2"]


@pytest.mark.parametrize("way", ["drain", "clean", "obliterate"])
async def test_what_node_clears_leaves_groups_as_they_are(node: Node, queue: Queue, redis_url: str, way: str) -> None:
    await node.make("Queue", "q", queue.name)
    await queue.add("paint", job_id="a1", group="a")
    await queue.add("paint", job_id="plain")
    match way:
        case "drain":
            await node.call("q", "drain", True)
        case "clean":
            await node.call("q", "clean", 0, 100, "wait")
        case _:
            await node.call("q", "pause")
            await node.call("q", "obliterate")
    assert (await queue.counts()).waiting == 1
    assert await run_all(queue, redis_url) == ["a1"]


async def test_what_node_takes_for_orphans_is_gone_and_the_groups_know_it(
    node: Node, queue: Queue, redis_url: str
) -> None:
    await node.make("Queue", "q", queue.name)
    for group_id in ("a", "b"):
        await queue.add("paint", job_id=f"{group_id}1", group=group_id)
    assert await node.call("q", "removeOrphanedJobs") == 2
    await queue.add("paint", job_id="a2", group="a")
    assert await run_all(queue, redis_url) == ["a2"]
    assert [group async for group in queue.groups()] == []
    assert (await queue.counts()).waiting == 0
