"""The kinds of rules that yield planned times. A kind is one class here; `Rule` and `RULES` list them.

Each kind yields its slots in the order they are due, and knows its stored form. What is common to all kinds (windows,
start and end, dose, zone) is in `schedule.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias

from carecircle.domain.errors import Invalid
from carecircle.domain.zones import resolve, steady_offset

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from zoneinfo import ZoneInfo

MAX_TIMES_A_DAY = 48
DAY = timedelta(days=1)
WEEK = timedelta(days=7)


class Slot(NamedTuple):
    """One planned time: what the wall clock shows, the instant, and whether the clocks skip it (`zones.GAP`)."""

    nominal_local: datetime
    due_at: datetime
    note: str | None


@dataclass(frozen=True, slots=True)
class Span:
    """The local dates to walk, both inclusive, in one zone."""

    zone: ZoneInfo
    first: date
    last: date

    def days(self) -> Iterator[date]:
        return map(date.fromordinal, range(self.first.toordinal(), self.last.toordinal() + 1))


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


@dataclass(frozen=True, slots=True)
class CalendarRule:
    """Fixed wall-clock times, every day or on some days of the week."""

    kind: ClassVar[str] = "calendar"

    times: tuple[time, ...]
    """Sorted on construction."""
    days_of_week: frozenset[Weekday] | None = None
    """None: every day."""

    def __post_init__(self) -> None:
        _check_times(self.times)
        if self.days_of_week is not None and not self.days_of_week:
            raise Invalid("Name at least one day of the week, or leave it out for every day.", field="days_of_week")
        object.__setattr__(self, "times", tuple(sorted(self.times)))

    @property
    def more_often_than_daily(self) -> bool:
        return len(self.times) > 1

    def slots(self, span: Span) -> Iterator[Slot]:
        weekdays = self._weekdays()
        for day in span.days():
            if day.weekday() in weekdays:
                yield from self._slots_of(day, span.zone)

    def _slots_of(self, day: date, zone: ZoneInfo) -> list[Slot]:
        if (offset := steady_offset(day, zone)) is not None:  # the same as below, in a tenth of the time
            return [Slot(datetime.combine(day, at), datetime.combine(day, at, UTC) - offset, None) for at in self.times]
        slots: list[Slot] = []
        shifted = False
        for at in self.times:
            nominal = datetime.combine(day, at)
            if (resolved := resolve(nominal, zone)) is not None:
                slots.append(Slot(nominal, *resolved))
                shifted = shifted or resolved.note is not None
        if shifted:  # 02:30 in a gap is 03:30, so it is due after a 03:00 of the same day
            slots.sort(key=lambda slot: slot.due_at)
        return slots

    def shortest_interval(self) -> timedelta:
        """The smallest step between two neighbouring wall times, over the turn of the week as well."""
        starts = [
            timedelta(days=weekday, hours=at.hour, minutes=at.minute)
            for weekday in sorted(self._weekdays())
            for at in self.times
        ]
        following = [*starts[1:], starts[0] + WEEK]
        return min(later - earlier for earlier, later in zip(starts, following, strict=True))

    def falls_between(self, first: date, last: date) -> bool:
        """Whether any day of the rule lies between two dates, both inclusive."""
        days = min((last - first).days + 1, 7)
        return any((first + n * DAY).weekday() in self._weekdays() for n in range(days))

    def to_json(self) -> dict[str, Any]:
        days = self.days_of_week
        return {
            "times": [at.strftime("%H:%M") for at in self.times],
            "days_of_week": None if days is None else sorted(days, key=WEEK_ORDER.index),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> CalendarRule:
        days: list[str] | None = data.get("days_of_week")
        return cls(
            times=tuple(wall_clock(text, field=f"times.{n}") for n, text in enumerate(data["times"])),
            days_of_week=None if days is None else frozenset(Weekday(day) for day in days),
        )

    def _weekdays(self) -> frozenset[int]:
        return frozenset(day.number for day in self.days_of_week or WEEK_ORDER)


Rule: TypeAlias = CalendarRule
"""The union of all kinds."""
RULES: dict[str, type[Rule]] = {kind.kind: kind for kind in (CalendarRule,)}


def rule_to_json(rule: Rule) -> dict[str, Any]:
    """What is stored of a rule beside its `kind`."""
    return rule.to_json()


def rule_from_json(kind: str, data: dict[str, Any]) -> Rule:
    """The rule that was stored.

    Raises:
        Invalid: there is no such kind, or what was stored is none of it.
    """
    if (rule := RULES.get(kind)) is None:
        raise Invalid(f"Unknown kind of schedule; there is: {', '.join(RULES)}.", field="kind")
    try:
        return rule.from_json(data)
    except (KeyError, TypeError, ValueError) as error:
        raise Invalid(f"This is not a rule of the kind {kind}.", field="rule") from error


def wall_clock(text: str, *, field: str) -> time:
    """A time of day from `HH:MM`, and from nothing else."""
    try:
        at = datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 - a wall time has no zone of its own
    except ValueError:
        raise Invalid('Give a time of day as "HH:MM", between "00:00" and "23:59".', field=field) from None
    if at.strftime("%H:%M") != text:
        raise Invalid('Give a time of day as "HH:MM", with two digits each.', field=field)
    return at


def _check_times(times: Iterable[time]) -> None:
    seen: set[time] = set()
    for number, at in enumerate(times):
        if number == MAX_TIMES_A_DAY:
            raise Invalid(f"At most {MAX_TIMES_A_DAY} times a day.", field="times")
        if at.tzinfo is not None or at.second or at.microsecond:
            raise Invalid("A time of day is hours and minutes, without a zone.", field=f"times.{number}")
        if at in seen:
            raise Invalid(f"{at:%H:%M} is there twice.", field=f"times.{number}")
        seen.add(at.replace(fold=0))
    if not seen:
        raise Invalid("Give at least one time of day.", field="times")
