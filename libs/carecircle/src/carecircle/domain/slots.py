"""Planned times: what every kind of rule yields, and what it yields them from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from carecircle.domain.errors import Invalid
from carecircle.domain.routine import USUAL_ROUTINE, Routine, When
from carecircle.domain.times import check_times
from carecircle.domain.zones import resolve, steady_offset

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from zoneinfo import ZoneInfo

    from carecircle.domain.dose import Dose

DAY = timedelta(days=1)
WEEK = timedelta(days=7)


class Slot(NamedTuple):
    """One planned time."""

    nominal_local: datetime
    """What the wall clock shows, naive; `fold` is 1 in the second round of a clock that is set back."""
    due_at: datetime
    note: str | None = None
    """`zones.GAP` when the clocks skip this time."""
    dose: Dose | None = None
    """None: the schedule's."""


@dataclass(frozen=True, slots=True)
class Span:
    """The local dates to walk, both inclusive, in one zone, and what else a rule may depend on."""

    zone: ZoneInfo
    first: date
    last: date
    start: date
    """The schedule's own first date, where its cycles begin. Rules yield nothing before it."""
    routine: Routine = USUAL_ROUTINE
    taken: tuple[datetime, ...] = ()
    """When doses of this schedule were taken, in that order."""

    def days(self) -> Iterator[date]:
        first = max(self.first, self.start)
        return map(date.fromordinal, range(first.toordinal(), self.last.toordinal() + 1))


def slots_on(day: date, times: Iterable[time], zone: ZoneInfo, dose: Dose | None = None) -> list[Slot]:
    """The slots of one local date, in the order they are due."""
    if (offset := steady_offset(day, zone)) is not None:  # the same as below, in a tenth of the time
        return [Slot(datetime.combine(day, at), datetime.combine(day, at, UTC) - offset, None, dose) for at in times]
    slots: list[Slot] = []
    shifted = False
    for at in times:
        nominal = datetime.combine(day, at)
        if (resolved := resolve(nominal, zone)) is not None:
            slots.append(Slot(nominal, *resolved, dose))
            shifted = shifted or resolved.note is not None
    if shifted:  # 02:30 in a gap is 03:30, so it is due after a 03:00 of the same day
        slots.sort(key=lambda slot: slot.due_at)
    return slots


def check_times_of_day(times: tuple[time, ...], when: tuple[When, ...]) -> None:
    """Clock times or points of the routine, not both, as it would not be clear which one moves."""
    if not when:
        check_times(times)
        return
    if times:
        raise Invalid("Give times or when, not both.", field="when")
    for number, point in enumerate(when):
        if point in when[:number]:
            raise Invalid(f"{point} is there twice.", field=f"when.{number}")


def times_of_day(times: tuple[time, ...], when: tuple[When, ...], routine: Routine) -> tuple[time, ...]:
    """The times of day in their order. Two points of the routine at the same time are one."""
    return tuple(sorted({routine.at(point) for point in when})) if when else times


def shortest_step(days: Iterable[date], times: tuple[time, ...]) -> timedelta:
    """The smallest step between two neighbouring wall times; a day where there are no two."""
    since_midnight = [timedelta(hours=at.hour, minutes=at.minute) for at in times]
    steps = [later - earlier for earlier, later in pairwise(since_midnight)]
    before: date | None = None
    for day in days:
        if before is not None:
            steps.append((day - before) - (since_midnight[-1] - since_midnight[0]))
        before = day
    return min(steps, default=DAY)
