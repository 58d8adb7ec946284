"""Planned doses: one by one, or as the sheets that the planner stores by the million, which give them by column."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import repeat
from operator import add
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

from carecircle.domain.windows import missed_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from carecircle.domain.dose import Dose

DAY = 86_400
MOST_DAYS = 64
"""Of a steady sheet."""
STEPS = [timedelta(days=n) for n in range(MOST_DAYS)]


class PlannedDose(NamedTuple):
    """One planned dose."""

    nominal_local: datetime
    """Naive, in `zone`."""
    zone: str
    due_at: datetime
    missed_at: datetime
    note: str | None
    dose: Dose


class ListedSheet(NamedTuple):
    """Planned doses in the order they are due, one by one."""

    listed: Sequence[PlannedDose]

    def nominal_local(self) -> list[datetime]:
        return [dose.nominal_local for dose in self.listed]

    def due_at(self) -> list[datetime]:
        return [dose.due_at for dose in self.listed]

    def missed_at(self) -> list[datetime]:
        return [dose.missed_at for dose in self.listed]

    def note(self) -> list[str | None]:
        return [dose.note for dose in self.listed]

    def dose(self) -> list[Dose]:
        return [dose.dose for dose in self.listed]

    def doses(self) -> Iterator[PlannedDose]:
        return iter(self.listed)

    def before(self, next_due: datetime | None, missed_after: timedelta | None) -> ListedSheet:
        """The same, now that it is known what comes next. A gap may have put several on the last instant."""
        last = self.listed[-1].due_at
        missed = missed_at(last, next_due, missed_after)
        return ListedSheet([dose._replace(missed_at=missed) if dose.due_at == last else dose for dose in self.listed])


class SteadySheet(NamedTuple):
    """Planned doses at the same times of up to `MOST_DAYS` neighbouring dates on which the clocks do not change.

    Nothing but numbers: date-times are made when they are asked for.
    """

    first: int
    """The ordinal of the date of the first dose."""
    seconds: Sequence[int]
    """After that date's midnight: the first doses, rising, all within a day of another. They repeat every day."""
    waits: Sequence[timedelta]
    """How long after each of these times a dose counts as missed."""
    offset: int
    """What the wall clock is ahead of UTC by, in seconds."""
    size: int
    zone: str
    every_dose: Dose
    last_missed_at: datetime | None = None
    """When the last one counts as missed, if not as usual."""

    def nominal_local(self) -> list[datetime]:
        return self._woven([wall_clock(self.first * DAY + at) for at in self.seconds])

    def due_at(self) -> list[datetime]:
        return self._woven(self._first_due())

    def missed_at(self) -> list[datetime]:
        missed = self._woven(list(map(add, self._first_due(), self.waits)))
        if self.last_missed_at is not None:
            missed[-1] = self.last_missed_at
        return missed

    def note(self) -> list[str | None]:
        return [None] * self.size

    def dose(self) -> list[Dose]:
        return [self.every_dose] * self.size

    def doses(self) -> Iterator[PlannedDose]:
        return map(
            NEW,
            zip(
                self.nominal_local(),
                repeat(self.zone),
                self.due_at(),
                self.missed_at(),
                repeat(None),
                repeat(self.every_dose),
            ),
        )

    def before(self, next_due: datetime | None, missed_after: timedelta | None) -> SteadySheet:
        """The same, now that it is known what comes next."""
        days, place = divmod(self.size - 1, len(self.seconds))
        last = instant(self.first * DAY + days * DAY + self.seconds[place] - self.offset)
        return self._replace(last_missed_at=missed_at(last, next_due, missed_after))

    def _first_due(self) -> list[datetime]:
        midnight = self.first * DAY - self.offset
        return [instant(midnight + at) for at in self.seconds]

    def _woven(self, first: list[datetime]) -> list[datetime]:
        """The first dose of each time of day, and then the same every day, in their order."""
        step = len(first)
        if step == 1:
            return list(map(first[0].__add__, STEPS[: self.size]))
        woven = first * (self.size // step + 1)
        rounds = self.size + step - 1
        for n, at in enumerate(first):
            woven[n : self.size : step] = map(at.__add__, STEPS[: (rounds - n) // step])
        del woven[self.size :]
        return woven


Sheet: TypeAlias = ListedSheet | SteadySheet
"""Some planned doses, in the order they are due; the n-th of each column belong together."""

# What `PlannedDose._make` does, without the Python around it: most of the time here goes into making doses.
NEW = cast(
    "Callable[[tuple[object, ...]], PlannedDose]",
    partial(tuple.__new__, PlannedDose),  # pyright: ignore[reportUnknownMemberType] - of what a tuple is, is unknown
)

FIRST_MIDNIGHT = datetime(1, 1, 1)  # noqa: DTZ001 - a wall time
ZERO = FIRST_MIDNIGHT.replace(tzinfo=UTC)


def seconds_until(at: datetime) -> int:
    """Whole seconds, rounded up, from the midnight before the first date to an aware instant."""
    passed = at - ZERO
    return (passed.days + 1) * DAY + passed.seconds + (passed.microseconds > 0)


def wall_clock(seconds: int) -> datetime:
    """The naive date-time so many seconds after the midnight before the first date."""
    return FIRST_MIDNIGHT + timedelta(0, seconds - DAY)


def instant(seconds: int) -> datetime:
    """The instant from `seconds_until`."""
    return ZERO + timedelta(0, seconds - DAY)
