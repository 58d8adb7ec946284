"""Traces follow jobs from where they are added to where they run, on a real server and OpenTelemetry's real SDK."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from tests.integration.carequeue import process_handlers
from tests.spans import Observed, carrier_of, children_of, events_of, place_of

from carequeue import (
    Backoff,
    FlowNode,
    FlowProducer,
    JobContext,
    NewJob,
    Queue,
    RateLimited,
    Repeat,
    Telemetry,
    Worker,
)
from carequeue.testing import Signal, drain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redis.asyncio import Redis

    from carequeue import Job

pytestmark = pytest.mark.redis

NewWorker = Callable[..., Worker]
QUICK = {"lock_duration": timedelta(milliseconds=200), "stalled_interval": timedelta(milliseconds=300)}


@pytest.fixture
def observed() -> Observed:
    return Observed()


@pytest.fixture
async def told(queue: Queue, redis_url: str, observed: Observed) -> AsyncIterator[Queue]:
    """The queue of the test, traced."""
    async with Queue(queue.name, redis_url, telemetry=observed.telemetry) as told:
        yield told


async def test_a_trace_goes_from_the_request_over_the_job_into_its_handler(
    told: Queue, new_worker: NewWorker, observed: Observed
) -> None:
    async def paint(job: Job[Any]) -> None:
        with observed.tracer.start_as_current_span("in the handler"):
            await told.add("dry", delay=timedelta(hours=1))

    with observed.tracer.start_as_current_span("request"):
        job = await told.add("paint")
    await drain(new_worker(paint, telemetry=observed.telemetry, name="w1"))

    [request] = observed.named("request")
    [add] = children_of(observed, request)
    [process] = children_of(observed, add)
    [inside] = children_of(observed, process)
    [second] = children_of(observed, inside)
    assert (add.name, process.name, second.name) == (f"add {told.name}", f"process {told.name}", f"add {told.name}")
    assert (add.kind, process.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    for span in (add, process):
        assert span.attributes is not None
        assert span.attributes["messaging.message.id"] == job.id
    assert process.attributes is not None
    assert process.attributes["bullmq.worker.name"] == "w1"
    assert events_of(process) == ["job completed"]


async def test_a_function_in_a_thread_runs_inside_of_the_span(
    told: Queue, new_worker: NewWorker, observed: Observed
) -> None:
    seen: list[tuple[bool, Any]] = []

    def paint(job: Job[Any]) -> None:
        seen.append((threading.current_thread() is threading.main_thread(), trace.get_current_span()))

    await told.add_bulk([NewJob("paint", {})] * 3)
    await drain(new_worker(paint, telemetry=observed.telemetry, concurrency=3))
    spans = observed.named(f"process {told.name}")
    assert len(spans) == 3
    assert {place_of(span) for _, span in seen} == {place_of(span) for span in spans}
    assert not any(in_main for in_main, _ in seen)


async def test_the_run_that_schedule_makes_belongs_to_its_trace_and_later_ones_do_not(
    told: Queue, new_worker: NewWorker, observed: Observed, redis: Redis
) -> None:
    heard, done = Signal("advanced"), Signal("done")
    observed.telemetry.subscribe(
        lambda _, fields: heard(fields["scheduler_id"], fields["job_id"]), "scheduler.advanced"
    )
    run = await told.schedule("often", Repeat.every(timedelta(milliseconds=100), limit=2), "paint")
    stored = await redis.hgetall(told.keys.scheduler("often"))  # type: ignore[misc]
    assert stored["name"] == "paint"
    assert "traceparent" not in str(stored)
    worker = new_worker(lambda job: None, telemetry=observed.telemetry)
    worker.on_completed(done)
    async with worker:
        await done.wait(2)

    [schedule] = observed.named(f"schedule {told.name}")
    assert schedule.attributes is not None
    assert schedule.attributes["messaging.message.id"] == run.id
    first, second = observed.named(f"process {told.name}")
    assert children_of(observed, schedule) == [first]
    assert events_of(first) == ["scheduler advanced", "job completed"]
    [(scheduler_id, next_id)] = heard.calls
    assert second.attributes is not None
    assert first.events[0].attributes is not None
    assert (scheduler_id, next_id) == ("often", second.attributes["bullmq.job.id"])
    assert first.events[0].attributes["bullmq.job.id"] == next_id
    assert second.attributes["bullmq.job.scheduler.id"] == "often"
    assert second.parent is None


async def test_runs_belong_to_the_trace_that_their_scheduler_names(
    told: Queue, new_worker: NewWorker, observed: Observed
) -> None:
    with observed.tracer.start_as_current_span("elsewhere") as elsewhere:
        pass
    done = Signal("done")
    every = Repeat.every(timedelta(milliseconds=100), limit=2)
    await told.schedule("often", every, "paint", telemetry_metadata=carrier_of(elsewhere))
    worker = new_worker(lambda job: None, telemetry=observed.telemetry)
    worker.on_completed(done)
    async with worker:
        await done.wait(2)
    [named] = observed.named("elsewhere")
    assert len(children_of(observed, named)) == 2


@pytest.mark.parametrize("in_thread", [False, True])
async def test_a_batch_has_a_span_that_points_to_the_attempts_of_its_jobs(
    told: Queue, new_worker: NewWorker, observed: Observed, in_thread: bool
) -> None:
    inside: list[Any] = []

    def note(jobs: list[Job[Any]]) -> list[Any]:
        inside.append(trace.get_current_span())
        return [ValueError("private") if job.data == 2 else None for job in jobs]

    async def note_in_a_task(jobs: list[Job[Any]]) -> list[Any]:
        return note(jobs)

    worker = new_worker(telemetry=observed.telemetry, concurrency=3)
    worker.handles_batch("paint", size=3)(note if in_thread else note_in_a_task)
    with observed.tracer.start_as_current_span("whoever adds"):
        await told.add_bulk([NewJob("paint", number) for number in range(3)])
    await drain(worker)

    [batch] = observed.named(f"process_batch {told.name}")
    [add] = observed.named(f"add_bulk {told.name}")
    attempts = children_of(observed, add)
    assert len(attempts) == 3
    assert sorted(events_of(span)[0] for span in attempts) == ["job completed", "job completed", "job failed"]
    assert {place_of(link.context) for link in batch.links} == {place_of(span) for span in attempts}
    assert [place_of(span) for span in inside] == [place_of(batch)]
    assert batch.parent is None
    assert batch.attributes is not None
    assert batch.attributes["messaging.batch.message_count"] == 3
    assert batch.status.status_code is StatusCode.UNSET


async def test_a_batch_whose_handler_raises_is_an_error(told: Queue, new_worker: NewWorker, observed: Observed) -> None:
    worker = new_worker(telemetry=observed.telemetry, concurrency=2)

    @worker.handles_batch("paint", size=2)
    async def spill(jobs: list[Job[Any]]) -> None:
        raise ValueError("private")

    await told.add_bulk([NewJob("paint", {})] * 2)
    await drain(worker)
    [batch] = observed.named(f"process_batch {told.name}")
    assert (batch.status.status_code, batch.status.description) == (StatusCode.ERROR, "ValueError")
    assert "private" not in batch.to_json()


async def test_a_function_in_a_process_runs_inside_of_the_span(
    told: Queue, new_worker: NewWorker, observed: Observed
) -> None:
    worker = new_worker(telemetry=observed.telemetry, processes=1)
    worker.handles_others(run_in="process")(process_handlers.trace_and_span)
    jobs = [await told.add("paint") for _ in range(2)]
    await drain(worker, timeout=30)
    for job, span in zip(jobs, observed.named(f"process {told.name}"), strict=True):
        found = await told.get(job.id)
        assert found is not None
        assert tuple(found.return_value) == place_of(span)


async def test_a_process_of_a_worker_without_a_tracing_knows_nothing_of_it(queue: Queue, new_worker: NewWorker) -> None:
    worker = new_worker(processes=1)
    worker.handles_others(run_in="process")(process_handlers.imported)
    job = await queue.add("paint")
    await drain(worker, timeout=30)
    found = await queue.get(job.id)
    assert found is not None
    assert found.return_value is False


async def test_attempts_side_by_side_have_spans_of_their_own(
    told: Queue, new_worker: NewWorker, observed: Observed
) -> None:
    meeting = asyncio.Barrier(4)
    seen: dict[str, Any] = {}

    async def paint(job: Job[Any]) -> None:
        await meeting.wait()
        seen[job.id] = place_of(trace.get_current_span())

    await told.add_bulk([NewJob("paint", {})] * 4)
    await drain(new_worker(paint, telemetry=observed.telemetry, concurrency=4))
    [bulk] = observed.named(f"add_bulk {told.name}")
    spans = children_of(observed, bulk)
    assert {span.attributes["bullmq.job.id"]: place_of(span) for span in spans if span.attributes} == seen
    assert len(seen) == 4
    assert not trace.get_current_span().get_span_context().is_valid


async def test_an_attempt_after_a_failed_one_points_to_it(
    told: Queue, new_worker: NewWorker, observed: Observed, redis: Redis
) -> None:
    async def third_time_lucky(job: Job[Any]) -> None:
        if job.attempts_made < 2:
            raise ValueError("private")

    job = await told.add("paint", attempts=3, backoff=Backoff.fixed(timedelta(milliseconds=1)))
    done = Signal()
    worker = new_worker(third_time_lucky, telemetry=observed.telemetry)
    worker.on_completed(done)
    async with worker:
        await done.wait()

    [add] = observed.named(f"add {told.name}")
    first, second, third = children_of(observed, add)
    assert [events_of(span) for span in (first, second, third)] == [
        ["job failed", "job delayed"],
        ["job failed", "job delayed"],
        ["job completed"],
    ]
    assert [span.status.status_code for span in (first, second, third)] == [
        StatusCode.ERROR,
        StatusCode.ERROR,
        StatusCode.UNSET,
    ]
    assert [place_of(link.context) for link in second.links] == [place_of(first)]
    assert [place_of(link.context) for link in third.links] == [place_of(second)]
    assert not first.links
    assert "private" not in "".join(span.to_json() for span in observed.spans)
    stored = await redis.hgetall(told.keys.job(job.id))  # type: ignore[misc]
    assert stored["tm"] == carrier_of(second)


@pytest.mark.parametrize("omits", [False, True])
async def test_a_job_that_failed_keeps_the_trace_of_its_last_attempt(
    told: Queue, new_worker: NewWorker, observed: Observed, redis: Redis, omits: bool
) -> None:
    job = await told.add("paint", omit_context=omits)
    await drain(new_worker(lambda job: 1 / 0, telemetry=observed.telemetry))
    [process] = observed.named(f"process {told.name}")
    stored = await redis.hgetall(told.keys.job(job.id))  # type: ignore[misc]
    assert stored.get("tm") == (None if omits else carrier_of(process))
    assert ("tm" in job.raw_options) is not omits
    assert (process.parent is None) is omits


async def test_a_trace_that_the_caller_names_wins(told: Queue, new_worker: NewWorker, observed: Observed) -> None:
    with observed.tracer.start_as_current_span("elsewhere") as elsewhere:
        pass
    job = await told.add("paint", telemetry_metadata=carrier_of(elsewhere))
    assert job.options.telemetry_metadata == carrier_of(elsewhere)
    await drain(new_worker(lambda job: None, telemetry=observed.telemetry))
    [process] = observed.named(f"process {told.name}")
    assert place_of(process.parent) == place_of(elsewhere)


async def test_every_job_of_a_flow_belongs_to_the_trace(
    queue: Queue, pages: Queue, redis_url: str, observed: Observed
) -> None:
    tree = FlowNode("report", queue=queue.name, children=[FlowNode("page", queue=pages.name) for _ in range(2)])
    async with FlowProducer(redis_url, telemetry=observed.telemetry) as flows:
        await flows.add(tree)
    for name in (pages.name, queue.name):
        await drain(Worker(name, redis_url, lambda job: None, telemetry=observed.telemetry))
    [add] = observed.named(f"add_flow {queue.name}")
    assert add.attributes is not None
    assert add.attributes["messaging.batch.message_count"] == 3
    assert add.attributes["bullmq.flow.name"] == "report"
    names = [span.name for span in children_of(observed, add)]
    assert names == [f"process {pages.name}"] * 2 + [f"process {queue.name}"]


async def test_a_job_that_is_handed_back_says_so(told: Queue, new_worker: NewWorker, observed: Observed) -> None:
    async def limited(job: Job[Any]) -> None:
        if job.attempts_started == 1:
            raise RateLimited(timedelta(milliseconds=1))

    await told.add("paint")
    done = Signal()
    worker = new_worker(limited, telemetry=observed.telemetry)
    worker.on_completed(done)
    async with worker:
        await done.wait()
    spans = observed.named(f"process {told.name}")
    assert [events_of(span) for span in spans] == [["job waiting"], ["job completed"]]
    assert all(span.status.status_code is StatusCode.UNSET for span in spans)


async def test_a_lost_lock_and_a_stalled_job_are_told(
    told: Queue, new_worker: NewWorker, observed: Observed, redis: Redis
) -> None:
    running, stalled, done = Signal("running"), Signal("stalled"), Signal("done")

    async def hang_once(job: Job[Any]) -> None:
        running(job.id)
        if len(running.calls) == 1:
            await asyncio.Event().wait()

    worker = new_worker(hang_once, telemetry=observed.telemetry, skip_lock_renewal=True, **QUICK)
    worker.on_stalled(stalled)
    worker.on_completed(done)
    await told.add("paint")
    async with worker:
        await stalled.wait()
        await done.wait()
    first, second = observed.named(f"process {told.name}")
    assert events_of(first)[0] == "lock lost"
    assert events_of(first)[-1] == "job unreported"
    assert (first.status.status_code, first.status.description) == (StatusCode.ERROR, "LockLost")
    assert events_of(second) == ["job completed"]
    assert second.attributes is not None
    assert second.attributes["carequeue.job.stalled_count"] == 1
    [stall] = observed.named(f"stalled {told.name}")
    assert events_of(stall) == ["job stalled"]


async def test_an_end_that_redis_refuses_is_an_error(
    told: Queue, new_worker: NewWorker, observed: Observed, redis: Redis
) -> None:
    async def paint(job: Job[Any], context: JobContext) -> None:
        await redis.set(told.keys.lock(job.id), "somebody else's")

    telemetry, unreported = observed.telemetry, Signal("unreported")
    telemetry.subscribe(unreported, "job.unreported")
    await told.add("paint")
    async with new_worker(paint, telemetry=telemetry):
        await unreported.wait()
    [process] = observed.named(f"process {told.name}")
    assert events_of(process) == ["job completed", "job unreported"]
    assert (process.status.status_code, process.status.description) == (StatusCode.ERROR, "LockLost")


async def test_a_worker_that_closes_over_a_busy_thread_ends_its_span(
    told: Queue, new_worker: NewWorker, observed: Observed
) -> None:
    running, let_go = Signal("running"), threading.Event()

    def hang(job: Job[Any]) -> None:
        running()
        let_go.wait(20)

    await told.add("paint")
    worker = new_worker(hang, telemetry=observed.telemetry)
    await worker.start()
    await running.wait()
    try:
        await worker.close(timedelta(0))
        [process] = observed.named(f"process {told.name}")
        assert "job abandoned" in events_of(process)
        assert process.status.status_code is StatusCode.ERROR
    finally:
        let_go.set()


async def test_an_attempt_that_is_given_up_has_a_span_that_failed(
    told: Queue, new_worker: NewWorker, observed: Observed
) -> None:
    let_go, failed = threading.Event(), Signal("failed")

    def hang(job: Job[Any]) -> None:
        let_go.wait(20)

    soon = timedelta(milliseconds=50)
    await told.add("paint")
    worker = new_worker(hang, telemetry=observed.telemetry, timeout=soon, cancel_grace=soon)
    worker.on_failed(failed)
    try:
        async with worker:
            await failed.wait()
            [process] = observed.named(f"process {told.name}")
            let_go.set()
        assert len(observed.named(f"process {told.name}")) == 1
    finally:
        let_go.set()
    assert events_of(process) == ["handler unstoppable", "job failed"]
    assert (process.status.status_code, process.status.description) == (StatusCode.ERROR, "AttemptTimedOut")


async def test_meters_count_what_a_worker_does(told: Queue, new_worker: NewWorker, observed: Observed) -> None:
    await told.add_bulk([NewJob("paint", {})] * 3)
    await told.add("spill")
    await drain(
        new_worker(lambda job: 1 / 0 if job.name == "spill" else None, telemetry=observed.telemetry, concurrency=2)
    )
    await told.record_job_counts()

    def about(name: str, state: str) -> dict[str, str]:
        return {"bullmq.queue.name": told.name, "bullmq.job.name": name, "bullmq.job.state": state}

    assert observed.points("bullmq.jobs.completed") == [(about("paint", "completed"), 3)]
    assert observed.points("bullmq.jobs.failed") == [(about("spill", "failed"), 1)]
    assert sum(count for _, count in observed.points("bullmq.job.duration")) == 4
    assert sum(count for _, count in observed.points("carequeue.jobs.added")) == 4
    states = {found["bullmq.queue.jobs.state"]: count for found, count in observed.points("bullmq.queue.jobs")}
    assert states["completed"] == 3
    assert states["failed"] == 1
    assert len(states) == 7


async def test_a_tracing_that_breaks_keeps_no_job_from_running(
    told: Queue, new_worker: NewWorker, observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("the exporter is down")

    await told.add("paint")
    monkeypatch.setattr(type(observed.telemetry.tracing), "attempt", broken)
    monkeypatch.setattr(type(observed.telemetry.tracing), "adding", broken)
    job = await told.add("paint")
    assert "tm" not in job.raw_options
    assert (await drain(new_worker(lambda job: None, telemetry=observed.telemetry))).completed == 2


async def test_without_a_tracing_nothing_of_it_is_stored(queue: Queue, new_worker: NewWorker, redis: Redis) -> None:
    telemetry = Telemetry()
    telemetry.subscribe(lambda *_: None)
    job = await queue.add("paint")
    await drain(new_worker(lambda job: 1 / 0, telemetry=telemetry))
    stored = await redis.hgetall(queue.keys.job(job.id))  # type: ignore[misc]
    assert "tm" not in stored
    assert "tm" not in stored["opts"]
