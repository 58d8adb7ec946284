"""How a handler ended decides how its job goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from carequeue import Backoff, Job, JobState, Queue, RetryAt, Skip, Unrecoverable, Worker
from carequeue.testing import FakeClock, Signal, drain

pytestmark = pytest.mark.redis

NewWorker = Callable[..., Worker]
SECOND = timedelta(seconds=1)


async def fail(job: Job[Any]) -> None:
    raise ValueError(f"boom {job.attempts_made + 1}")


async def test_without_attempts_the_first_error_fails_the_job(queue: Queue, new_worker: NewWorker) -> None:
    job = await queue.add("job")
    counts = await drain(new_worker(fail))
    found = await queue.get(job.id)
    assert found is not None
    assert (counts.failed, found.attempts_made, found.failed_reason) == (1, 1, "boom 1")
    assert "ValueError: boom 1" in found.stacktrace[0]


async def test_without_a_backoff_it_is_tried_again_at_once(queue: Queue, new_worker: NewWorker) -> None:
    job = await queue.add("job", attempts=3)
    failures = Signal()
    worker = new_worker(fail)
    worker.on_failed(failures)
    await drain(worker)
    found = await queue.get(job.id)
    assert found is not None
    assert (await queue.state(job.id), found.attempts_made, found.failed_reason) == (JobState.FAILED, 3, "boom 3")
    assert ["boom 1" in found.stacktrace[0], "boom 3" in found.stacktrace[2]] == [True, True]
    assert [(job.attempts_made, job.finished_at is not None) for job, _ in failures.calls] == [
        (1, False),
        (2, False),
        (3, True),
    ]
    assert [str(error) for _, error in failures.calls] == ["boom 1", "boom 2", "boom 3"]


async def test_with_a_backoff_it_waits_longer_each_time(queue: Queue, new_worker: NewWorker) -> None:
    clock, failed = FakeClock(), Signal()
    worker = new_worker(fail, clock=clock)
    worker.on_failed(failed)
    job = await queue.add("job", attempts=3, backoff=Backoff.exponential(10 * SECOND))
    async with worker:
        counts = await drain(worker)
        assert (counts.delayed, len(failed.calls)) == (1, 1)
        clock.advance(9 * SECOND)
        await drain(worker)
        assert len(failed.calls) == 1
        clock.advance(2 * SECOND)
        await failed.wait(2)
        await drain(worker)
        clock.advance(19 * SECOND)
        assert (await drain(worker)).delayed == 1
        clock.advance(2 * SECOND)
        await failed.wait(3)
        counts = await drain(worker)
    assert (counts.failed, counts.delayed) == (1, 0)
    assert await queue.state(job.id) == JobState.FAILED


async def test_a_strategy_of_the_worker_chooses_the_delay_or_gives_up(queue: Queue, new_worker: NewWorker) -> None:
    def patient(attempts_made: int, error: BaseException, job: Job[Any]) -> timedelta | None:
        return None if attempts_made == 2 else timedelta(0)

    job = await queue.add("job", attempts=9, backoff=Backoff("patient"))
    await drain(new_worker(fail, backoff_strategies={"patient": patient}))
    found = await queue.get(job.id)
    assert found is not None
    assert (await queue.state(job.id), found.attempts_made) == (JobState.FAILED, 2)


async def test_an_unknown_strategy_fails_the_job_and_names_itself(queue: Queue, new_worker: NewWorker) -> None:
    job = await queue.add("job", attempts=9, backoff=Backoff("sideways"))
    await drain(new_worker(fail))
    found = await queue.get(job.id)
    assert found is not None
    assert (found.failed_reason or "").startswith("boom 1 (not tried again: the job's backoff is 'sideways'")


@pytest.mark.parametrize("how", ["raised", "returned"])
async def test_unrecoverable_fails_whatever_attempts_are_left(queue: Queue, new_worker: NewWorker, how: str) -> None:
    job = await queue.add("job", attempts=9)
    await drain(new_worker(saying(Unrecoverable("no such address"), how)))
    found = await queue.get(job.id)
    assert found is not None
    assert (await queue.state(job.id), found.attempts_made) == (JobState.FAILED, 1)
    assert found.failed_reason == "no such address"


@pytest.mark.parametrize("how", ["raised", "returned"])
async def test_skip_completes_and_says_why(queue: Queue, new_worker: NewWorker, how: str) -> None:
    job = await queue.add("job", attempts=9)
    done, failed = Signal(), Signal()
    worker = new_worker(saying(Skip("answered"), how))
    worker.on_completed(done)
    worker.on_failed(failed)
    await drain(worker)
    found = await queue.get(job.id)
    assert found is not None
    assert (await queue.state(job.id), found.return_value) == (JobState.COMPLETED, {"skipped": "answered"})
    assert done.calls[0][1] == {"skipped": "answered"}
    assert not failed.calls


@pytest.mark.parametrize("counts_as_attempt", [True, False])
@pytest.mark.parametrize("how", ["raised", "returned"])
async def test_retry_at_runs_again_at_its_instant_whatever_attempts_are_left(
    queue: Queue, new_worker: NewWorker, how: str, counts_as_attempt: bool
) -> None:
    clock, ran, failed = FakeClock(), Signal(), Signal()
    later = clock.now + timedelta(hours=1)

    async def wait_an_hour(job: Job[Any]) -> Any:
        ran()
        if len(ran.calls) == 1:
            return await saying(RetryAt(later, "quiet hours", counts=counts_as_attempt), how)(job)
        return "sent"

    job = await queue.add("job")
    worker = new_worker(wait_an_hour, clock=clock)
    worker.on_failed(failed)
    async with worker:
        counts = await drain(worker)
        assert (counts.delayed, counts.failed) == (1, 0)
        clock.advance(timedelta(minutes=59))
        assert (await drain(worker)).delayed == 1
        clock.advance(timedelta(minutes=2))
        await ran.wait(2)
        await drain(worker)
    found = await queue.get(job.id)
    assert found is not None
    made = 2 if counts_as_attempt else 1
    assert (found.return_value, found.attempts_made, found.failed_reason) == ("sent", made, None)
    assert found.attempts_started == 2
    assert not failed.calls


@pytest.mark.parametrize(
    ("limit", "kept"), [(0, []), (2, ["boom 2", "boom 3"]), (None, ["boom 1", "boom 2", "boom 3"])]
)
async def test_stack_traces_are_kept_up_to_the_jobs_limit(
    queue: Queue, new_worker: NewWorker, limit: int | None, kept: list[str]
) -> None:
    job = await queue.add("job", attempts=3, stack_trace_limit=limit)
    await drain(new_worker(fail))
    found = await queue.get(job.id)
    assert found is not None
    assert [trace.strip().rpartition("ValueError: ")[2] for trace in found.stacktrace] == kept


async def test_an_error_text_that_is_no_utf8_is_kept_readable(queue: Queue, new_worker: NewWorker) -> None:
    async def strange(job: Job[Any]) -> None:
        raise ValueError("half a \ud83d pair")

    job = await queue.add("job")
    await drain(new_worker(strange))
    found = await queue.get(job.id)
    assert found is not None
    assert found.failed_reason == "half a \\ud83d pair"


async def test_a_return_value_that_is_no_utf8_completes(queue: Queue, new_worker: NewWorker) -> None:
    async def strange(job: Job[Any]) -> str:
        return "half a \ud83d pair"

    job = await queue.add("job")
    await drain(new_worker(strange))
    found = await queue.get(job.id)
    assert found is not None
    assert found.return_value == "half a \ud83d pair"


async def test_a_thread_that_exits_fails_its_job_and_not_the_worker(queue: Queue, new_worker: NewWorker) -> None:
    def leave(job: Job[Any]) -> None:
        raise SystemExit(3)

    await queue.add("job")
    await queue.add("job")
    counts = await drain(new_worker(leave))
    assert counts.failed == 2


def saying(instruction: Exception, how: str) -> Callable[[Job[Any]], Any]:
    async def handler(job: Job[Any]) -> Exception:
        if how == "raised":
            raise instruction
        return instruction

    return handler
