"""Wall time and instants: the only place that turns one into the other (R1 to R3), and a person's input into a zone."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from itertools import groupby, pairwise
from operator import itemgetter
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from carecircle.domain.errors import Invalid

GAP = "gap"
"""The note of a wall time that the clocks skip: it was shifted forward by the gap."""
STRETCHED = 512
"""Dates that are looked at together."""


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


class Stretch(NamedTuple):
    """Neighbouring local dates of one zone."""

    end: int
    """The ordinal of the first date after it."""
    offset: int | None
    """What the wall clock is ahead of UTC by on the whole of each of them, in seconds; None: it may change on one."""


def stretch(day: int, zone: ZoneInfo) -> Stretch:
    """What is known of a local date, given by its ordinal, and of those after it."""
    begins, stretches = _stretches(zone, day // STRETCHED)
    return stretches[bisect_right(begins, day) - 1]


def steady_offset(day: date, zone: ZoneInfo) -> timedelta | None:
    """What the wall clock is ahead of UTC by on the whole of a local date; None: the clocks may change on it."""
    offset = stretch(day.toordinal(), zone).offset
    return None if offset is None else timedelta(seconds=offset)


@lru_cache(maxsize=4096)
def _stretches(zone: ZoneInfo, number: int) -> tuple[list[int], list[Stretch]]:
    """A block of dates, read once: most of them need no other look at the zone. First dates, and what begins there.

    By the zone itself, not by its name: another edition of the database has other objects.
    """
    first = number * STRETCHED
    known = map(zone.utcoffset, _midnights(number))
    offsets = [None if offset is None else int(offset.total_seconds()) for offset in known]
    begins: list[int] = []
    stretches: list[Stretch] = []
    # No clock changes twice within a day (a test looks), so a day that ends as it began did not change.
    steady = [here if here == next_day else None for here, next_day in pairwise(offsets)]
    for offset, days in groupby(enumerate(steady, first), key=itemgetter(1)):
        numbers = [day for day, _ in days]
        begins.append(numbers[0])
        stretches.append(Stretch(numbers[-1] + 1, offset))
    return begins, stretches


@lru_cache(maxsize=16)
def _midnights(number: int) -> list[datetime]:
    first = number * STRETCHED
    return [datetime.combine(date.fromordinal(day), time.min) for day in range(first, first + STRETCHED + 1)]


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
    return _zone(name)


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)  # which itself keeps only a few


@cache
def place_zones() -> frozenset[str]:
    """Every zone that a person can live in."""
    # Listing them once reads the whole database; a lookup by path instead would let input choose a file name.
    places = {name for name in available_timezones() if "/" in name and not name.startswith("Etc/")}
    return frozenset(places | {"UTC", "Etc/UTC"})
