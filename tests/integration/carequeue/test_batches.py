"""A handler of batches gets lists of jobs; each job keeps its own lock, attempts and end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from carequeue import (
    AttemptCancelled,
    AttemptTimedOut,
    Backoff,
    BatchContext,
    BatchFailure,
    InvalidOption,
    Job,
    JobKind,
    JobState,
    LockLost,
    Queue,
    RateLimit,
    Repeat,
    RetryAt,
    Skip,
    Telemetry,
    ThreadBatchContext,
    Unrecoverable,
    Worker,
)
from carequeue.testing import FakeClock, Signal, drain

if TYPE_CHECKING:
    from redis.asyncio import Redis

pytestmark = pytest.mark.redis

NewWorker = Callable[..., Worker]
SECOND = timedelta(seconds=1)
SHORT: dict[str, Any] = {"lock_duration": timedelta(milliseconds=400), "stalled_interval": timedelta(milliseconds=100)}


@dataclass(frozen=True, slots=True)
class Mail:
    to: str


MAIL = JobKind("mail", Mail)


async def add(queue: Queue, count: int, name: str = "mail", **options: Any) -> list[Job[Any]]:
    kind = JobKind(name, int, **options)
    return await queue.add_bulk(kind.job(number) for number in range(count))


def sizes(batches: Signal) -> list[int]:
    return [len(jobs) for (jobs, *_) in batches.calls]


# Gathering


async def test_a_handler_gets_what_is_there_up_to_its_size(queue: Queue, new_worker: NewWorker) -> None:
    batches = Signal()
    worker = new_worker(concurrency=10)
    worker.handles_batch("mail", size=10)(batches)
    await add(queue, 25)
    counts = await drain(worker)
    assert [job.data for (jobs,) in batches.calls for job in jobs] == list(range(25))
    assert sizes(batches)[:2] == [10, 10]
    assert counts.completed == 25


async def test_a_batch_waits_for_its_minimum(queue: Queue, new_worker: NewWorker) -> None:
    batches, clock = Signal(), FakeClock()
    worker = new_worker(concurrency=10, clock=clock)
    worker.handles_batch("mail", size=10, minimum=3, timeout=SECOND)(batches)
    async with worker:
        await add(queue, 2)
        await drained_of_waiting(queue)
        assert batches.calls == []
        await add(queue, 1)
        await batches.wait()
        assert sizes(batches) == [3]
        await drain(worker)


async def test_after_its_timeout_it_runs_with_what_is_there(queue: Queue, new_worker: NewWorker) -> None:
    batches, clock = Signal(), FakeClock()
    worker = new_worker(concurrency=10, clock=clock)
    worker.handles_batch("mail", size=10, minimum=3, timeout=SECOND)(batches)
    async with worker:
        for _ in range(2):  # and then gathers anew
            await add(queue, 2)
            await drained_of_waiting(queue)
            clock.advance(SECOND - timedelta(milliseconds=2))
            assert len(batches.calls) in (0, 1)
            before = len(batches.calls)
            clock.advance(timedelta(milliseconds=2))
            await batches.wait(before + 1)
        await drain(worker)
    assert sizes(batches) == [2, 2]


async def drained_of_waiting(queue: Queue) -> None:
    """Until a worker has taken all: a job that joined a batch tells nobody."""
    async with asyncio.timeout(10):
        while (await queue.counts()).waiting:  # noqa: ASYNC110 - Redis does not tell
            await asyncio.sleep(0)
        for _ in range(5):  # the reply of the call that took the last ones is on its way
            await queue.counts()


async def test_batches_run_beside_each_other_and_beside_other_jobs(queue: Queue, new_worker: NewWorker) -> None:
    """A batch holds as many slots as it has jobs."""
    started, release = Signal(), asyncio.Event()
    worker = new_worker(concurrency=5)

    @worker.handles_batch("mail", size=2)
    async def mail(jobs: list[Job[Any]]) -> None:
        started("mail", len(jobs))
        await release.wait()

    @worker.handles("post")
    async def post(job: Job[Any]) -> None:
        started("post", 1)
        await release.wait()

    await add(queue, 4)
    await add(queue, 3, "post")
    async with worker:
        assert sorted(await started.wait(3)) == [("mail", 2), ("mail", 2), ("post", 1)]
        assert (await queue.counts()).active == 5
        release.set()
        assert (await drain(worker)).completed == 7


async def test_batches_of_different_names_do_not_mix(queue: Queue, new_worker: NewWorker) -> None:
    batches = Signal()
    worker = new_worker(concurrency=20)
    worker.handles_batch("mail", size=10)(batches)
    worker.handles_batch("post", size=10)(batches)
    for name in ("mail", "post") * 3:
        await queue.add(name)
    await drain(worker)
    assert sorted([job.name for job in jobs] for (jobs,) in batches.calls) == [["mail"] * 3, ["post"] * 3]


async def test_data_is_typed_and_what_does_not_fit_fails_alone(queue: Queue, new_worker: NewWorker) -> None:
    batches = Signal()
    worker = new_worker(concurrency=5)
    worker.handles_batch(MAIL, size=5)(batches)
    await queue.add(MAIL, Mail("ada"))
    wrong = await queue.add("mail", {"from": "bob"}, attempts=3)
    await queue.add(MAIL, Mail("eve"))
    await drain(worker)
    assert [job.data for (jobs,) in batches.calls for job in jobs] == [Mail("ada"), Mail("eve")]
    assert await queue.state(wrong.id) is JobState.FAILED


async def test_limits_hold(queue: Queue, new_worker: NewWorker) -> None:
    batches, clock = Signal(), FakeClock()
    worker = new_worker(concurrency=10, limiter=RateLimit(4, timedelta(hours=1)), clock=clock)
    worker.handles_batch("mail", size=10)(batches)
    await add(queue, 9)
    counts = await drain(worker)
    assert (sizes(batches), counts.waiting) == ([4], 5)
    await queue.remove_rate_limit()
    await queue.set_global_concurrency(2)
    again = new_worker(concurrency=10)
    again.handles_batch("mail", size=10)(batches)
    await drain(again)
    assert max(sizes(batches)[1:]) <= 2


async def test_what_has_expired_is_in_no_batch(queue: Queue, new_worker: NewWorker) -> None:
    batches = Signal()
    worker = new_worker(concurrency=5)
    worker.handles_batch("mail", size=5)(batches)
    await add(queue, 2, timestamp=datetime.now(UTC) - timedelta(hours=1), expires_after=SECOND)
    await add(queue, 2)
    counts = await drain(worker)
    assert (sizes(batches), counts.failed) == ([2], 2)


async def test_runs_of_a_scheduler_go_on(queue: Queue, new_worker: NewWorker) -> None:
    batches = Signal()
    worker = new_worker(concurrency=5)
    worker.handles_batch("mail", size=5)(batches)
    await queue.schedule("pulse", Repeat.every(timedelta(hours=1)), "mail")
    counts = await drain(worker)
    assert (sizes(batches), counts.delayed) == ([1], 1)


# How the jobs of a batch end


async def results(queue: Queue, jobs: list[Job[Any]]) -> list[tuple[str, Any]]:
    found = [await queue.get(job.id) for job in jobs]
    states = await queue.states(job.id for job in jobs)
    return [
        (states[job.id].value, job.return_value if job.failed_reason is None else job.failed_reason)
        for job in found
        if job is not None
    ]


async def test_each_job_has_its_own_value(queue: Queue, new_worker: NewWorker) -> None:
    worker = new_worker(concurrency=5)

    @worker.handles_batch("mail", size=5)
    async def double(jobs: list[Job[int]]) -> list[int]:
        return [job.data * 2 for job in jobs]

    completed = Signal()
    worker.on_completed(completed)
    jobs = await add(queue, 3)
    await drain(worker)
    assert await results(queue, jobs) == [("completed", 0), ("completed", 2), ("completed", 4)]
    assert sorted((job.data, value) for job, value in completed.calls) == [(0, 0), (1, 2), (2, 4)]


async def test_without_a_list_all_complete(queue: Queue, new_worker: NewWorker) -> None:
    worker = new_worker(concurrency=5)
    worker.handles_batch("mail", size=5)(Signal())
    jobs = await add(queue, 2)
    await drain(worker)
    assert await results(queue, jobs) == [("completed", None)] * 2


async def test_an_error_in_the_list_fails_its_job_by_that_jobs_rules(queue: Queue, new_worker: NewWorker) -> None:
    worker = new_worker(concurrency=6, clock=(clock := FakeClock()))

    async def one(job: Job[Any]) -> str:
        match job.data:
            case "late":
                raise RetryAt(clock.now + timedelta(hours=1))
            case "empty":
                raise Skip("empty")
            case "bad":
                raise Unrecoverable("bad")
            case "flaky" if job.attempts_made == 0:
                raise ValueError("flaky")
            case _:
                return job.data

    @worker.handles_batch("mail", size=6)
    async def mail(jobs: list[Job[str]]) -> list[Any]:
        return await asyncio.gather(*(one(job) for job in jobs), return_exceptions=True)

    names = ["fine", "late", "empty", "bad", "flaky", "flaky"]
    tries = [1, 1, 1, 5, 2, 1]
    jobs = [await queue.add("mail", name, attempts=count) for name, count in zip(names, tries, strict=True)]
    await drain(worker)
    assert await results(queue, jobs) == [
        ("completed", "fine"),
        ("delayed", None),
        ("completed", {"skipped": "empty"}),
        ("failed", "bad"),
        ("completed", "flaky"),
        ("failed", "flaky"),
    ]


async def test_batch_failure_names_those_that_failed(queue: Queue, new_worker: NewWorker) -> None:
    worker = new_worker(concurrency=5, clock=FakeClock())

    @worker.handles_batch("mail", size=5)
    async def mail(jobs: list[Job[int]]) -> None:
        raise BatchFailure({job.id: ValueError(f"no {job.data}") for job in jobs if job.data != 1})

    jobs = [await queue.add("mail", number) for number in range(2)]
    jobs.append(await queue.add("mail", 2, attempts=2, backoff=Backoff.fixed(timedelta(hours=1))))
    await drain(worker)
    assert await results(queue, jobs) == [("failed", "no 0"), ("completed", None), ("delayed", "no 2")]


async def test_what_is_raised_fails_all_and_each_keeps_a_clean_trace(queue: Queue, new_worker: NewWorker) -> None:
    worker = new_worker(concurrency=5)
    failed = Signal()
    worker.on_failed(failed)

    @worker.handles_batch("mail", size=5)
    async def mail(jobs: list[Job[int]]) -> None:
        raise ValueError("closed")

    jobs = await add(queue, 3)
    await drain(worker)
    assert await results(queue, jobs) == [("failed", "closed")] * 3
    assert len(failed.calls) == 3
    traces = [found.stacktrace[0] for job in jobs if (found := await queue.get(job.id))]
    assert len(set(traces)) == 1
    assert traces[0].count("in mail\n") == 1


@pytest.mark.parametrize("value", [[1], "text", {"a": 1}, [1, 2, 3]])
async def test_a_value_that_fits_no_jobs_fails_them_for_good(queue: Queue, new_worker: NewWorker, value: Any) -> None:
    worker = new_worker(concurrency=5)

    @worker.handles_batch("mail", size=5)
    async def mail(jobs: list[Job[int]]) -> Any:
        return value

    jobs = await add(queue, 2, attempts=3)
    await drain(worker)
    assert [(state, "one value for each job" in reason) for state, reason in await results(queue, jobs)] == [
        ("failed", True)
    ] * 2


async def test_a_failure_of_somebody_else_completes_nobody(queue: Queue, new_worker: NewWorker) -> None:
    worker = new_worker(concurrency=5)

    @worker.handles_batch("mail", size=5)
    async def mail(jobs: list[Job[int]]) -> None:
        raise BatchFailure({"other": ValueError("no")})

    jobs = await add(queue, 2)
    await drain(worker)
    assert {state for state, _ in await results(queue, jobs)} == {"failed"}


async def test_attempts_are_counted_for_each_job(queue: Queue, new_worker: NewWorker) -> None:
    seen = Signal()
    worker = new_worker(concurrency=5)

    @worker.handles_batch("mail", size=5)
    async def mail(jobs: list[Job[int]], context: BatchContext) -> list[Any]:
        seen({job.data: context.of(job).attempt for job in jobs})
        for job in jobs:
            await context.of(job).update_progress(job.data)
        return [ValueError("once more") if job.data == 1 else None for job in jobs]

    jobs = await add(queue, 2, attempts=3)
    await drain(worker)
    assert seen.calls == [({0: 1, 1: 1},), ({1: 2},), ({1: 3},)]
    found = await queue.get(jobs[1].id)
    assert found is not None
    assert (found.attempts_made, found.progress) == (3, 1)


async def test_a_plain_function_runs_in_one_thread(queue: Queue, new_worker: NewWorker) -> None:
    worker = new_worker(concurrency=5)

    @worker.handles_batch("mail", size=5)
    def mail(jobs: list[Job[int]], context: ThreadBatchContext) -> list[Any]:
        assert threading.current_thread() is not threading.main_thread()
        for job in jobs:
            context.of(job).log(f"row {job.data}")
        assert not context.lost
        return [ValueError("odd") if job.data % 2 else job.data for job in jobs]

    jobs = await add(queue, 4)
    await drain(worker)
    assert await results(queue, jobs) == [("completed", 0), ("failed", "odd"), ("completed", 2), ("failed", "odd")]
    assert await queue.logs(jobs[3].id) == ["row 3"]


async def test_listeners_hear_of_each_batch_and_each_job(queue: Queue, new_worker: NewWorker) -> None:
    telemetry, heard = Telemetry(), Signal()
    telemetry.subscribe(lambda event, fields: heard(event, fields.get("count")), "batch.started", "job.started")
    worker = new_worker(concurrency=5, telemetry=telemetry)
    worker.handles_batch("mail", size=5)(Signal())
    await add(queue, 2)
    await drain(worker)
    assert heard.calls == [("job.started", None), ("job.started", None), ("batch.started", 2)]


# Locks, ends, timeouts


async def test_the_locks_of_all_are_renewed_while_they_gather_and_run(queue: Queue, new_worker: NewWorker) -> None:
    renewed, stalled, release = Signal(), Signal(), asyncio.Event()
    clock = FakeClock()
    worker = new_worker(concurrency=5, clock=clock, **SHORT)
    worker.telemetry.subscribe(lambda _, fields: renewed(fields["count"]), "locks.renewed")
    worker.on_stalled(stalled)

    @worker.handles_batch("mail", size=5, minimum=5, timeout=SECOND)
    async def mail(jobs: list[Job[int]]) -> None:
        await release.wait()

    await add(queue, 3)
    async with worker:
        await renewed.wait(8)  # every 100 ms: twice the lock's duration
        clock.advance(2 * SECOND)
        await renewed.wait(16)
        assert {count for (count,) in renewed.calls} == {3}
        release.set()
        assert (await drain(worker)).completed == 3
    assert stalled.calls == []


@pytest.mark.parametrize("in_thread", [False, True])
async def test_a_lost_lock_is_told_and_the_others_complete(
    queue: Queue, new_worker: NewWorker, redis: Redis, *, in_thread: bool
) -> None:
    started, lost, release = Signal(), Signal(), threading.Event()
    worker = new_worker(concurrency=5, skip_stalled_check=True, **SHORT)
    completed = Signal()
    worker.on_completed(completed)

    def wait(jobs: list[Job[int]], context: ThreadBatchContext) -> list[int]:
        started()
        release.wait(10)
        lost(context.lost, context.cancelled)
        return [job.data for job in jobs]

    @worker.on_error
    def note(error: Exception) -> None:
        if isinstance(error, LockLost):
            release.set()

    async def wait_here(jobs: list[Job[int]], context: BatchContext) -> list[int]:
        started()
        await asyncio.to_thread(release.wait, 10)
        lost(context.lost, context.cancelled)
        return [job.data for job in jobs]

    worker.handles_batch("mail", size=5)(wait if in_thread else wait_here)
    jobs = await add(queue, 3)
    async with worker:
        await started.wait()
        await redis.set(queue.keys.lock(jobs[1].id), "another:1")
        assert await lost.wait() == [({jobs[1].id}, {jobs[1].id})]
        await worker.wait_until_idle()
        assert await queue.state(jobs[1].id) is JobState.ACTIVE  # it is the other worker's
    assert sorted(value for _, value in completed.calls) == [0, 2]


async def test_when_all_locks_are_lost_the_handler_is_cancelled(
    queue: Queue, new_worker: NewWorker, redis: Redis
) -> None:
    started, cancelled = Signal(), Signal()
    worker = new_worker(concurrency=5, skip_stalled_check=True, **SHORT)

    @worker.handles_batch("mail", size=5)
    async def mail(jobs: list[Job[int]]) -> None:
        started()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled()

    jobs = await add(queue, 2)
    async with worker:
        await started.wait()
        for job in jobs:
            await redis.set(queue.keys.lock(job.id), "another:1")
        await cancelled.wait()
        await worker.wait_until_idle()
    assert (await queue.counts()).active == 2


async def test_a_lock_that_is_lost_while_gathering_takes_the_job_out(
    queue: Queue, new_worker: NewWorker, redis: Redis
) -> None:
    batches, errors, clock = Signal(), Signal(), FakeClock()
    worker = new_worker(concurrency=5, skip_stalled_check=True, clock=clock, **SHORT)
    worker.handles_batch("mail", size=5, minimum=5, timeout=SECOND)(batches)
    worker.on_error(errors)
    jobs = await add(queue, 3)
    async with worker:
        await drained_of_waiting(queue)
        await redis.set(queue.keys.lock(jobs[0].id), "another:1")
        await errors.wait()
        clock.advance(SECOND)
        [(found,)] = await batches.wait()
        await worker.wait_until_idle()
    assert [job.data for job in found] == [1, 2]


async def test_a_worker_that_closes_hands_back_what_gathers(queue: Queue, new_worker: NewWorker) -> None:
    batches = Signal()
    worker = new_worker(concurrency=5)
    worker.handles_batch("mail", size=5, minimum=5, timeout=timedelta(hours=1))(batches)
    jobs = await add(queue, 3, attempts=2)
    async with worker:
        await drained_of_waiting(queue)
    assert batches.calls == []
    assert (await queue.counts()).waiting == 3
    found = await queue.get(jobs[0].id)
    assert found is not None
    assert found.attempts_made == 0


async def test_a_worker_that_closes_lets_a_batch_finish(queue: Queue, new_worker: NewWorker) -> None:
    started, release = Signal(), asyncio.Event()
    worker = new_worker(concurrency=5)

    @worker.handles_batch("mail", size=5)
    async def mail(jobs: list[Job[int]]) -> None:
        started()
        await release.wait()

    await add(queue, 3)
    await worker.start()
    await started.wait()
    closing = asyncio.create_task(worker.close())
    done, _ = await asyncio.wait([closing], timeout=0.1)
    assert not done
    release.set()
    await closing
    assert (await queue.counts()).completed == 3


async def test_at_the_deadline_all_go_back_only_when_the_handler_has_ended(queue: Queue, new_worker: NewWorker) -> None:
    started, states = Signal(), Signal()
    worker = new_worker(concurrency=5, grace=timedelta(0))

    @worker.handles_batch("mail", size=5)
    async def mail(jobs: list[Job[int]], context: BatchContext) -> None:
        started()
        try:
            await asyncio.Event().wait()
        finally:
            counts = await queue.counts()
            states(counts.active, counts.waiting, len(context.cancelled))

    jobs = await add(queue, 3, attempts=2)
    await worker.start()
    await started.wait()
    await worker.close()
    assert states.calls == [(3, 0, 3)]
    assert (await queue.counts()).waiting == 3
    found = await queue.get(jobs[0].id)
    assert found is not None
    assert found.attempts_made == 0


async def test_a_thread_that_does_not_end_is_left_to_the_stall_check(queue: Queue, new_worker: NewWorker) -> None:
    started, release = Signal(), threading.Event()
    worker = new_worker(concurrency=5, grace=timedelta(0), cancel_grace=timedelta(milliseconds=10))

    @worker.handles_batch("mail", size=5)
    def mail(jobs: list[Job[int]]) -> None:
        started()
        release.wait(10)

    await add(queue, 3)
    await worker.start()
    await started.wait()
    async with asyncio.timeout(10):
        await worker.close()
    release.set()
    assert (await queue.counts()).active == 3


async def test_each_job_has_its_own_timeout(queue: Queue, new_worker: NewWorker) -> None:
    """It counts from when the handler begins; the handler ends when none of its jobs has time left."""
    cancelled = Signal()
    worker = new_worker(concurrency=5)
    failed = Signal()
    worker.on_failed(failed)

    @worker.handles_batch("mail", size=5)
    async def mail(jobs: list[Job[int]]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled()

    jobs = await add(queue, 2, timeout=timedelta(milliseconds=20))
    jobs += await add(queue, 1, timeout=timedelta(milliseconds=120))
    await drain(worker)
    assert len(cancelled.calls) == 1
    assert {state for state, _ in await results(queue, jobs)} == {"failed"}
    assert all(isinstance(error, AttemptTimedOut) for _, error in failed.calls)


async def test_a_cancelled_job_leaves_its_batch(queue: Queue, new_worker: NewWorker) -> None:
    started, release, failed = Signal(), asyncio.Event(), Signal()
    worker = new_worker(concurrency=5, cancel_grace=timedelta(milliseconds=10))
    worker.on_failed(failed)

    @worker.handles_batch("mail", size=5)
    async def mail(jobs: list[Job[int]], context: BatchContext) -> list[Any]:
        started()
        await release.wait()
        return [job.data for job in jobs]

    jobs = await add(queue, 3)
    async with worker:
        await started.wait()
        worker.cancel_job(jobs[1].id)
        [(job, error)] = await failed.wait()
        assert (job.id, isinstance(error, AttemptCancelled)) == (jobs[1].id, True)
        release.set()
        await worker.wait_until_idle()
    assert [state for state, _ in await results(queue, jobs)] == ["completed", "failed", "completed"]


async def test_a_job_that_is_cancelled_as_its_batch_begins_is_not_in_it(queue: Queue, new_worker: NewWorker) -> None:
    batches, failed = Signal(), Signal()
    worker = new_worker(concurrency=5)
    worker.handles_batch("mail", size=5)(batches)
    worker.on_failed(failed)
    worker.telemetry.subscribe(lambda _, fields: worker.cancel_job("first"), "job.started")
    await queue.add("mail", 1, job_id="first")
    await queue.add("mail", 2)
    async with worker:
        await failed.wait()
        [(jobs,)] = await batches.wait()
        await worker.wait_until_idle()
    assert [job.data for job in jobs] == [2]


async def test_a_job_that_is_cancelled_while_it_gathers_fails_at_once(queue: Queue, new_worker: NewWorker) -> None:
    failed, batches, clock = Signal(), Signal(), FakeClock()
    worker = new_worker(concurrency=5, clock=clock)
    worker.handles_batch("mail", size=5, minimum=2, timeout=SECOND)(batches)
    worker.on_failed(failed)
    [job] = await add(queue, 1)
    async with worker:
        await drained_of_waiting(queue)
        worker.cancel_job(job.id)
        await failed.wait()
        clock.advance(SECOND)
        await worker.wait_until_idle()
    assert batches.calls == []


# What cannot be


def test_what_makes_no_sense_is_refused(new_worker: NewWorker) -> None:
    worker = new_worker(concurrency=5)
    for terms in ({"size": 0}, {"minimum": 0}, {"size": 2, "minimum": 3, "timeout": SECOND}):
        with pytest.raises(InvalidOption, match="at least"):
            worker.handles_batch("mail", **terms)
    with pytest.raises(InvalidOption, match="how long"):
        worker.handles_batch("mail", minimum=2)
    with pytest.raises(InvalidOption, match="longer than nothing"):
        worker.handles_batch("mail", timeout=timedelta(0))


async def test_a_batch_that_has_no_room_is_refused_at_the_start(new_worker: NewWorker) -> None:
    worker = new_worker(concurrency=5)
    worker.handles_batch("mail", size=6)(Signal())
    with pytest.raises(InvalidOption, match="concurrency=6"):
        await worker.start()
