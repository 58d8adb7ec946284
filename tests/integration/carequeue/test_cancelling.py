"""Somebody ends an attempt: `Worker.cancel_job` and `cancel_all_jobs`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from carequeue import AttemptCancelled, Job, JobContext, JobState, Queue, ThreadJobContext, Worker
from carequeue.testing import Signal

pytestmark = pytest.mark.redis

NewWorker = Callable[..., Worker]


async def test_a_cancelled_attempt_fails_for_the_reason_given_and_is_tried_again(
    queue: Queue, new_worker: NewWorker
) -> None:
    started, failed, done = Signal("started"), Signal("failed"), Signal("done")

    async def hang_once(job: Job[Any], context: JobContext) -> str:
        started()
        if context.attempt == 1:
            await asyncio.Event().wait()
        return "second"

    job = await queue.add("job", attempts=2)
    async with new_worker(hang_once) as worker:
        worker.on_failed(failed)
        worker.on_completed(done)
        await started.wait()
        assert worker.cancel_job(job.id, "the person is on holiday")
        [(found, error)] = await failed.wait()
        assert isinstance(error, AttemptCancelled)
        assert found.failed_reason == str(error) == "the person is on holiday"
        await done.wait()


async def test_the_last_attempt_that_is_cancelled_fails_the_job(queue: Queue, new_worker: NewWorker) -> None:
    started, failed = Signal("started"), Signal("failed")

    async def hang(job: Job[Any]) -> None:
        started()
        await asyncio.Event().wait()

    job = await queue.add("job")
    async with new_worker(hang) as worker:
        worker.on_failed(failed)
        await started.wait()
        assert worker.cancel_job(job.id)
        assert not worker.cancel_job(job.id)  # it is ending
        await failed.wait()
        assert not worker.cancel_job(job.id)  # it ended
    found = await queue.get(job.id)
    assert found is not None
    assert (await queue.state(job.id), found.failed_reason) == (JobState.FAILED, "the job was cancelled")


async def test_only_what_this_worker_runs_can_be_cancelled_by_it(queue: Queue, new_worker: NewWorker) -> None:
    started, release, done = Signal("started"), asyncio.Event(), Signal("done")

    async def wait(job: Job[Any]) -> None:
        started()
        await release.wait()

    job = await queue.add("job")
    other = new_worker(wait)
    assert not other.cancel_job(job.id)  # not even started
    async with new_worker(wait) as worker:
        worker.on_completed(done)
        await started.wait()
        waiting = await queue.add("job")
        async with other:
            other.pause()
            assert not other.cancel_job(job.id)
            assert other.cancel_all_jobs() == 0
        assert not worker.cancel_job("no-such-job")
        assert not worker.cancel_job(waiting.id)
        release.set()
        await done.wait(2)


async def test_all_jobs_of_a_worker_are_cancelled_each_with_an_error_of_its_own(
    queue: Queue, new_worker: NewWorker
) -> None:
    started, failed = Signal("started"), Signal("failed")

    async def hang(job: Job[Any]) -> None:
        started()
        await asyncio.Event().wait()

    jobs = [await queue.add("job") for _ in range(3)]
    async with new_worker(hang, concurrency=3) as worker:
        worker.on_failed(failed)
        await started.wait(3)
        assert worker.cancel_all_jobs("maintenance") == 3
        ended = await failed.wait(3)
    assert {job.id for job, _ in ended} == {job.id for job in jobs}
    assert {str(error) for _, error in ended} == {"maintenance"}
    assert len({id(error) for _, error in ended}) == 3


async def test_a_thread_is_told_and_its_job_given_up_if_it_does_not_listen(queue: Queue, new_worker: NewWorker) -> None:
    started, failed, seen = Signal("started"), Signal("failed"), Signal("seen")

    def listen(job: Job[Any], context: ThreadJobContext) -> None:
        started()
        while not context.is_cancelled:
            pass
        if job.data == "deaf":
            while not context.is_lost:
                pass
        seen(job.data)
        context.raise_if_cancelled()

    jobs = [await queue.add("job", data) for data in ("deaf", "listens")]
    async with new_worker(listen, concurrency=2, cancel_grace=timedelta(milliseconds=50)) as worker:
        worker.on_failed(failed)
        await started.wait(2)
        assert all(worker.cancel_job(job.id) for job in jobs)
        await seen.wait(2)
        assert {type(error) for _, error in await failed.wait(2)} == {AttemptCancelled}
        await worker.wait_until_idle()
    assert len(failed.calls) == 2


async def test_a_job_that_is_cancelled_before_its_handler_begins_does_not_begin(
    queue: Queue, new_worker: NewWorker
) -> None:
    ran, failed = Signal("ran"), Signal("failed")
    worker = new_worker(ran)
    worker.telemetry.subscribe(lambda _, fields: worker.cancel_job(fields["job_id"]), "job.started")
    worker.on_failed(failed)
    await queue.add("job")
    async with worker:
        [(_, error)] = await failed.wait()
    assert isinstance(error, AttemptCancelled)
    assert not ran.calls
