"""Adding an id that exists: nothing happens, or what has finished runs once more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from carequeue import (
    Deduplication,
    FlowNode,
    FlowProducer,
    InvalidOption,
    Job,
    JobKind,
    JobLocked,
    JobState,
    OnFailure,
    Queue,
    QueueEvents,
    Repeat,
    Worker,
    WrongState,
)
from carequeue.testing import Signal, drain

pytestmark = pytest.mark.redis

NewWorker = Callable[..., Worker]
HOUR = timedelta(hours=1)


async def fail(job: Job[Any]) -> None:
    raise ValueError("torn")


async def again(queue: Queue, data: Any = None, job_id: str = "a", **options: Any) -> Job[Any]:
    return await queue.add("job", data, job_id=job_id, when_exists="rerun", **options)


@pytest.mark.parametrize("handler", [Signal(), fail])
async def test_a_finished_job_runs_anew(queue: Queue, new_worker: NewWorker, handler: Callable[..., Any]) -> None:
    ran = Signal()
    await queue.add("job", "old", job_id="a")
    await queue.log("a", "old row")
    await drain(new_worker(handler))

    await again(queue, "new", attempts=3)

    found = await queue.get("a")
    assert found is not None
    assert await queue.state("a") is JobState.WAITING
    assert (found.data, found.attempts_made, found.attempts_allowed) == ("new", 0, 3)
    assert (found.finished_at, found.failed_reason, await queue.logs("a")) == (None, None, [])
    await drain(new_worker(ran))
    assert [job.data for (job,) in ran.calls] == ["new"]
    assert await queue.state("a") is JobState.COMPLETED


@pytest.mark.parametrize("options", [{}, {"when_exists": "keep"}])
async def test_unless_it_says_so_a_finished_job_stays(
    queue: Queue, new_worker: NewWorker, options: dict[str, Any]
) -> None:
    await queue.add("job", "old", job_id="a")
    await drain(new_worker(Signal()))
    await queue.add("job", "new", job_id="a", **options)
    found = await queue.get("a")
    assert found is not None
    assert (found.data, await queue.state("a")) == ("old", JobState.COMPLETED)


@pytest.mark.parametrize("options", [{}, {"delay": HOUR}, {"priority": 2}])
async def test_a_job_that_waits_stays_as_it_is(queue: Queue, queue_name: str, redis_url: str, options: Any) -> None:
    await queue.add("job", "old", job_id="a", **options)
    before = await queue.state("a")
    async with QueueEvents(queue_name, redis_url) as events:
        await again(queue, "new")
        assert (await anext(events)).name == "duplicated"
    found = await queue.get("a")
    assert found is not None
    assert (found.data, await queue.state("a")) == ("old", before)
    assert (await queue.counts()).pending == 1


async def test_a_job_that_is_not_there_is_added(queue: Queue) -> None:
    await again(queue, "new")
    await queue.add("job", when_exists="rerun")  # without an id there is nothing to be the same
    assert (await queue.counts()).waiting == 2


async def test_a_running_job_is_refused_and_nothing_is_added(queue: Queue, new_worker: NewWorker) -> None:
    started, release = Signal(), asyncio.Event()

    async def wait(job: Job[Any]) -> None:
        started()
        await release.wait()

    await queue.add("job", job_id="a")
    async with new_worker(wait) as worker:
        await started.wait()
        kind = JobKind("job", int, when_exists="rerun")
        with pytest.raises(JobLocked, match="job a:"):
            await queue.add_bulk([kind.with_id("b", 1), kind.with_id("a", 2)])
        assert await queue.get("b") is None
        release.set()
        await worker.wait_until_idle()
    await again(queue)
    assert await queue.state("a") is JobState.WAITING


async def test_it_goes_where_its_new_options_say(queue: Queue, new_worker: NewWorker) -> None:
    for job_id in ("a", "b", "c"):
        await queue.add("job", job_id=job_id)
    await drain(new_worker(Signal()))
    await again(queue, job_id="a", delay=HOUR)
    await again(queue, job_id="b", priority=3)
    await again(queue, job_id="c", lifo=True)
    states = await queue.states(["a", "b", "c"])
    assert list(states.values()) == [JobState.DELAYED, JobState.PRIORITIZED, JobState.WAITING]
    assert (await queue.counts()).completed == 0


async def test_the_same_id_twice_in_one_call_runs_once(queue: Queue, new_worker: NewWorker) -> None:
    ran = Signal()
    kind = JobKind("job", int, when_exists="rerun")
    await queue.add("job", 0, job_id="a")
    await drain(new_worker(Signal()))
    added = await queue.add_bulk([kind.with_id("a", 1), kind.with_id("a", 2)])
    assert [job.id for job in added] == ["a", "a"]
    await drain(new_worker(ran))
    assert [job.data for (job,) in ran.calls] == [1]


async def test_an_idle_worker_wakes_and_listeners_hear(
    queue: Queue, queue_name: str, redis_url: str, new_worker: NewWorker
) -> None:
    ran = Signal()
    async with QueueEvents(queue_name, redis_url) as events, new_worker(ran) as worker:
        await queue.add("job", job_id="a")
        await worker.wait_until_idle()
        started = asyncio.get_running_loop().time()
        job = await again(queue, 7)
        await queue.wait_until_finished(job, events, timedelta(seconds=10))
        assert asyncio.get_running_loop().time() - started < 2
        names: list[str] = []
        while names.count("completed") < 2:
            names.append((await anext(events)).name)
    assert [name for name in names if name != "drained"] == ["added", "waiting", "active", "completed"] * 2


async def test_it_leaves_the_old_ones_deduplication(queue: Queue, new_worker: NewWorker) -> None:
    await queue.add("job", job_id="a", deduplication=Deduplication.throttle("visit", HOUR))
    await drain(new_worker(Signal()))
    await again(queue)
    assert await queue.deduplication_job("visit") is None


# Children


async def a_failed_page(queue: Queue, pages: Queue, flows: FlowProducer, redis_url: str, **options: Any) -> None:
    page = FlowNode("page", "old", queue=pages.name, job_id="page", **options)
    await flows.add(FlowNode("book", queue=queue.name, job_id="book", children=[page]))
    await drain(Worker(pages.name, redis_url, fail))


async def test_a_parent_that_waits_for_it_waits_for_the_new_one(
    queue: Queue, pages: Queue, flows: FlowProducer, redis_url: str
) -> None:
    await a_failed_page(queue, pages, flows, redis_url)
    await again(pages, "new", job_id="page")
    assert await queue.state("book") is JobState.WAITING_CHILDREN
    await drain(Worker(pages.name, redis_url, lambda job: job.data))
    assert await queue.state("book") is JobState.WAITING
    assert list((await queue.children("book").values()).values()) == ["new"]


async def test_a_parent_that_waits_for_others_takes_the_new_value(
    queue: Queue, pages: Queue, flows: FlowProducer, redis_url: str
) -> None:
    ignored = FlowNode("page", 1, queue=pages.name, job_id="page", on_failure=OnFailure.IGNORE_DEPENDENCY)
    other = FlowNode("page", 2, queue=pages.name, delay=HOUR)
    await flows.add(FlowNode("book", queue=queue.name, job_id="book", children=[ignored, other]))
    await drain(Worker(pages.name, redis_url, fail))
    await again(pages, 3, job_id="page")
    assert await queue.children("book").ignored() == {}
    await pages.promote_all()
    assert await queue.state("book") is JobState.WAITING_CHILDREN
    await drain(Worker(pages.name, redis_url, lambda job: job.data))
    assert sorted((await queue.children("book").values()).values()) == [2, 3]


async def test_a_parent_that_went_on_is_left_alone(
    queue: Queue, pages: Queue, flows: FlowProducer, redis_url: str, new_worker: NewWorker
) -> None:
    await a_failed_page(queue, pages, flows, redis_url, on_failure=OnFailure.IGNORE_DEPENDENCY)
    await again(pages, job_id="page")
    found = await pages.get("page")
    assert found is not None
    assert found.parent is None
    assert (await drain(new_worker(Signal()))).completed == 1
    assert (await queue.children("book").counts()).pending == 0


async def test_it_may_be_given_a_parent(
    queue: Queue, pages: Queue, flows: FlowProducer, redis_url: str, new_worker: NewWorker
) -> None:
    await a_failed_page(queue, pages, flows, redis_url)
    other = await queue.add("book", delay=HOUR)
    with pytest.raises(WrongState, match="another parent"):
        await again(pages, job_id="page", parent=queue.parent_ref(other.id))
    await again(pages, "new", job_id="page", parent=queue.parent_ref("book"))
    await drain(Worker(pages.name, redis_url, lambda job: job.data))
    assert list((await queue.children("book").values()).values()) == ["new"]


# What cannot be


async def test_what_makes_no_sense_is_refused(queue: Queue, flows: FlowProducer) -> None:
    with pytest.raises(InvalidOption, match="when_exists is"):
        await queue.add("job", job_id="a", when_exists="replace")  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match="either"):
        await again(queue, deduplication=Deduplication("visit"))
    with pytest.raises(InvalidOption, match="added twice"):
        await queue.schedule("pulse", Repeat.every(HOUR), "job", when_exists="rerun")
    with pytest.raises(InvalidOption, match="flow"):
        await flows.add(FlowNode("job", queue=queue.name, when_exists="rerun"))
