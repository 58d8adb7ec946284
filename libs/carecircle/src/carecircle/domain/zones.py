"""Wall time and instants: the only place that turns one into the other (R1 to R3), and a person's input into a zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from carecircle.domain.errors import Invalid

GAP = "gap"
"""The note of a wall time that the clocks skip: it was shifted forward by the gap."""


class Resolved(NamedTuple):
    """The instant of a wall time."""

    due_at: datetime
    """Aware, in UTC."""
    note: str | None
    """`GAP`, or None when the wall time exists."""


def resolve(nominal_local: datetime, zone: ZoneInfo) -> Resolved | None:
    """The instant of a naive wall time, or None when the clocks skip its whole day (Samoa, 2011-12-30).

    A wall time in a gap takes the offset before the gap, which shifts it forward; one that occurs twice is its
    first. `fold=0` gives both, silently, so a gap is found by going there and back.
    """
    due_at = nominal_local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    shown = wall_time(due_at, zone)
    if shown == nominal_local:
        return Resolved(due_at, None)
    if shown.date() != nominal_local.date():
        return None
    return Resolved(due_at, GAP)


def instant_of(nominal_local: datetime, zone: ZoneInfo) -> datetime:
    """The instant of a naive wall time that has to have one: `resolve`, also over a whole day that the clocks skip."""
    return nominal_local.replace(tzinfo=zone, fold=0).astimezone(UTC)


def note_of(nominal_local: datetime, zone: ZoneInfo) -> str | None:
    """`GAP` for a wall time that the clocks skip."""
    return None if wall_time(instant_of(nominal_local, zone), zone) == nominal_local else GAP


def shown_at(instant: datetime, zone: ZoneInfo) -> datetime:
    """What a clock on the wall shows at an instant, naive; `fold` is 1 in the second round of a clock set back."""
    return instant.astimezone(zone).replace(tzinfo=None)


def steady_offset(day: date, zone: ZoneInfo) -> timedelta | None:
    """What the wall clock is ahead of UTC by on the whole of a local date; None: the clocks may change on it."""
    return _steady_offsets(zone, day.year).get(day.toordinal())


@lru_cache(maxsize=2048)
def _steady_offsets(zone: ZoneInfo, year: int) -> dict[int, timedelta]:
    """By ordinal of the date. One year of one zone is read once: most dates of most schedules need no more."""
    first = date(year, 1, 1).toordinal()
    days = [datetime.combine(date.fromordinal(first + n), time.min, zone) for n in range(367)]
    offsets = [day.utcoffset() for day in days]
    # No clock changes twice within a day (a test looks), so a day that ends as it began did not change.
    return {
        first + n: here for n, (here, next_day) in enumerate(pairwise(offsets)) if here is not None and here == next_day
    }


def wall_time(instant: datetime, zone: ZoneInfo) -> datetime:
    """What a clock on the wall shows at an instant, naive."""
    return shown_at(instant, zone).replace(fold=0)


def local_date(instant: datetime, zone: ZoneInfo) -> date:
    """The date on the calendar of this zone at an instant."""
    return instant.astimezone(zone).date()


def zone_named(name: str, *, field: str = "zone") -> ZoneInfo:
    """The zone of a place (or `UTC`), its name matched exactly, as IANA writes it.

    Offsets and abbreviations (`UTC+2`, `EST`, `Etc/GMT-2`) are refused even where the database has them: none of
    them follows a place's change of clocks, and some read backwards.

    Raises:
        Invalid: there is no such zone.
    """
    if name not in place_zones():
        raise Invalid(
            "This is not the IANA time zone of a place, such as Europe/Berlin or America/New_York.", field=field
        )
    return ZoneInfo(name)


@cache
def place_zones() -> frozenset[str]:
    """Every zone that a person can live in."""
    # Listing them once reads the whole database; a lookup by path instead would let input choose a file name.
    places = {name for name in available_timezones() if "/" in name and not name.startswith("Etc/")}
    return frozenset(places | {"UTC", "Etc/UTC"})
