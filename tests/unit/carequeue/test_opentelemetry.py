"""Spans, meters and the carried trace, with OpenTelemetry's real SDK and no queue."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode, TraceFlags
from tests.extras import blocked
from tests.spans import Observed, carrier_of, events_of

from carequeue import InvalidOption, JobOptions, RateLimited, RetryAt, Telemetry, Unrecoverable
from carequeue.labels import OTHER, JobNames
from carequeue.opentelemetry import OpenTelemetry, continued
from carequeue.opentelemetry.carrier import read, written
from carequeue.store.step import Finish
from carequeue.testing import make_job
from carequeue.worker.outcome import Outcome, traced
from carequeue.worker.traces import UNREPORTED, Traces, going_on

if TYPE_CHECKING:
    from collections.abc import Callable

    from carequeue import Job
    from carequeue.tracing import Ending
    from carequeue.worker.traces import Trace

PRODUCER = '{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}'
BEFORE = '{"traceparent":"00-11111111111111111111111111111111-2222222222222222-01"}'


def traced_job(**fields: str) -> Job[Any]:
    return make_job("paint", queue="doors", telemetry_metadata=PRODUCER).with_fields(fields)


def begin(observed: Observed, job: Job[Any]) -> Trace:
    """An attempt begins, in a task of its own as in a worker."""
    tracing = observed.telemetry.tracing
    assert tracing is not None

    async def begin() -> Trace:
        found = Traces(tracing, "worker-id", "w1").begin(job)
        assert found is not None
        return found

    return asyncio.run(begin())


def end(
    observed: Observed,
    job: Job[Any],
    ending: Ending = "completed",
    error: BaseException | None = None,
    delay: float = 0.0,
    refusal: str | None = None,
) -> Any:
    found = begin(observed, job)
    found.ended(ending, error, delay)
    found.settled(refusal)
    [span] = observed.named("process doors")
    return span


def test_adding_is_a_producer_span_in_the_words_of_both_conventions() -> None:
    observed = Observed()
    with observed.telemetry.adding("add", "doors", ["paint"]) as adding:
        adding.added([make_job("paint", job_id="door-1")])
    [span] = observed.spans
    assert (span.name, span.kind, span.parent) == ("add doors", SpanKind.PRODUCER, None)
    assert dict(span.attributes or {}) == {
        "messaging.system": "bullmq",
        "messaging.operation.name": "add",
        "messaging.operation.type": "send",
        "messaging.destination.name": "doors",
        "messaging.message.id": "door-1",
        "bullmq.queue.name": "doors",
        "bullmq.queue.operation": "add",
        "bullmq.job.name": "paint",
        "bullmq.job.id": "door-1",
    }
    assert adding.carrier == carrier_of(span)


def test_adding_many_is_one_span_with_their_number() -> None:
    observed = Observed()
    with observed.telemetry.adding("add_bulk", "doors", ["paint", "clean", "paint"]):
        pass
    [span] = observed.spans
    about = dict(span.attributes or {})
    assert about["messaging.batch.message_count"] == about["bullmq.job.bulk.count"] == 3
    assert about["bullmq.job.bulk.names"] == ("paint", "clean")
    assert about["bullmq.queue.operation"] == "addBulk"
    assert "messaging.message.id" not in about


def test_adding_is_the_current_span_for_as_long_as_it_lasts() -> None:
    observed = Observed()
    with observed.tracer.start_as_current_span("request") as request:
        with observed.telemetry.adding("add", "doors", ["paint"]):
            assert trace.get_current_span() is not request
        assert trace.get_current_span() is request
    add, outer = sorted(observed.spans, key=lambda span: span.name)
    assert add.parent == outer.get_span_context()


def test_adding_that_fails_says_so_by_the_class_of_the_error() -> None:
    observed = Observed()
    with pytest.raises(ConnectionError), observed.telemetry.adding("add", "doors", ["paint"]):
        raise ConnectionError("private")
    [span] = observed.spans
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "ConnectionError")
    assert dict(span.attributes or {})["error.type"] == "ConnectionError"
    assert "private" not in span.to_json()


def test_an_attempt_is_a_child_of_the_span_that_added_the_job() -> None:
    span = end(Observed(), traced_job(processedOn="1795492800000", stc="2", rjk="nightly"))
    assert (span.kind, span.status.status_code, span.links) == (SpanKind.CONSUMER, StatusCode.UNSET, ())
    assert span.parent.trace_id == 0x0AF7651916CD43DD8448EB211C80319C
    assert span.parent.span_id == 0xB7AD6B7169203331
    about = dict(span.attributes)
    assert about.pop("bullmq.job.attempt_finished_timestamp") == span.end_time // 1_000_000
    assert about == {
        "messaging.system": "bullmq",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "doors",
        "messaging.message.id": "1",
        "messaging.client.id": "w1",
        "bullmq.queue.name": "doors",
        "bullmq.queue.operation": "process",
        "bullmq.job.id": "1",
        "bullmq.job.name": "paint",
        "bullmq.job.state": "completed",
        "bullmq.job.attempts.made": 1,
        "bullmq.job.processed.timestamp": 1795492800000,
        "bullmq.job.scheduler.id": "nightly",
        "bullmq.worker.id": "worker-id",
        "bullmq.worker.name": "w1",
        "carequeue.job.stalled_count": 2,
    }
    assert events_of(span) == ["job completed"]


def test_an_attempt_has_a_trace_of_its_own_if_its_job_carries_none() -> None:
    observed = Observed()
    with observed.tracer.start_as_current_span("whoever started the worker"):
        assert end(observed, make_job("paint", queue="doors")).parent is None


def test_a_linked_attempt_points_to_the_adding_and_keeps_its_baggage() -> None:
    observed = Observed(attempts="linked")
    carried = json.dumps({**json.loads(PRODUCER), "baggage": "circle=7"})
    job = make_job("paint", queue="doors", telemetry_metadata=carried)
    tracing = observed.telemetry.tracing
    assert tracing is not None

    async def seen_inside() -> object:
        found = Traces(tracing, "id", None).begin(job)
        assert found is not None
        found.settled(None)
        return baggage.get_baggage("circle")

    assert asyncio.run(seen_inside()) == "7"
    [span] = observed.spans
    assert span.parent is None
    assert [link.context.span_id for link in span.links] == [0xB7AD6B7169203331]


@pytest.mark.parametrize(
    ("attempts", "expected"), [("child", [0x2222222222222222]), ("linked", [0xB7AD6B7169203331, 0x2222222222222222])]
)
def test_an_attempt_points_to_the_one_before(attempts: str, expected: list[int]) -> None:
    span = end(Observed(attempts=attempts), traced_job(tm=BEFORE, atm="1"))
    assert [link.context.span_id for link in span.links] == expected
    assert span.attributes["bullmq.job.attempts.made"] == 2


@pytest.mark.parametrize(
    ("ending", "error", "delay", "state", "fails", "events"),
    [
        ("completed", None, 0.0, "completed", False, ["job completed"]),
        ("failed", ValueError("private"), 0.0, "failed", True, ["job failed"]),
        ("failed", Unrecoverable("private"), 0.0, "failed", True, ["job failed"]),
        ("retrying", ValueError("private"), 0.0, "retried", True, ["job failed", "job retried"]),
        ("retrying", ValueError("private"), 2.5, "delayed", True, ["job failed", "job delayed"]),
        ("retrying", RetryAt(make_job("x").added_at, "private"), 2.5, "delayed", False, ["job delayed"]),  # type: ignore[arg-type]
        ("expired", None, 0.0, "failed", False, ["job expired"]),
        ("parked", None, 0.0, "waiting-children", False, ["job waiting-children"]),
        ("handed_back", RateLimited.__new__(RateLimited), 0.0, "waiting", False, ["job waiting"]),
    ],
)
def test_how_an_attempt_ended_is_told(
    ending: Ending, error: BaseException | None, delay: float, state: str, fails: bool, events: list[str]
) -> None:
    span = end(Observed(), traced_job(), ending, error, delay)
    assert span.attributes["bullmq.job.state"] == state
    assert span.attributes["bullmq.job.attempts.made"] == (ending in ("completed", "failed", "retrying"))
    assert (span.status.status_code is StatusCode.ERROR) is fails
    assert span.attributes.get("error.type") == (type(error).__name__ if fails else None)
    assert events_of(span) == events
    assert "private" not in span.to_json()
    if state == "delayed":
        assert span.events[-1].attributes["carequeue.job.retry_delay"] == 2.5


def test_texts_of_errors_are_written_where_that_was_asked_for() -> None:
    with pytest.raises(ValueError, match="dry") as raised:
        int("the paint is dry")
    span = end(Observed(error_texts=True), traced_job(), "failed", raised.value)
    assert events_of(span) == ["job failed", "exception"]
    assert "the paint is dry" in span.events[0].attributes["bullmq.job.failed.reason"]
    assert "test_texts_of_errors" in span.events[1].attributes["exception.stacktrace"]
    assert span.status.description == "ValueError"


def test_a_span_lasts_as_long_as_its_handler_and_is_told_what_redis_answered() -> None:
    observed = Observed()
    found = begin(observed, traced_job())
    found.note("lock lost")
    found.ended("completed", None, 0.0)
    over = read(None)  # whatever happens in between takes time
    assert over == context.Context()
    assert observed.spans == []
    found.settled("LockLost")
    [span] = observed.spans
    assert events_of(span) == ["lock lost", "job completed", "job unreported"]
    assert span.end_time == span.events[1].timestamp
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "LockLost")
    assert dict(span.attributes or {})["error.type"] == "LockLost"


def test_a_worker_that_closes_ends_the_spans_that_nobody_else_will() -> None:
    observed = Observed()
    tracing = observed.telemetry.tracing
    assert tracing is not None
    traces = Traces(tracing, "id", None)

    async def begin_two() -> None:
        for _ in range(2):
            found = traces.begin(traced_job())
        assert found is not None
        found.settled(None)

    asyncio.run(begin_two())
    traces.close()
    traces.close()
    assert [span.status.description for span in observed.spans] == [UNREPORTED, None]


def test_jobs_that_stalled_are_told_by_spans_of_their_own() -> None:
    observed = Observed()
    observed.telemetry.emit("job.stalled", queue="doors", job_id="7")
    [span] = observed.named("stalled doors")
    assert events_of(span) == ["job stalled"]
    assert dict(span.attributes or {})["bullmq.job.id"] == "7"


def test_what_is_not_sampled_is_carried_all_the_same() -> None:
    observed = Observed(sampler=ALWAYS_OFF)
    with observed.telemetry.adding("add", "doors", ["paint"]) as adding:
        pass
    for carrier in (adding.carrier, begin(observed, traced_job()).carrier):
        flags = json.loads(carrier)["traceparent"].rpartition("-")[2]
        assert int(flags, 16) & TraceFlags.SAMPLED == 0
    assert observed.spans == []


def test_an_attempt_that_takes_no_trace_along_tells_the_next_one_nothing() -> None:
    observed = Observed()
    for omits in (False, True):
        outcome = Outcome("failed", Finish("1", "token", "failed"), make_job("paint", omit_context=omits))
        found = begin(observed, outcome.job)
        assert traced(outcome, found).finish.trace == ("" if omits else found.carrier)
        assert found.carrier != ""


def test_without_an_sdk_nothing_is_carried() -> None:
    telemetry = Telemetry(OpenTelemetry())
    with telemetry.adding("add", "doors", ["paint"]) as adding:
        adding.added([make_job("paint")])
    assert adding.carrier == ""


def test_traces_and_meters_can_be_had_alone() -> None:
    assert Telemetry(OpenTelemetry(traces=False)).tracing is None
    assert not Telemetry(OpenTelemetry(metrics=False)).wanted("job.completed")
    with pytest.raises(InvalidOption, match="'child' or 'linked'"):
        OpenTelemetry(attempts="orphan")  # type: ignore[arg-type]


# The carried trace


def test_a_carried_trace_is_what_bullmq_otel_writes() -> None:
    assert written(read(PRODUCER)) == PRODUCER
    assert written(context.Context()) == ""


def test_what_runs_elsewhere_continues_the_carried_trace() -> None:
    observed = Observed()
    with continued(PRODUCER), observed.tracer.start_as_current_span("in a process"):
        pass
    assert not trace.get_current_span().get_span_context().is_valid
    [span] = observed.spans
    assert span.parent is not None
    assert span.parent.span_id == 0xB7AD6B7169203331


JSON = st.recursive(st.none() | st.integers() | st.text(), st.lists)
PAIRS = st.dictionaries(st.sampled_from(["traceparent", "tracestate", "baggage", "x"]), JSON)


@given(st.none() | st.booleans() | st.text() | (JSON | PAIRS).map(json.dumps))
def test_whatever_another_client_carries_is_read_without_an_error(text: object) -> None:
    assert not trace.get_current_span(read(text)).get_span_context().is_valid


@pytest.mark.parametrize("by", ["", "no.such:thing", "carequeue.opentelemetry:nothing", "json:loads"])
def test_a_trace_that_another_process_cannot_go_on_with_is_left(by: str, caplog: pytest.LogCaptureFixture) -> None:
    with going_on("not JSON", by):
        pass
    assert [record.message for record in caplog.records] == ["telemetry.tracing_failed"]


# What may break


class Broken:
    """A tracing of which everything raises, or everything but how it begins."""

    def __init__(self, *, begins: bool) -> None:
        self._begins = begins

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name == "carrier":
            return ""  # type: ignore[return-value]

        def call(*arguments: Any, **words: Any) -> Any:
            if self._begins and name in ("adding", "attempt"):
                return self
            raise RuntimeError("the exporter is down")

        return call


@pytest.mark.parametrize(("begins", "complaints"), [(False, 2), (True, 6)])
def test_a_tracing_that_fails_is_logged_and_hurts_nobody(
    caplog: pytest.LogCaptureFixture, begins: bool, complaints: int
) -> None:
    broken: Any = Broken(begins=begins)
    telemetry = Telemetry()
    telemetry.tracing = broken
    with caplog.at_level(logging.ERROR, "carequeue.telemetry"):
        with telemetry.adding("add", "doors", ["paint"]) as adding:
            adding.added([make_job("paint")])
        found = Traces(broken, "id", None).begin(make_job("paint"))
        assert (found is not None) is begins
        if found is not None:
            found.note("lock lost")
            found.ended("completed", None, 0.0)
            found.settled(None)
    assert adding.carrier == ""
    assert [record.message for record in caplog.records] == ["telemetry.tracing_failed"] * complaints


def test_the_library_needs_neither_extra() -> None:
    done = blocked({"opentelemetry", "prometheus_client"}, "print(carequeue.Telemetry().tracing)")
    assert (done.stdout, done.stderr) == ("None\n", "")


def test_a_missing_extra_is_named() -> None:
    done = blocked({"opentelemetry"}, "import carequeue.opentelemetry")
    assert "pip install 'carequeue[opentelemetry]'" in done.stderr


# Meters


def test_ends_are_counted_and_measured_under_bullmqs_names() -> None:
    observed = Observed()
    tell = observed.telemetry.emit
    same = {"queue": "doors", "job_id": "1", "name": "paint", "attempt": 1, "seconds": 0.25}
    tell("job.completed", **same)
    tell("job.completed", **same)
    tell("job.failed", **same, error="ValueError")
    tell("job.retrying", **same, error="ValueError", delay=0.0)
    tell("job.retrying", **same, error="ValueError", delay=3.0)
    tell("job.parked", queue="doors", job_id="1", name="paint", seconds=0.25)
    tell("job.handed_back", queue="doors", job_id="1", name="paint", seconds=0.25)
    tell("job.expired", queue="doors", job_id="1", name="paint")
    expected = {"completed": 2, "failed": 2, "retried": 1, "delayed": 1, "waiting-children": 1, "waiting": 1}
    for state, count in expected.items():
        about = {"bullmq.queue.name": "doors", "bullmq.job.name": "paint", "bullmq.job.state": state}
        assert observed.points(f"bullmq.jobs.{state.replace('-', '_')}") == [(about, count)]
    durations = {about["bullmq.job.state"]: count for about, count in observed.points("bullmq.job.duration")}
    assert durations == expected | {"failed": 1}


def test_what_only_carequeue_knows_is_counted_too() -> None:
    observed = Observed()
    tell = observed.telemetry.emit
    tell("job.added", queue="doors", job_id="1", name="paint")
    tell("job.started", queue="doors", job_id="1", name="paint", attempt=1, waited=0.5)
    tell("job.started", queue="doors", job_id="1", name="paint", attempt=2, waited=None)
    tell("job.stalled", queue="doors", job_id="1")
    tell("lock.lost", queue="doors", job_id="1")
    tell("queue.counted", queue="doors", counts={"waiting": 3, "active": 1})
    named = {"bullmq.queue.name": "doors", "bullmq.job.name": "paint"}
    assert observed.points("carequeue.jobs.added") == [(named, 1)]
    assert observed.points("carequeue.job.wait") == [(named, 1)]
    assert observed.points("carequeue.jobs.stalled") == [({"bullmq.queue.name": "doors"}, 1)]
    assert observed.points("carequeue.locks.lost") == [({"bullmq.queue.name": "doors"}, 1)]
    assert {about["bullmq.queue.jobs.state"]: count for about, count in observed.points("bullmq.queue.jobs")} == {
        "waiting": 3,
        "active": 1,
    }


def test_names_that_a_program_makes_up_do_not_fill_the_memory() -> None:
    observed = Observed(max_job_names=2)
    for number in range(50):
        observed.telemetry.emit("job.added", queue="doors", job_id="1", name=f"paint-{number}")
    counts = {about["bullmq.job.name"]: count for about, count in observed.points("carequeue.jobs.added")}
    assert counts == {"paint-0": 1, "paint-1": 1, OTHER: 48}
    assert JobNames(0).label("paint") == OTHER
    with pytest.raises(InvalidOption, match="0 or more"):
        JobNames(-1)


def test_options_of_jobs_say_which_trace(caplog: pytest.LogCaptureFixture) -> None:
    assert JobOptions(telemetry_metadata=PRODUCER).telemetry_metadata == PRODUCER
    assert make_job("paint", telemetry_metadata=PRODUCER).options.telemetry_metadata == PRODUCER
    assert caplog.records == []
