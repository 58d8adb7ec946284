"""Somebody says "I handle it": the others are left alone for a while. It says nothing about the dose being taken. Pure.

While it holds, only who handles the dose is reminded. When it ends without an answer, the dose is asked for again.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import ClassVar

from carecircle.domain.errors import Conflict, Invalid

USUAL_HOLD = timedelta(minutes=30)
SHORTEST_HOLD, LONGEST_HOLD = 5, 240
"""Minutes."""
LAST_CALL = timedelta(minutes=15)
"""So long before a dose is missed the others are asked again, or half of what is left of its window."""


def holds_until(wish: int | datetime | None, *, due_at: datetime, missed_at: datetime, now: datetime) -> datetime:
    """Until when an acknowledgement holds: so many minutes from now or from when it is due, or an instant.

    None: half an hour, or less where the window is short. It always ends early enough for others to step in.

    Raises:
        Invalid: the wish is no such time.
    """
    start = max(now, due_at)
    latest = missed_at - min(LAST_CALL, (missed_at - start) / 2)
    if wish is None:
        return min(start + USUAL_HOLD, latest)
    field = "until" if isinstance(wish, datetime) else "minutes"
    until = wish.astimezone(UTC) if isinstance(wish, datetime) else start + _minutes(wish)
    if until <= start:
        raise Invalid("Give a time that is still to come, and after the dose is due.", field=field)
    if until > latest:
        raise Invalid(
            f"The others have to be asked before this dose is missed: {latest:%Y-%m-%dT%H:%M:%S}Z at the latest.",
            field=field,
        )
    return until


def _minutes(wish: int) -> timedelta:
    if not SHORTEST_HOLD <= wish <= LONGEST_HOLD:
        raise Invalid(f"Give {SHORTEST_HOLD} to {LONGEST_HOLD} minutes.", field="minutes")
    return timedelta(minutes=wish)


class AlreadyAcknowledged(Conflict):
    """Somebody else handles this dose."""

    code: ClassVar[str] = "already_acknowledged"

    def __init__(self, *, by: str, at: datetime, until: datetime) -> None:
        self.by = by
        """The display name of who handles it."""
        self.at = at
        self.until = until
        super().__init__(f"{by} handles this dose; say `take_over` to handle it yourself.")
