"""Handlers that yield: every value is told as progress, the last one is what the job returns."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from tests.integration.carequeue import process_handlers

from carequeue import (
    AttemptTimedOut,
    InvalidOption,
    Job,
    JobContext,
    JobState,
    Queue,
    QueueEvents,
    Skip,
    ThreadJobContext,
    Unrecoverable,
    Worker,
)
from carequeue.testing import Signal, drain

pytestmark = pytest.mark.redis

NewWorker = Callable[..., Worker]


async def in_the_loop(job: Job[int]) -> AsyncIterator[Any]:
    for coat in range(job.data):
        yield {"coats": coat + 1}


def in_a_thread(job: Job[int]) -> Iterator[Any]:
    for coat in range(job.data):
        yield {"coats": coat + 1}


class Painter:
    async def __call__(self, job: Job[int], context: JobContext) -> AsyncIterator[Any]:
        async for value in in_the_loop(job):
            await context.log("painted")
            yield value


@pytest.mark.parametrize(
    ("handler", "run_in"),
    [(in_the_loop, None), (in_a_thread, None), (Painter(), None), (process_handlers.paint_in_steps, "process")],
    ids=["loop", "thread", "object", "process"],
)
async def test_each_value_is_progress_and_the_last_one_is_returned(
    queue: Queue, new_worker: NewWorker, redis_url: str, handler: Callable[..., Any], run_in: Any
) -> None:
    worker = new_worker(processes=1)
    worker.handles("paint", run_in=run_in)(handler)
    told = Signal("progress")
    worker.on_progress(told)
    async with QueueEvents(queue.name, redis_url) as events:
        job = await queue.add("paint", 3)
        await drain(worker)
        seen = [event.value async for event in until_drained(events) if event.name == "progress"]
    assert seen == [value for _, value in told.calls] == [{"coats": 1}, {"coats": 2}, {"coats": 3}]
    stored = await queue.get(job.id)
    assert stored is not None
    assert (stored.return_value, stored.progress) == ({"coats": 3}, {"coats": 3})


async def test_one_that_yields_nothing_returns_nothing(queue: Queue, new_worker: NewWorker) -> None:
    worker = new_worker()
    worker.handles("loop")(in_the_loop)
    worker.handles("thread")(in_a_thread)
    jobs = [await queue.add(name, 0) for name in ("loop", "thread")]
    await drain(worker)
    for job in jobs:
        stored = await queue.get(job.id)
        assert stored is not None
        assert (stored.return_value, stored.progress) == (None, None)
        assert await queue.state(job.id) is JobState.COMPLETED


async def test_what_a_generator_returns_counts_more_than_what_it_yielded(queue: Queue, new_worker: NewWorker) -> None:
    def count(job: Job[Any]) -> Iterator[Any]:
        yield 50
        return {"pages": 2}

    job = await queue.add("count")
    await drain(new_worker(count))
    stored = await queue.get(job.id)
    assert stored is not None
    assert (stored.return_value, stored.progress) == ({"pages": 2}, 50)


async def test_the_next_attempt_goes_on_after_the_last_value(queue: Queue, new_worker: NewWorker) -> None:
    painted: list[int] = []

    async def paint(job: Job[Any], context: JobContext) -> AsyncIterator[int]:
        for coat in range(job.progress or 0, 4):
            if coat == 2 and context.attempt == 1:
                raise OSError("no paint left")
            painted.append(coat)
            yield coat + 1

    job = await queue.add("paint", attempts=2)
    await drain(new_worker(paint))
    stored = await queue.get(job.id)
    assert stored is not None
    assert (painted, stored.return_value, stored.attempts_made) == ([0, 1, 2, 3], 4, 2)


@pytest.mark.parametrize("where", ["loop", "thread"])
async def test_one_that_is_told_to_end_is_closed_where_it_yielded(
    queue: Queue, new_worker: NewWorker, where: str
) -> None:
    """A thread as well: between two of its values it can be ended."""
    closed, failed, begun = Signal("closed"), Signal("failed"), threading.Event()
    loop = asyncio.get_running_loop()

    async def endless(job: Job[Any]) -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed()

    def endless_thread(job: Job[Any], context: ThreadJobContext) -> Iterator[int]:
        try:
            while True:
                begun.set()
                yield 1
        finally:
            loop.call_soon_threadsafe(closed)

    worker = new_worker(endless if where == "loop" else endless_thread)
    worker.on_failed(lambda job, error: failed(error))
    async with worker:
        await queue.add("job", timeout=timedelta(milliseconds=50))
        [(error,)] = await failed.wait()
        await closed.wait()
    assert isinstance(error, AttemptTimedOut)


@pytest.mark.parametrize("where", ["loop", "thread"])
async def test_an_instruction_that_is_yielded_ends_the_attempt(queue: Queue, new_worker: NewWorker, where: str) -> None:
    after = list[str]()

    async def loop(job: Job[Any]) -> AsyncIterator[Any]:
        yield 1
        yield Skip("not wanted any more")
        after.append("went on")

    def thread(job: Job[Any]) -> Iterator[Any]:
        yield 1
        yield Skip("not wanted any more")
        after.append("went on")

    job = await queue.add("job")
    await drain(new_worker(loop if where == "loop" else thread))
    stored = await queue.get(job.id)
    assert stored is not None
    assert (stored.return_value, stored.progress, after) == ({"skipped": "not wanted any more"}, 1, [])


async def test_a_value_that_json_cannot_carry_fails_the_attempt(queue: Queue, new_worker: NewWorker) -> None:
    async def odd(job: Job[Any]) -> AsyncIterator[Any]:
        yield object()

    failed = Signal("failed")
    worker = new_worker(odd)
    worker.on_failed(lambda job, error: failed(error))
    await queue.add("job")
    await drain(worker)
    [(error,)] = failed.calls
    assert not isinstance(error, Unrecoverable)
    assert "object" in str(error)


def test_a_handler_of_batches_and_a_coroutine_in_a_process_are_refused(queue_name: str, redis_url: str) -> None:
    async def many(jobs: list[Job[Any]]) -> AsyncIterator[Any]:
        yield jobs

    worker = Worker(queue_name, redis_url)
    with pytest.raises(InvalidOption, match="it does not yield"):
        worker.handles_batch("job")(many)
    with pytest.raises(InvalidOption, match="plain functions"):
        worker.handles("job", run_in="process")(in_the_loop)


async def until_drained(events: QueueEvents) -> AsyncIterator[Any]:
    async with asyncio.timeout(20):
        async for event in events:
            if event.name == "drained":
                return
            yield event
