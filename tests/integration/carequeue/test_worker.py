"""A worker runs the jobs of its queue: which handler, how many at once, in which order, when."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio import Redis

from carequeue import (
    InvalidOption,
    Job,
    JobContext,
    JobKind,
    JobState,
    KeepJobs,
    NewJob,
    Queue,
    Repeat,
    ThreadJobContext,
    UnsuitableRedis,
    Worker,
    WorkerNotStarted,
)
from carequeue.testing import FakeClock, Signal, drain

if TYPE_CHECKING:
    from carecircle_cli.engines import EmbeddedValkey

pytestmark = pytest.mark.redis

NewWorker = Callable[..., Worker]


@dataclass(frozen=True, slots=True)
class Dose:
    drug: str
    units: int


DOSE = JobKind("dose", Dose)


async def test_a_job_runs_and_its_value_is_kept(queue: Queue, new_worker: NewWorker) -> None:
    async def add_one(job: Job[Any]) -> int:
        return job.data["n"] + 1

    job = await queue.add("sum", {"n": 41})
    counts = await drain(new_worker(add_one))

    found = await queue.get(job.id)
    assert found is not None
    assert await queue.state(job.id) == JobState.COMPLETED
    assert (found.return_value, found.attempts_made, found.attempts_started) == (42, 1, 1)
    assert found.started_at is not None
    assert found.finished_at is not None
    assert (counts.completed, counts.active, counts.waiting) == (1, 0, 0)


async def test_handlers_are_found_by_name_and_get_typed_data(queue: Queue, new_worker: NewWorker) -> None:
    worker = new_worker()
    seen: list[object] = []

    @worker.handles(DOSE)
    async def give(job: Job[Dose]) -> None:
        seen.append(job.data)

    @worker.handles("note")
    async def note(job: Job[Any], context: JobContext) -> None:
        seen.append((job.data, context.attempt, context.job_id == job.id))

    await queue.add(DOSE, Dose("aspirin", 2))
    await queue.add("note", {"text": "hello"})
    await drain(worker)
    assert seen == [Dose("aspirin", 2), ({"text": "hello"}, 1, True)]


async def test_a_plain_function_runs_in_a_thread(queue: Queue, new_worker: NewWorker) -> None:
    def where(job: Job[Any], context: ThreadJobContext) -> str:
        context.update_progress(50)
        assert context.log("half way") == 1
        return threading.current_thread().name

    job = await queue.add("where")
    await drain(new_worker(where))
    found = await queue.get(job.id)
    assert found is not None
    assert found.return_value != threading.main_thread().name
    assert found.progress == 50
    assert await queue.logs(job.id) == ["half way"]


async def test_threads_run_as_many_jobs_at_once_as_concurrency_allows(queue: Queue, new_worker: NewWorker) -> None:
    together = threading.Barrier(3)

    def meet(job: Job[Any]) -> str:
        together.wait(10)
        return "met"

    jobs = [await queue.add("meet") for _ in range(3)]
    await drain(new_worker(meet, concurrency=3))
    assert [(found.return_value if (found := await queue.get(job.id)) else None) for job in jobs] == ["met"] * 3


async def test_a_name_without_a_handler_fails_for_good_and_says_which_there_are(
    queue: Queue, new_worker: NewWorker
) -> None:
    worker = new_worker()
    worker.handles("one")(lambda job: None)
    worker.handles("two")(lambda job: None)
    job = await queue.add("three", attempts=5)
    await drain(worker)
    found = await queue.get(job.id)
    assert found is not None
    assert await queue.state(job.id) == JobState.FAILED
    assert found.failed_reason == "this worker has no handler for jobs named 'three'; it handles: one, two"
    assert found.attempts_made == 1


async def test_data_of_another_shape_fails_for_good(queue: Queue, new_worker: NewWorker) -> None:
    worker = new_worker()
    ran = Signal()
    worker.handles(DOSE)(ran)
    job = await queue.add("dose", {"drug": "aspirin", "units": "two"}, attempts=5)
    await drain(worker)
    found = await queue.get(job.id)
    assert found is not None
    assert (found.failed_reason or "").startswith("the job's data cannot be read: data.units")
    assert await queue.state(job.id) == JobState.FAILED
    assert not ran.calls


async def test_data_that_is_no_json_fails_for_good(queue: Queue, new_worker: NewWorker, redis: Redis) -> None:
    job = await queue.add("anything", attempts=5)
    await redis.hset(queue.keys.job(job.id), "data", "{not json")  # pyright: ignore[reportGeneralTypeIssues]
    counts = await drain(new_worker(Signal()))
    assert counts.failed == 1


async def test_a_value_that_json_cannot_carry_fails_clearly_and_is_not_tried_again(
    queue: Queue, new_worker: NewWorker
) -> None:
    runs = Signal()

    async def bad(job: Job[Any]) -> object:
        runs()
        return {"when": object()}

    job = await queue.add("bad", attempts=5)
    await drain(new_worker(bad))
    found = await queue.get(job.id)
    assert found is not None
    assert "return value cannot be stored as JSON" in (found.failed_reason or "")
    assert "data.when" in (found.failed_reason or "")
    assert len(runs.calls) == 1


async def test_never_more_than_concurrency_at_once(queue: Queue, new_worker: NewWorker) -> None:
    running = peak = 0
    full = asyncio.Event()

    async def count(job: Job[Any]) -> None:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        if running >= 7:
            full.set()
        await full.wait()
        for _ in range(5):
            await asyncio.sleep(0)  # let the others in
        running -= 1

    await queue.add_bulk([NewJob("count", None) for _ in range(60)])
    counts = await drain(new_worker(count, concurrency=7, batch=3))
    assert counts.completed == 60
    assert peak == 7


async def test_concurrency_changes_at_run_time(queue: Queue, new_worker: NewWorker) -> None:
    started, release = Signal("started"), asyncio.Event()

    async def hold(job: Job[Any]) -> None:
        started(job.id)
        await release.wait()

    await queue.add_bulk([NewJob("hold", None) for _ in range(5)])
    async with new_worker(hold, concurrency=1) as worker:
        await started.wait(1)
        assert (await queue.counts()).active == 1
        worker.concurrency = 4
        await started.wait(4)
        assert (await queue.counts()).active == 4
        worker.concurrency = 1
        release.set()
        await worker.wait_until_idle()
    with pytest.raises(InvalidOption):
        worker.concurrency = 0


async def test_order_is_first_in_first_out_with_lifo_and_priority_aside(queue: Queue, new_worker: NewWorker) -> None:
    order: list[str] = []

    async def note(job: Job[Any]) -> None:
        order.append(job.data)

    await queue.add("job", "first")
    await queue.add("job", "second")
    await queue.add("job", "last in", lifo=True)
    await queue.add("job", "low", priority=9)
    await queue.add("job", "high", priority=1)
    await drain(new_worker(note))
    assert order == ["last in", "first", "second", "high", "low"]


async def test_an_idle_worker_is_woken_by_a_new_job(queue: Queue, new_worker: NewWorker) -> None:
    done = Signal()
    async with new_worker(lambda job: "done", drain_delay=timedelta(minutes=5)) as worker:
        worker.on_completed(done)
        await worker.wait_until_idle()
        for count in range(1, 4):
            await queue.add("job")
            await done.wait(count, timeout=5)


async def test_a_due_job_starts_at_its_instant_on_an_idle_worker(queue: Queue, new_worker: NewWorker) -> None:
    """Redis ends a blocking call only at its next tick, about 100 ms apart; the worker's own timer does better."""
    late: list[float] = []
    seen = Signal()

    async def note(job: Job[Any]) -> None:
        late.append(time.time() - job.data)
        seen()

    async with new_worker(note, drain_delay=timedelta(minutes=5)) as worker:
        await worker.wait_until_idle()
        for count in range(1, 8):
            due = datetime.now(UTC) + timedelta(milliseconds=130)
            await queue.add("due", due.timestamp(), run_at=due)
            await seen.wait(count)
    assert min(late) > -0.002  # never early; a run_at between two milliseconds is due at the first
    assert statistics.median(late) < 0.02


