"""Jobs to and from the hashes that BullMQ stores, with BullMQ's names and short names of options."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, cast

from carequeue.errors import InvalidOption, PayloadError
from carequeue.job import Job
from carequeue.options import Backoff, Deduplication, JobOptions, ParentRef
from carequeue.wire.grouping import decode_group, encode_group, group_id, wire_priority
from carequeue.wire.json_text import parse, stringify
from carequeue.wire.keep import decode_keep, encode_keep
from carequeue.wire.keys import split_job_key
from carequeue.wire.links import decode_flag, encode_flag, encode_link
from carequeue.wire.payload import decode_payload, encode_payload
from carequeue.wire.times import from_ms, span_ms, to_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from carequeue.job import JobDecoder
    from carequeue.kind import NewJob

P = TypeVar("P")
R = TypeVar("R")

PLAIN_OPTIONS = {
    "priority": "priority",
    "lifo": "lifo",
    "keep_logs": "kl",
    "stack_trace_limit": "stackTraceLimit",
    "size_limit": "sizeLimit",
    "telemetry_metadata": "tm",
    "omit_context": "omc",
    "dead_letters": "deadLetters",
}
"""Options whose value is the same on the wire, by our name."""

DEDUPLICATION_FLAGS = {
    "extend": "extend",
    "replace": "replace",
    "keep_last_if_active": "keepLastIfActive",
    "reschedule": "reschedule",
}

TIMEOUT = "timeout"
"""How long an attempt may take, ms. Ours alone: Node keeps it and does not look at it."""

_OPTS = json.JSONEncoder(separators=(",", ":"))


class JobRecord(NamedTuple):
    """A job as the add script takes it. An empty id: the queue counts one.

    A tuple, since a frozen dataclass of so many fields takes three times as long to make, once a job.
    """

    id: str
    name: str
    data: str
    opts: str
    timestamp: int
    delay: int = 0
    priority: int = 0
    lifo: bool = False
    parent_key: str = ""
    parent: str = ""
    deduplication: str = ""
    """The rule as JSON, in BullMQ's words."""
    deduplication_id: str = ""
    rerun: bool = False
    """A finished job with this id makes way."""
    group: str = ""
    """The group in `opts`, where the scripts read it."""

    @property
    def more(self) -> str:
        """What few jobs have, as JSON for the script; empty if it is none of it."""
        if not (self.priority or self.lifo or self.parent_key or self.deduplication or self.rerun):
            return ""
        said: dict[str, object] = {"priority": self.priority}
        if self.lifo:
            said["lifo"] = True
        if self.parent_key:
            said |= {"parentKey": self.parent_key, "parent": self.parent}
        if self.deduplication:
            said["de"] = json.loads(self.deduplication)
        if self.rerun:
            said["rerun"] = True
        return _OPTS.encode(said)

    @property
    def fields(self) -> dict[str, str]:
        """The hash that the script writes."""
        stored = {
            "name": self.name,
            "data": self.data,
            "opts": self.opts,
            "timestamp": str(self.timestamp),
            "delay": str(self.delay),
            "priority": str(self.priority),
        }
        if self.parent_key:
            stored |= {"parentKey": self.parent_key, "parent": self.parent}
        if self.deduplication_id:
            stored["deid"] = self.deduplication_id
        if self.group:
            stored["gid"] = self.group
        return stored


@dataclass(frozen=True, slots=True)
class Codec(Generic[P]):
    """Reads jobs of one queue whose data is a `payload_type`; None leaves the data as plain JSON."""

    queue: str
    payload_type: type[P] | None = None

    def data(self, text: str) -> P:
        return cast("P", decode_payload(self.payload_type, parse(text)))

    def options(self, raw: Mapping[str, Any]) -> JobOptions:
        return decode_options(raw)

    def instant(self, milliseconds: str | None) -> datetime | None:
        return from_ms(float(milliseconds)) if milliseconds else None

    def span(self, milliseconds: str | None) -> timedelta:
        return timedelta(milliseconds=float(milliseconds or 0))

    def parent(self, fields: Mapping[str, str]) -> ParentRef | None:
        key = fields.get("parentKey")
        if not key:
            return None
        base, job_id = split_job_key(key)
        return ParentRef(job_id, base)

    def typed(self, payload_type: type[R]) -> JobDecoder[R]:
        return Codec(self.queue, payload_type)

    def job(self, job_id: str, fields: Mapping[str, str]) -> Job[P]:
        return Job(job_id, fields, self)


