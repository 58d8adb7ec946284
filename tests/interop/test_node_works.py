"""carequeue adds jobs and Node runs them; what we then read of them is right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from carequeue import Backoff, JobState, KeepJobs, NewJob

if TYPE_CHECKING:
    from tests.interop.support import Node

    from carequeue import Queue

pytestmark = [pytest.mark.node, pytest.mark.redis]

SOON = timedelta(milliseconds=20)


def acts(*attempts: dict[str, Any]) -> dict[str, Any]:
    return {"acts": list(attempts)}


async def worked(node: Node, queue: Queue, ends: int, **options: Any) -> list[Any]:
    """Let a Node worker work until so many attempts ended; returns (id, name, attempt) of what it started."""
    await node.make("Worker", "w", queue.name, options)
    await node.wait_until(lambda: len(node.seen("w", "completed")) + len(node.seen("w", "failed")) >= ends)
    await node.drop("w")
    return [tuple(args) for args in node.seen("act", "run")]


async def test_jobs_run_and_we_read_what_became_of_them(node: Node, queue: Queue) -> None:
    data = acts({"log": ["mixing", "painting"], "progress": {"done": 40}, "return": {"colour": "réd/☃"}})
    await queue.add("paint", data, job_id="door")

    assert await worked(node, queue, 1, name="painter") == [("door", "paint", 1)]

    job = await queue.get("door")
    assert job is not None
    assert await queue.state("door") is JobState.COMPLETED
    assert job.return_value == {"colour": "réd/☃"}
    assert job.progress == {"done": 40}
    assert (job.attempts_made, job.attempts_started) == (1, 1)
    assert job.worker_name == "painter"
    assert job.added_at is not None
    assert job.started_at is not None
    assert job.finished_at is not None
    assert job.added_at <= job.started_at <= job.finished_at
    assert await queue.logs("door") == ["mixing", "painting"]


async def test_order_is_waiting_first_then_by_priority_and_lifo_before_all(node: Node, queue: Queue) -> None:
    await queue.add("paint", job_id="third", priority=1)
    await queue.add("paint", job_id="fourth", priority=7)
    await queue.add("paint", job_id="second")
    await queue.add("paint", job_id="first", lifo=True)

    runs = await worked(node, queue, 4)

    assert [job_id for job_id, _, _ in runs] == ["first", "second", "third", "fourth"]


async def test_a_delayed_job_runs_when_it_is_due(node: Node, queue: Queue) -> None:
    due = datetime.now(UTC) + timedelta(milliseconds=300)
    await queue.add("paint", job_id="a", run_at=due)

    await worked(node, queue, 1)

    job = await queue.get("a")
    assert job is not None
    assert job.started_at is not None
    assert timedelta(milliseconds=-1) <= job.started_at - due < timedelta(seconds=2)


async def test_an_idle_worker_of_nodes_wakes_for_our_job(node: Node, queue: Queue) -> None:
    await node.make("Worker", "w", queue.name)
    await node.wait_for("w", "ready")

    await queue.add("paint", acts({"return": 1}), job_id="a")

    [[job, value, _]] = await node.wait_for("w", "completed", seconds=3)
    assert (job["id"], value) == ("a", 1)
    await node.drop("w")


@pytest.mark.parametrize("backoff", [None, Backoff.fixed(SOON), Backoff.exponential(SOON, jitter=0.5)])
async def test_a_failing_job_is_tried_again(node: Node, queue: Queue, backoff: Backoff | None) -> None:
    data = acts({"throw": "no paint"}, {"throw": "no brush"}, {"return": "done"})
    await queue.add("paint", data, job_id="a", attempts=3, backoff=backoff)

    assert await worked(node, queue, 3) == [("a", "paint", 1), ("a", "paint", 2), ("a", "paint", 3)]

    job = await queue.get("a")
    assert job is not None
    assert (job.return_value, job.attempts_made) == ("done", 3)
    assert ["no paint" in trace for trace in job.stacktrace] == [True, False]


async def test_a_job_that_fails_for_good_tells_us_why(node: Node, queue: Queue) -> None:
    await queue.add("paint", acts({"throw": 'no "paint"\nat all'}), job_id="a")
    await queue.add("paint", acts({"unrecoverable": "never"}), job_id="b", attempts=9)

    await worked(node, queue, 2)

    failed = {job.id: job for job in await queue.jobs("failed")}
    assert failed["a"].failed_reason == 'no "paint"\nat all'
    assert failed["b"].failed_reason == "never"
    assert await queue.retry_all() == 2


async def test_a_timeout_is_ours_alone_and_does_not_disturb_node(node: Node, queue: Queue) -> None:
    data = acts({"throw": "no paint"}, {"return": "done"})
    await queue.add("paint", data, job_id="a", attempts=2, timeout=timedelta(milliseconds=1))

    await worked(node, queue, 2)

    job = await queue.get("a")
    assert job is not None
    assert (job.return_value, job.options.timeout) == ("done", timedelta(milliseconds=1))


async def test_what_we_say_to_keep_is_kept(node: Node, queue: Queue) -> None:
    for place in range(6):
        await queue.add("paint", job_id=f"j{place}", keep_completed=False if place % 2 else KeepJobs(count=2))

    await worked(node, queue, 6)

    assert [job.id for job in await queue.jobs("completed")] == ["j4", "j2"]


async def test_a_thousand_jobs_added_at_once_run_once_each(node: Node, queue: Queue) -> None:
    await queue.add_bulk([NewJob("paint", {}) for _ in range(1000)])

    runs = await worked(node, queue, 1000, concurrency=50)

    assert sorted(int(job_id) for job_id, _, _ in runs) == list(range(1, 1001))
    assert (await queue.counts()).completed == 1000


async def test_data_of_every_kind_arrives_as_it_was(node: Node, queue: Queue) -> None:
    data = {"text": 'é ☃ 𝄞 " \\ \n \u2028 \u0001', "numbers": [1, -1.5, 1e21, 0], "deep": {"a": [[], {}, [None, True]]}}
    await queue.add("paint", data, job_id="a")
    await node.make("Queue", "q", queue.name)

    assert (await node.call("q", "getJob", "a"))["data"] == data
