"""A schedule in one English sentence: `Dosage.text`, which says also what FHIR's elements cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from carecircle.domain.as_needed import AsNeededRule
from carecircle.domain.calendar_rule import WEEK_ORDER, CalendarRule, MonthEnd
from carecircle.domain.interval_rule import Anchor, IntervalMode, IntervalRule
from carecircle.domain.times import duration_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import date, time, timedelta

    from carecircle.domain.calendar_rule import Weekday
    from carecircle.domain.dose import Dose
    from carecircle.domain.routine import When
    from carecircle.domain.schedule import SchedulePlan
    from carecircle.domain.steps_rule import Step, StepsRule

DAY_NAMES = dict(
    zip(WEEK_ORDER, ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"), strict=True)
)


def sentence(plan: SchedulePlan, step: Step | None = None) -> str:
    """The whole schedule, or one step of it."""
    dose = plan.dose if step is None else step.dose
    end = plan.end_date if step is None else step.end_date
    start = plan.start_date if step is None else step.start_date
    parts = [_amount(dose), *_rule(plan, step), _period(start, end)]
    if plan.count is not None:
        parts.append(f"{plan.count} doses in all")
    if plan.zone is not None:
        parts.append(f"by the clock of {plan.zone}")
    return ", ".join(parts) + "."


def _amount(dose: Dose) -> str:
    return f"{dose.quantity} {dose.unit}"


def _rule(plan: SchedulePlan, step: Step | None) -> list[str]:
    match plan.rule:
        case CalendarRule() as rule:
            return _calendar(rule)
        case IntervalRule() as rule:
            return _interval(rule)
        case AsNeededRule() as rule:
            return _as_needed(rule)
        case rule:
            return _step(rule, step)


def _calendar(rule: CalendarRule) -> list[str]:
    parts = [_times(rule.times, rule.when)]
    if rule.every is not None:
        parts.append(_every(rule.every.n, rule.every.unit))
    if rule.days_of_week is not None:
        parts.append(_days(rule.days_of_week))
    if rule.days_of_month is not None:
        parts.append(f"on day {_listed(map(str, rule.days_of_month))} of the month")
    if rule.every is not None or rule.days_of_month is not None:
        short = "on the last day of shorter months" if rule.month_end is MonthEnd.CLAMP else "not in shorter months"
        parts += [short] if (rule.days_of_month or rule.every is None or rule.every.unit == "month") else []
    if rule.cycle is not None:
        parts.append(f"{rule.cycle.on} days on and {rule.cycle.off} days off")
    return parts if len(parts) > 1 else [*parts, "every day"]


def _interval(rule: IntervalRule) -> list[str]:
    every = _every(rule.every.n, rule.every.unit)
    first = f"first at {rule.start:%Y-%m-%d %H:%M}"
    if rule.anchor is Anchor.LAST_TAKEN:
        first += ", counted from when the last dose was taken"
    if rule.window is not None:
        return [f"{every} from {rule.window.opens:%H:%M} to {rule.window.closes:%H:%M} each day", first]
    if rule.mode is IntervalMode.CALENDAR:
        return [every, f"at {rule.start:%H:%M}", first]
    return [every, first]


def _as_needed(rule: AsNeededRule) -> list[str]:
    parts = ["as needed"]
    if rule.min_interval is not None:
        parts.append(f"at least {_length(rule.min_interval)} between two doses")
    if rule.max is not None:
        parts.append(f"at most {rule.max.count} doses in any {_length(rule.max.per)}")
    return parts


def _step(rule: StepsRule, step: Step | None) -> list[str]:
    days = None if step is None else step.days_of_week
    return [_times(rule.times, rule.when), "every day" if days is None else _days(days)]


def _times(times: tuple[time, ...], when: tuple[When, ...]) -> str:
    if when:
        return _listed(point.value.replace("_", " ") for point in when)
    return f"at {_listed(at.strftime('%H:%M') for at in times)}"


def _days(days: Collection[Weekday]) -> str:
    return f"on {_listed(DAY_NAMES[day] for day in WEEK_ORDER if day in days)}"


def _every(n: int, unit: str) -> str:
    return f"every {unit}" if n == 1 else f"every {n} {unit}s"


def _period(start: date, end: date | None) -> str:
    return f"from {start.isoformat()}" + ("" if end is None else f" to {end.isoformat()}")


def _length(length: timedelta) -> str:
    return duration_text(length).removeprefix("PT").replace("H", " h ").replace("M", " min").strip()


def _listed(items: Iterable[str]) -> str:
    *some, last = items
    return f"{', '.join(some)} and {last}" if some else last
