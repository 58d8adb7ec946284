"""Figures over time: by week, by day of the week, by part of the day, by medication."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, TypeVar

from carecircle.domain.adherence import DueDose, Figures, Streaks, by_day, figures, streaks
from carecircle.domain.adherence_gaps import Break, Gap, longest_gap
from carecircle.domain.calendar_rule import WEEK_ORDER, Weekday

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from uuid import UUID

K = TypeVar("K")


class PartOfDay(StrEnum):
    """By the wall time a dose was planned for."""

    NIGHT = "night"
    """00:00 to 05:59"""
    MORNING = "morning"
    """06:00 to 11:59"""
    AFTERNOON = "afternoon"
    """12:00 to 17:59"""
    EVENING = "evening"
    """18:00 to 23:59"""


PARTS = tuple(PartOfDay)


@dataclass(frozen=True, slots=True)
class Week:
    """An ISO week (Monday to Sunday), or what the period has of it."""

    name: str
    """As ISO 8601 writes it: `2026-W01`."""
    since: date
    until: date
    """Inclusive."""
    figures: Figures


@dataclass(frozen=True, slots=True)
class Summary:
    """How one medication, or all together, were taken."""

    figures: Figures
    longest_gap: Gap | None
    """Of all together: the longest that any one medication has. Time between two medicines means nothing."""
    streaks: Streaks


@dataclass(frozen=True, slots=True)
class Adherence:
    """The figures of a period of local dates, both inclusive."""

    since: date
    until: date
    overall: Summary
    medications: Mapping[UUID, Summary]
    weekdays: Mapping[Weekday, Figures]
    parts_of_day: Mapping[PartOfDay, Figures]


def adherence(
    doses: Sequence[DueDose],
    since: date,
    until: date,
    *,
    medication_ids: Iterable[UUID] = (),
    breaks: Mapping[UUID, Sequence[Break]] | None = None,
) -> Adherence:
    """All figures of a period.

    `doses`: those planned for its dates. `medication_ids`: these have a summary also without a dose.
    `breaks`: planned ones by medication, beside the pauses that can be seen in the doses.
    """
    own = grouped(doses, lambda dose: dose.medication_id, medication_ids)
    medications = {one: _summary(own[one], () if breaks is None else breaks.get(one, ())) for one in own}
    gaps = [one.longest_gap for one in medications.values() if one.longest_gap is not None]
    weekdays = grouped(doses, lambda dose: WEEK_ORDER[dose.nominal_local.weekday()], WEEK_ORDER)
    parts = grouped(doses, lambda dose: PARTS[dose.nominal_local.hour // 6], PARTS)
    return Adherence(
        since,
        until,
        overall=Summary(
            figures=total(one.figures for one in medications.values()),
            longest_gap=max(gaps, key=lambda gap: gap.length, default=None),
            streaks=streaks(by_day(doses)),
        ),
        medications=medications,
        weekdays={day: figures(weekdays[day]) for day in WEEK_ORDER},
        parts_of_day={part: figures(parts[part]) for part in PARTS},
    )


def by_week(doses: Iterable[DueDose], since: date, until: date) -> list[Week]:
    """Every ISO week that has a day of the period, also those without a dose."""
    monday = since - timedelta(days=since.weekday())
    count = (until - monday).days // 7 + 1
    weeks = grouped(doses, lambda dose: (dose.day - monday).days // 7, range(count))
    return [_week(monday + timedelta(weeks=number), since, until, weeks[number]) for number in range(count)]


def week_name(day: date) -> str:
    """As ISO 8601 writes the week of a day: its year is that of its Thursday."""
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02}"


def total(parts: Iterable[Figures]) -> Figures:
    """The figures of all together: sums of doses."""
    return reduce(add, parts, Figures())


def grouped(doses: Iterable[DueDose], key: Callable[[DueDose], K], keys: Iterable[K] = ()) -> dict[K, list[DueDose]]:
    """The doses by a key; `keys` are there in any case, and first."""
    groups: dict[K, list[DueDose]] = {one: [] for one in keys}
    for dose in doses:
        groups.setdefault(key(dose), []).append(dose)
    return groups


def _summary(doses: Sequence[DueDose], breaks: Iterable[Break]) -> Summary:
    return Summary(figures(doses), longest_gap(doses, breaks), streaks(by_day(doses)))


def _week(monday: date, since: date, until: date, doses: Iterable[DueDose]) -> Week:
    last = monday + timedelta(days=6)
    return Week(week_name(monday), max(monday, since), min(last, until), figures(doses))
