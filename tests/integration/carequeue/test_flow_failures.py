"""What a child's failure means for its parent, and jobs that wait for children which they get while they run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.carequeue.flow_support import report, write

from carequeue import (
    ChildState,
    FlowProducer,
    Job,
    JobContext,
    JobKind,
    JobState,
    OnFailure,
    Queue,
    QueueEvents,
    Telemetry,
    WaitForChildren,
    Worker,
)
from carequeue.testing import Signal, drain

if TYPE_CHECKING:
    from collections.abc import Callable

    NewWorker = Callable[..., Worker]

pytestmark = pytest.mark.redis


@dataclass(frozen=True, slots=True)
class Page:
    number: int


PAGE = JobKind("page", Page, attempts=2)


# Failing children


@pytest.mark.parametrize(
    ("mode", "state", "told"),
    [
        (OnFailure.FAIL_PARENT, JobState.FAILED, ChildState.FAILED),
        (OnFailure.CONTINUE_PARENT, JobState.COMPLETED, ChildState.IGNORED),
        (OnFailure.IGNORE_DEPENDENCY, JobState.COMPLETED, ChildState.IGNORED),
        (OnFailure.REMOVE_DEPENDENCY, JobState.COMPLETED, None),
    ],
)
async def test_what_a_failure_means_for_the_parent(
    flows: FlowProducer, queue: Queue, pages: Queue, redis_url: str, mode: OnFailure, state: JobState, told: ChildState
) -> None:
    await flows.add(report(queue, pages, mode, None))
    await write(pages, redis_url, 1)
    await drain(Worker(queue.name, redis_url, lambda job: None))

    assert await queue.state("report") == state
    children = {child.id: child async for child in queue.children("report").iterate()}
    assert children["page-2"].value == "text 2"
    if told is None:
        assert set(children) == {"page-2"}
    else:
        assert (children["page-1"].state, children["page-1"].reason) == (told, "page 1 is blank")
    job = await queue.get("report")
    assert job is not None
    assert job.failed_reason == (f"child {pages.keys.job('page-1')} failed" if state == JobState.FAILED else None)


async def test_a_parent_continues_before_its_other_children(
    flows: FlowProducer, queue: Queue, pages: Queue, redis_url: str
) -> None:
    await flows.add(report(queue, pages, OnFailure.CONTINUE_PARENT, None))
    worker = Worker(pages.name, redis_url, lambda job: 1 / 0)
    failed = Signal("failed")
    worker.on_failed(failed)
    worker.on_failed(lambda job, error: worker.pause())
    async with worker:
        await failed.wait()
    assert await queue.state("report") == JobState.WAITING
    assert await queue.children("report").ignored() == {pages.keys.job("page-1"): "division by zero"}
    assert (await queue.children("report").counts()).pending == 1


async def test_a_failed_child_that_nobody_spoke_of_is_reported(
    flows: FlowProducer, queue: Queue, pages: Queue, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    telemetry, heard, hook = Telemetry(), Signal("telemetry"), Signal("hook")
    telemetry.subscribe(heard, "job.blocked_parent")
    worker = Worker(pages.name, redis_url, lambda job: 1 / 0, telemetry=telemetry)
    worker.on_blocked(hook)
    async with QueueEvents(queue.name, redis_url) as events:
        await flows.add(report(queue, pages, None))
        await drain(worker)
        async for event in events:
            if event.name == "blocked":
                break
    child = pages.keys.job("page-1")
    assert (event.job_id, event.fields["child"], event.reason) == ("report", child, "division by zero")
    [(job, parent)] = await hook.wait()
    assert (job.id, parent) == ("page-1", queue.parent_ref("report"))
    [(_, fields)] = await heard.wait()
    assert fields == {"queue": pages.name, "job_id": "page-1", "parent_id": "report"}
    assert "job.blocked_parent" in caplog.messages

    blocking = [child async for child in queue.children("report").iterate(ChildState.BLOCKING)]
    assert [(child.id, child.queue, child.reason) for child in blocking] == [("page-1", pages.name, "division by zero")]
    assert [child async for child in queue.children("report").iterate(ChildState.PENDING)] == []


async def test_a_blocked_parent_goes_on_when_the_child_is_retried_or_removed(
    flows: FlowProducer, queue: Queue, pages: Queue, redis_url: str
) -> None:
    await flows.add(report(queue, pages, None, None))
    await write(pages, redis_url, 1, 2)
    assert await queue.state("report") == JobState.WAITING_CHILDREN

    await pages.retry("page-1")
    await write(pages, redis_url)
    assert await queue.state("report") == JobState.WAITING_CHILDREN
    await pages.remove("page-2")
    assert await queue.state("report") == JobState.WAITING


async def test_a_child_that_is_not_kept_when_it_fails_blocks_nothing(
    flows: FlowProducer, queue: Queue, pages: Queue, redis_url: str
) -> None:
    blocked = Signal("blocked")
    worker = Worker(pages.name, redis_url, lambda job: 1 / 0, keep_failed=False)
    worker.on_blocked(blocked)
    await flows.add(report(queue, pages, None))
    await drain(worker)
    assert await queue.state("report") == JobState.WAITING
    assert blocked.calls == []


async def test_a_job_that_failed_before_it_became_a_child_is_judged_by_its_flag(
    flows: FlowProducer, queue: Queue, pages: Queue, redis_url: str
) -> None:
    await pages.add("page", {"number": 1}, job_id="page-1")
    await write(pages, redis_url, 1)
    await flows.add(report(queue, pages, OnFailure.IGNORE_DEPENDENCY, None))
    assert await queue.state("report") == JobState.WAITING_CHILDREN
    assert await queue.children("report").ignored() == {pages.keys.job("page-1"): "page 1 is blank"}
    await write(pages, redis_url)
    assert await queue.state("report") == JobState.WAITING


# A job that waits by itself


async def test_a_handler_adds_children_and_runs_again_when_they_are_done(
    queue: Queue, pages: Queue, redis_url: str, new_worker: NewWorker
) -> None:
    attempts: list[int] = []

    async def gather(job: Job[Any], context: JobContext) -> list[str]:
        attempts.append(context.attempt)
        if not (await context.children.counts()).total:
            for number in (1, 2):
                await pages.add("page", {"number": number}, parent=queue.parent_ref(job.id))
        if (await context.children.counts()).pending:
            raise WaitForChildren
        return sorted((await context.children.values()).values())

    job = await queue.add("gather", attempts=1)
    completed = Signal("completed")
    telemetry, parked = Telemetry(), Signal("parked")
    telemetry.subscribe(parked, "job.parked")
    worker = new_worker(gather, telemetry=telemetry)
    worker.on_completed(completed)
    async with worker:
        await parked.wait()
        assert await queue.state(job.id) == JobState.WAITING_CHILDREN
        await write(pages, redis_url)
        ((done, value),) = await completed.wait()
    assert value == ["text 1", "text 2"]
    assert attempts == [1, 1]
    assert (done.attempts_made, done.attempts_started) == (1, 2)


async def test_waiting_without_a_pending_child_runs_the_job_again_at_once(queue: Queue, redis_url: str) -> None:
    runs: list[str] = []

    async def once(job: Job[Any], context: JobContext) -> None:
        runs.append(job.id)
        if len(runs) == 1:
            raise WaitForChildren

    first = await queue.add("first")
    second = await queue.add("second")
    await drain(Worker(queue.name, redis_url, once))
    assert runs == [first.id, first.id, second.id]


async def test_a_job_whose_child_failed_it_does_not_wait(queue: Queue, pages: Queue, redis_url: str) -> None:
    runs: list[str] = []

    async def gather(job: Job[Any], context: JobContext) -> None:
        runs.append(job.id)
        parent = queue.parent_ref(job.id)
        await pages.add("page", {"number": 1}, parent=parent, on_failure=OnFailure.FAIL_PARENT)
        await pages.add("page", {"number": 2}, parent=parent)
        await write(pages, redis_url, 1)
        await pages.add("page", {"number": 3}, parent=parent)
        raise WaitForChildren

    job = await queue.add("gather")
    await drain(Worker(queue.name, redis_url, gather))
    found = await queue.get(job.id)
    assert found is not None
    assert "failed" in (found.failed_reason or "")
    assert (await queue.state(job.id), runs) == (JobState.FAILED, [job.id])
