"""Spans: a producer span for each call that adds jobs, a consumer span for each attempt."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeGuard

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from carequeue.errors import Instruction, Unrecoverable
from carequeue.opentelemetry import carrier, words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.trace import Span, Tracer
    from opentelemetry.util.types import Attributes, AttributeValue

    from carequeue.job import Job
    from carequeue.tracing import AttemptTrace, Ending, Operation

MOST_BULK_NAMES = 20

STATES: dict[Ending, str] = {
    "completed": "completed",
    "failed": "failed",
    "expired": "failed",
    "parked": "waiting-children",
    "handed_back": "waiting",
}
"""How an attempt left its job, in BullMQ's words; one that is tried again is `delayed` or `retried`."""


def state_after(ending: Ending, delay: float) -> str:
    """The state that bullmq-otel gives a job whose attempt ended like this."""
    if ending == "retrying":
        return "delayed" if delay > 0 else "retried"
    return STATES[ending]


class Spans:
    """carequeue's Tracing. With `linked` an attempt has a trace of its own, with a link to where its job was added."""

    continued: str = "carequeue.opentelemetry:continued"

    def __init__(self, tracer: Tracer, *, linked: bool, error_texts: bool) -> None:
        self._tracer = tracer
        self._linked = linked
        self._error_texts = error_texts

    def adding(self, operation: Operation, queue: str, names: Sequence[str]) -> AddingSpan:
        attributes: dict[str, AttributeValue] = {
            words.SYSTEM: "bullmq",
            words.OPERATION_NAME: operation,
            words.OPERATION_TYPE: "send",
            words.DESTINATION: queue,
            words.QUEUE_NAME: queue,
            words.QUEUE_OPERATION: words.BULLMQS_OPERATIONS[operation],
        }
        single = operation in ("add", "schedule")
        if single:
            attributes[words.JOB_NAME] = names[0]
        else:
            attributes[words.MESSAGE_COUNT] = attributes[words.BULK_COUNT] = len(names)
            attributes[words.BULK_NAMES] = list(dict.fromkeys(names))[:MOST_BULK_NAMES]
        if operation == "add_flow":
            attributes[words.FLOW_NAME] = names[0]
        span = self._tracer.start_span(f"{operation} {queue}", kind=SpanKind.PRODUCER, attributes=attributes)
        return AddingSpan(span, single=single)

    def attempt(self, job: Job[Any], worker_id: str, worker_name: str | None) -> AttemptSpan:
        added_in = carrier.read(job.raw_options.get("tm"))
        links = [Link(found) for found in (_span_of(carrier.read(job.fields.get("tm"))),) if found.is_valid]
        if self._linked:
            creation = _span_of(added_in)
            if creation.is_valid:
                links.insert(0, Link(creation))
            added_in = trace.set_span_in_context(trace.INVALID_SPAN, added_in)
        span = self._tracer.start_span(
            f"process {job.queue}",
            context=added_in,
            kind=SpanKind.CONSUMER,
            attributes=_about_attempt(job, worker_id, worker_name),
            links=links,
        )
        return AttemptSpan(span, trace.set_span_in_context(span, added_in), job, error_texts=self._error_texts)

    def batch(self, queue: str, name: str, attempts: Sequence[AttemptTrace]) -> BatchSpan:
        span = self._tracer.start_span(
            f"process_batch {queue}",
            context=Context(),  # of no job's trace, as it is of all
            kind=SpanKind.CONSUMER,
            attributes={
                words.SYSTEM: "bullmq",
                words.OPERATION_NAME: "process_batch",
                words.OPERATION_TYPE: "process",
                words.DESTINATION: queue,
                words.MESSAGE_COUNT: len(attempts),
                words.QUEUE_NAME: queue,
                words.QUEUE_OPERATION: "process",
                words.JOB_NAME: name,
            },
            links=[Link(each.span_context, {words.MESSAGE_ID: each.job_id}) for each in attempts if _is_ours(each)],
        )
        return BatchSpan(span)

    def stalled(self, event: str, fields: Mapping[str, Any]) -> None:
        """A job of a worker that went away was put back. Its attempt wrote no span: its process is gone, or hangs."""
        queue, job_id = fields["queue"], fields["job_id"]
        about = {
            words.SYSTEM: "bullmq",
            words.OPERATION_NAME: "stalled",
            words.DESTINATION: queue,
            words.MESSAGE_ID: job_id,
            words.QUEUE_NAME: queue,
            words.QUEUE_OPERATION: "moveStalledJobsToWait",
            words.JOB_ID: job_id,
        }
        span = self._tracer.start_span(f"stalled {queue}", context=Context(), attributes=about)
        span.add_event("job stalled", {words.JOB_ID: job_id})
        span.end()


