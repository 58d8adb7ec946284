"""Every kind of schedule against an oracle that walks the minutes of UTC and asks of each, in a question of yes or no,
whether a dose is due then. It shares nothing with the engine but the values that describe a rule and the zones.
"""

from __future__ import annotations

import os
from calendar import isleap
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carecircle.domain.calendar_rule import CalendarRule, Cycle, DateUnit, EveryDate, MonthEnd, Weekday
from carecircle.domain.dose import Dose
from carecircle.domain.errors import Invalid
from carecircle.domain.interval_rule import EveryTime, IntervalMode, IntervalRule, TimeUnit, Window
from carecircle.domain.schedule import SchedulePlan, ZonePolicy, occurrences
from carecircle.domain.steps_rule import Step, StepsRule
from carecircle.domain.zones import place_zones

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = int(os.environ.get("CARECIRCLE_ZONE_EXAMPLES", "150"))
"""`make test-zones` asks for many more."""
MINUTE = timedelta(minutes=1)
ZONES = sorted(place_zones())
ODD_ZONES = [
    "Africa/Cairo",
    "America/Havana",
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Gaza",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Europe/Dublin",
    "Pacific/Apia",
    "Pacific/Chatham",
]
TABLET = Dose(Decimal(1), "tablet")
LENGTHS = {1: 31, 3: 31, 4: 30, 5: 31, 6: 30, 7: 31, 8: 31, 9: 30, 10: 31, 11: 30, 12: 31}
EARLY = timedelta(hours=30)

# --- the oracle -----------------------------------------------------------------------------------------------------


