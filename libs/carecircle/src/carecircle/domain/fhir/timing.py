"""One FHIR Dosage as a schedule of ours. Never guesses: what would not mean exactly the same raises `Unclear`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from carecircle.domain.as_needed import AsNeededRule, Maximum
from carecircle.domain.calendar_rule import WEEK_ORDER, CalendarRule, Cycle, DateUnit, EveryDate, Weekday
from carecircle.domain.dose import Dose
from carecircle.domain.errors import Invalid
from carecircle.domain.fhir.terms import DAYS_OF_CYCLE, MINUTES_OF, PERIOD_UNITS, POINTS
from carecircle.domain.fhir.values import Node, Unclear
from carecircle.domain.interval_rule import EveryTime, IntervalRule, TimeUnit
from carecircle.domain.routine import When
from carecircle.domain.schedule import SchedulePlan, ZonePolicy
from carecircle.domain.times import wall_clock
from carecircle.domain.zones import instant_of, wall_time, zone_named

if TYPE_CHECKING:
    from carecircle.domain.rules import Rule

TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?", re.ASCII)
VARIABLE = ("frequencyMax", "periodMax", "countMax", "boundsRange")
AROUND_MEALS = {
    point: (When(f"{point}_breakfast"), When(f"{point}_lunch"), When(f"{point}_dinner"))
    for point in ("before", "after")
}
EVERY_MEAL = {"AC": AROUND_MEALS["before"], "PC": AROUND_MEALS["after"], "C": (When.BREAKFAST, When.LUNCH, When.DINNER)}
EVENTS = frozenset(POINTS) | frozenset(EVERY_MEAL) | {
    "MORN", "MORN.early", "MORN.late", "NOON", "AFT", "AFT.early", "AFT.late", "EVE", "EVE.early", "EVE.late", "NIGHT",
    "PHS", "IMD",
}  # fmt: skip
UNITS = {"minute": "min", "minutes": "min", "hour": "h", "hours": "h", "day": "d", "days": "d", "week": "wk"}
MEALS_NOTE = "Before or after a meal is half an hour here, by the patient's routine."
FIRST_NOTE = "The first dose is taken to be at the start of the period, the others counted from it in elapsed time."
PRN_NOTE = "Every so long as needed is read as: at least so long between two doses."


@dataclass(slots=True)
class Place:
    """What a dosage needs to know beside itself, and what there is to say about reading it."""

    zone: str | None
    """The patient's."""
    today: date
    """A missing start."""
    notes: set[str] = field(default_factory=set[str])


@dataclass(frozen=True, slots=True)
class Bounds:
    start: date
    given: bool
    at: datetime | None
    """The start as local wall time, where it has one."""
    end: date | None


def read_plan(dosage: Node, place: Place, after: date | None = None) -> SchedulePlan:
    """The schedule of one dosage. `after`: the last day of the one before it in the sequence.

    Raises:
        Invalid: it is no FHIR.
        Unclear: it is, but no schedule of ours means the same.
    """
    timing = dosage.child("timing") or Node({}, dosage.at("timing"))
    repeat = timing.child("repeat") or Node({}, timing.at("repeat"))
    _check(repeat)
    for name in VARIABLE:
        if repeat.has(name):
            raise Unclear(repeat.at(name), "A range is given; a schedule needs one value.")
    if timing.has("event"):
        raise Unclear(timing.at("event"), "Single instants are no schedule; give times of day.")
    dose = _dose(dosage)
    bounds = _bounds(repeat, place, after)
    prn = dosage.flag("asNeededBoolean") or dosage.flag("asNeeded")
    if prn or dosage.has("asNeededCodeableConcept") or dosage.has("asNeededFor"):
        return _plan(_as_needed(dosage, repeat, dose, place), bounds, dose, None)
    return _plan(_rule(timing, repeat, bounds, place), bounds, dose, repeat.whole("count"))


def _plan(rule: Rule, bounds: Bounds, dose: Dose, count: int | None) -> SchedulePlan:
    return SchedulePlan(
        rule=rule,
        start_date=bounds.start,
        end_date=bounds.end,
        zone=None,
        zone_policy=ZonePolicy.FOLLOW,
        dose=dose,
        count=count,
    )


