"""A schedule as FHIR Dosages. What Timing cannot say exactly is left to `Dosage.text`, never said roughly: a program
that reads the elements only must not find a dose that nobody planned.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from carecircle.domain.as_needed import AsNeededRule
from carecircle.domain.calendar_rule import WEEK_ORDER, CalendarRule, DateUnit
from carecircle.domain.fhir.terms import DATE_UNITS, DAYS_OF_CYCLE, TIME_UNITS, WHEN, Json, Version
from carecircle.domain.fhir.wording import sentence
from carecircle.domain.interval_rule import Anchor, IntervalMode, IntervalRule, TimeUnit, Window
from carecircle.domain.zones import instant_of, zone_named

if TYPE_CHECKING:
    from datetime import time
    from decimal import Decimal

    from carecircle.domain.dose import Dose
    from carecircle.domain.routine import When
    from carecircle.domain.schedule import SchedulePlan
    from carecircle.domain.steps_rule import Step, StepsRule


def dosages(plan: SchedulePlan, zone: str, version: Version) -> list[Json]:
    """The `dosageInstruction` of a plan; `zone` is the patient's. Steps that follow one another are in sequence."""
    match plan.rule:
        case CalendarRule() as rule:
            return [_scheduled(plan, _calendar(rule, plan), plan.dose, sentence(plan))]
        case IntervalRule() as rule:
            return [_scheduled(plan, _interval(rule, plan, zone), plan.dose, sentence(plan))]
        case AsNeededRule() as rule:
            return [_as_needed(plan, rule, version)]
        case rule:
            return _steps(plan, rule)


def quantity(dose: Dose) -> Json:
    """As a SimpleQuantity."""
    return {"value": number(dose.quantity), "unit": dose.unit}


def number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def _scheduled(plan: SchedulePlan, timing: Json, dose: Dose, text: str) -> Json:
    if plan.count is not None and len(timing["repeat"]) > 1:
        timing["repeat"]["count"] = plan.count
    return {"text": text, "timing": timing, "doseAndRate": [{"doseQuantity": quantity(dose)}]}


def _calendar(rule: CalendarRule, plan: SchedulePlan) -> Json:
    start = plan.start_date
    repeat: Json = _bounds(start, plan.end_date)
    per_day = len(rule.times or rule.when)
    if rule.days_of_month is not None or sum([rule.every is not None, rule.cycle is not None]) > 1:
        return _in_words(repeat, plan)
    days = rule.days_of_week
    if rule.cycle is not None:
        if days is not None:
            return _in_words(repeat, plan)
        on, length = rule.cycle.on, rule.cycle.on + rule.cycle.off
        listed = [{"url": "day", "valueInteger": day} for day in range(1, on + 1)]
        repeat |= _often(on * per_day, length, "d") | _times(rule.times, rule.when)
        return {"extension": [{"url": DAYS_OF_CYCLE, "extension": listed}], "repeat": repeat}
    if rule.every is None or rule.every.unit is DateUnit.WEEK:
        weekly = rule.every is not None
        days = days or (frozenset({WEEK_ORDER[start.weekday()]}) if weekly else None)
        often = _often(per_day * len(days or ()), rule.every.n, "wk") if rule.every else _often(per_day, 1, "d")
        return {"repeat": repeat | often | _days(days) | _times(rule.times, rule.when)}
    if days is not None:
        return _in_words(repeat, plan)
    often = _often(per_day, rule.every.n, DATE_UNITS[rule.every.unit])
    return {"repeat": repeat | often | _times(rule.times, rule.when)}


