"""What queues and workers tell metrics and tracing: a table of every event with its fields, and who listens.

    telemetry = Telemetry()
    telemetry.subscribe(lambda event, fields: histogram.observe(fields["seconds"]), "job.completed")
    Worker(..., telemetry=telemetry)

Subscribers are plain functions, called in the event loop at the moment of the event: count, note, return. Without a
subscriber an event costs one look at an empty table. Names, data and errors of jobs may be private: `error` is the
class of an error only, never its text. `carequeue.opentelemetry` and `carequeue.prometheus` are ready-made parts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from carequeue.errors import InvalidOption
from carequeue.tracing import safely

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from carequeue.job import Job
    from carequeue.tracing import AddingTrace, Operation, Tracing

log: logging.Logger = logging.getLogger("carequeue.telemetry")

EVENTS: Mapping[str, tuple[str, ...]] = {
    "worker.started": ("queue", "worker", "concurrency"),
    "worker.closed": ("queue", "worker", "handed_back", "abandoned"),
    "worker.drained": ("queue",),
    "worker.disconnected": ("queue", "error"),
    "worker.reconnected": ("queue", "seconds"),
    "step": ("queue", "finished", "asked", "fetched", "seconds"),
    "job.started": ("queue", "job_id", "name", "attempt", "waited"),
    "job.completed": ("queue", "job_id", "name", "attempt", "seconds"),
    "job.ended": ("queue", "job_id", "name", "seconds"),
    "job.retrying": ("queue", "job_id", "name", "attempt", "seconds", "error", "delay"),
    "job.failed": ("queue", "job_id", "name", "attempt", "seconds", "error"),
    "job.parked": ("queue", "job_id", "name", "seconds"),
    "job.handed_back": ("queue", "job_id", "name", "seconds"),
    "job.abandoned": ("queue", "job_id"),
    "job.stalled": ("queue", "job_id"),
    "job.expired": ("queue", "job_id", "name"),
    "job.dead_lettered": ("queue", "job_id", "name", "letters"),
    "job.progress": ("queue", "job_id"),
    "job.blocked_parent": ("queue", "job_id", "parent_id"),
    "job.unreported": ("queue", "job_id", "code"),
    "handler.unstoppable": ("queue", "job_id"),
    "clock.skewed": ("queue", "seconds"),
    "loop.blocked": ("queue", "seconds"),
    "scheduler.repaired": ("queue", "scheduler_id"),
    "scheduler.ended": ("queue", "scheduler_id"),
    "scheduler.stuck": ("queue", "scheduler_id", "error"),
    "scheduler.missed": ("queue", "scheduler_id", "job_id", "late"),
    "lock.lost": ("queue", "job_id"),
    "locks.renewed": ("queue", "count"),
    "hook.failed": ("queue", "hook", "error"),
    "scheduler.advanced": ("queue", "scheduler_id", "job_id"),
    "batch.started": ("queue", "name", "count", "waited"),
    "job.added": ("queue", "job_id", "name"),
    "job.removed": ("queue", "job_id"),
    "queue.paused": ("queue",),
    "queue.resumed": ("queue",),
    "queue.cleaned": ("queue", "state", "count"),
    "queue.counted": ("queue", "counts"),
}
"""Every event and its fields. `seconds`, `waited` and `delay` are floats, in seconds; `attempt` counts from 1.

`step` is one script call: how many jobs it reported, how many it asked for and got. `waited` is the time from when a
job could run until its first attempt started, None for later ones. `job.ended`: the handler that `job.started` told of
is over, however it ended and whoever has the job; how it ended is told once Redis has taken it. `job.retrying` is a
failed attempt that is followed by another one after `delay`, or a `RetryAt`. `job.expired` is one that was taken when
its time was over, and did not run. `job.dead_lettered` is one that failed for good and has a letter in the queue
`letters` (`prefix:queue`). `job.parked` is a job that waits for its children. `job.blocked_parent` is a child that
failed and did not say what that means: its parent waits for ever, unless somebody retries or removes the child.
`job.abandoned` is a job in a thread that did not end before a closing worker's deadline: the stall check rescues it.
`handler.unstoppable` is an attempt that was given up while its handler, told to end, goes on and keeps its slot.
`clock.skewed`: at a worker's start the server's clock was ahead of this machine's by so many seconds, or behind it.
`loop.blocked`: something kept the event loop from running for so long that locks may be lost.
`scheduler.advanced`: a worker took a run of a scheduler and added the next one, `job_id`.
`scheduler.missed` is a scheduler's run that its misfire policy skipped, because it came `late` seconds late.
`scheduler.repaired` and `scheduler.ended` are ones whose next run was lost, or that had no run left: they have one
again, or are gone. `scheduler.stuck`: nobody can tell when it runs next.
`job.unreported` is a job whose end Redis refused (`code`), because somebody else decides about it.