def _check(repeat: Node) -> None:
    """The constraints that FHIR itself sets on `Timing.repeat`."""
    excluded = repeat.has("timeOfDay") and repeat.has("when")
    checks = (
        (excluded, "when", "Give timeOfDay or when, not both (tim-10)."),
        (repeat.has("offset") and not repeat.has("when"), "offset", "An offset needs when (tim-9)."),
        (repeat.has("period") and not repeat.has("periodUnit"), "periodUnit", "A period needs its unit (tim-2)."),
        (repeat.has("periodMax") and not repeat.has("period"), "period", "periodMax needs period (tim-6)."),
        (repeat.has("countMax") and not repeat.has("count"), "count", "countMax needs count (tim-7)."),
        (repeat.has("duration") and not repeat.has("durationUnit"), "durationUnit", "Give its unit (tim-1)."),
    )
    for wrong, name, why in checks:
        if wrong:
            raise Invalid(why, field=repeat.at(name))
    given = [name for name in ("boundsPeriod", "boundsDuration", "boundsRange") if repeat.has(name)]
    if len(given) > 1:
        raise Invalid(f"Give one of {' and '.join(given)}.", field=repeat.at(given[1]))
    if (period := repeat.number("period")) is not None and period <= 0:
        raise Invalid("A period is more than nothing (tim-5).", field=repeat.at("period"))


def _dose(dosage: Node) -> Dose:
    rates = dosage.children("doseAndRate")
    if len(rates) != 1:
        raise Unclear(dosage.at("doseAndRate"), "A schedule needs exactly one dose.")
    [rate] = rates
    given = rate.child("doseQuantity")
    if given is None or rate.has("doseRange") or any(name.startswith("rate") for name in rate.data):
        raise Unclear(rate.path, "A schedule needs one amount, no range and no rate.")
    value, unit = given.number("value"), given.text("unit") or given.text("code")
    if value is None or unit is None or given.has("comparator"):
        raise Unclear(given.path, "The amount needs a value and a unit.")
    try:
        return Dose(value, unit)
    except Invalid as refused:
        raise Unclear(given.path, refused.message) from None


def _bounds(repeat: Node, place: Place, after: date | None) -> Bounds:
    period, length = repeat.child("boundsPeriod"), repeat.child("boundsDuration")
    start = None if period is None else period.moment("start")
    end = None if period is None else period.moment("end")
    if isinstance(end, datetime):
        raise Unclear(repeat.at("boundsPeriod.end"), "Give the end as a date: the whole of that day counts.")
    at: datetime | None = None
    if isinstance(start, datetime):
        at = _local(start, place, repeat.at("boundsPeriod.start"))
        start = at.date()
    given = start is not None or after is not None
    if start is None:
        start = place.today if after is None else after + timedelta(days=1)
        if after is None:
            place.notes.add(f"Without a start of its own it begins on {start.isoformat()}.")
    if length is not None:
        end = start + timedelta(days=_days(length) - 1)
    if end is not None and end < start:
        raise Invalid("The end is before the start.", field=repeat.at("boundsPeriod.end"))
    return Bounds(start, given, at, end)


def _local(start: datetime, place: Place, path: str) -> datetime:
    """The wall time of an instant where the patient lives."""
    if place.zone is None:
        raise Unclear(path, "Say where the patient lives (`patient_zone`) to read an instant.")
    zone = zone_named(place.zone, field="patient_zone")
    local = wall_time(start.astimezone(UTC), zone)
    if local.second or local.microsecond or instant_of(local, zone) != start:
        raise Unclear(path, "Doses are due on the minute, at a time that the wall clock shows once.")
    return local


def _days(length: Node) -> int:
    value, unit = length.number("value"), length.text("code") or length.text("unit")
    days = {"d": 1, "wk": 7}.get(UNITS.get(unit or "", unit or ""), 0)
    if value is None or not days or value != value.to_integral_value() or not 1 <= value <= 36_500:
        raise Unclear(length.path, "Give a length of whole days or weeks.")
    return int(value) * days


def _as_needed(dosage: Node, repeat: Node, dose: Dose, place: Place) -> AsNeededRule:
    for name in ("timeOfDay", "when", "dayOfWeek", "count", "offset"):
        if repeat.has(name):
            raise Unclear(repeat.at(name), "As needed and at planned times at once cannot be kept.")
    interval: timedelta | None = None
    if repeat.has("period"):
        unit = repeat.code("periodUnit", PERIOD_UNITS)
        if (repeat.whole("frequency") or 1) != 1 or unit not in MINUTES_OF:
            raise Unclear(repeat.at("frequency"), "So many times as needed cannot be kept; give maxDosePerPeriod.")
        interval = timedelta(minutes=_minutes(repeat.number("period"), unit, repeat.at("period")))
        place.notes.add(PRN_NOTE)
    elif repeat.has("frequency"):
        raise Unclear(repeat.at("frequency"), "So many times as needed cannot be kept; give maxDosePerPeriod.")
    try:
        return AsNeededRule(interval, _maximum(dosage, dose))
    except Invalid as refused:
        raise Unclear(dosage.path, refused.message) from None