class AddingSpan:
    """One call that adds jobs; the current span until it has ended."""

    def __init__(self, span: Span, *, single: bool) -> None:
        self._span = span
        self._single = single
        own = trace.set_span_in_context(span)
        self.carrier: str = carrier.written(own)
        self._token = context.attach(own)

    def added(self, ids: Sequence[str]) -> None:
        if self._single:
            self._span.set_attributes({words.MESSAGE_ID: ids[0], words.JOB_ID: ids[0]})

    def ended(self, error: BaseException | None) -> None:
        context.detach(self._token)
        if error is not None:
            failed(self._span, error)
        self._span.end()


class AttemptSpan:
    """One attempt at one job. It lasts until its handler is over, and is told when Redis has noted that."""

    def __init__(self, span: Span, own: Context, job: Job[Any], *, error_texts: bool) -> None:
        self._span = span
        self._own = own
        self._job = job
        self._error_texts = error_texts
        self._over: int | None = None

    @property
    def carrier(self) -> str:
        return carrier.written(self._own)

    @property
    def span_context(self) -> trace.SpanContext:
        return self._span.get_span_context()

    @property
    def job_id(self) -> str:
        return self._job.id

    def enter(self) -> None:
        context.attach(self._own)  # the task's own context, which ends with it

    def note(self, event: str, **about: str | float) -> None:
        self._span.add_event(event, {words.JOB_ID if name == "job_id" else name: about[name] for name in about})

    def ended(self, ending: Ending, error: BaseException | None, delay: float) -> None:
        self._over = time.time_ns()
        counts = ending in ("completed", "failed", "retrying")
        state = state_after(ending, delay)
        self._span.set_attributes(
            {
                words.ATTEMPTS_MADE: self._job.attempts_made + counts,
                words.FINISHED: self._over // 1_000_000,
                words.JOB_STATE: state,
            }
        )
        if error is not None and _is_failure(ending, error):
            self._tell_failure(error)
        if ending != "failed":
            about: Attributes = {words.RETRY_DELAY: delay} if ending == "retrying" else None
            self._span.add_event(f"job {'expired' if ending == 'expired' else state}", about, timestamp=self._over)

    def settled(self, refusal: str | None) -> None:
        if refusal is not None:
            self._span.add_event("job unreported", {words.ERROR_TYPE: refusal})
            self._span.set_attribute(words.ERROR_TYPE, refusal)
            self._span.set_status(Status(StatusCode.ERROR, refusal))
        self._span.end(end_time=self._over)

    def _tell_failure(self, error: BaseException) -> None:
        about = {words.FAILED_REASON: str(error)} if self._error_texts else {words.ERROR_TYPE: type(error).__name__}
        self._span.add_event("job failed", about, timestamp=self._over)
        failed(self._span, error)
        if self._error_texts:
            self._span.record_exception(error, timestamp=self._over)


class BatchSpan:
    """One call of a handler that takes lists of jobs, with links to the attempts at these."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def enter(self) -> None:
        context.attach(trace.set_span_in_context(self._span, Context()))  # the task's own context, as an attempt's

    def ended(self, error: BaseException | None) -> None:
        if error is not None and _is_failure("failed", error):
            failed(self._span, error)
        self._span.end()


def failed(span: Span, error: BaseException) -> None:
    """Say that it failed, by the error's class: its text may be private."""
    span.set_attribute(words.ERROR_TYPE, type(error).__name__)
    span.set_status(Status(StatusCode.ERROR, type(error).__name__))


def _is_failure(ending: Ending, error: BaseException) -> bool:
    """What a handler asked for by raising an Instruction is none, unless it asked to fail."""
    return ending in ("failed", "retrying") and (isinstance(error, Unrecoverable) or not isinstance(error, Instruction))


def _is_ours(attempt: AttemptTrace) -> TypeGuard[AttemptSpan]:
    return isinstance(attempt, AttemptSpan)


def _span_of(found: Context) -> trace.SpanContext:
    return trace.get_current_span(found).get_span_context()


def _about_attempt(job: Job[Any], worker_id: str, worker_name: str | None) -> dict[str, AttributeValue]:
    queue = job.queue
    about: dict[str, AttributeValue] = {
        words.SYSTEM: "bullmq",
        words.OPERATION_NAME: "process",
        words.OPERATION_TYPE: "process",
        words.DESTINATION: queue,
        words.MESSAGE_ID: job.id,
        words.QUEUE_NAME: queue,
        words.QUEUE_OPERATION: "process",
        words.JOB_ID: job.id,
        words.JOB_NAME: job.name,
        words.WORKER_ID: worker_id,
    }
    if worker_name:
        about[words.WORKER_NAME] = about[words.CLIENT_ID] = worker_name
    started = job.fields.get("processedOn")
    if started:
        about[words.PROCESSED] = int(started)
    if job.stalled_count:
        about[words.STALLED_COUNT] = job.stalled_count
    if job.scheduler_id is not None:
        about[words.SCHEDULER_ID] = job.scheduler_id
    return about
