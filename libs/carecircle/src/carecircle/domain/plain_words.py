"""How a medication is taken, in plain English: what a report and a message say of a schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from carecircle.domain.as_needed import AsNeededRule
from carecircle.domain.calendar_rule import WEEK_ORDER, CalendarRule, DateUnit, MonthEnd, Weekday
from carecircle.domain.interval_rule import IntervalMode, IntervalRule
from carecircle.domain.slots import DAY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, time, timedelta

    from carecircle.domain.dose import Dose
    from carecircle.domain.routine import Routine, When
    from carecircle.domain.schedule import SchedulePlan
    from carecircle.domain.steps_rule import Step, StepsRule

WEEKDAYS = dict(
    zip(WEEK_ORDER, ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays"), strict=True)
)
PLURALS = {
    "ampoule": "ampoules",
    "capsule": "capsules",
    "drop": "drops",
    "injection": "injections",
    "patch": "patches",
    "piece": "pieces",
    "pill": "pills",
    "puff": "puffs",
    "sachet": "sachets",
    "spray": "sprays",
    "suppository": "suppositories",
    "tablet": "tablets",
    "teaspoon": "teaspoons",
    "unit": "units",
}
"""Units are what people typed; of the usual ones the plural is known."""


def in_words(plan: SchedulePlan, routine: Routine, today: date) -> tuple[str, ...]:
    """One line, or one for each step: `1 tablet every day at 08:00 and 20:00`."""
    rule = plan.rule
    match rule:
        case CalendarRule():
            line = f"{dose_words(plan.dose)} {_dates(rule, plan)} {_times(rule.times, rule.when, routine)}"
        case IntervalRule():
            line = f"{dose_words(plan.dose)} {_interval(rule)}"
        case AsNeededRule():
            line = f"{dose_words(plan.dose)} as needed{_limits(rule)}"
        case _:
            return _steps(rule, routine)
    return (line + _bounds(plan, today),)


def dose_words(dose: Dose) -> str:
    amount = f"{dose.quantity:f}"
    return f"{amount} {dose.unit if dose.quantity <= 1 else PLURALS.get(dose.unit, dose.unit)}"


def day_words(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def length_words(length: timedelta) -> str:
    """`4 hours`, `1 hour 30 minutes`, `3 days`."""
    minutes = int(length.total_seconds()) // 60
    hours, minutes = divmod(minutes, 60)
    if hours and hours % 24 == 0 and not minutes and hours > 24:
        return _counted(hours // 24, "day")
    parts = [_counted(n, name) for n, name in ((hours, "hour"), (minutes, "minute")) if n]
    return " ".join(parts) or "0 minutes"


def listed(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _counted(n: int, name: str) -> str:
    return f"{n} {name}" if n == 1 else f"{n} {name}s"


def _each(n: int, unit: str) -> str:
    return f"every {unit}" if n == 1 else f"every {n} {unit}s"


def _dates(rule: CalendarRule, plan: SchedulePlan) -> str:
    parts: list[str] = []
    every = rule.every
    if every is not None:
        parts.append(_each(every.n, every.unit.value))
    elif rule.days_of_month is not None:
        parts.append("every month")
    if rule.days_of_month is not None or (every is not None and every.unit is DateUnit.MONTH):
        parts.append(f"on the {_days_of_month(rule.days_of_month or (plan.start_date.day,), rule.month_end)}")
    if rule.days_of_week is not None:
        parts.append(f"on {_weekdays(rule.days_of_week)}")
    elif every is not None and every.unit is DateUnit.WEEK:
        parts.append(f"on {WEEKDAYS[WEEK_ORDER[plan.start_date.weekday()]]}")
    if rule.cycle is not None:
        on, off = _counted(rule.cycle.on, "day"), _counted(rule.cycle.off, "day")
        parts.append(f"{'' if parts else 'every day '}for {on}, then {off} without,")
    return " ".join(parts) or "every day"


def _weekdays(days: frozenset[Weekday]) -> str:
    return listed([WEEKDAYS[day] for day in WEEK_ORDER if day in days])


def _days_of_month(days: Sequence[int], month_end: MonthEnd) -> str:
    text = listed([_ordinal(day) for day in days])
    if days[-1] <= 28:
        return text
    short = "on the last day of a shorter month" if month_end is MonthEnd.CLAMP else "not in a shorter month"
    return f"{text} ({short})"


def _ordinal(n: int) -> str:
    if 10 <= n % 100 <= 20:
        return f"{n}th"
    return f"{n}{({1: 'st', 2: 'nd', 3: 'rd'}).get(n % 10, 'th')}"


def _times(times: Sequence[time], when: Sequence[When], routine: Routine) -> str:
    if not when:
        return f"at {listed([f'{at:%H:%M}' for at in times])}"
    return listed([f"{_point(point)} ({routine.at(point):%H:%M})" for point in when])


def _point(when: When) -> str:
    words = when.value.replace("_", " ")
    match words:
        case "wake up":
            return "on waking up"
        case "breakfast" | "lunch" | "dinner":
            return f"with {words}"
        case "bedtime":
            return "at bedtime"
        case _:
            return words


def _interval(rule: IntervalRule) -> str:
    step = rule.every.length
    if rule.mode is IntervalMode.CALENDAR:
        text = f"{_each(step // DAY, 'day')} at {rule.start:%H:%M}"
    else:
        text = f"every {length_words(step)}"
    if rule.window is not None:
        text += f" between {rule.window.opens:%H:%M} and {rule.window.closes:%H:%M}"
    return f"{text}, counted from the last dose taken" if rule.follows_answers else text


def _limits(rule: AsNeededRule) -> str:
    text = ""
    if rule.min_interval is not None:
        text += f", at least {length_words(rule.min_interval)} apart"
    if rule.max is not None:
        text += f", at most {_counted(rule.max.count, 'dose')} in {length_words(rule.max.per)}"
    return text


def _steps(rule: StepsRule, routine: Routine) -> tuple[str, ...]:
    at = _times(rule.times, rule.when, routine)
    return tuple(f"{dose_words(step.dose)} {_step_days(step)} {at}, {_step_dates(step)}" for step in rule.steps)


def _step_days(step: Step) -> str:
    return "every day" if step.days_of_week is None else f"on {_weekdays(step.days_of_week)}"


def _step_dates(step: Step) -> str:
    first = day_words(step.start_date)
    if step.end_date is None:
        return f"from {first}"
    return f"on {first}" if step.end_date == step.start_date else f"{first} to {day_words(step.end_date)}"


def _bounds(plan: SchedulePlan, today: date) -> str:
    text = ""
    if plan.start_date > today:
        text += f", from {day_words(plan.start_date)}"
    if plan.end_date is not None:
        text += f", until {day_words(plan.end_date)}"
    if plan.count is not None:
        text += f", {_counted(plan.count, 'dose')} in all"
    return text