def encode_job(new: NewJob[Any], defaults: JobOptions, now: datetime, trace: str = "") -> JobRecord:
    """What to store for a new job; its own options win over `defaults`. `trace`: in which it is added, if in one.

    Raises:
        PayloadError: the data does not fit the kind, cannot be JSON, or is larger than `size_limit`.
    """
    return JobEncoder(defaults, now, trace).record(new)


class JobEncoder:
    """Makes the records of jobs that are added together. Options that several share are worked out once."""

    def __init__(self, defaults: JobOptions, now: datetime, trace: str = "") -> None:
        self._defaults = defaults
        self._now = now
        self._trace = trace
        self._said: JobOptions | None = None

    def record(self, new: NewJob[Any]) -> JobRecord:
        """As `encode_job`."""
        if new.options is not self._said and new.options != self._said:
            self._work_out(new.options)
        data = "{}" if new.data is None and new.payload_type is None else encode_data(new.payload_type, new.data)
        if self._size_limit is not None:
            check_size(data, self._size_limit)
        return JobRecord(
            self._id, new.name, data, self._opts, self._timestamp, self._delay, self._priority, self._lifo,
            self._parent_key, self._parent, self._rule, self._deduplication_id, self._rerun,
            self._group,
        )  # fmt: skip

    def _work_out(self, said: JobOptions) -> None:
        options = said.over(self._defaults)
        self._id = options.job_id or ""
        self._size_limit = options.size_limit
        self._timestamp = to_ms(options.timestamp or self._now)
        delay = _delay_ms(options, self._timestamp)
        self._delay = delay or 0
        self._lifo = bool(options.lifo)
        stored = encode_options(options)
        self._priority, self._group = wire_priority(stored), group_id(stored) or ""
        if delay is not None:
            stored["delay"] = delay
        if self._trace and not options.omit_context:
            stored.setdefault("tm", self._trace)
        self._opts = _OPTS.encode(stored)
        parent, rule = options.parent, options.deduplication
        self._parent_key = f"{parent.queue_key}:{parent.id}" if parent else ""
        self._parent = encode_link(parent, options.on_failure) if parent else ""
        self._rule = _OPTS.encode(stored["de"]) if rule else ""
        self._deduplication_id = rule.id if rule else ""
        self._rerun = options.when_exists == "rerun" and bool(self._id)
        self._said = said


def encode_data(payload_type: type[Any] | None, data: object) -> str:
    """The JSON text of a payload.

    Raises:
        PayloadError: it does not fit its type, or JSON cannot carry it; the message names the field.
    """
    return stringify(encode_payload(payload_type, data))


def check_size(data: str, limit: int | None) -> None:
    if limit is not None and (size := len(data.encode("utf-8", "surrogatepass"))) > limit:
        raise PayloadError(f"the data takes {size} bytes, the job's size_limit is {limit}")


def encode_options(options: JobOptions) -> dict[str, object]:
    """Options in BullMQ's words; what is unsaid is left out, but `attempts` is always there. Without the delay."""
    said: dict[str, object] = {"attempts": options.attempts or 0}
    for ours, theirs in PLAIN_OPTIONS.items():
        if (value := getattr(options, ours)) is not None:
            said[theirs] = value
    for ours, (theirs, encode) in ENCODED_OPTIONS.items():
        if (value := getattr(options, ours)) is not None:
            said[theirs] = encode(value)
    return said | encode_flag(options.on_failure)


def decode_options(raw: Mapping[str, Any]) -> JobOptions:
    """Stored options as ours. Lenient: what another client wrote and we would refuse counts as unsaid."""
    said: dict[str, Any] = {ours: raw.get(theirs) for ours, theirs in PLAIN_OPTIONS.items()}
    said["attempts"] = raw.get("attempts")
    said["backoff"] = decode_backoff(raw.get("backoff"))
    said["keep_completed"] = decode_keep(raw.get("removeOnComplete"))
    said["keep_failed"] = decode_keep(raw.get("removeOnFail"))
    said["job_id"] = raw.get("jobId")
    said["deduplication"] = decode_deduplication(raw.get("de"))
    said["on_failure"] = decode_flag(raw)
    said["group"] = decode_group(raw)
    said["telemetry_metadata"] = raw.get("tm") or None  # Node writes false where a job of many omits its context
    said["omit_context"] = raw["omc"] if isinstance(raw.get("omc"), bool) else None
    if isinstance(raw.get("delay"), int | float):
        said["delay"] = timedelta(milliseconds=raw["delay"])
    if isinstance(raw.get("timestamp"), int | float):
        said["timestamp"] = from_ms(raw["timestamp"])
    if isinstance(raw.get("expireAfter"), int | float):
        said["expires_after"] = timedelta(milliseconds=raw["expireAfter"])
    if isinstance(raw.get("expireAt"), int | float):
        said["expires_at"] = from_ms(raw["expireAt"])
    said["timeout"] = decode_timeout(raw)
    return _lenient(said)


