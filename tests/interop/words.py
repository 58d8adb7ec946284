"""BullMQ's words for options and repeats as carequeue's, as the documentation's table has them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from carequeue import Backoff, Deduplication, KeepJobs, OnFailure, ParentRef, Repeat

if TYPE_CHECKING:
    from carequeue.options import Keep


def options(said: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments of `Queue.add` for the options of Node's `queue.add`."""
    return {WORDS[name][0]: WORDS[name][1](value) for name, value in said.items()}


def repeat(said: dict[str, Any]) -> Repeat:
    """The Repeat for the repeat options of Node's `queue.upsertJobScheduler`."""
    common: dict[str, Any] = {"limit": said.get("limit")}
    for theirs, ours in (("startDate", "start"), ("endDate", "end")):
        if theirs in said:
            common[ours] = instant(said[theirs])
    if "every" in said:
        offset = span(said["offset"]) if "offset" in said else None
        return Repeat.every(span(said["every"]), offset=offset, **common)
    zone, immediately = said.get("tz", "UTC"), said.get("immediately", False)
    return Repeat.cron(said["pattern"], zone=zone, immediately=immediately, **common)


def span(ms: float) -> timedelta:
    return timedelta(milliseconds=ms)


def instant(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def backoff(said: float | dict[str, Any]) -> Backoff:
    if isinstance(said, dict):
        return Backoff(said["type"], span(said.get("delay", 0)), said.get("jitter", 0.0))
    return Backoff.fixed(span(said))


def keep(said: bool | int | dict[str, Any]) -> Keep:
    """What Node removes, as what we keep."""
    if isinstance(said, bool):
        return not said
    if isinstance(said, int):
        return KeepJobs(count=said)
    age = timedelta(seconds=said["age"]) if "age" in said else None
    return KeepJobs(count=said.get("count"), age=age, limit=said.get("limit"))


def parent(said: dict[str, str]) -> ParentRef:
    return ParentRef(said["id"], said["queue"])


def deduplication(said: dict[str, Any]) -> Deduplication:
    flags = {ours: said[theirs] for ours, theirs in DEDUPLICATION_FLAGS.items() if theirs in said}
    return Deduplication(said["id"], span(said["ttl"]) if "ttl" in said else None, **flags)


def flag(mode: OnFailure, said: bool) -> OnFailure | None:
    return mode if said else None


def same(value: Any) -> Any:
    return value


DEDUPLICATION_FLAGS = {
    "extend": "extend",
    "replace": "replace",
    "keep_last_if_active": "keepLastIfActive",
    "reschedule": "reschedule",
}

WORDS: dict[str, tuple[str, Any]] = {
    "jobId": ("job_id", same),
    "delay": ("delay", span),
    "priority": ("priority", same),
    "lifo": ("lifo", same),
    "attempts": ("attempts", same),
    "backoff": ("backoff", backoff),
    "removeOnComplete": ("keep_completed", keep),
    "removeOnFail": ("keep_failed", keep),
    "keepLogs": ("keep_logs", same),
    "stackTraceLimit": ("stack_trace_limit", same),
    "sizeLimit": ("size_limit", same),
    "timestamp": ("timestamp", instant),
    "parent": ("parent", parent),
    **{
        f"{mode.replace('_p', 'P').replace('_d', 'D')}OnFailure": ("on_failure", partial(flag, OnFailure(mode)))
        for mode in OnFailure
    },
    "deduplication": ("deduplication", deduplication),
}
