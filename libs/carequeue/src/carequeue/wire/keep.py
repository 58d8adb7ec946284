"""Which finished jobs stay, as the wire says it (`removeOnComplete`, `removeOnFail`) and as scripts take it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from carequeue.options import Keep, KeepJobs
from carequeue.wire.times import span_ms

NO_BOUND = -1
EVICTIONS = 1000
"""How many jobs one finish evicts for their age, unless the rule says otherwise; BullMQ's number."""


@dataclass(frozen=True, slots=True)
class KeepRule:
    """The newest `count` (-1: all, 0: none), none older than `age_ms` (-1: any age), `limit` evictions at a time."""

    count: int = NO_BOUND
    age_ms: int = NO_BOUND
    limit: int = EVICTIONS

    @property
    def text(self) -> str:
        """The form in which scripts take it."""
        return f"{self.count}/{self.age_ms}/{self.limit}"


KEEP_ALL = KeepRule()
KEEP_NONE = KeepRule(0)


def keep_rule(keep: Keep) -> KeepRule:
    """The rule of a worker's option."""
    if isinstance(keep, bool):
        return KEEP_ALL if keep else KEEP_NONE
    return KeepRule(
        NO_BOUND if keep.count is None else keep.count,
        NO_BOUND if keep.age is None else span_ms(keep.age),
        keep.limit or EVICTIONS,
    )


def job_keep_rule(stored: object) -> KeepRule | None:
    """The rule in a job's stored options; None if the job does not say, so that the worker's holds."""
    keep = decode_keep(stored)
    return None if keep is None else keep_rule(keep)


def encode_keep(keep: Keep) -> object:
    """BullMQ says what to remove where we say what to keep."""
    if isinstance(keep, bool):
        return not keep
    if keep.count is not None and keep.age is None and keep.limit is None:
        return keep.count
    found: dict[str, object] = {}
    if keep.age is not None:
        found["age"] = keep.age.total_seconds()
    if keep.count is not None:
        found["count"] = keep.count
    if keep.limit is not None:
        found["limit"] = keep.limit
    return found


def decode_keep(stored: object) -> Keep | None:
    """What a job's stored option means; None for what nobody understands, so that the worker's rule holds."""
    match stored:
        case bool():
            return not stored
        case int() | float():
            return KeepJobs(count=int(stored)) if stored >= 0 else True
        case dict():
            return _decode_bounds(cast("dict[str, Any]", stored))
        case _:
            return None


def _decode_bounds(stored: dict[str, Any]) -> Keep | None:
    count, age, limit = _bound(stored.get("count"), 0), _bound(stored.get("age"), 0), _bound(stored.get("limit"), 1)
    return KeepJobs(
        count=None if count is None else int(count),
        age=None if age is None else timedelta(seconds=age),
        limit=None if limit is None else int(limit),
    )


def _bound(value: object, least: int) -> float | None:
    """A number that is at least `least`; else there is no bound."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) and value >= least else None
