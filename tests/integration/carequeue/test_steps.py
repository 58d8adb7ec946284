"""A handler that replaces its job's data: the next attempt goes on where this one stopped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.carequeue import process_handlers as handlers

from carequeue import JobKind, LockLost, PayloadError
from carequeue.testing import Signal, drain

if TYPE_CHECKING:
    from collections.abc import Callable

    from carequeue import Job, JobContext, Queue, ThreadJobContext, Worker

pytestmark = pytest.mark.redis


@dataclass(frozen=True)
class Letter:
    to: str
    step: int = 0


LETTER = JobKind("letter", Letter, attempts=5)


async def test_the_next_attempt_goes_on_where_this_one_stopped(queue: Queue, new_worker: Callable[..., Worker]) -> None:
    worker = new_worker()
    seen: list[Letter] = []

    @worker.handles(LETTER)
    async def send(job: Job[Letter], context: JobContext) -> int:
        seen.append(job.data)
        if job.data.step == 2:
            return job.data.step
        await context.update_data(replace(job.data, step=job.data.step + 1))
        assert job.data is seen[-1], "this attempt keeps what it started with"
        raise RuntimeError("more to do")

    job = await queue.add(LETTER, Letter("Ada"))
    await drain(worker)

    assert seen == [Letter("Ada", 0), Letter("Ada", 1), Letter("Ada", 2)]
    found = await queue.get(job.id, LETTER)
    assert found is not None
    assert (found.data, found.return_value) == (Letter("Ada", 2), 2)


async def test_data_that_does_not_fit_the_kind_is_refused(queue: Queue, new_worker: Callable[..., Worker]) -> None:
    worker = new_worker()
    refused = Signal()

    @worker.handles(LETTER)
    async def send(job: Job[Letter], context: JobContext) -> None:
        with pytest.raises(PayloadError, match="step"):
            await context.update_data(Letter("Ada", "first"))  # type: ignore[arg-type]
        refused()

    job = await queue.add(LETTER, Letter("Ada"))
    await drain(worker)
    found = await queue.get(job.id)
    assert (len(refused.calls), found and found.data) == (1, {"to": "Ada", "step": 0})


async def test_an_attempt_that_lost_its_lock_changes_nothing(queue: Queue, new_worker: Callable[..., Worker]) -> None:
    """Else an old attempt could send a newer one back to a step that is done."""
    lost = Signal()

    async def late(job: Job[Any], context: JobContext) -> None:
        await queue.client.set(queue.keys.lock(job.id), "another:1")
        with pytest.raises(LockLost):
            await context.update_data({"step": 1})
        lost()

    job = await queue.add("letter", {"step": 5})
    worker = new_worker(late)
    async with worker:
        await lost.wait()
    found = await queue.get(job.id)
    assert found is not None
    assert found.data == {"step": 5}


async def test_a_plain_function_does_it_too(queue: Queue, new_worker: Callable[..., Worker]) -> None:
    def step(job: Job[Any], context: ThreadJobContext) -> int:
        context.update_data({"step": job.data["step"] + 1})
        if job.data["step"] < 3:
            raise RuntimeError("there is more")
        return job.data["step"]

    job = await queue.add("step", {"step": 1}, attempts=5)
    await drain(new_worker(step))
    found = await queue.get(job.id)
    assert (found and found.data, found and found.return_value) == ({"step": 4}, 3)


async def test_a_function_in_a_process_does_it_too(queue: Queue, new_worker: Callable[..., Worker]) -> None:
    worker = new_worker(processes=1)
    worker.handles("step", run_in="process")(handlers.next_step)
    job = await queue.add("step", {"step": 1}, attempts=5)
    await drain(worker)
    found = await queue.get(job.id)
    assert (found and found.data, found and found.return_value) == ({"step": 4}, 3)
