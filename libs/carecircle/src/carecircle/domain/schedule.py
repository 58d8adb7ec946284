"""A schedule as a value, and the planned doses it yields. Pure: the zone and the instants come in as arguments.

The kinds of rules are in `rules.py`, wall time and instants in `zones.py`, windows in `windows.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from itertools import chain, islice
from typing import TYPE_CHECKING

from carecircle.domain.calendar_rule import CalendarRule, Weekday
from carecircle.domain.daily import Daily, daily_sheets
from carecircle.domain.dose import Dose
from carecircle.domain.errors import Invalid
from carecircle.domain.interval_rule import IntervalRule
from carecircle.domain.routine import USUAL_ROUTINE, Routine
from carecircle.domain.rules import Rule, rule_from_json, rule_to_json
from carecircle.domain.sheet import DAY, ListedSheet, PlannedDose, Sheet, seconds_until
from carecircle.domain.slots import Slot, Span, times_of_day
from carecircle.domain.windows import LOOK_AHEAD, missed_at, on_time_window
from carecircle.domain.zones import local_date, zone_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date, datetime

    from carecircle.domain.medication import Severity

__all__ = [
    "Background",
    "CalendarRule",
    "Dose",
    "PlannedDose",
    "Rule",
    "SchedulePlan",
    "Sheet",
    "Weekday",
    "ZonePolicy",
    "occurrences",
    "past_slots_of_today",
    "replanned_in_zone",
    "rule_from_json",
    "rule_to_json",
    "sheets",
]

FIRST_YEAR, LAST_YEAR = 2000, 2200
MOST_DOSES = 1000
LONGEST_WINDOW = timedelta(days=7)
WALKED_TOGETHER = 512
"""Doses of a sheet whose rule is walked date by date."""


class ZonePolicy(StrEnum):
    """What a change of the patient's zone means for a schedule without a zone of its own (R8)."""

    FOLLOW = "follow"
    """Its wall times go with the patient."""
    HOME = "home"
    """It stays in the zone the patient was in when the schedule was made."""
    ELAPSED = "elapsed"
    """Only time counts: for intervals, which no change of zone touches."""


@dataclass(frozen=True, slots=True)
class SchedulePlan:
    """How a medication is to be taken. Constructing one checks it; `Invalid.field` says what is wrong.

    It may still have fallen out of use: an end in the past is a plan that is over, not an error.
    """

    rule: Rule
    start_date: date
    end_date: date | None
    """Inclusive; None: until further notice."""
    zone: str | None
    """None: the patient's zone."""
    zone_policy: ZonePolicy
    dose: Dose
    count: int | None = None
    """The schedule is over after so many doses; None: it goes on until its end date."""
    min_gap: timedelta | None = None
    """How close to the last dose a change of zone may bring the next (R8); None: half the shortest interval."""
    severity: Severity | None = None
    """None: the medication's."""
    on_time: timedelta | None = None
    """How far from its time a dose still counts as on time; None: as usual (R10)."""
    missed_after: timedelta | None = None
    """How long after its time a dose counts as missed; None: as usual (R10)."""

    def __post_init__(self) -> None:
        _check_date(self.start_date, "start_date")
        if self.end_date is not None:
            _check_date(self.end_date, "end_date")
        if self.end_date is not None and self.end_date < self.start_date:
            raise Invalid("The end date is before the start date.", field="end_date")
        self._check_that_it_has_doses()
        if self.zone_policy is ZonePolicy.ELAPSED and not self.keeps_its_instants:
            raise Invalid("Only an elapsed interval ignores zones; choose follow or home.", field="zone_policy")
        if self.count is not None and not 1 <= self.count <= MOST_DOSES:
            raise Invalid(f"Give 1 to {MOST_DOSES} doses.", field="count")
        for field in ("min_gap", "on_time", "missed_after"):
            _check_length(getattr(self, field), field)
        if self.zone is not None:
            zone_named(self.zone)

    def _check_that_it_has_doses(self) -> None:
        last = self.end_date or self.start_date.replace(year=LAST_YEAR, month=12, day=31)
        if not self.rule.falls_between(self.start_date, last):
            raise Invalid(
                "None of these days lies between the start and the end date.", field=FIELD_OF_DAYS[self.rule.kind]
            )

    @property
    def keeps_its_instants(self) -> bool:
        """Whether a change of the patient's zone leaves the doses where they are."""
        return isinstance(self.rule, IntervalRule) and self.rule.keeps_its_instants

    def same_slots_as(self, other: SchedulePlan) -> bool:
        """Whether both yield the same times. If so, going from one to the other changes texts only (R9)."""
        return self._own_slots() == other._own_slots()

    def smallest_gap(self, routine: Routine) -> timedelta:
        """How close two doses may come when a change of zone moves them (R8)."""
        if self.min_gap is not None:
            return self.min_gap
        return self.rule.shortest_interval(self.start_date, routine) / 2

    def on_time_within(self, severity: Severity) -> timedelta:
        """How far from its time a dose still counts as on time (R10). `severity`: the medication's."""
        if self.on_time is not None:
            return self.on_time
        return on_time_window(self.severity or severity, more_often_than_daily=self.rule.more_often_than_daily)

    def _own_slots(self) -> tuple[object, ...]:
        return self.rule, self.start_date, self.end_date, self.zone, self.count, self.missed_after


