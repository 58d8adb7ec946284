"""How late is late: the windows around a planned dose (R10). Product defaults, not medical advice."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from carecircle.domain.medication import Severity

if TYPE_CHECKING:
    from datetime import datetime

LONGEST_WAIT = timedelta(hours=12)
SHORTEST_WAIT = timedelta(minutes=30)
LOOK_AHEAD = 2 * LONGEST_WAIT
"""How far the next dose can be and still shorten the window of this one."""


def missed_at(due_at: datetime, next_due: datetime | None, missed_after: timedelta | None = None) -> datetime:
    """When an unanswered dose counts as missed: half way to the next, within 30 minutes and 12 hours.

    `missed_after` is somebody's own wish, and wins.
    """
    if missed_after is not None:
        return due_at + missed_after
    if next_due is None:
        return due_at + LONGEST_WAIT
    return due_at + wait(next_due - due_at)


@lru_cache(maxsize=4096)
def wait(gap: timedelta) -> timedelta:
    """How long after it was due a dose counts as missed, so long before the next one."""
    # The same few gaps come again and again; working a window out takes longer than looking it up.
    return max(SHORTEST_WAIT, min(LONGEST_WAIT, gap / 2))


def on_time_window(severity: Severity, *, more_often_than_daily: bool) -> timedelta:
    """How far before or after it was due a dose still counts as on time."""
    if severity in {Severity.TIME_CRITICAL, Severity.CRITICAL}:
        return timedelta(minutes=30)
    return timedelta(minutes=60) if more_often_than_daily else timedelta(minutes=120)
