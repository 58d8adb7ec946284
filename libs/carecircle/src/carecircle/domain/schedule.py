"""A schedule as a value, and the planned doses it yields. Pure: the zone and the instants come in as arguments.

The kinds of rules are in `rules.py`, wall time and instants in `zones.py`, windows in `windows.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from carecircle.domain.errors import Invalid
from carecircle.domain.rules import CalendarRule, Rule, Slot, Span, Weekday, rule_from_json, rule_to_json
from carecircle.domain.text import check_text
from carecircle.domain.windows import LOOK_AHEAD, missed_at
from carecircle.domain.zones import local_date, zone_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date, datetime

__all__ = [
    "CalendarRule",
    "Dose",
    "PlannedDose",
    "Rule",
    "SchedulePlan",
    "Weekday",
    "ZonePolicy",
    "occurrences",
    "past_slots_of_today",
    "replanned_in_zone",
    "rule_from_json",
    "rule_to_json",
]

FIRST_YEAR, LAST_YEAR = 2000, 2200
MAX_QUANTITY = Decimal(100_000)
QUANTITY_PLACES = 4
MAX_UNIT_LENGTH = 50


class ZonePolicy(StrEnum):
    """What a change of the patient's zone means for a schedule without a zone of its own (R8)."""

    FOLLOW = "follow"
    """Its wall times go with the patient."""
    HOME = "home"
    """It stays in the zone the patient was in when the schedule was made."""


@dataclass(frozen=True, slots=True)
class Dose:
    """The amount at one time: 1 tablet."""

    quantity: Decimal
    """Without trailing zeros, however it was given or stored."""
    unit: str

    def __post_init__(self) -> None:
        _check_quantity(self.quantity)
        _check_unit(self.unit)
        object.__setattr__(self, "quantity", _plain(self.quantity))


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

    def __post_init__(self) -> None:
        _check_date(self.start_date, "start_date")
        if self.end_date is not None:
            _check_date(self.end_date, "end_date")
            self._check_end(self.end_date)
        if self.zone is not None:
            zone_named(self.zone)

    def _check_end(self, end_date: date) -> None:
        if end_date < self.start_date:
            raise Invalid("The end date is before the start date.", field="end_date")
        if not self.rule.falls_between(self.start_date, end_date):
            raise Invalid("None of these days lies between the start and the end date.", field="days_of_week")

    def same_slots_as(self, other: SchedulePlan) -> bool:
        """Whether both yield the same times. If so, going from one to the other changes texts only (R9)."""
        return (self.rule, self.start_date, self.end_date, self.zone) == (
            other.rule,
            other.start_date,
            other.end_date,
            other.zone,
        )


class PlannedDose(NamedTuple):
    """One planned dose. A tuple, as these are made by the million."""

    nominal_local: datetime
    """Naive, in `zone`."""
    zone: str
    due_at: datetime
    missed_at: datetime
    note: str | None
    dose: Dose


def occurrences(
    plan: SchedulePlan, *, zone: str, valid_from: datetime, until: datetime, since: datetime | None = None
) -> Iterator[PlannedDose]:
    """The doses due in [since, until), in the order they are due, and none at or before `valid_from` (R6).

    `zone` counts for a plan without one of its own. Lazy: take as many as you need.
    """
    name = plan.zone or zone
    begin = valid_from if since is None else max(valid_from, since)
    if begin >= until:
        return
    for slot, next_due in _with_next_due(plan.rule.slots(_span(plan, name, begin, until))):
        if slot.due_at >= until:
            return
        if slot.due_at >= begin and slot.due_at > valid_from:
            yield PlannedDose(
                slot.nominal_local, name, slot.due_at, missed_at(slot.due_at, next_due), slot.note, plan.dose
            )


def past_slots_of_today(plan: SchedulePlan, *, zone: str, now: datetime) -> list[datetime]:
    """The wall times of today that an edit at `now` comes too late for: someone has to decide about them (R9)."""
    name = plan.zone or zone
    today = local_date(now, zone_named(name))
    if today < plan.start_date or (plan.end_date is not None and today > plan.end_date):
        return []
    slots = plan.rule.slots(Span(zone_named(name), today, today))
    return [slot.nominal_local for slot in slots if slot.due_at <= now]


def replanned_in_zone(
    plan: SchedulePlan,
    *,
    zone: str,
    valid_from: datetime,
    changed_at: datetime,
    last_dose_at: datetime | None,
    until: datetime,
) -> Iterator[PlannedDose]:
    """The doses from `changed_at` on, after the patient moved into `zone` (R8).

    A slot too close to the last due or taken dose is dropped. One that is already past in the new zone, but not yet
    missed, is among them: it is to be raised at once.
    """
    min_gap = plan.rule.shortest_interval() / 2
    since = changed_at - LOOK_AHEAD
    for dose in occurrences(plan, zone=zone, valid_from=valid_from, since=since, until=until):
        too_close = last_dose_at is not None and dose.due_at - last_dose_at < min_gap
        if dose.missed_at > changed_at and not too_close:
            yield dose


def _span(plan: SchedulePlan, zone: str, begin: datetime, until: datetime) -> Span:
    # The last doses before `until` need to know the next one after it.
    place = zone_named(zone)
    last = local_date(until + LOOK_AHEAD, place)
    first = max(plan.start_date, local_date(begin, place))
    return Span(place, first, last if plan.end_date is None else min(last, plan.end_date))


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


def _check_quantity(quantity: Decimal) -> None:
    field = "dose.quantity"
    if not quantity.is_finite() or not 0 < quantity <= MAX_QUANTITY:
        raise Invalid(f"Give an amount above 0 and up to {MAX_QUANTITY:,}.", field=field)
    if quantity != round(quantity, QUANTITY_PLACES):
        raise Invalid(f"Give an amount with at most {QUANTITY_PLACES} decimal places.", field=field)


def _plain(quantity: Decimal) -> Decimal:
    # `normalize` alone would turn 10 into 1E+1.
    return quantity.quantize(Decimal(1)) if quantity == quantity.to_integral_value() else quantity.normalize()


def _check_unit(unit: str) -> None:
    if not unit.strip() or len(unit) > MAX_UNIT_LENGTH:
        raise Invalid(f"Give a unit of 1 to {MAX_UNIT_LENGTH} characters, such as tablet.", field="dose.unit")
    check_text(unit, field="dose.unit")
