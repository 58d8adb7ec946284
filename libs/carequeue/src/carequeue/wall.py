"""From the wall-clock times of a cron pattern to instants, clock changes included. Pure.

What happens when the clocks change:

- A pattern that names hours (`30 2 * * *`) is about the clock on the wall. In the **gap**, when that time does not
  exist, it runs at the first instant after the gap, and however many of its times fell into the gap, it runs once. In
  the **overlap**, when the time comes twice, it runs at the first one only. The day is never skipped, nor doubled.
- A pattern that leaves the hour open (`*/15 * * * *`) is about the time that passes. It runs at every real instant
  whose wall clock matches: in both hours of the overlap, and it has nothing to make up for after the gap.
- A date that never was (30 December 2011 in Samoa) has no runs.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import tzinfo

    from carequeue.cron import Cron

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
AHEAD = timedelta(hours=25)  # longer than the largest step that a zone has ever made
BEFORE = timedelta(hours=51)


def next_instant(cron: Cron, zone: tzinfo, after: datetime) -> datetime | None:
    """The first instant later than `after` at which the pattern runs in this zone, in UTC; None if there is none."""
    try:
        return (_open_hours if cron.every_hour else _named_hours)(cron, zone, after.astimezone(UTC))
    except OverflowError:  # the year 9999 ended
        return None


def _named_hours(cron: Cron, zone: tzinfo, after: datetime) -> datetime | None:
    slot = cron.first(_floor(zone, after))
    while slot is not None:
        run = _reached(slot, zone)
        if run is not None and run > after:
            return run
        slot = cron.first(slot + SECOND if run is not None else datetime.combine(slot.date() + DAY, time.min))
    return None


def _open_hours(cron: Cron, zone: tzinfo, after: datetime) -> datetime | None:
    """Walk from one clock change to the next; between two of them wall time and real time run alike."""
    at = after.replace(microsecond=0) + SECOND
    while True:
        wall = _wall(zone, at)
        slot = cron.first(wall)
        if slot is None:
            return None
        run = at + (slot - wall)
        change = _change(zone, at, min(run, at + AHEAD))
        if change is not None and change <= run:
            at = change
        elif run <= at + AHEAD:
            return run
        else:  # nothing on the wall until then: jump to shortly before it
            at = max(at + AHEAD, run - BEFORE)


def _floor(zone: tzinfo, after: datetime) -> datetime:
    """The first wall-clock second that has not been on the clock by `after`."""
    local = after.astimezone(zone)
    overlap = _change(zone, local.replace(fold=0).astimezone(UTC), after) if local.fold else None
    shown = after.replace(microsecond=0) if overlap is None else overlap - SECOND
    return _wall(zone, shown) + SECOND


def _reached(slot: datetime, zone: tzinfo) -> datetime | None:
    """The first instant at which the clock shows `slot` or has gone past it; None if its whole date never was."""
    run = slot.replace(tzinfo=zone).astimezone(UTC)
    if _wall(zone, run) == slot:
        return run
    change = _change(zone, slot.replace(tzinfo=zone, fold=1).astimezone(UTC), run)
    if change is None:
        return run
    midnight = datetime.combine(slot.date(), time.min)
    skipped_whole = _wall(zone, change - SECOND) + SECOND <= midnight and midnight + DAY <= _wall(zone, change)
    return None if skipped_whole else change


def _change(zone: tzinfo, start: datetime, end: datetime) -> datetime | None:
    """The first instant after `start`, up to `end`, at which the zone's offset is no longer that of `start`."""
    before = start.astimezone(zone).utcoffset()
    if end.astimezone(zone).utcoffset() == before:
        return None
    start, seconds = start.replace(microsecond=0), int((end - start) / SECOND) + 1
    low, high = 0, seconds
    while high - low > 1:
        middle = (low + high) // 2
        same = (start + middle * SECOND).astimezone(zone).utcoffset() == before
        low, high = (middle, high) if same else (low, middle)
    return start + high * SECOND


def _wall(zone: tzinfo, at: datetime) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None, fold=0)
