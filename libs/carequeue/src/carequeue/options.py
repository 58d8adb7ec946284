"""How a job is added: frozen values, checked when they are made. `worker_options.py` has those of a worker."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, TypedDict

from carequeue.errors import InvalidOption
from carequeue.group import MAX_PRIORITY as MAX_PRIORITY
from carequeue.group import Group, check_group_id
from carequeue.job_ids import check_job_id

MAX_JITTER = 1.0
MAX_DELAY = timedelta(days=365 * 100)
ZERO = timedelta(0)


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a failed job waits before its next attempt.

    `fixed`: `delay` each time. `exponential`: `delay`, twice it, four times it… `jitter` (0 to 1) takes a random part
    of up to that share away, so that jobs which failed together do not come back together. Any other `kind` names a
    strategy that the worker was given (`Worker(backoff_strategies=…)`).
    """

    kind: str
    delay: timedelta = ZERO
    jitter: float = 0.0

    def __post_init__(self) -> None:
        if not self.kind:
            raise InvalidOption("a backoff has a kind: 'fixed', 'exponential' or the name of a strategy")
        if self.delay < ZERO:
            raise InvalidOption(f"a backoff delay is not negative, got {self.delay}")
        if not 0.0 <= self.jitter <= MAX_JITTER:
            raise InvalidOption(f"jitter is a share from 0 to 1, got {self.jitter}")

    @classmethod
    def fixed(cls, delay: timedelta, *, jitter: float = 0.0) -> Backoff:
        """`delay` before each further attempt, less a random part of up to `jitter` (0 to 1) of it."""
        return cls("fixed", delay, jitter)

    @classmethod
    def exponential(cls, delay: timedelta, *, jitter: float = 0.0) -> Backoff:
        """`delay` before the second attempt, twice as long before each further one, less a random part as `fixed`."""
        return cls("exponential", delay, jitter)


@dataclass(frozen=True, slots=True)
class KeepJobs:
    """Which finished jobs are kept: the newest `count`, none older than `age`. None means no limit.

    What Node calls `removeOnComplete: {count, age, limit}`; `limit` bounds how many one finish evicts.
    """

    count: int | None = None
    age: timedelta | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 0:
            raise InvalidOption(f"KeepJobs keeps a count of 0 or more jobs, got {self.count}")
        if self.age is not None and self.age < ZERO:
            raise InvalidOption(f"KeepJobs keeps jobs for an age of 0 or more, got {self.age}")
        if self.limit is not None and self.limit < 1:
            raise InvalidOption(f"KeepJobs evicts at least one job at a time, got a limit of {self.limit}")


Keep = bool | KeepJobs
"""True keeps all, False removes a job when it finishes, KeepJobs keeps some."""


