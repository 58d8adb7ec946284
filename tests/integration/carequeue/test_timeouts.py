"""An attempt that takes longer than its timeout is ended and fails, whatever its handler does about it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from carequeue import (
    AttemptTimedOut,
    Job,
    JobContext,
    JobKind,
    JobState,
    LockLost,
    Queue,
    RetryAt,
    ThreadJobContext,
    Unrecoverable,
    Worker,
)
from carequeue.testing import Signal, drain

if TYPE_CHECKING:
    from redis.asyncio import Redis

pytestmark = pytest.mark.redis

NewWorker = Callable[..., Worker]

SOON = timedelta(milliseconds=50)
LATER = timedelta(minutes=5)


async def hang(job: Job[Any]) -> None:
    await asyncio.Event().wait()


async def test_an_attempt_that_takes_too_long_is_cancelled_and_tried_again(queue: Queue, new_worker: NewWorker) -> None:
    failed = Signal("failed")

    async def hang_once(job: Job[Any], context: JobContext) -> str:
        if context.attempt == 1:
            await asyncio.Event().wait()
        return "second"

    job = await queue.add("job", attempts=2, timeout=SOON)
    worker = new_worker(hang_once)
    worker.on_failed(failed)
    await drain(worker)

    [(_, error)] = failed.calls
    assert isinstance(error, AttemptTimedOut)
    assert isinstance(error, TimeoutError)
    found = await queue.get(job.id)
    assert found is not None
    assert (found.return_value, found.attempts_made) == ("second", 2)


async def test_the_reason_and_the_trace_say_what_took_too_long(queue: Queue, new_worker: NewWorker) -> None:
    job = await queue.add("job", timeout=SOON)
    await drain(new_worker(hang))
    found = await queue.get(job.id)
    assert found is not None
    assert await queue.state(job.id) == JobState.FAILED
    assert found.failed_reason == "the attempt took longer than its timeout of 0.05 s"
    assert "await asyncio.Event().wait()" in found.stacktrace[0]


async def test_a_worker_has_a_timeout_for_jobs_that_say_none(queue: Queue, new_worker: NewWorker) -> None:
    done = Signal("done")

    async def wait(job: Job[Any]) -> None:
        if job.name == "own":
            async with asyncio.timeout(0.2):  # longer than the worker's, shorter than its own
                await asyncio.Event().wait()
        await asyncio.Event().wait()

    own = JobKind("own", dict[str, int], timeout=LATER)
    first = await queue.add("job")
    second = await queue.add(own, {})
    worker = new_worker(wait, timeout=SOON, concurrency=2)
    worker.on_failed(lambda job, error: done(job.id, type(error)))
    await drain(worker)
    assert dict(done.calls) == {first.id: AttemptTimedOut, second.id: TimeoutError}


async def test_a_timeout_that_is_not_reached_changes_nothing(queue: Queue, new_worker: NewWorker) -> None:
    job = await queue.add("job", timeout=LATER)
    await drain(new_worker(lambda job: "done"))
    found = await queue.get(job.id)
    assert found is not None
    assert (found.return_value, found.options.timeout) == ("done", LATER)


async def test_what_a_handler_returns_although_it_was_cancelled_counts(queue: Queue, new_worker: NewWorker) -> None:
    """It caught the cancellation on purpose: its work is done, and doing it again could harm."""

    async def finish(job: Job[Any]) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "sent in the last moment"
        return "never"

    job = await queue.add("job", attempts=3, timeout=SOON)
    await drain(new_worker(finish))
    found = await queue.get(job.id)
    assert found is not None
    assert (found.return_value, found.attempts_made) == ("sent in the last moment", 1)


@pytest.mark.parametrize("instruction", [Unrecoverable("no use"), RetryAt(datetime.now(UTC) + timedelta(hours=1))])
async def test_a_cancelled_handler_may_say_how_the_job_goes_on(
    queue: Queue, new_worker: NewWorker, instruction: Exception
) -> None:
    async def decide(job: Job[Any]) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise instruction from None

    job = await queue.add("job", attempts=3, timeout=SOON)
    await drain(new_worker(decide))
    expected = JobState.FAILED if isinstance(instruction, Unrecoverable) else JobState.DELAYED
    assert await queue.state(job.id) == expected


async def test_an_error_while_cleaning_up_does_not_hide_the_timeout(queue: Queue, new_worker: NewWorker) -> None:
    async def stumble(job: Job[Any]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("stumbled")

    job = await queue.add("job", timeout=SOON)
    await drain(new_worker(stumble))
    found = await queue.get(job.id)
    assert found is not None
    assert found.failed_reason is not None
    assert "longer than its timeout" in found.failed_reason
    assert "ValueError: stumbled" in found.stacktrace[0]


async def test_a_handler_that_does_not_let_itself_be_cancelled_keeps_its_slot_and_not_its_job(
    queue: Queue, new_worker: NewWorker
) -> None:
    unstoppable, failed, done, release = Signal("unstoppable"), Signal("failed"), Signal("done"), asyncio.Event()

    async def refuse(job: Job[Any]) -> str:
        if job.data == "second":
            return done()  # pyright: ignore[reportReturnType]
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return "too late"

    first = await queue.add("job", "first", timeout=SOON)
    second = await queue.add("job", "second")
    async with new_worker(refuse, cancel_grace=SOON) as worker:
        worker.on_failed(failed)
        worker.telemetry.subscribe(lambda _, fields: unstoppable(fields["job_id"]), "handler.unstoppable")
        [(_, error)] = await failed.wait()
        assert isinstance(error, AttemptTimedOut)
        assert unstoppable.calls == [(first.id,)]
        assert await queue.state(first.id) == JobState.FAILED
        assert await queue.state(second.id) == JobState.WAITING  # concurrency stays what it says
        release.set()
        await done.wait()
        await worker.wait_until_idle()
    found = await queue.get(first.id)
    assert found is not None
    assert found.return_value is None


async def test_a_given_up_job_runs_again_elsewhere_while_its_first_handler_still_goes_on(
    queue: Queue, new_worker: NewWorker
) -> None:
    release, done, errors = threading.Event(), Signal("done"), Signal("errors")

    def hang_once(job: Job[Any], context: ThreadJobContext) -> str:
        if context.attempt == 1:
            assert release.wait(20)
            return f"lost: {context.is_lost}, cancelled: {context.is_cancelled}"
        return "second"

    job = await queue.add("job", attempts=2, timeout=SOON)
    async with new_worker(hang_once, cancel_grace=SOON, concurrency=2) as worker:
        worker.on_completed(lambda job, value: done(value))
        worker.on_error(errors)
        assert await done.wait() == [("second",)]
        release.set()
        await worker.wait_until_idle()
    assert done.calls == [("second",)]
    assert not errors.calls
    assert await queue.state(job.id) == JobState.COMPLETED


async def test_a_thread_is_told_by_its_context(queue: Queue, new_worker: NewWorker) -> None:
    failed = Signal("failed")

    def look(job: Job[Any], context: ThreadJobContext) -> None:
        assert not context.is_cancelled
        while True:
            context.raise_if_cancelled()

    await queue.add("job", timeout=SOON)
    worker = new_worker(look)
    worker.on_failed(failed)
    await drain(worker)
    [(_, error)] = failed.calls
    assert isinstance(error, AttemptTimedOut)


async def test_a_thread_that_returns_before_it_is_given_up_has_done_its_job(
    queue: Queue, new_worker: NewWorker
) -> None:
    def finish(job: Job[Any], context: ThreadJobContext) -> str:
        while not context.is_cancelled:
            pass
        return "sent in the last moment"

    job = await queue.add("job", timeout=SOON)
    await drain(new_worker(finish))
    found = await queue.get(job.id)
    assert found is not None
    assert found.return_value == "sent in the last moment"


async def test_when_the_lock_is_lost_too_nothing_is_reported(queue: Queue, new_worker: NewWorker, redis: Redis) -> None:
    cleaning, failed, errors = Signal("cleaning"), Signal("failed"), Signal("errors")

    async def clean_up(job: Job[Any]) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cleaning()
            await errors.wait()  # and is not cancelled again meanwhile
            cleaning()
            raise

    job = await queue.add("job", timeout=SOON)
    locks: dict[str, Any] = {"lock_duration": timedelta(milliseconds=400), "skip_stalled_check": True}
    async with new_worker(clean_up, **locks) as worker:
        worker.on_failed(failed)
        worker.on_error(errors)
        await cleaning.wait()
        await redis.set(queue.keys.lock(job.id), "another:1")
        await cleaning.wait(2)
        await worker.wait_until_idle()
    assert isinstance(errors.calls[0][0], LockLost)
    assert not failed.calls
    assert await queue.state(job.id) == JobState.ACTIVE  # the other worker's


async def test_a_timeout_holds_while_a_worker_closes(queue: Queue, new_worker: NewWorker) -> None:
    started = Signal("started")

    async def wait(job: Job[Any]) -> None:
        started()
        await asyncio.Event().wait()

    job = await queue.add("job", timeout=timedelta(milliseconds=200))
    worker = new_worker(wait)
    await worker.start()
    await started.wait()
    await worker.close(grace=LATER)
    assert await queue.state(job.id) == JobState.FAILED


async def test_a_worker_that_closes_first_hands_the_job_back_without_an_attempt(
    queue: Queue, new_worker: NewWorker
) -> None:
    started = Signal("started")

    async def wait(job: Job[Any]) -> None:
        started()
        await asyncio.Event().wait()

    job = await queue.add("job", timeout=LATER)
    worker = new_worker(wait)
    await worker.start()
    await started.wait()
    await worker.close(grace=timedelta(0))
    found = await queue.get(job.id)
    assert found is not None
    assert (await queue.state(job.id), found.attempts_made) == (JobState.WAITING, 0)


async def test_a_timed_out_handler_that_cleans_up_while_the_worker_closes_still_fails(
    queue: Queue, new_worker: NewWorker
) -> None:
    cleaning, release = Signal("cleaning"), asyncio.Event()

    async def clean_up(job: Job[Any]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaning()
            await release.wait()

    job = await queue.add("job", timeout=SOON)
    worker = new_worker(clean_up)
    await worker.start()
    await cleaning.wait()
    closing = asyncio.create_task(worker.close(grace=timedelta(0)))
    asyncio.get_running_loop().call_later(0.1, release.set)
    await closing
    found = await queue.get(job.id)
    assert found is not None
    assert (await queue.state(job.id), found.attempts_made) == (JobState.FAILED, 1)


async def test_a_closing_worker_tells_a_thread_which_may_end_by_itself(queue: Queue, new_worker: NewWorker) -> None:
    started = Signal("started")

    def look(job: Job[Any], context: ThreadJobContext) -> None:
        started()
        while True:
            context.raise_if_cancelled()

    job = await queue.add("job")
    worker = new_worker(look)
    await worker.start()
    await started.wait()
    await worker.close(grace=timedelta(0))
    found = await queue.get(job.id)
    assert found is not None
    assert (await queue.state(job.id), found.attempts_made) == (JobState.WAITING, 0)


async def test_a_given_up_handler_is_no_abandoned_job_when_the_worker_closes(
    queue: Queue, new_worker: NewWorker, caplog: pytest.LogCaptureFixture
) -> None:
    release, failed = threading.Event(), Signal("failed")

    def wait(job: Job[Any]) -> None:
        release.wait(20)

    await queue.add("job", timeout=SOON)
    worker = new_worker(wait, cancel_grace=SOON)
    worker.on_failed(failed)
    await worker.start()
    await failed.wait()
    await worker.close(grace=SOON)
    release.set()
    messages = [record.message for record in caplog.records]
    assert "handler.unstoppable" in messages
    assert "job.abandoned" not in messages