async def test_with_a_fake_clock_a_job_waits_until_it_is_moved(queue: Queue, new_worker: NewWorker) -> None:
    clock, ran = FakeClock(), Signal()

    async def note(job: Job[Any]) -> None:
        ran(clock.now)

    async with new_worker(note, clock=clock) as worker:
        due = datetime.now(UTC) + timedelta(days=3)
        await queue.add("later", run_at=due)
        assert (await drain(worker)).delayed == 1
        clock.advance(timedelta(days=2))
        assert (await drain(worker)).delayed == 1
        clock.advance(timedelta(days=1, seconds=1))
        await ran.wait()
        counts = await drain(worker)
    assert (counts.delayed, counts.completed) == (0, 1)


async def test_a_paused_worker_takes_nothing_and_starts_what_came_due_at_once(
    queue: Queue, new_worker: NewWorker
) -> None:
    clock, done = FakeClock(), Signal()
    async with new_worker(lambda job: None, clock=clock, drain_delay=timedelta(minutes=5)) as worker:
        worker.on_completed(done)
        await worker.wait_until_idle()
        worker.pause()
        assert worker.is_paused
        await queue.add("due", run_at=clock.now + timedelta(seconds=30))
        await queue.add("now")
        clock.advance(timedelta(minutes=1))
        counts = await queue.counts()
        assert (counts.waiting, counts.delayed, len(done.calls)) == (1, 1, 0)
        worker.resume()
        await done.wait(2, timeout=5)