def decode_timeout(raw: Mapping[str, Any]) -> timedelta | None:
    """A stored timeout; what is no number above 0 counts as unsaid."""
    stored = raw.get(TIMEOUT)
    if isinstance(stored, bool) or not isinstance(stored, int | float) or not stored > 0:
        return None
    try:
        return timedelta(milliseconds=stored) or None
    except OverflowError:
        return None


def encode_backoff(backoff: Backoff) -> dict[str, object]:
    stored: dict[str, object] = {"type": backoff.kind, "delay": span_ms(backoff.delay)}
    if backoff.jitter:
        stored["jitter"] = backoff.jitter
    return stored


def decode_backoff(stored: object) -> Backoff | None:
    """A stored backoff; a plain number is a fixed delay."""
    try:
        match stored:
            case bool():
                return None
            case int() | float():
                return Backoff.fixed(timedelta(milliseconds=stored))
            case {"type": str(kind)}:
                found = cast("dict[str, Any]", stored)
                delay = timedelta(milliseconds=float(found.get("delay") or 0))
                return Backoff(kind, delay, float(found.get("jitter") or 0))
            case _:
                return None
    except (InvalidOption, TypeError, ValueError, OverflowError):
        return None


def encode_deduplication(rule: Deduplication) -> dict[str, object]:
    stored: dict[str, object] = {"id": rule.id}
    if rule.ttl is not None:
        stored["ttl"] = span_ms(rule.ttl)
    return stored | {theirs: True for ours, theirs in DEDUPLICATION_FLAGS.items() if getattr(rule, ours)}


def decode_deduplication(stored: object) -> Deduplication | None:
    """A stored rule; a time to live that is none counts as unsaid, as in the scripts."""
    match stored:
        case {"id": str(rule_id)} if rule_id:
            found = cast("dict[str, Any]", stored)
            ttl = found.get("ttl")
            flags = {ours: bool(found.get(theirs)) for ours, theirs in DEDUPLICATION_FLAGS.items()}
            try:
                return Deduplication(rule_id, timedelta(milliseconds=ttl) if ttl else None, **flags)
            except (InvalidOption, TypeError, ValueError, OverflowError):
                return None
        case _:
            return None


def _encode_parent(parent: ParentRef) -> dict[str, object]:
    return {"id": parent.id, "queue": parent.queue_key}


ENCODED_OPTIONS: Mapping[str, tuple[str, Callable[[Any], object]]] = {
    "job_id": ("jobId", str),
    "backoff": ("backoff", encode_backoff),
    "keep_completed": ("removeOnComplete", encode_keep),
    "keep_failed": ("removeOnFail", encode_keep),
    "timestamp": ("timestamp", to_ms),
    "parent": ("parent", _encode_parent),
    "deduplication": ("de", encode_deduplication),
    "expires_after": ("expireAfter", span_ms),
    "expires_at": ("expireAt", to_ms),
    "timeout": (TIMEOUT, span_ms),
    "group": ("group", encode_group),
}
"""Options that are written otherwise than they are said: their word on the wire, and how."""


def _delay_ms(options: JobOptions, timestamp: int) -> int | None:
    """The delay from the job's timestamp, which is what the wire knows; None if nobody spoke of one."""
    if options.run_at is not None:
        return max(0, to_ms(options.run_at) - timestamp)
    return None if options.delay is None else span_ms(options.delay)


def _lenient(said: dict[str, Any]) -> JobOptions:
    try:
        return JobOptions(**said)
    except (InvalidOption, TypeError, AttributeError):
        kept: dict[str, Any] = {}
        for field in fields(JobOptions):
            try:
                JobOptions(**{field.name: said.get(field.name)})
            except (InvalidOption, TypeError, AttributeError):
                continue
            kept[field.name] = said.get(field.name)
        return JobOptions(**kept)