FIELD_OF_DAYS = {"calendar": "days_of_week", "interval": "end_date", "steps": "steps", "as_needed": "end_date"}
"""Which part of the input is wrong if no day is left."""


@dataclass(frozen=True, slots=True)
class Background:
    """What of the patient's life the doses of some schedules depend on."""

    routine: Routine = USUAL_ROUTINE
    taken: tuple[datetime, ...] = ()
    """When doses of this schedule were taken, in that order."""
    counted_from: datetime | None = None
    """A schedule of so many doses counts those after it was made; None: from its start date on."""


ORDINARY = Background()


def occurrences(
    plan: SchedulePlan,
    *,
    zone: str,
    valid_from: datetime,
    until: datetime,
    since: datetime | None = None,
    background: Background = ORDINARY,
) -> Iterator[PlannedDose]:
    """The doses due in [since, until), in the order they are due, and none at or before `valid_from` (R6).

    `zone` counts for a plan without one of its own. Lazy: take as many as you need.
    """
    name = plan.zone or zone
    begin = valid_from if since is None else max(valid_from, since)
    if begin >= until:
        return iter(())
    if _is_daily(plan):
        return chain.from_iterable(sheet.doses() for sheet in _daily(plan, name, valid_from, begin, until, background))
    return _walked(plan, name, valid_from, begin, until, background)


def sheets(
    plan: SchedulePlan,
    *,
    zone: str,
    valid_from: datetime,
    until: datetime,
    since: datetime | None = None,
    background: Background = ORDINARY,
) -> Iterator[Sheet]:
    """What `occurrences` yields, by column and some hundred at a time: for those who store many."""
    name = plan.zone or zone
    begin = valid_from if since is None else max(valid_from, since)
    if begin >= until:
        return
    if _is_daily(plan):
        yield from _daily(plan, name, valid_from, begin, until, background)
        return
    walked = _walked(plan, name, valid_from, begin, until, background)
    while doses := list(islice(walked, WALKED_TOGETHER)):
        yield ListedSheet(doses)


def _is_daily(plan: SchedulePlan) -> bool:
    return isinstance(plan.rule, CalendarRule) and plan.rule.every_day and plan.count is None


