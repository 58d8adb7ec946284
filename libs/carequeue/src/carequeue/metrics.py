"""Metrics: how many jobs of a queue ended, in all and minute by minute. `Queue.metrics` reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from carequeue.wire.times import from_ms

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Metrics:
    """What workers with `max_data_points` counted, those of Node included."""

    total: int
    per_minute: Sequence[int]
    """How many ended in each minute that is over, the newest first. It is noted when one ends in a later minute."""
    minutes: int
    """How many minutes are stored, asked for or not."""
    noted_at: datetime | None
    """When a minute was noted last."""
    noted_total: int
    """The total at that time: what ended since then is `total - noted_total`."""


def metrics_of(counts: Sequence[str | None], per_minute: Sequence[str], minutes: int) -> Metrics:
    total, noted_at, noted_total = counts
    return Metrics(
        total=int(total or 0),
        per_minute=[int(number or 0) for number in per_minute],
        minutes=minutes,
        noted_at=from_ms(float(noted_at)) if noted_at else None,
        noted_total=int(noted_total or 0),
    )
