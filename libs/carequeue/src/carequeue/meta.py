"""What a queue says about itself: `await queue.meta()`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from carequeue.options import RateLimit

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class QueueMeta:
    """What holds for a queue as a whole."""

    version: str | None
    """Which client wrote it, and in which version of the data model: "bullmq:6.7.0"."""
    max_events: int | None
    """About how many events its stream keeps."""
    paused: bool
    concurrency: int | None
    """How many jobs may be active at once in all workers; None: as many as those take."""
    rate_limit: RateLimit | None
    """How many jobs may start in a time; None: as the workers say."""
    fields: Mapping[str, str]
    """The hash as it is stored, fields that carequeue does not know included; empty before anybody opened the queue."""


def meta_of(fields: Mapping[str, str]) -> QueueMeta:
    most, duration = _number(fields, "max"), _number(fields, "duration")
    return QueueMeta(
        version=fields.get("version"),
        max_events=_number(fields, "opts.maxLenEvents"),
        paused="paused" in fields,
        concurrency=_number(fields, "concurrency"),
        rate_limit=RateLimit(most, timedelta(milliseconds=duration)) if most and duration else None,
        fields=fields,
    )


def _number(fields: Mapping[str, str], name: str) -> int | None:
    text = fields.get(name)
    return int(float(text)) if text else None