def _maximum(dosage: Node, dose: Dose) -> Maximum | None:
    if not dosage.has("maxDosePerPeriod"):
        return None
    path = dosage.at("maxDosePerPeriod")
    listed = isinstance(dosage.data["maxDosePerPeriod"], list)
    ratio = dosage.children("maxDosePerPeriod") if listed else [dosage.child("maxDosePerPeriod")]
    if len(ratio) != 1 or ratio[0] is None:
        raise Unclear(path, "Several maxima cannot be kept.")
    most, per = ratio[0].child("numerator"), ratio[0].child("denominator")
    if most is None or per is None:
        raise Unclear(path, "A maximum needs a numerator and a denominator.")
    value, unit = most.number("value"), most.text("unit") or most.text("code")
    spell = per.text("code") or per.text("unit") or ""
    count = None if value is None else value / dose.quantity
    if count is None or unit != dose.unit or count != count.to_integral_value() or count < 1:
        raise Unclear(path, "The maximum is no whole number of doses in the unit of the dose.")
    minutes = _minutes(per.number("value"), UNITS.get(spell, spell), path)
    return Maximum(int(count), timedelta(minutes=minutes))


def _minutes(value: Decimal | None, unit: str, path: str) -> int:
    minutes = (value or Decimal(1)) * MINUTES_OF.get(unit, 0)
    if minutes < 1 or minutes != minutes.to_integral_value() or minutes > 600_000:
        raise Unclear(path, "Give a length of whole minutes, hours, days or weeks.")
    return int(minutes)


def _rule(timing: Node, repeat: Node, bounds: Bounds, place: Place) -> Rule:
    try:
        times, when = _times(repeat), _when(repeat, place)
        if times or when:
            return _calendar(timing, repeat, bounds, times, when, place)
        return _interval(repeat, bounds, place)
    except Invalid as refused:
        if refused.field is not None and refused.field.startswith(timing.path):
            raise
        raise Unclear(repeat.path, refused.message) from None  # what it says is beyond what a schedule may be


def _times(repeat: Node) -> tuple[time, ...]:
    times: list[time] = []
    for number, given in enumerate(repeat.texts("timeOfDay")):
        path = f"{repeat.at('timeOfDay')}.{number}"
        if not TIME.fullmatch(given):
            raise Invalid('Give a time of day as "08:00:00".', field=path)
        if time.fromisoformat(given[:8]).second or len(given) > 8:
            raise Unclear(path, "Doses are due on the minute.")
        times.append(wall_clock(given[:5], field=path))
    return tuple(sorted(times))


def _when(repeat: Node, place: Place) -> tuple[When, ...]:
    codes = repeat.texts("when")
    points: list[When] = []
    for code in codes:
        if code not in EVENTS:
            raise Invalid(f"Unknown code {code[:20]!r} (EventTiming).", field=repeat.at("when"))
        if code in EVERY_MEAL and repeat.number("frequency") == 3:
            points += EVERY_MEAL[code]
        elif code in POINTS:
            points.append(POINTS[code])
        else:
            raise Unclear(repeat.at("when"), f"{code} is no point of the patient's routine.")
    meals = all(point.value.startswith(("before_", "after_")) for point in points)
    offset = repeat.number("offset")
    if offset is not None and (offset != 30 or not meals):
        raise Unclear(repeat.at("offset"), "Only 30 minutes before or after meals can be kept.")
    if any(point.value.startswith(("before_", "after_")) for point in points) and offset is None:
        place.notes.add(MEALS_NOTE)
    return tuple(points)


