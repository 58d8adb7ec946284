"""Two clocks: PostgreSQL's decides what is due, the machine's starts timers; and the way from one to the other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

ROUNDING = timedelta(milliseconds=2)
"""Timers count whole milliseconds: without this a job wakes a fraction before its time, and only to wait again."""


def utc_now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


def delay_until(at: datetime, database_now: datetime) -> timedelta:
    """How long a timer must run to end when the database's clock shows `at`; zero if it does already."""
    left = at - database_now
    return left + ROUNDING if left > timedelta(0) else timedelta(0)


def local_time(at: datetime, database_now: datetime) -> datetime:
    """What the machine's clock will show when the database's shows `at`.

    With an instant of the database's clock, a machine whose own clock is ahead would wake at once, again and again.
    """
    return utc_now() + delay_until(at, database_now)
