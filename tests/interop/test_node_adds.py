"""Node adds jobs and carequeue runs them; what Node then reads of them is right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.interop.acting import Painter

from carequeue import Job, JobContext, Unrecoverable, Worker
from carequeue.testing import Signal, drain

if TYPE_CHECKING:
    from tests.interop.support import Node

    from carequeue import Queue

pytestmark = [pytest.mark.node, pytest.mark.redis]


@pytest.fixture
async def node_queue(node: Node, queue_name: str) -> Node:
    """A Node whose `q` is the queue of the test."""
    await node.make("Queue", "q", queue_name)
    return node


async def run_all(queue: Queue, redis_url: str) -> Painter:
    painter = Painter()
    await drain(Worker(queue.name, redis_url, painter))
    return painter


async def test_jobs_run_and_node_reads_what_became_of_them(node_queue: Node, queue: Queue, redis_url: str) -> None:
    data = {"acts": [{"log": ["mixing", "painting"], "progress": {"done": 40}, "return": {"colour": "réd/☃"}}]}
    added = await node_queue.call("q", "add", "paint", data, {"jobId": "door"})

    painter = await run_all(queue, redis_url)

    assert painter.runs == [("door", "paint", 1)]
    job = await node_queue.call("q", "getJob", "door")
    assert await node_queue.call("q", "getJobState", "door") == "completed"
    assert job["returnvalue"] == {"colour": "réd/☃"}
    assert job["progress"] == {"done": 40}
    assert (job["attemptsMade"], job["attemptsStarted"]) == (1, 1)
    assert added["timestamp"] <= job["processedOn"] <= job["finishedOn"]
    assert (await node_queue.call("q", "getJobLogs", "door"))["logs"] == ["mixing", "painting"]


async def test_order_is_waiting_first_then_by_priority_and_lifo_before_all(
    node_queue: Node, queue: Queue, redis_url: str
) -> None:
    for job_id, options in [
        ("third", {"priority": 1}),
        ("fourth", {"priority": 7}),
        ("second", {}),
        ("first", {"lifo": True}),
    ]:
        await node_queue.call("q", "add", "paint", {}, {"jobId": job_id, **options})

    painter = await run_all(queue, redis_url)

    assert [job_id for job_id, _, _ in painter.runs] == ["first", "second", "third", "fourth"]


async def test_a_delayed_job_runs_when_it_is_due(node_queue: Node, queue: Queue, redis_url: str) -> None:
    ran = Signal("ran")

    async def note(job: Job[Any]) -> None:
        ran(job)

    async with Worker(queue.name, redis_url, note):
        added = await node_queue.call("q", "add", "paint", {}, {"delay": 300})
        [(job,)] = await ran.wait()

    waited = job.started_at.timestamp() * 1000 - added["timestamp"]
    assert 300 <= waited < 1300


async def test_a_failing_job_is_tried_again_after_its_backoff(node_queue: Node, queue: Queue, redis_url: str) -> None:
    acts = {"acts": [{"throw": "no paint"}, {"throw": "no brush"}, {"return": "done"}]}
    options = {"jobId": "a", "attempts": 3, "backoff": {"type": "exponential", "delay": 20}}
    await node_queue.call("q", "add", "paint", acts, options)
    completed = Signal("completed")
    painter = Painter()
    worker = Worker(queue.name, redis_url, painter)
    worker.on_completed(completed)

    async with worker:
        await completed.wait()

    assert painter.runs == [("a", "paint", 1), ("a", "paint", 2), ("a", "paint", 3)]
    job = await node_queue.call("q", "getJob", "a")
    assert (job["returnvalue"], job["attemptsMade"], job["attemptsStarted"]) == ("done", 3, 3)
    assert ["no paint" in trace for trace in job["stacktrace"]] == [True, False]


async def test_a_job_that_fails_for_good_tells_node_why(node_queue: Node, queue: Queue, redis_url: str) -> None:
    await node_queue.call("q", "add", "paint", {"acts": [{"throw": 'no "paint"\nat all'}]}, {"jobId": "a"})
    await node_queue.call("q", "add", "paint", {"acts": [{"unrecoverable": "never"}]}, {"jobId": "b", "attempts": 9})

    await run_all(queue, redis_url)

    failed = {job["id"]: job for job in await node_queue.call("q", "getFailed")}
    assert failed["a"]["failedReason"] == 'no "paint"\nat all'
    assert failed["b"]["failedReason"] == "never"
    assert failed["b"]["attemptsMade"] == 1
    await node_queue.call("q", "retryJobs")
    assert (await queue.counts()).waiting == 2


async def test_a_timeout_that_node_passes_on_ends_our_attempt(node_queue: Node, queue: Queue, redis_url: str) -> None:
    options = {"jobId": "a", "attempts": 2, "timeout": 50}
    await node_queue.call("q", "add", "paint", {"acts": [{"hold": True}, {"return": "second"}]}, options)

    await run_all(queue, redis_url)

    job = await node_queue.call("q", "getJob", "a")
    assert job["opts"]["timeout"] == 50
    assert job["returnvalue"] == "second"
    assert "timeout of 0.05 s" in job["stacktrace"][0]


async def test_a_backoff_that_only_node_knows_fails_the_job_and_says_so(
    node_queue: Node, queue: Queue, redis_url: str
) -> None:
    options = {"jobId": "a", "attempts": 3, "backoff": {"type": "lunar"}}
    await node_queue.call("q", "add", "paint", {"acts": [{"throw": "no"}]}, options)

    await run_all(queue, redis_url)

    job = await queue.get("a")
    assert job is not None
    assert "lunar" in (job.failed_reason or "")


async def test_what_node_says_to_keep_is_kept(node_queue: Node, queue: Queue, redis_url: str) -> None:
    for place in range(6):
        keep = {"removeOnComplete": True} if place % 2 else {"removeOnComplete": 2}
        await node_queue.call("q", "add", "paint", {}, {"jobId": f"j{place}", **keep})

    await run_all(queue, redis_url)

    assert [job["id"] for job in await node_queue.call("q", "getCompleted", 0, -1)] == ["j4", "j2"]
    assert await queue.exists([f"j{place}" for place in range(6)]) == {"j2", "j4"}


async def test_a_thousand_jobs_added_at_once_run_once_each(node_queue: Node, queue: Queue, redis_url: str) -> None:
    await node_queue.call("q", "addBulk", [{"name": "paint", "data": {}} for _ in range(1000)])
    painter = Painter()

    await drain(Worker(queue.name, redis_url, painter, concurrency=50), timeout=30)

    assert sorted(int(job_id) for job_id, _, _ in painter.runs) == list(range(1, 1001))
    assert await node_queue.call("q", "getCompletedCount") == 1000


async def test_a_flow_of_nodes_ends_with_its_parent(node_queue: Node, queue: Queue, redis_url: str) -> None:
    await node_queue.make("FlowProducer", "flows")
    child = {"queueName": queue.name, "data": {"acts": [{"return": "wall"}]}}
    await node_queue.call(
        "flows",
        "add",
        {
            "name": "house",
            "queueName": queue.name,
            "data": {"acts": [{"return": "house"}]},
            "opts": {"jobId": "house"},
            "children": [{**child, "name": f"wall-{n}"} for n in range(3)],
        },
    )

    painter = await run_all(queue, redis_url)

    assert [name for _, name, _ in painter.runs][-1] == "house"
    await node_queue.call("q", "getJob", "house", keep="house")
    assert list((await node_queue.call("house", "getChildrenValues")).values()) == ["wall"] * 3
    assert await node_queue.call("q", "getJobState", "house") == "completed"


async def test_a_failed_child_takes_its_parent_with_it(node_queue: Node, queue: Queue, redis_url: str) -> None:
    await node_queue.make("FlowProducer", "flows")
    await node_queue.call(
        "flows",
        "add",
        {
            "name": "house",
            "queueName": queue.name,
            "opts": {"jobId": "house"},
            "children": [
                {
                    "name": "wall",
                    "queueName": queue.name,
                    "data": {"acts": [{"unrecoverable": "no bricks"}]},
                    "opts": {"jobId": "wall", "failParentOnFailure": True},
                }
            ],
        },
    )

    painter = await run_all(queue, redis_url)

    assert [job_id for job_id, _, _ in painter.runs] == ["wall"]
    house = await node_queue.call("q", "getJob", "house")
    assert await node_queue.call("q", "getJobState", "house") == "failed"
    assert house["failedReason"] == f"child bull:{queue.name}:wall failed"


async def test_a_deduplicated_job_may_come_again_once_it_ended(node_queue: Node, queue: Queue, redis_url: str) -> None:
    once = {"deduplication": {"id": "wall"}}
    first = await node_queue.call("q", "add", "paint", {}, once)
    assert (await node_queue.call("q", "add", "paint", {}, once))["id"] == first["id"]

    await run_all(queue, redis_url)

    assert (await node_queue.call("q", "add", "paint", {}, once))["id"] != first["id"]


async def test_a_limit_of_concurrency_set_by_node_holds(node_queue: Node, queue: Queue, redis_url: str) -> None:
    await node_queue.call("q", "setGlobalConcurrency", 2)
    await node_queue.call("q", "addBulk", [{"name": "paint", "data": {"acts": [{"waitMs": 5}]}} for _ in range(20)])
    at_once, most = 0, 0
    painter = Painter()

    async def count(job: Job[Any], context: JobContext) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await painter(job, context)
        at_once -= 1

    await drain(Worker(queue.name, redis_url, count, concurrency=10))

    assert most == 2
    assert len(painter.runs) == 20


async def test_undecodable_data_fails_the_job_and_stops_nobody(node_queue: Node, queue: Queue, redis_url: str) -> None:
    await node_queue.call("q", "add", "paint", [1, 2], {"jobId": "odd"})
    await node_queue.call("q", "add", "paint", {}, {"jobId": "good"})

    async def strict(job: Job[Any]) -> None:
        if not isinstance(job.data, dict):
            raise Unrecoverable("not an object")

    await drain(Worker(queue.name, redis_url, strict))

    assert await node_queue.call("q", "getJobState", "odd") == "failed"
    assert await node_queue.call("q", "getJobState", "good") == "completed"