@dataclass(frozen=True, slots=True)
class ParentRef:
    """The parent of a job in a flow: its id and the base key of its queue (`prefix:queue`)."""

    id: str
    queue_key: str


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `max` jobs start in each `duration`, counted from the first of them."""

    max: int
    duration: timedelta

    def __post_init__(self) -> None:
        if self.max < 1:
            raise InvalidOption(f"a rate limit lets at least 1 job start, got {self.max}")
        if self.duration <= ZERO:
            raise InvalidOption(f"a rate limit's duration is longer than nothing, got {self.duration}")


@dataclass(frozen=True, slots=True)
class Deduplication:
    """Which added jobs are the same: at most one of those with this `id` is pending; `add` returns the one that is.

    Simple, only an `id`: until that job has ended. With a `ttl`, for so long after it was added, ended or not; with
    `extend`, each job that is kept out starts that time anew. `replace`: while the pending job is delayed, the newer
    one takes its place. `reschedule`: while it is delayed, it stays but moves to the newer one's time.
    `keep_last_if_active`: while it runs, the newest of those kept out is remembered, and added when it has ended.
    """

    id: str
    ttl: timedelta | None = None
    extend: bool = False
    replace: bool = False
    keep_last_if_active: bool = False
    reschedule: bool = False

    def __post_init__(self) -> None:
        if not self.id or not self.id.isprintable():
            raise InvalidOption(f"a deduplication id is printable text and not empty, got {self.id!r}")
        if self.ttl is not None and self.ttl <= ZERO:
            raise InvalidOption(f"a deduplication's ttl is longer than nothing, got {self.ttl}")

    @classmethod
    def throttle(cls, id: str, ttl: timedelta) -> Deduplication:  # noqa: A002 - the field's name
        """The first job counts, for `ttl`."""
        return cls(id, ttl)

    @classmethod
    def debounce(cls, id: str, ttl: timedelta) -> Deduplication:  # noqa: A002 - the field's name
        """The last job counts: give the jobs `ttl` as their delay, and each replaces the one before."""
        return cls(id, ttl, extend=True, replace=True)


class OnFailure(StrEnum):
    """What the failure of a child means for its parent. A child that says none of them keeps its parent waiting."""

    FAIL_PARENT = "fail_parent"
    """The parent fails as well, at once."""
    CONTINUE_PARENT = "continue_parent"
    """The parent runs at once, without its other children, and may ask which ones failed."""
    IGNORE_DEPENDENCY = "ignore_dependency"
    """The parent runs when its other children are done, and may ask which ones failed."""
    REMOVE_DEPENDENCY = "remove_dependency"
    """The parent runs when its other children are done, as if it had never had this one."""


WhenExists = Literal["keep", "rerun"]
"""What adding a job does when there is one with its id."""


class JobWords(TypedDict, total=False):
    """The keyword arguments of `Queue.add`, `JobKind` and their like: the fields of JobOptions."""

    job_id: str | None
    delay: timedelta | None
    run_at: datetime | None
    priority: int | None
    lifo: bool | None
    attempts: int | None
    backoff: Backoff | None
    keep_completed: Keep | None
    keep_failed: Keep | None
    keep_logs: int | None
    stack_trace_limit: int | None
    size_limit: int | None
    timestamp: datetime | None
    parent: ParentRef | None
    on_failure: OnFailure | None
    deduplication: Deduplication | None
    expires_after: timedelta | None
    expires_at: datetime | None
    telemetry_metadata: str | None
    omit_context: bool | None
    timeout: timedelta | None
    dead_letters: str | None
    when_exists: WhenExists | None
    group: str | Group | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """Options of one job. None means "not said": a JobKind's or a queue's default holds, else BullMQ's."""

    job_id: str | None = None
    """Adding an id that exists adds nothing. No number, no colon. Default: the queue counts."""
    delay: timedelta | None = None
    """Not before so long after it was added."""
    run_at: datetime | None = None
    """Not before this instant (aware)."""
    priority: int | None = None
    """1 (first) to 2097151; jobs without one (0, the default) come before all of those."""
    lifo: bool | None = None
    """Before the jobs that wait already."""
    attempts: int | None = None
    """How often it is tried in all. Default: once."""
    backoff: Backoff | None = None
    """How long a failed attempt is waited after. Default: not at all."""
    keep_completed: Keep | None = None
    """What stays of it when it has completed. Default: as the worker says, which keeps all."""
    keep_failed: Keep | None = None
    """The same when it has failed for good."""
    keep_logs: int | None = None
    """How many rows of its log are kept. Default: all."""
    stack_trace_limit: int | None = None
    """How many tracebacks of failed attempts are kept, the newest. Default: all."""
    size_limit: int | None = None
    """Bytes of JSON that its data may take; adding more is refused. Default: any."""
    timestamp: datetime | None = None
    """When it was added, if that is not now (aware); its delay counts from then."""
    parent: ParentRef | None = None
    """The job that waits for this one: `queue.parent_ref(id)`."""
    on_failure: OnFailure | None = None
    """What its failure means for its parent."""
    deduplication: Deduplication | None = None
    """Which other jobs are the same as this one, and not to be added beside it."""
    expires_after: timedelta | None = None
    """An attempt that would start more than this after the job could first run does not start: the job has expired."""
    expires_at: datetime | None = None
    """The same at an instant."""
    telemetry_metadata: str | None = None
    """The trace that it belongs to, a JSON object as text. Default: the one in which it is added, if that is traced."""
    omit_context: bool | None = None
    """It takes no trace along, neither the one in which it is added nor that of an attempt that failed."""
    timeout: timedelta | None = None
    """How long one attempt may take, counted from when its handler begins; the worker's own if unsaid."""
    dead_letters: str | None = None
    """The queue that gets a letter if the job fails for good; of the same prefix. None: what its worker says."""
    when_exists: WhenExists | None = None
    """What adding a `job_id` that exists does. "keep", or unsaid: nothing. "rerun": what has finished runs anew."""
    group: str | Group | None = None
    """The group that it waits in; groups are served in turn, and have limits of their own."""

    def __post_init__(self) -> None:
        if self.job_id is not None:
            check_job_id(self.job_id)
        if self.delay is not None:
            if self.run_at is not None:
                raise InvalidOption("say either delay or run_at, not both")
            if not ZERO <= self.delay <= MAX_DELAY:
                raise InvalidOption(f"a delay is between 0 and {MAX_DELAY.days} days, got {self.delay}")
        if self.run_at is not None:
            _check_aware("run_at", self.run_at)
        self._check_expiry()
        check_letters_queue(self.dead_letters)
        if self.timestamp is not None:
            _check_aware("timestamp", self.timestamp)
        if self.priority is not None and not 0 <= self.priority <= MAX_PRIORITY:
            raise InvalidOption(f"a priority is between 0 (first) and {MAX_PRIORITY}, got {self.priority}")
        if self.parent is not None and self.deduplication is not None:
            raise InvalidOption("a child cannot be deduplicated: its parent would wait for a job that was not added")
        self._check_when_exists()
        if self.on_failure is not None and self.on_failure not in set(OnFailure):
            raise InvalidOption(f"on_failure is one of {', '.join(OnFailure)}, got {self.on_failure!r}")
        if self.telemetry_metadata is not None:
            _check_metadata(self.telemetry_metadata)
        check_longer_than_nothing("timeout", self.timeout)
        if self.group is not None and not isinstance(self.group, Group):
            check_group_id(self.group)
        _check_not_negative("attempts", self.attempts)
        _check_not_negative("keep_logs", self.keep_logs)
        _check_not_negative("stack_trace_limit", self.stack_trace_limit)
        _check_not_negative("size_limit", self.size_limit)

    def _check_when_exists(self) -> None:
        if self.when_exists not in (None, "keep", "rerun"):
            raise InvalidOption(f"when_exists is 'keep' or 'rerun', got {self.when_exists!r}")
        if self.when_exists == "rerun" and self.deduplication is not None:
            raise InvalidOption('say either deduplication or when_exists="rerun": both say what a second job does')

    def _check_expiry(self) -> None:
        if self.expires_after is not None:
            if self.expires_at is not None:
                raise InvalidOption("say either expires_after or expires_at, not both")
            if not ZERO < self.expires_after <= MAX_DELAY:
                raise InvalidOption(
                    f"expires_after is longer than nothing and at most {MAX_DELAY.days} days, got {self.expires_after}"
                )
        if self.expires_at is not None:
            _check_aware("expires_at", self.expires_at)
            if self.run_at is not None and self.expires_at <= self.run_at:
                raise InvalidOption(f"a job that expires at {self.expires_at} cannot run at {self.run_at}")

    def over(self, defaults: JobOptions) -> JobOptions:
        """These options, with what they leave unsaid taken from `defaults`."""
        if defaults is UNSAID:
            return self
        if self is UNSAID:
            return defaults
        said: dict[str, Any] = {}
        for name in _NAMES:
            own = getattr(self, name)
            said[name] = getattr(defaults, name) if own is None else own
        if self.delay is not None:
            said["run_at"] = None
        elif self.run_at is not None:
            said["delay"] = None
        if self.expires_after is not None:
            said["expires_at"] = None
        elif self.expires_at is not None:
            said["expires_after"] = None
        return JobOptions(**said)


def _check_aware(name: str, at: datetime) -> None:
    if at.tzinfo is None:
        raise InvalidOption(f"{name} wants an aware datetime, got the naive {at.isoformat()}")


def _check_metadata(text: str) -> None:
    # Node's OpenTelemetry reader parses it while it takes the job: on anything else the job would come to nothing there
    try:
        found = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InvalidOption(f'telemetry_metadata is a JSON object as text, {{"traceparent": "00-…"}}, got {text!r}')


def _check_not_negative(name: str, number: int | None) -> None:
    if number is not None and number < 0:
        raise InvalidOption(f"{name} is 0 or more, got {number}")


def check_longer_than_nothing(name: str, span: timedelta | None) -> None:
    if span is not None and span <= ZERO:
        raise InvalidOption(f"{name} is longer than nothing, got {span}")


def check_letters_queue(name: str | None) -> None:
    if name is not None and (not name or ":" in name):
        raise InvalidOption(f"dead_letters is the name of a queue: not empty, without ':', got {name!r}")


UNSAID = JobOptions()
_NAMES = tuple(field.name for field in fields(JobOptions))
