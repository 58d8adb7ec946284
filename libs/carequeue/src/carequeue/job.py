"""Job: what the queue knows about one job, as a value. It has no connection; a `Queue` changes jobs."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from carequeue.options import JobOptions, ParentRef

P_co = TypeVar("P_co", covariant=True)
R = TypeVar("R")


ATTEMPTS_OF_A_MS = 4096
"""A job that is added a ms later has higher fences, unless this one had more attempts than that."""


class JobState(StrEnum):
    """Where a job is. A job is in exactly one of these."""

    WAITING = "waiting"
    PRIORITIZED = "prioritized"
    DELAYED = "delayed"
    ACTIVE = "active"
    COMPLETED = "completed"
    FAILED = "failed"
    WAITING_CHILDREN = "waiting-children"


class JobDecoder(Protocol[P_co]):
    """How the texts of a job's hash become values; `wire/codec.py` has the one that is used."""

    @property
    def queue(self) -> str: ...
    def data(self, text: str) -> P_co: ...
    def options(self, raw: Mapping[str, Any]) -> JobOptions: ...
    def instant(self, milliseconds: str | None) -> datetime | None: ...
    def span(self, milliseconds: str | None) -> timedelta: ...
    def parent(self, fields: Mapping[str, str]) -> ParentRef | None: ...
    def typed(self, payload_type: type[R]) -> JobDecoder[R]: ...