def _calendar(
    timing: Node, repeat: Node, bounds: Bounds, times: tuple[time, ...], when: tuple[When, ...], place: Place
) -> CalendarRule:
    if bounds.at is not None and (when or min(times) < bounds.at.time()):
        place.notes.add("On the first day the times before the start count as well.")
    days = _weekdays(repeat)
    unit = repeat.code("periodUnit", PERIOD_UNITS) or "d"
    n, per_day = _whole_period(repeat), len(times or when)
    frequency = repeat.whole("frequency")
    cycle = _cycle(timing, n, unit)
    if (cycle is not None or n > 1 or unit in {"mo", "a"}) and not bounds.given:
        raise Unclear(repeat.at("boundsPeriod.start"), "From which day on it is counted is not said.")
    if cycle is not None:
        _expect(repeat, frequency, {per_day, per_day * cycle.on})
        if days is not None:
            raise Unclear(repeat.at("dayOfWeek"), "Days of the week in a cycle cannot be kept.")
        return CalendarRule(times, cycle=cycle, when=when)
    match unit:
        case "d":
            _expect(repeat, frequency, {per_day})
            if n > 1 and days is not None:
                raise Unclear(repeat.at("dayOfWeek"), "Days of the week go with weeks.")
            return CalendarRule(times, days, None if n == 1 else EveryDate(n, DateUnit.DAY), when=when)
        case "wk":
            return _weekly(repeat, bounds, CalendarRule(times, days, when=when), n, frequency)
        case "mo" | "a":
            _expect(repeat, frequency, {per_day})
            if days is not None or bounds.start.day > 28:
                raise Unclear(repeat.path, "Which day of the month is meant is not clear.")
            return CalendarRule(times, every=EveryDate(n * (12 if unit == "a" else 1), DateUnit.MONTH), when=when)
        case _:
            raise Unclear(repeat.at("periodUnit"), "Times of day do not go with a period of hours.")


def _weekly(repeat: Node, bounds: Bounds, rule: CalendarRule, n: int, frequency: int | None) -> CalendarRule:
    days, per_day = rule.days_of_week, len(rule.times or rule.when)
    if days is None:
        raise Unclear(repeat.at("dayOfWeek"), "Which day of the week is not said.")
    _expect(repeat, frequency, {per_day * len(days)} if len(days) > 1 else {per_day})
    if n == 1:
        return rule
    starts_on = WEEK_ORDER[bounds.start.weekday()]
    if starts_on is not Weekday.MON and days != frozenset({starts_on}):
        raise Unclear(repeat.at("period"), "Where the weeks begin that are counted is not said; start on a Monday.")
    return CalendarRule(rule.times, days, EveryDate(n, DateUnit.WEEK), when=rule.when)


def _interval(repeat: Node, bounds: Bounds, place: Place) -> IntervalRule:
    unit = repeat.code("periodUnit", PERIOD_UNITS)
    if unit not in {"min", "h"}:
        raise Unclear(repeat.path, "It says how often, but not at what times of day.")
    if repeat.has("dayOfWeek") or (repeat.whole("frequency") or 1) != 1:
        raise Unclear(repeat.at("frequency"), "Only once in so many hours, on every day, can be kept.")
    if bounds.at is None:
        raise Unclear(repeat.at("boundsPeriod.start"), "The time of the first dose is not said.")
    place.notes.add(FIRST_NOTE)
    every = EveryTime(_whole_period(repeat), TimeUnit.HOUR if unit == "h" else TimeUnit.MINUTE)
    return IntervalRule(every, bounds.at)


def _whole_period(repeat: Node) -> int:
    period = repeat.number("period") or Decimal(1)
    if period != period.to_integral_value() or period > 1_000_000:
        raise Unclear(repeat.at("period"), "Only whole periods can be kept.")
    return int(period)


def _expect(repeat: Node, frequency: int | None, fitting: set[int]) -> None:
    if frequency is not None and frequency not in fitting:
        raise Unclear(repeat.at("frequency"), "It does not fit the number of times that are given.")


def _weekdays(repeat: Node) -> frozenset[Weekday] | None:
    days = repeat.texts("dayOfWeek")
    unknown = [day for day in days if day not in set(Weekday)]
    if unknown:
        raise Invalid("Give mon, tue, wed, thu, fri, sat or sun.", field=repeat.at("dayOfWeek"))
    return frozenset(map(Weekday, days)) if days else None


def _cycle(timing: Node, length: int, unit: str) -> Cycle | None:
    """Days 1 to n of a cycle that is as long as the period."""
    for extension in timing.children("extension"):
        if extension.text("url") != DAYS_OF_CYCLE:
            raise Unclear(extension.path, "What this extension says of the times is not known here.")
        days = [day.whole("valueInteger") for day in extension.children("extension")]
        if unit != "d" or days != list(range(1, len(days) + 1)) or not days or len(days) >= length:
            raise Unclear(extension.path, "Only the first days of a cycle of so many days can be kept.")
        return Cycle(len(days), length - len(days))
    return None