`batch.started` is a batch of `count` jobs that was handed to its handler, `waited` after the first of them joined it.

The last ones come from a `Queue` or `FlowProducer` of this process. `job.added` also comes for a job that was there
already, or was kept out as a duplicate: then `job_id` is the one that is there. `counts` are by the names of states.
"""

Subscriber = Callable[[str, Mapping[str, Any]], None]


class Part(Protocol):
    """Something that listens, ready-made: `Telemetry(OpenTelemetry(), PrometheusTelemetry())`."""

    def attach(self, telemetry: Telemetry) -> None: ...


class Telemetry:
    """Who listens to which event. One may serve several queues and workers: every event says its queue."""

    def __init__(self, *parts: Part) -> None:
        self._subscribers: dict[str, list[Subscriber]] = {}
        self._tracing: Tracing | None = None
        for part in parts:
            part.attach(self)

    @property
    def tracing(self) -> Tracing | None:
        """What traces jobs. Set it before queues and workers use it."""
        return self._tracing

    @tracing.setter
    def tracing(self, tracing: Tracing | None) -> None:
        if tracing is not None and self._tracing is not None:
            raise InvalidOption("this telemetry has a tracing already: a job carries one trace")
        self._tracing = tracing

    def adding(self, operation: Operation, queue: str, names: Sequence[str]) -> Adding:
        """A call that adds jobs: `with telemetry.adding(…) as adding`. For queues and flow producers."""
        if self._tracing is None and not self.wanted("job.added"):
            return NOBODY_LISTENS
        return Adding(self, safely(self._tracing.adding, operation, queue, names) if self._tracing else None)

    def subscribe(self, subscriber: Subscriber, *events: str) -> Callable[[], None]:
        """Call `subscriber(event, fields)` at each of `events` (none named: at every one). Returns what ends it.

        Raises:
            KeyError: an event that is not in the table.
        """
        names = events or tuple(EVENTS)
        if unknown := [name for name in names if name not in EVENTS]:
            raise KeyError(f"no such event: {', '.join(unknown)}; there are {', '.join(EVENTS)}")
        for name in names:
            self._subscribers.setdefault(name, []).append(subscriber)

        def unsubscribe() -> None:
            for name in names:
                if subscriber in (rest := self._subscribers.get(name, [])):
                    rest.remove(subscriber)

        return unsubscribe

    def wanted(self, event: str) -> bool:
        """Whether anybody listens: ask before gathering fields that cost something."""
        return bool(self._subscribers.get(event))

    def emit(self, event: str, **fields: Any) -> None:
        """Call whoever listens to `event`. Workers do it; an error of a subscriber is logged and goes no further."""
        for subscriber in self._subscribers.get(event, ()):
            try:
                subscriber(event, fields)
            except Exception:  # a broken metric must not break a job; it is logged and left
                log.exception("telemetry.subscriber_failed", extra={"event": event})


class Adding:
    """One call that adds jobs, as tracing and listeners see it."""

    __slots__ = ("_telemetry", "_trace", "carrier")

    def __init__(self, telemetry: Telemetry | None, trace: AddingTrace | None) -> None:
        self._telemetry = telemetry
        self._trace = trace
        self.carrier: str = (safely(getattr, trace, "carrier") or "") if trace is not None else ""
        """The trace that the jobs take with them; empty for none."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._trace is not None:
            safely(self._trace.ended, error)

    def added(self, jobs: Sequence[Job[Any]]) -> None:
        """Redis has these."""
        if self._trace is not None:
            safely(self._trace.added, [job.id for job in jobs])
        if self._telemetry is not None and self._telemetry.wanted("job.added"):
            for job in jobs:
                self._telemetry.emit("job.added", queue=job.queue, job_id=job.id, name=job.name)


NOBODY_LISTENS: Adding = Adding(None, None)
