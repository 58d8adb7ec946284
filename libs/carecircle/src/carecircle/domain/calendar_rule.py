"""Doses by the calendar: at times of day, on days of the week or month, every so many, on and off."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, time, timedelta
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from carecircle.domain.errors import Invalid
from carecircle.domain.routine import USUAL_ROUTINE, Routine, When
from carecircle.domain.slots import Slot, Span, check_times_of_day, shortest_step, slots_on, times_of_day
from carecircle.domain.times import wall_clock

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_CYCLE = 366
LOOKED_AT = 100
"""So many dates tell the shortest step of a rule."""
YEARS_LOOKED_AT = timedelta(days=5 * 366)


class Weekday(StrEnum):
    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"

    @property
    def number(self) -> int:
        """Monday is 0, as in `date.weekday()`."""
        return WEEK_ORDER.index(self)


WEEK_ORDER = tuple(Weekday)


class DateUnit(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


LONGEST_STEP = {DateUnit.DAY: 366, DateUnit.WEEK: 53, DateUnit.MONTH: 24}


class MonthEnd(StrEnum):
    """What day 31 means in a month that has none (R7)."""

    CLAMP = "clamp"
    """The last day of the month."""
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class EveryDate:
    """Every n days, weeks (which begin on Monday) or months, counted from the start date."""

    n: int
    unit: DateUnit

    def __post_init__(self) -> None:
        longest = LONGEST_STEP[self.unit]
        if not 1 <= self.n <= longest:
            raise Invalid(f"Every 1 to {longest} {self.unit}s.", field="every.n")


@dataclass(frozen=True, slots=True)
class Cycle:
    """So many days on, so many off, from the start date: 21 and 7."""

    on: int
    off: int

    def __post_init__(self) -> None:
        for name, days in (("on", self.on), ("off", self.off)):
            if not 1 <= days <= LONGEST_CYCLE:
                raise Invalid(f"Give 1 to {LONGEST_CYCLE} days.", field=f"cycle.{name}")


@dataclass(frozen=True, slots=True)
class CalendarRule:
    """Wall-clock times on some dates. Where several conditions are given, a date has to meet them all."""

    kind: ClassVar[str] = "calendar"

    times: tuple[time, ...] = ()
    """Sorted on construction."""
    days_of_week: frozenset[Weekday] | None = None
    """None: every day, or with `every` weeks the start date's."""
    every: EveryDate | None = None
    days_of_month: tuple[int, ...] | None = None
    """None: every day, or with `every` months the start date's."""
    month_end: MonthEnd = MonthEnd.CLAMP
    cycle: Cycle | None = None
    when: tuple[When, ...] = ()
    """Points of the patient's routine, in place of `times`."""

    def __post_init__(self) -> None:
        check_times_of_day(self.times, self.when)
        if self.days_of_week is not None and not self.days_of_week:
            raise Invalid("Name at least one day of the week, or leave it out for every day.", field="days_of_week")
        if self.days_of_month is not None:
            self._check_days_of_month(self.days_of_month)
            object.__setattr__(self, "days_of_month", tuple(sorted(self.days_of_month)))
        object.__setattr__(self, "times", tuple(sorted(self.times)))

    def _check_days_of_month(self, days: tuple[int, ...]) -> None:
        if not days:
            raise Invalid("Name at least one day of the month, or leave it out.", field="days_of_month")
        for number, day in enumerate(days):
            if not 1 <= day <= 31:
                raise Invalid("A day of the month is 1 to 31.", field=f"days_of_month.{number}")
            if day in days[:number]:
                raise Invalid(f"{day} is there twice.", field=f"days_of_month.{number}")
        if self.every is not None and self.every.unit is not DateUnit.MONTH:
            raise Invalid("Days of the month go with every so many months.", field="days_of_month")

    @property
    def more_often_than_daily(self) -> bool:
        return len(self.times or self.when) > 1

    @property
    def every_day(self) -> bool:
        """Whether every date has the same times, whatever the start."""
        return self.days_of_week is None and self.every is None and self.days_of_month is None and self.cycle is None

    def slots(self, span: Span) -> Iterator[Slot]:
        times = times_of_day(self.times, self.when, span.routine)
        for day in self.dates(span.first, span.last, span.start):
            yield from slots_on(day, times, span.zone)

    def dates(self, first: date, last: date, start: date) -> Iterator[date]:
        """The rule's dates in [first, last], none before `start`."""
        weekdays = self._weekdays(start)
        on, length = (1, 1) if self.cycle is None else (self.cycle.on, self.cycle.on + self.cycle.off)
        begin = start.toordinal()
        for day in self._candidates(max(first, start), last, start):
            if day.weekday() in weekdays and (day.toordinal() - begin) % length < on:
                yield day

    def shortest_interval(self, start: date, routine: Routine = USUAL_ROUTINE) -> timedelta:
        days = islice(self.dates(start, start + YEARS_LOOKED_AT, start), LOOKED_AT)
        return shortest_step(days, times_of_day(self.times, self.when, routine))

    def falls_between(self, first: date, last: date) -> bool:
        """Whether it has any date from its start to an end, both inclusive."""
        return next(self.dates(first, last, first), None) is not None

    def to_json(self) -> dict[str, Any]:
        """Only what is not as usual is written down, beside times and days of the week."""
        days = self.days_of_week
        stored: dict[str, Any] = {
            "times": [at.strftime("%H:%M") for at in self.times],
            "days_of_week": None if days is None else sorted(days, key=WEEK_ORDER.index),
        }
        if self.every is not None:
            stored["every"] = {"n": self.every.n, "unit": self.every.unit}
        if self.days_of_month is not None:
            stored["days_of_month"] = list(self.days_of_month)
        if self.month_end is not MonthEnd.CLAMP:
            stored["month_end"] = self.month_end
        if self.cycle is not None:
            stored["cycle"] = {"on": self.cycle.on, "off": self.cycle.off}
        if self.when:
            stored["when"] = list(self.when)
        return stored

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> CalendarRule:
        days: list[str] | None = data.get("days_of_week")
        every: dict[str, Any] | None = data.get("every")
        days_of_month: list[int] | None = data.get("days_of_month")
        cycle: dict[str, int] | None = data.get("cycle")
        return cls(
            times=tuple(wall_clock(text, field=f"times.{n}") for n, text in enumerate(data["times"])),
            days_of_week=None if days is None else frozenset(Weekday(day) for day in days),
            every=None if every is None else EveryDate(every["n"], DateUnit(every["unit"])),
            days_of_month=None if days_of_month is None else tuple(days_of_month),
            month_end=MonthEnd(data.get("month_end", MonthEnd.CLAMP)),
            cycle=None if cycle is None else Cycle(cycle["on"], cycle["off"]),
            when=tuple(When(point) for point in data.get("when", ())),
        )

    def _weekdays(self, start: date) -> frozenset[int]:
        if self.days_of_week is None and self.every is not None and self.every.unit is DateUnit.WEEK:
            return frozenset({start.weekday()})
        return frozenset(day.number for day in self.days_of_week or WEEK_ORDER)

    def _candidates(self, first: date, last: date, start: date) -> Iterator[date]:
        """Dates before weekdays and cycle are looked at."""
        n, unit = (1, DateUnit.DAY) if self.every is None else (self.every.n, self.every.unit)
        if self.days_of_month is not None or unit is DateUnit.MONTH:
            return self._days_of_months(first, last, start, n)
        begin, end, zero = first.toordinal(), last.toordinal() + 1, start.toordinal()
        if unit is DateUnit.DAY:
            return map(date.fromordinal, range(begin + (zero - begin) % n, end, n))
        week = _week(zero)
        return (date.fromordinal(day) for day in range(begin, end) if (_week(day) - week) % n == 0)

    def _days_of_months(self, first: date, last: date, start: date, n: int) -> Iterator[date]:
        wanted = self.days_of_month or (start.day,)
        begin, end, zero = _month(first), _month(last) + 1, _month(start)
        for number in range(begin + (zero - begin) % n, end, n):
            year, month = divmod(number, 12)
            length = monthrange(year, month + 1)[1]
            short = [length] if self.month_end is MonthEnd.CLAMP and wanted[-1] > length else []
            for day in sorted({*(day for day in wanted if day <= length), *short}):
                if first <= (found := date(year, month + 1, day)) <= last:
                    yield found


def _week(ordinal: int) -> int:
    """Weeks that begin on Monday, numbered; 1 January of the year 1 was one."""
    return (ordinal - 1) // 7


def _month(day: date) -> int:
    return day.year * 12 + day.month - 1