def _daily(
    plan: SchedulePlan, name: str, valid_from: datetime, begin: datetime, until: datetime, background: Background
) -> Iterator[Sheet]:
    assert isinstance(plan.rule, CalendarRule)  # noqa: S101 - the caller looked
    times = times_of_day(plan.rule.times, plan.rule.when, background.routine)
    daily = Daily(times, zone_named(name), plan.dose, plan.missed_after)
    # Doses are due at whole seconds; none at or before `valid_from`.
    since = seconds_until(begin + timedelta.resolution if begin == valid_from else begin)
    by = seconds_until(until)
    # No local date is more than one away from UTC's. The last dose before `until` has to know the next.
    first = max(plan.start_date.toordinal(), since // DAY - 1)
    last = by // DAY + 2
    if plan.end_date is not None:
        last = min(last, plan.end_date.toordinal())
    return daily_sheets(daily, first, last + 1, since, by)


def _walked(
    plan: SchedulePlan, name: str, valid_from: datetime, begin: datetime, until: datetime, background: Background
) -> Iterator[PlannedDose]:
    for slot, next_due in _with_next_due(_slots(plan, name, begin, until, background)):
        if slot.due_at >= until:
            return
        if slot.due_at >= begin and slot.due_at > valid_from:
            missed = missed_at(slot.due_at, next_due, plan.missed_after)
            yield PlannedDose(slot.nominal_local, name, slot.due_at, missed, slot.note, slot.dose or plan.dose)


def past_slots_of_today(
    plan: SchedulePlan, *, zone: str, now: datetime, background: Background = ORDINARY
) -> list[datetime]:
    """The wall times of today that an edit at `now` comes too late for: someone has to decide about them (R9)."""
    name = plan.zone or zone
    today = local_date(now, zone_named(name))
    slots = _slots(plan, name, now, now, background, first=today)
    return [slot.nominal_local for slot in slots if slot.nominal_local.date() == today and slot.due_at <= now]


def replanned_in_zone(
    plan: SchedulePlan,
    *,
    zone: str,
    valid_from: datetime,
    changed_at: datetime,
    last_dose_at: datetime | None,
    until: datetime,
    background: Background = ORDINARY,
) -> Iterator[PlannedDose]:
    """The doses from `changed_at` on, after the patient moved into `zone` (R8).

    A slot too close to the last due or taken dose is dropped. One that is already past in the new zone, but not yet
    missed, is among them: it is to be raised at once.
    """
    min_gap = plan.smallest_gap(background.routine)
    for dose in raised_from(
        plan, zone=zone, valid_from=valid_from, changed_at=changed_at, until=until, background=background
    ):
        if last_dose_at is None or dose.due_at - last_dose_at >= min_gap:
            yield dose


def raised_from(
    plan: SchedulePlan,
    *,
    zone: str,
    valid_from: datetime,
    changed_at: datetime,
    until: datetime,
    background: Background = ORDINARY,
) -> Iterator[PlannedDose]:
    """The doses that matter from `changed_at` on: also those already past then, but not yet missed."""
    since = changed_at - max(LOOK_AHEAD, plan.missed_after or LOOK_AHEAD)
    for dose in occurrences(plan, zone=zone, valid_from=valid_from, since=since, until=until, background=background):
        if dose.missed_at > changed_at:
            yield dose


def _slots(
    plan: SchedulePlan,
    zone: str,
    begin: datetime,
    until: datetime,
    background: Background,
    *,
    first: date | None = None,
) -> Iterator[Slot]:
    """The slots from some time before `begin` until some time after `until`."""
    place = zone_named(zone)
    begins = first or local_date(begin, place)
    if plan.count is not None:  # the doses are counted, so none of them may be left out
        counted_from = background.counted_from
        begins = plan.start_date if counted_from is None else local_date(counted_from, place)
    # The last doses before `until` need to know the next one after it.
    last = local_date(until + LOOK_AHEAD, place)
    span = Span(
        zone=place,
        first=max(plan.start_date, begins),
        last=last if plan.end_date is None else min(last, plan.end_date),
        start=plan.start_date,
        routine=background.routine,
        taken=background.taken,
    )
    if span.first > span.last:
        return iter(())
    slots = plan.rule.slots(span)
    if plan.count is None:
        return slots
    counted_from = background.counted_from
    return islice((slot for slot in slots if counted_from is None or slot.due_at > counted_from), plan.count)


def _with_next_due(slots: Iterable[Slot]) -> Iterator[tuple[Slot, datetime | None]]:
    """Each slot with the next later instant. Slots that a gap moved onto one instant share it."""
    together: list[Slot] = []
    for slot in slots:
        if together and slot.due_at > together[0].due_at:
            for earlier in together:
                yield earlier, slot.due_at
            together.clear()
        together.append(slot)
    for last in together:
        yield last, None


def _check_date(day: date, field: str) -> None:
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise Invalid(f"Give a date between {FIRST_YEAR} and {LAST_YEAR}.", field=field)


def _check_length(length: timedelta | None, field: str) -> None:
    if length is not None and not timedelta(0) < length <= LONGEST_WINDOW:
        raise Invalid(f"Give more than nothing, and up to {LONGEST_WINDOW.days} days.", field=field)