def wall(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def minutes(since: datetime, until: datetime) -> Iterator[datetime]:
    while since < until:
        yield since
        since += MINUTE


def wall_times(zone: ZoneInfo, since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Every wall time with its instant: those that a gap skips shifted, those of a fold's second round left out."""
    reached = wall(since - EARLY, zone)
    for instant in minutes(since - EARLY, until):
        now, before = wall(instant, zone), wall(instant - MINUTE, zone)
        skipped = before + MINUTE
        shifted = instant
        while skipped < now:
            if skipped > reached and wall(shifted, zone).date() == skipped.date() and since <= shifted < until:
                yield skipped, shifted
            skipped += MINUTE
            shifted += MINUTE
        if now > reached and instant >= since:
            yield now, instant
        reached = max(reached, now)


def month_length(day: date) -> int:
    return LENGTHS.get(day.month, 29 if isleap(day.year) else 28)


def on_date(rule: CalendarRule, start: date, day: date) -> bool:
    passed = (day - start).days
    if passed < 0:
        return False
    if rule.cycle is not None and passed % (rule.cycle.on + rule.cycle.off) >= rule.cycle.on:
        return False
    weekday = list(Weekday)[day.weekday()]
    wanted = rule.days_of_week
    if rule.every is not None and rule.every.unit == "day" and passed % rule.every.n:
        return False
    if rule.every is not None and rule.every.unit == "week":
        mondays = [one - timedelta(days=one.weekday()) for one in (start, day)]
        if (mondays[1] - mondays[0]).days % (7 * rule.every.n):
            return False
        wanted = wanted or frozenset({list(Weekday)[start.weekday()]})
    if wanted is not None and weekday not in wanted:
        return False
    monthly = rule.every is not None and rule.every.unit == "month"
    if monthly and (12 * (day.year - start.year) + day.month - start.month) % rule.every.n:
        return False
    days = rule.days_of_month or ((start.day,) if monthly else None)
    if days is None or day.day in days:
        return True
    last = month_length(day)
    return rule.month_end == "clamp" and day.day == last and any(one > last for one in days)


def due_by_date(plan: SchedulePlan, zone: ZoneInfo, since: datetime, until: datetime) -> Iterator[tuple]:
    rule = plan.rule
    for nominal, instant in wall_times(zone, since, until):
        day = nominal.date()
        if nominal.time() not in rule.times or day < plan.start_date or day > (plan.end_date or date.max):
            continue
        if isinstance(rule, CalendarRule) and on_date(rule, plan.start_date, day):
            yield nominal, instant, plan.dose
        for step in rule.steps if isinstance(rule, StepsRule) else ():
            weekdays = step.days_of_week or frozenset(Weekday)
            if step.start_date <= day <= (step.end_date or date.max) and list(Weekday)[day.weekday()] in weekdays:
                yield nominal, instant, step.dose


def instant_of(nominal: datetime, zone: ZoneInfo) -> datetime:
    """By search: the first instant at which the wall shows it, else the last one before it, shifted."""
    day = datetime(nominal.year, nominal.month, nominal.day, tzinfo=UTC)
    earlier: datetime | None = None
    for instant in minutes(day - EARLY, day + timedelta(days=1) + EARLY):
        shown = wall(instant, zone)
        if shown == nominal:
            return instant
        if shown > nominal and earlier is not None:
            return earlier + (nominal - wall(earlier, zone))
        if shown < nominal:
            earlier = instant
    raise AssertionError(nominal)


def due_by_time(plan: SchedulePlan, zone: ZoneInfo, since: datetime, until: datetime) -> Iterator[tuple]:
    rule = plan.rule
    first, step = instant_of(rule.start, zone), rule.every.n * {"minute": 1, "hour": 60, "day": 1440}[rule.every.unit]
    opened: datetime | None = None
    closing: datetime | None = None
    openings = {}
    if rule.window is not None:
        for day in range(-3, 6):
            date_ = wall(since, zone).date() + timedelta(days=day)
            opens = datetime.combine(date_, rule.window.opens)
            closes = datetime.combine(date_, rule.window.closes)
            closes += timedelta(days=1) if closes <= opens else timedelta(0)
            opens_at = instant_of(opens, zone)
            if wall(opens_at, zone).date() == date_:
                openings[opens_at] = instant_of(closes, zone)
    for instant in minutes(since - timedelta(days=2), until):
        if instant in openings:
            opened, closing = instant, openings[instant]
        day = wall(instant, zone).date()
        inside = instant >= first and instant >= since and plan.start_date <= day <= (plan.end_date or date.max)
        if rule.window is None:
            hit = (instant - first) % (step * MINUTE) == timedelta(0)
        else:
            hit = opened is not None and instant <= closing and (instant - opened) % (step * MINUTE) == timedelta(0)
        if hit and inside:
            yield None, instant, plan.dose


def oracle(plan: SchedulePlan, zone: ZoneInfo, since: datetime, until: datetime) -> Counter:
    by_time = isinstance(plan.rule, IntervalRule)
    found = due_by_time(plan, zone, since, until) if by_time else due_by_date(plan, zone, since, until)
    return Counter(found)


# --- random schedules -----------------------------------------------------------------------------------------------

clock = st.builds(time, st.integers(0, 23), st.sampled_from([0, 1, 30, 59])) | st.builds(
    time, st.sampled_from([0, 1, 2, 3, 23]), st.integers(0, 59)
)
times = st.lists(clock, min_size=1, max_size=8, unique=True).map(tuple)
weekdays = st.none() | st.frozensets(st.sampled_from(list(Weekday)), min_size=1)
days_of_month = st.none() | st.lists(st.sampled_from([1, 15, 28, 29, 30, 31]), min_size=1, unique=True).map(tuple)
cycles = st.none() | st.builds(Cycle, st.integers(1, 22), st.integers(1, 9))
every_date = st.none() | st.one_of(
    st.builds(EveryDate, st.integers(1, 9), st.just(DateUnit.DAY)),
    st.builds(EveryDate, st.integers(1, 4), st.just(DateUnit.WEEK)),
    st.builds(EveryDate, st.integers(1, 3), st.just(DateUnit.MONTH)),
)


@st.composite
def calendar_rules(draw: st.DrawFn, start: date) -> CalendarRule:
    del start
    every = draw(every_date)
    monthly = every is None or every.unit is DateUnit.MONTH
    return CalendarRule(
        times=draw(times),
        days_of_week=draw(weekdays),
        every=every,
        days_of_month=draw(days_of_month) if monthly else None,
        month_end=draw(st.sampled_from(list(MonthEnd))),
        cycle=draw(cycles),
    )


@st.composite
def steps_rules(draw: st.DrawFn, start: date) -> StepsRule:
    steps: list[Step] = []
    begin = start
    for number in range(draw(st.integers(1, 4))):
        end = begin + timedelta(days=draw(st.integers(0, 9)))
        steps.append(Step(begin, end, Dose(Decimal(number + 1), "mg"), draw(weekdays)))
        begin = end + timedelta(days=draw(st.integers(1, 3)))
    return StepsRule(draw(times), tuple(steps))


@st.composite
def interval_rules(draw: st.DrawFn, start: date) -> IntervalRule:
    first = datetime.combine(start, draw(clock))
    if draw(st.booleans()):
        every = draw(
            st.builds(EveryTime, st.integers(1, 80), st.just(TimeUnit.HOUR))
            | st.builds(EveryTime, st.integers(5, 300), st.just(TimeUnit.MINUTE))
            | st.builds(EveryTime, st.integers(1, 5), st.just(TimeUnit.DAY))
        )
        return IntervalRule(every, first)
    opens, closes = draw(st.lists(clock, min_size=2, max_size=2, unique=True))
    every = EveryTime(draw(st.integers(15, 500)), TimeUnit.MINUTE)
    return IntervalRule(every, first, IntervalMode.WINDOWED, window=Window(opens, closes))


def clock_changes(zone: ZoneInfo, year: int) -> list[datetime]:
    first = datetime(year, 1, 1, tzinfo=UTC)
    hours = [first + timedelta(hours=n) for n in range(365 * 24)]
    offsets = [hour.astimezone(zone).utcoffset() for hour in hours]
    return [hour for hour, this, following in zip(hours, offsets, offsets[1:], strict=False) if this != following]


@st.composite
def situations(draw: st.DrawFn) -> tuple[SchedulePlan, ZoneInfo, datetime, datetime]:
    zone = ZoneInfo(draw(st.sampled_from(ODD_ZONES) | st.sampled_from(ZONES)))
    year = draw(st.integers(2010, 2020) | st.integers(2024, 2034))
    changes = clock_changes(zone, year)
    middle = datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=draw(st.integers(0, 364)))
    if changes and draw(st.booleans()):
        middle = draw(st.sampled_from(changes))
    since = middle + timedelta(minutes=draw(st.integers(-90, 90) | st.integers(-2 * 24 * 60, 0)))
    until = since + timedelta(minutes=draw(st.integers(1, 2 * 24 * 60)))
    start = middle.date() + timedelta(days=draw(st.integers(-70, 2)))
    rules = draw(st.sampled_from([calendar_rules, steps_rules, interval_rules]))
    rule = draw(rules(start))
    end = draw(st.none() | st.integers(0, 70).map(lambda days: start + timedelta(days=days)))
    try:
        plan = SchedulePlan(rule, start, end, zone.key, ZonePolicy.FOLLOW, TABLET)
    except Invalid:  # a rule without any day is refused: the same without an end, or with every day, has some
        plan = SchedulePlan(CalendarRule((time(8, 0),)), start, None, zone.key, ZonePolicy.FOLLOW, TABLET)
    return plan, zone, since, until


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
@given(situations())
def test_no_dose_of_any_kind_is_missed_invented_doubled_or_at_another_instant(
    situation: tuple[SchedulePlan, ZoneInfo, datetime, datetime],
) -> None:
    plan, zone, since, until = situation

    found = list(occurrences(plan, zone="UTC", valid_from=since - timedelta(days=900), since=since, until=until))

    nominal = not isinstance(plan.rule, IntervalRule)
    assert Counter((dose.nominal_local if nominal else None, dose.due_at, dose.dose) for dose in found) == oracle(
        plan, zone, since, until
    )
    assert [dose.due_at for dose in found] == sorted(dose.due_at for dose in found)
    assert all(wall(dose.due_at, zone) == dose.nominal_local for dose in found if dose.note is None)


def test_the_oracle_itself_knows_a_gap_a_fold_and_a_window() -> None:
    zone = ZoneInfo("Europe/Berlin")
    assert instant_of(datetime(2026, 3, 29, 2, 30), zone) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)  # noqa: DTZ001
    assert instant_of(datetime(2026, 10, 25, 2, 30), zone) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # noqa: DTZ001
    window = Window(time(9), time(21))
    rule = IntervalRule(
        EveryTime(3, TimeUnit.HOUR),
        datetime(2026, 3, 1, 9),  # noqa: DTZ001 - a wall time
        IntervalMode.WINDOWED,
        window=window,
    )
    plan = SchedulePlan(rule, date(2026, 3, 1), None, zone.key, ZonePolicy.FOLLOW, TABLET)
    day = datetime(2026, 3, 29, tzinfo=UTC)
    assert [at.hour for _, at, _ in due_by_time(plan, zone, day, day + timedelta(days=1))] == [7, 10, 13, 16, 19]