async def test_a_globally_paused_queue_rests_and_resuming_wakes_the_worker(queue: Queue, new_worker: NewWorker) -> None:
    done = Signal()
    async with new_worker(lambda job: None, drain_delay=timedelta(minutes=5)) as worker:
        worker.on_completed(done)
        await queue.pause()
        await queue.add("job")
        await worker.wait_until_idle()
        assert not done.calls
        await queue.resume()
        await done.wait(timeout=5)


async def test_a_wake_up_for_later_that_a_paused_worker_took_wakes_another(queue: Queue, new_worker: NewWorker) -> None:
    """The only marker is taken by the first worker, which then pauses: the second must hear of the job all the same."""
    seen = Signal()
    options: dict[str, Any] = {"drain_delay": timedelta(minutes=5)}
    async with new_worker(seen, **options) as first:
        await first.wait_until_idle()
        due = datetime.now(UTC) + timedelta(milliseconds=400)
        await queue.add("due", run_at=due)
        first.pause()
        async with new_worker(seen, **options):
            await seen.wait(timeout=5)
            assert datetime.now(UTC) - due < timedelta(seconds=2)


async def test_several_workers_share_a_queue_and_run_each_job_once(queue: Queue, new_worker: NewWorker) -> None:
    ran: list[str] = []

    async def note(job: Job[Any]) -> None:
        ran.append(job.id)
        await asyncio.sleep(0)

    jobs = await queue.add_bulk([NewJob("job", n) for n in range(300)])
    workers = [new_worker(note, concurrency=5, batch=4) for _ in range(3)]
    await asyncio.gather(*(drain(worker) for worker in workers))
    assert sorted(ran) == sorted(job.id for job in jobs)
    assert (await queue.counts()).completed == 300


async def test_ended_jobs_are_reported_together(queue: Queue, new_worker: NewWorker) -> None:
    worker = new_worker(nothing, concurrency=50)
    calls: list[dict[str, Any]] = []
    worker.telemetry.subscribe(lambda _, fields: calls.append(dict(fields)), "step")
    await queue.add_bulk([NewJob("job", None) for _ in range(500)])
    counts = await drain(worker)
    assert counts.completed == 500
    assert sum(call["finished"] for call in calls) == 500
    assert len(calls) < 100


async def test_a_condemned_job_fails_without_running(queue: Queue, new_worker: NewWorker, redis: Redis) -> None:
    job = await queue.add("job", attempts=5)
    await redis.hset(queue.keys.job(job.id), "defa", "its child failed")  # pyright: ignore[reportGeneralTypeIssues]
    ran = Signal()
    await drain(new_worker(ran))
    found = await queue.get(job.id)
    assert found is not None
    assert (found.failed_reason, found.condemned, ran.calls) == ("its child failed", None, [])
    assert await queue.state(job.id) == JobState.FAILED


async def test_a_job_that_started_too_often_fails(queue: Queue, new_worker: NewWorker, redis: Redis) -> None:
    job = await queue.add("job", attempts=9)
    await redis.hset(queue.keys.job(job.id), "ats", 3)  # pyright: ignore[reportGeneralTypeIssues]
    ran = Signal()
    await drain(new_worker(ran, max_started_attempts=3))
    found = await queue.get(job.id)
    assert found is not None
    assert found.failed_reason == "job started more than allowable limit"
    assert not ran.calls