class Job(Generic[P_co]):
    """One job as it was when it was read; nothing here changes afterwards.

    Only the hash is kept; each property decodes its field when it is asked for, data and options once. `data` raises
    PayloadError if the stored data does not fit the payload type.
    """

    __slots__ = ("_data", "_decoder", "_fields", "_id", "_opts")

    def __init__(self, job_id: str, fields: Mapping[str, str], decoder: JobDecoder[P_co]) -> None:
        self._id = job_id
        self._fields = fields
        self._decoder = decoder
        self._data: tuple[P_co] | None = None
        self._opts: Mapping[str, Any] | None = None

    @property
    def id(self) -> str:
        """Its id within the queue: a number that the queue counted, or the `job_id` it was added with."""
        return self._id

    @property
    def queue(self) -> str:
        """The name of its queue."""
        return self._decoder.queue

    @property
    def fields(self) -> Mapping[str, str]:
        """The hash as it is stored, fields that carequeue does not know included."""
        return self._fields

    @property
    def name(self) -> str:
        """Which handler it is for: the name of its JobKind."""
        return self._fields.get("name", "")

    @property
    def data(self) -> P_co:
        """What the job was added with.

        Raises:
            PayloadError: it does not fit the payload type; the message names the field.
        """
        if self._data is None:
            self._data = (self._decoder.data(self._fields.get("data", "{}")),)
        return self._data[0]

    @property
    def raw_options(self) -> Mapping[str, Any]:
        """The options in BullMQ's own words."""
        if self._opts is None:
            self._opts = _json_object(self._fields.get("opts"))
        return self._opts

    @property
    def options(self) -> JobOptions:
        """The options it was added with, defaults included; what carequeue has no word for is in `raw_options`."""
        return self._decoder.options(self.raw_options)

    @property
    def added_at(self) -> datetime | None:
        """When it was added, by the clock of whoever added it (aware, UTC)."""
        return self._decoder.instant(self._fields.get("timestamp"))

    @property
    def delay(self) -> timedelta:
        """The delay it was added or retried with; zero once it was promoted."""
        return self._decoder.span(self._fields.get("delay"))

    @property
    def priority(self) -> int:
        """0: none, before all others. From 1 on the smaller number comes first."""
        return self._integer("priority")

    @property
    def attempts_allowed(self) -> int:
        """How many attempts it has; BullMQ's 0 means one."""
        attempts = self.raw_options.get("attempts")
        return int(attempts) if isinstance(attempts, int | float) else 0

    @property
    def attempts_made(self) -> int:
        """How many attempts have ended. A handler's own attempt is `context.attempt`."""
        return self._integer("attemptsMade") or self._integer("atm")

    @property
    def attempts_started(self) -> int:
        """How many attempts have begun, those included whose worker vanished and those that count as none."""
        return self._integer("ats")

    @property
    def fence(self) -> int:
        """A number for its latest attempt, in a handler for this one: any later attempt has a higher one, and so has a
        job that is added with the same id after this one is gone. What an older attempt wants can be told by it.
        """
        return self._integer("timestamp") * ATTEMPTS_OF_A_MS + self.attempts_started

    @property
    def stalled_count(self) -> int:
        """How often its worker vanished, and it was put back into the queue."""
        return self._integer("stc")

    @property
    def started_at(self) -> datetime | None:
        """When its latest attempt started."""
        return self._decoder.instant(self._fields.get("processedOn"))

    @property
    def finished_at(self) -> datetime | None:
        """When it completed or failed for good; None before."""
        return self._decoder.instant(self._fields.get("finishedOn"))

    @property
    def return_value(self) -> Any:
        """What the handler returned (a JSON value); None before it completed, too."""
        return _json_value(self._fields.get("returnvalue"))

    @property
    def failed_reason(self) -> str | None:
        """The text of the error that the latest failed attempt ended with; None if none did."""
        return self._fields.get("failedReason")

    @property
    def condemned(self) -> str | None:
        """Why the next worker that takes it fails it without running it, if so."""
        return self._fields.get("defa")

    @property
    def stacktrace(self) -> Sequence[str]:
        """The traceback of each failed attempt, the oldest first; `stack_trace_limit` keeps fewer."""
        found = _json_value(self._fields.get("stacktrace"))
        return [str(line) for line in cast("list[object]", found)] if isinstance(found, list) else []

    @property
    def progress(self) -> Any:
        """What its handler last reported; None before."""
        return _json_value(self._fields.get("progress"))

    @property
    def parent(self) -> ParentRef | None:
        """The job that waits for this one, if it is a child in a flow."""
        return self._decoder.parent(self._fields)

    @property
    def scheduler_id(self) -> str | None:
        """The scheduler that made it."""
        return self._fields.get("rjk")

    @property
    def scheduled_for(self) -> datetime | None:
        """The instant that its scheduler meant it for, however late it runs; None for a job of no scheduler."""
        due = self._id.removeprefix(f"repeat:{self.scheduler_id}:")
        return self._decoder.instant(due) if due != self._id and due.isdecimal() else None

    @property
    def deduplication_id(self) -> str | None:
        """The `id` of the Deduplication that it was added with."""
        return self._fields.get("deid")

    @property
    def group(self) -> str | None:
        """The id of the group that it was added to."""
        stored = self.raw_options.get("group")
        group_id = cast("dict[str, Any]", stored).get("id") if isinstance(stored, dict) else None
        return None if group_id is None else str(group_id)

    @property
    def worker_name(self) -> str | None:
        """The named worker that took it last."""
        return self._fields.get("pb")

    def typed(self, payload_type: type[R]) -> Job[R]:
        """The same job with its data read as `payload_type`."""
        return Job(self._id, self._fields, self._decoder.typed(payload_type))

    def with_fields(self, changed: Mapping[str, str]) -> Job[P_co]:
        """The same job with these fields of its hash changed."""
        return Job(self._id, {**self._fields, **changed}, self._decoder)

    def __repr__(self) -> str:
        # without data and errors: they may be private, and reprs end up in logs
        return f"<Job {self.name} {self._id} of {self.queue}>"

    def _integer(self, field: str) -> int:
        text = self._fields.get(field)
        return int(float(text)) if text else 0


def _json_value(text: str | None) -> Any:
    """The value of a JSON field; text that is no JSON stays text, as BullMQ's readers leave it."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def _json_object(text: str | None) -> Mapping[str, Any]:
    found = _json_value(text)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
