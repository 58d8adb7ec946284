"""How a medicine as needed was used over time: how often, how much, how near to what is allowed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from carecircle.domain.adherence_series import week_name
from carecircle.domain.as_needed import AsNeededRule, allowance

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from carecircle.domain.dose import Dose


class TakenDose(NamedTuple):
    """One dose that was taken as needed."""

    at: datetime
    day: date
    """The local date."""
    dose: Dose


@dataclass(frozen=True, slots=True)
class Use:
    """Doses in a stretch of local dates. What was near the maximum (R15) is told of each dose as it was taken."""

    doses: int = 0
    amounts: tuple[tuple[str, Decimal], ...] = ()
    """The sum by unit, as a dose may have been logged in another unit; by the name of the unit."""
    before_max: int = 0
    """Doses after which one more was allowed in the period of the maximum."""
    at_max: int = 0
    """Doses that reached the maximum."""
    above_max: int = 0
    """Doses taken all the same."""
    too_early: int = 0
    """Doses closer to the one before than the smallest interval."""

    @property
    def near_max(self) -> int:
        """Doses that left at most one."""
        return self.before_max + self.at_max + self.above_max


@dataclass(frozen=True, slots=True)
class UseOfStretch:
    """The use of one day, or of one ISO week or what the period has of it."""

    name: str
    """`2026-01-05`, or `2026-W02`."""
    since: date
    until: date
    """Inclusive."""
    use: Use


@dataclass(frozen=True, slots=True)
class AsNeededUse:
    """The use of one schedule in a period of local dates, both inclusive."""

    since: date
    until: date
    total: Use
    days_with_use: int
    days: tuple[UseOfStretch, ...]
    """Only days with a dose."""
    weeks: tuple[UseOfStretch, ...]
    """Every week of the period."""


def as_needed_use(rule: AsNeededRule, taken: Sequence[TakenDose], since: date, until: date) -> AsNeededUse:
    """The use in a period.

    `taken`: also what came before it, as far as the rule looks back; that counts towards the maximum, and no more.
    """
    ordered = sorted(taken, key=lambda one: one.at)
    marked = [
        (one, _marks(rule, [other.at for other in _before(rule, ordered, number)], one.at))
        for number, one in enumerate(ordered)
        if since <= one.day <= until
    ]
    days: dict[date, list[Marked]] = {}
    for one in marked:
        days.setdefault(one[0].day, []).append(one)
    return AsNeededUse(
        since,
        until,
        total=_use(marked),
        days_with_use=len(days),
        days=tuple(UseOfStretch(day.isoformat(), day, day, _use(days[day])) for day in sorted(days)),
        weeks=tuple(
            UseOfStretch(week_name(first), first, last, _use(_within(marked, first, last)))
            for first, last in _weeks(since, until)
        ),
    )


def _before(rule: AsNeededRule, ordered: Sequence[TakenDose], number: int) -> Iterable[TakenDose]:
    """What came before a dose and matters to it, latest first."""
    earliest = ordered[number].at - rule.looks_back
    while number > 0 and ordered[number - 1].at >= earliest:
        number -= 1
        yield ordered[number]


def _marks(rule: AsNeededRule, before: Sequence[datetime], at: datetime) -> frozenset[str]:
    """Which counts of `Use` a dose is in."""
    marks: set[str] = set()
    if rule.min_interval is not None and before and at - before[0] < rule.min_interval:
        marks.add("too_early")
    if rule.max is not None:
        left = rule.max.count - allowance(rule, [*before, at], at).taken_in_period
        marks.update({1: {"before_max"}, 0: {"at_max"}}.get(left, {"above_max"} if left < 0 else set()))
    return frozenset(marks)


Marked = tuple[TakenDose, frozenset[str]]


def _within(marked: Iterable[Marked], first: date, last: date) -> list[Marked]:
    return [one for one in marked if first <= one[0].day <= last]


def _use(marked: Sequence[Marked]) -> Use:
    amounts: dict[str, Decimal] = {}
    for one, _ in marked:
        amounts[one.dose.unit] = amounts.get(one.dose.unit, Decimal(0)) + one.dose.quantity
    counts = Counter(mark for _, marks in marked for mark in marks)
    return Use(len(marked), tuple(sorted(amounts.items())), **counts)


def _weeks(since: date, until: date) -> Iterable[tuple[date, date]]:
    first = since
    while first <= until:
        last = min(first + timedelta(days=6 - first.weekday()), until)
        yield first, last
        first = last + timedelta(days=1)