async def test_a_handlers_first_step_may_use_timeouts_and_task_groups(queue: Queue, new_worker: NewWorker) -> None:
    async def scoped(job: Job[Any]) -> str:
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            task = group.create_task(asyncio.sleep(0, "inside"))
        try:
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        except TimeoutError:
            return task.result()
        return "never"

    await queue.add_bulk([NewJob("job", None) for _ in range(5)])
    values = Signal()
    worker = new_worker(scoped, concurrency=5)
    worker.on_completed(values)
    await drain(worker)
    assert [value for _, value in values.calls] == ["inside"] * 5


async def test_a_cancellation_from_inside_the_handler_is_a_failure(queue: Queue, new_worker: NewWorker) -> None:
    async def cancelled_inside(job: Job[Any]) -> None:
        inner = asyncio.ensure_future(asyncio.Event().wait())
        asyncio.get_running_loop().call_soon(inner.cancel)
        await inner

    job = await queue.add("job", attempts=2)
    await drain(new_worker(cancelled_inside))
    found = await queue.get(job.id)
    assert found is not None
    assert (await queue.state(job.id), found.attempts_made) == (JobState.FAILED, 2)
    assert found.failed_reason == "the handler was cancelled by something that it waited for"


async def test_a_scheduled_job_makes_its_next_run_before_it_runs(queue: Queue, new_worker: NewWorker) -> None:
    waiting: list[int] = []

    async def look(job: Job[Any]) -> None:
        waiting.append((await queue.counts()).delayed)

    await queue.schedule("tick", Repeat.every(timedelta(hours=1)), "tick")
    await queue.promote_all()
    counts = await drain(new_worker(look))
    assert waiting == [1]
    assert (counts.completed, counts.delayed) == (1, 1)


async def test_what_is_kept_is_the_jobs_own_rule_or_else_the_workers(queue: Queue, new_worker: NewWorker) -> None:
    await queue.add_bulk([NewJob("job", None) for _ in range(10)])
    kept = await queue.add("kept", keep_completed=True)
    gone = await queue.add("gone", keep_completed=False)
    counts = await drain(new_worker(nothing, keep_completed=KeepJobs(count=3)))
    assert counts.completed <= 4
    assert await queue.exists([kept.id, gone.id]) == {kept.id}


async def test_the_workers_connection_is_listed_by_name(queue: Queue, new_worker: NewWorker) -> None:
    async with new_worker(nothing, name="nightingale") as worker:
        await worker.wait_until_idle()
        assert worker.is_connected
        assert await _appears(queue, "nightingale")
    assert not worker.is_connected


async def _appears(queue: Queue, name: str) -> bool:
    async with asyncio.timeout(5):
        while True:  # the worker names its connection when it first listens; each look is a round trip
            if name in {info.name for info in await queue.workers()}:
                return True


async def test_a_worker_says_what_it_needs_before_it_starts(queue_name: str, redis_url: str) -> None:
    with pytest.raises(InvalidOption, match="no handler"):
        await Worker(queue_name, redis_url).start()
    worker = Worker(queue_name, redis_url, nothing)
    with pytest.raises(WorkerNotStarted):
        await worker.wait_until_idle()
    async with worker:
        with pytest.raises(InvalidOption, match="starts once"):
            await worker.start()
    with pytest.raises(InvalidOption, match="takes"):
        Worker(queue_name, redis_url, lambda: None)
    worker.handles("x")(nothing)
    with pytest.raises(InvalidOption, match="already"):
        worker.handles("x")(nothing)


async def test_a_server_that_evicts_keys_is_refused_at_start(own_valkey: EmbeddedValkey, queue_name: str) -> None:
    client = Redis.from_url(own_valkey.url())
    await client.config_set("maxmemory-policy", "allkeys-lru")
    await client.aclose()
    with pytest.raises(UnsuitableRedis, match="noeviction"):
        await Worker(queue_name, own_valkey.url(), nothing).start()


async def nothing(job: Job[Any]) -> None:
    """The handler that does nothing."""
