"""Random schedules of every kind, as the API would accept them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta

from hypothesis import reject
from hypothesis import strategies as st

from carecircle.domain.as_needed import AsNeededRule, Maximum
from carecircle.domain.calendar_rule import CalendarRule, Cycle, DateUnit, EveryDate, MonthEnd, Weekday
from carecircle.domain.dose import Dose
from carecircle.domain.errors import Invalid
from carecircle.domain.interval_rule import Anchor, EveryTime, IntervalMode, IntervalRule, TimeUnit, Window
from carecircle.domain.medication import Severity
from carecircle.domain.routine import When
from carecircle.domain.schedule import SchedulePlan, ZonePolicy
from carecircle.domain.steps_rule import Step, StepsRule

ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Chatham")
minutes = st.builds(time, st.integers(0, 23), st.integers(0, 59))
days = st.dates(date(2026, 1, 1), date(2027, 12, 31))
doses = st.builds(
    Dose, st.decimals("0.25", "100", places=2).map(abs).filter(bool), st.sampled_from(("tablet", "ml", "mg"))
)
weekdays = st.none() | st.frozensets(st.sampled_from(Weekday), min_size=1)
clock_times = st.lists(minutes, min_size=1, max_size=4, unique=True).map(tuple)
points = st.lists(st.sampled_from(When), min_size=1, max_size=4, unique=True).map(tuple)
lengths = st.none() | st.integers(1, 48).map(lambda hours: timedelta(minutes=30 * hours))


@st.composite
def calendar_rules(draw) -> CalendarRule:
    times, when = draw(st.tuples(clock_times, st.just(())) | st.tuples(st.just(()), points))
    unit = draw(st.sampled_from(DateUnit))
    every = draw(st.none() | st.integers(1, 24).map(lambda n: EveryDate(n, unit)))
    monthly = every is None or unit is DateUnit.MONTH
    return CalendarRule(
        times=times,
        when=when,
        days_of_week=draw(weekdays),
        every=every,
        days_of_month=draw(st.none() | st.lists(st.integers(1, 31), min_size=1, max_size=3, unique=True).map(tuple))
        if monthly
        else None,
        month_end=draw(st.sampled_from(MonthEnd)),
        cycle=draw(st.none() | st.builds(Cycle, st.integers(1, 30), st.integers(1, 30))),
    )


@st.composite
def interval_rules(draw) -> IntervalRule:
    start = datetime.combine(draw(days), draw(minutes))
    anchor = draw(st.sampled_from(Anchor))
    match draw(st.sampled_from(IntervalMode)):
        case IntervalMode.ELAPSED:
            every = EveryTime(draw(st.integers(5, 100)), draw(st.sampled_from(TimeUnit)))
            zone = draw(st.none() | st.sampled_from(ZONES))
            return IntervalRule(every, start, IntervalMode.ELAPSED, anchor, None, zone)
        case IntervalMode.CALENDAR:
            return IntervalRule(EveryTime(draw(st.integers(1, 60)), TimeUnit.DAY), start, IntervalMode.CALENDAR, anchor)
        case _:
            window = Window(*draw(st.tuples(minutes, minutes).filter(lambda ends: ends[0] != ends[1])))
            every = EveryTime(draw(st.integers(1, 23)), TimeUnit.HOUR)
            return IntervalRule(every, start, IntervalMode.WINDOWED, anchor, window)


@st.composite
def steps_rules(draw) -> StepsRule:
    times, when = draw(st.tuples(clock_times, st.just(())) | st.tuples(st.just(()), points))
    begin, steps = draw(days), []
    for _ in range(draw(st.integers(1, 5))):
        end = begin + timedelta(days=draw(st.integers(0, 20)))
        steps.append(Step(begin, end, draw(doses), draw(weekdays)))
        begin = end + timedelta(days=draw(st.integers(1, 5)))
    return StepsRule(times, tuple(steps), when)


as_needed_rules = st.builds(
    AsNeededRule,
    st.none() | st.integers(1, 40_000).map(lambda n: timedelta(minutes=n)),
    st.none() | st.builds(Maximum, st.integers(1, 100), st.integers(1, 744).map(lambda n: timedelta(hours=n))),
)


@st.composite
def plans(draw) -> SchedulePlan:
    rule = draw(calendar_rules() | interval_rules() | steps_rules() | as_needed_rules)
    start, end, dose = draw(days), None, draw(doses)
    if isinstance(rule, IntervalRule):
        start = rule.start.date()
    if isinstance(rule, StepsRule):
        start, end, dose = rule.start_date, rule.end_date, rule.steps[0].dose
    try:
        plan = SchedulePlan(rule, start, end, None, ZonePolicy.FOLLOW, dose)
    except Invalid:  # none of its days is one
        reject()
    if not isinstance(rule, StepsRule) and draw(st.booleans()):
        plan = replaced(plan, end_date=start + timedelta(days=draw(st.integers(0, 400))))
    if isinstance(rule, CalendarRule | IntervalRule):
        plan = replaced(plan, count=draw(st.none() | st.integers(1, 100)))
    if draw(st.integers(0, 3)) == 0:
        plan = replaced(
            plan,
            zone=draw(st.none() | st.sampled_from(ZONES)),
            severity=draw(st.none() | st.sampled_from(Severity)),
            min_gap=draw(lengths),
            on_time=draw(lengths),
            missed_after=draw(lengths),
        )
    return plan


def replaced(plan: SchedulePlan, **changes) -> SchedulePlan:
    """The plan as it was, if the changed one is none."""
    try:
        return replace(plan, **changes)
    except Invalid:
        return plan
