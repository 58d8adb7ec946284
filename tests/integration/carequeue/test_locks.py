"""Locks: renewed while a handler runs; when one is lost, its handler stops and nothing is reported."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from carequeue import Job, JobContext, JobState, LockLost, Queue, ThreadJobContext, Worker
from carequeue.testing import Signal, drain

if TYPE_CHECKING:
    from redis.asyncio import Redis

pytestmark = pytest.mark.redis

NewWorker = Callable[..., Worker]

SHORT: dict[str, Any] = {"lock_duration": timedelta(milliseconds=400), "stalled_interval": timedelta(milliseconds=100)}


async def test_a_lock_is_renewed_for_as_long_as_the_handler_runs(queue: Queue, new_worker: NewWorker) -> None:
    renewed, stalled, release = Signal("renewed"), Signal("stalled"), asyncio.Event()

    async def wait(job: Job[Any]) -> str:
        await release.wait()
        return "done"

    job = await queue.add("job")
    async with new_worker(wait, **SHORT) as worker:
        worker.telemetry.subscribe(lambda _, fields: renewed(fields["count"]), "locks.renewed")
        worker.on_stalled(stalled)
        await renewed.wait(8)  # every 100 ms: twice the lock's duration
        release.set()
        await worker.wait_until_idle()
    found = await queue.get(job.id)
    assert found is not None
    assert (found.return_value, found.attempts_started, found.stalled_count) == ("done", 1, 0)
    assert not stalled.calls


async def test_a_lost_lock_cancels_the_handler_and_nothing_is_reported(
    queue: Queue, new_worker: NewWorker, redis: Redis
) -> None:
    started, cancelled = Signal("started"), Signal("cancelled")
    completed, failed, errors = Signal("completed"), Signal("failed"), Signal("errors")

    async def wait(job: Job[Any], context: JobContext) -> None:
        started()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled(context.lost.is_set())
            raise

    job = await queue.add("job", attempts=3)
    async with new_worker(wait, **SHORT, skip_stalled_check=True) as worker:
        worker.on_completed(completed)
        worker.on_failed(failed)
        worker.on_error(errors)
        await started.wait()
        await redis.set(queue.keys.lock(job.id), "another:1")
        assert await cancelled.wait() == [(True,)]
        await worker.wait_until_idle()
        assert await queue.state(job.id) == JobState.ACTIVE  # it is the other worker's
    assert isinstance(errors.calls[0][0], LockLost)
    assert not completed.calls
    assert not failed.calls


async def test_a_lost_lock_frees_the_slot_for_the_next_job(queue: Queue, new_worker: NewWorker, redis: Redis) -> None:
    started, done = Signal("started"), Signal("done")

    async def wait_first(job: Job[Any]) -> None:
        started(job.id)
        if job.data == "first":
            await asyncio.Event().wait()
        done()

    first = await queue.add("job", "first")
    async with new_worker(wait_first, **SHORT, skip_stalled_check=True):
        await started.wait()
        await queue.add("job", "second")
        await redis.delete(queue.keys.lock(first.id))
        await done.wait()


async def test_a_handler_that_returns_after_its_lock_was_taken_over_completes_nothing(
    queue: Queue, new_worker: NewWorker, redis: Redis
) -> None:
    """Before any renewal notices: Redis itself refuses the report."""
    started, release = Signal("started"), asyncio.Event()
    completed, errors = Signal("completed"), Signal("errors")

    async def wait(job: Job[Any]) -> str:
        started()
        await release.wait()
        return "too late"

    job = await queue.add("job")
    async with new_worker(wait) as worker:
        worker.on_completed(completed)
        worker.on_error(errors)
        await started.wait()
        await redis.set(queue.keys.lock(job.id), "another:1")
        release.set()
        [(error,)] = await errors.wait()
        await worker.wait_until_idle()
    assert isinstance(error, LockLost)
    assert not completed.calls
    assert await queue.state(job.id) == JobState.ACTIVE


async def test_one_lost_lock_in_a_call_does_not_spoil_the_others(
    queue: Queue, new_worker: NewWorker, redis: Redis
) -> None:
    started, release = Signal("started"), asyncio.Event()
    completed, errors = Signal("completed"), Signal("errors")

    async def wait(job: Job[Any]) -> None:
        started()
        await release.wait()

    jobs = [await queue.add("job") for _ in range(5)]
    async with new_worker(wait, concurrency=5) as worker:
        worker.on_completed(completed)
        worker.on_error(errors)
        await started.wait(5)
        await redis.delete(queue.keys.lock(jobs[2].id))
        release.set()
        await completed.wait(4)
        await errors.wait(1)
    assert jobs[2].id not in {job.id for job, _ in completed.calls}


async def test_a_thread_sees_that_its_lock_is_lost_and_its_value_is_dropped(
    queue: Queue, new_worker: NewWorker, redis: Redis
) -> None:
    started, completed, lost = Signal("started"), Signal("completed"), Signal("lost")
    look = threading.Event()

    def wait(job: Job[Any], context: ThreadJobContext) -> str:
        started()
        assert look.wait(10)
        lost(context.is_lost)
        return "too late"

    job = await queue.add("job")
    async with new_worker(wait, **SHORT, skip_stalled_check=True) as worker:
        worker.on_completed(completed)
        worker.on_error(lambda _: look.set())
        await started.wait()
        await redis.delete(queue.keys.lock(job.id))
        assert await lost.wait() == [(True,)]
        await worker.wait_until_idle()
    assert not completed.calls


async def test_a_job_taken_over_by_the_same_worker_runs_again(
    queue: Queue, new_worker: NewWorker, redis: Redis
) -> None:
    """The old attempt is cancelled, the new one under a new token counts."""
    started = Signal("started")

    async def second_time(job: Job[Any]) -> str:
        started()
        if len(started.calls) == 1:
            await asyncio.Event().wait()
        return "second"

    job = await queue.add("job")
    worker = new_worker(second_time, concurrency=2, **SHORT | {"lock_duration": timedelta(seconds=30)})
    async with worker:
        await started.wait()
        await redis.delete(queue.keys.lock(job.id))
        await started.wait(2)  # the stall check of the worker itself found it
        await queue_completes(worker)
    found = await queue.get(job.id)
    assert found is not None
    assert (found.return_value, found.stalled_count) == ("second", 1)


async def queue_completes(worker: Worker) -> None:
    done = Signal("done")
    worker.on_completed(done)
    await done.wait()


async def test_a_handler_that_keeps_the_event_loop_from_running_is_told_of(
    queue: Queue, new_worker: NewWorker, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = Signal("blocked")

    async def block(job: Job[Any]) -> None:
        time.sleep(0.3)  # noqa: ASYNC251 - what it is about

    await queue.add("job")
    async with new_worker(block, **SHORT | {"stalled_interval": timedelta(seconds=30)}) as worker:
        worker.telemetry.subscribe(lambda _, fields: blocked(fields["seconds"]), "loop.blocked")
        [(seconds,)] = await blocked.wait()
        await worker.wait_until_idle()
    assert seconds > 0.1
    assert "loop.blocked" in [record.message for record in caplog.records]


async def test_short_jobs_cost_no_renewal(queue: Queue, new_worker: NewWorker) -> None:
    renewed = Signal("renewed")
    worker = new_worker(lambda job: None)
    worker.telemetry.subscribe(renewed, "locks.renewed")
    await queue.add("job")
    await drain(worker)
    assert not renewed.calls