def _interval(rule: IntervalRule, plan: SchedulePlan, zone: str) -> Json:
    repeat = _bounds(plan.start_date, plan.end_date)
    window = rule.window
    if rule.anchor is Anchor.LAST_TAKEN:
        return _in_words(repeat, plan)
    if window is not None and (window.closes < window.opens or rule.start.time() > window.opens):
        return _in_words(repeat, plan)
    if window is not None:  # what each day has, but for one whose clocks change inside the window
        times = _times(_inside(window, rule.every.length), ())
        return {"repeat": repeat | _often(len(times["timeOfDay"]), 1, "d") | times}
    if rule.mode is IntervalMode.CALENDAR:
        return {"repeat": repeat | _often(1, rule.every.n, "d") | _times((rule.start.time(),), ())}
    n, unit = (rule.every.n * 24, TimeUnit.HOUR) if rule.every.unit is TimeUnit.DAY else (rule.every.n, rule.every.unit)
    place = zone_named(rule.start_zone or plan.zone or zone)
    start = instant_of(rule.start, place).astimezone(place).isoformat(timespec="seconds")
    repeat["boundsPeriod"]["start"] = start
    return {"repeat": repeat | _often(1, n, TIME_UNITS[unit])}


def _inside(window: Window, step: timedelta) -> tuple[time, ...]:
    opens = datetime.combine(date.min, window.opens)
    return tuple((opens + n * step).time() for n in range(window.length() // step + 1))


def _as_needed(plan: SchedulePlan, rule: AsNeededRule, version: Version) -> Json:
    repeat = _bounds(plan.start_date, plan.end_date)
    if rule.min_interval is not None:
        repeat |= _often(1, *_length(rule.min_interval))
    dosage = _scheduled(plan, {"repeat": repeat}, plan.dose, sentence(plan))
    dosage["asNeededBoolean" if version is Version.R4 else "asNeeded"] = True
    if rule.max is not None:
        value, unit = _length(rule.max.per)
        ratio = {
            "numerator": {"value": number(plan.dose.quantity * rule.max.count), "unit": plan.dose.unit},
            "denominator": {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit},
        }
        dosage["maxDosePerPeriod"] = ratio if version is Version.R4 else [ratio]
    return dosage


def _steps(plan: SchedulePlan, rule: StepsRule) -> list[Json]:
    ordered = sorted(rule.steps, key=lambda step: step.start_date)
    follow = all(one.end_date is not None and one.end_date < other.start_date for one, other in pairwise(ordered))
    return [
        {"sequence": number if follow else 1, **_one_step(plan, rule, step)}
        for number, step in enumerate(ordered, start=1)
    ]


def _one_step(plan: SchedulePlan, rule: StepsRule, step: Step) -> Json:
    per_day = len(rule.times or rule.when)
    repeat = _bounds(step.start_date, step.end_date)
    timing = {"repeat": repeat | _often(per_day, 1, "d") | _days(step.days_of_week) | _times(rule.times, rule.when)}
    return _scheduled(plan, timing, step.dose, sentence(plan, step))


def _in_words(repeat: Json, plan: SchedulePlan) -> Json:
    return {"code": {"text": sentence(plan)}, "repeat": repeat}


def _bounds(start: date, end: date | None) -> Json:
    period = {"start": start.isoformat()} | ({} if end is None else {"end": end.isoformat()})
    return {"boundsPeriod": period}


def _often(frequency: int, period: int, unit: str) -> Json:
    return {"frequency": frequency, "period": period, "periodUnit": unit}


def _days(days: frozenset[Any] | None) -> Json:
    return {} if days is None else {"dayOfWeek": [day.value for day in WEEK_ORDER if day in days]}


def _times(times: tuple[time, ...], when: tuple[When, ...]) -> Json:
    if when:
        return {"when": [WHEN[point] for point in when]}
    return {"timeOfDay": [at.strftime("%H:%M:%S") for at in times]}


def _length(length: timedelta) -> tuple[int, str]:
    minutes = length // timedelta(minutes=1)
    return (minutes // 60, "h") if minutes % 60 == 0 else (minutes, "min")


def utc(at: datetime) -> str:
    """An instant as FHIR writes it."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
