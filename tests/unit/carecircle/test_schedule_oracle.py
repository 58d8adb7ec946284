"""The engine against an oracle that works the other way round: it walks every minute of UTC, reads the wall clock
there, and writes down what is due. It shares nothing with the engine but the database of zones.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carecircle.domain.schedule import CalendarRule, Dose, SchedulePlan, Weekday, ZonePolicy, occurrences
from carecircle.domain.zones import place_zones

if TYPE_CHECKING:
    from collections.abc import Iterator

MINUTE = timedelta(minutes=1)
A_FOLD = timedelta(hours=4)
ZONES = sorted(place_zones())
# Those whose clocks do the odd things: half-hour and negative DST, gaps at midnight, a day that never was.
ODD_ZONES = [
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Havana",
    "America/New_York",
    "America/Nuuk",
    "America/Santiago",
    "America/Sao_Paulo",
    "America/Scoresbysund",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Pyongyang",
    "Asia/Tehran",
    "Australia/Lord_Howe",
    "Europe/Dublin",
    "Pacific/Apia",
    "Pacific/Chatham",
]
MONDAY_FIRST = list(Weekday)


def oracle(plan: SchedulePlan, zone: ZoneInfo, since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """(nominal wall time, instant) of every dose due in [since, until)."""
    # A fold may have begun before: walk up to it, so that its second round is known for one.
    return ((nominal, due_at) for nominal, due_at in walk(plan, zone, since - A_FOLD, until) if since <= due_at < until)


def walk(plan: SchedulePlan, zone: ZoneInfo, since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    reached = wall(since - MINUTE, zone)  # the furthest that the wall clock has shown: a fold goes back behind it
    instant = since
    while instant < until:
        now, before = wall(instant, zone), wall(instant - MINUTE, zone)
        if now == before + MINUTE:
            if now > reached and planned(plan, now):
                yield now, instant
        elif now > before:  # a gap: its minutes are counted on from before it, which the clock shows as shifted
            yield from in_gap(plan, zone, before, now, instant)
            if now > reached and planned(plan, now):
                yield now, instant
        reached = max(reached, now)
        instant += MINUTE


def in_gap(
    plan: SchedulePlan, zone: ZoneInfo, before: datetime, after: datetime, instant: datetime
) -> Iterator[tuple[datetime, datetime]]:
    skipped = before + MINUTE
    due_at = instant
    while skipped < after:
        if planned(plan, skipped) and wall(due_at, zone).date() == skipped.date():
            yield skipped, due_at
        skipped += MINUTE
        due_at += MINUTE


def planned(plan: SchedulePlan, shown: datetime) -> bool:
    days = plan.rule.days_of_week
    return (
        shown.time() in plan.rule.times
        and (days is None or MONDAY_FIRST[shown.isoweekday() - 1] in days)
        and plan.start_date <= shown.date()
        and (plan.end_date is None or shown.date() <= plan.end_date)
    )


def wall(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def clock_changes(zone: ZoneInfo, year: int) -> list[datetime]:
    """Every hour of the year after which the offset is another."""
    first = datetime(year, 1, 1, tzinfo=UTC)
    hours = [first + timedelta(hours=n) for n in range(365 * 24)]
    offsets = [hour.astimezone(zone).utcoffset() for hour in hours]
    return [hour for hour, this, following in zip(hours, offsets, offsets[1:], strict=False) if this != following]


times_of_day = st.builds(time, st.integers(0, 23), st.sampled_from([0, 1, 15, 29, 30, 45, 59]))
# Most clocks change at night: times there meet gaps and folds, times of the whole day would hardly.
night_times = st.builds(time, st.sampled_from([0, 1, 2, 3, 23]), st.integers(0, 59))
times_of_rule = st.lists(times_of_day | night_times, min_size=1, max_size=8, unique=True)
weekdays = st.none() | st.frozensets(st.sampled_from(list(Weekday)), min_size=1)


@st.composite
def situations(draw: st.DrawFn) -> tuple[SchedulePlan, ZoneInfo, datetime, datetime]:
    zone = ZoneInfo(draw(st.sampled_from(ODD_ZONES) | st.sampled_from(ZONES)))
    year = draw(st.integers(2005, 2060))
    changes = clock_changes(zone, year)
    any_day = st.integers(0, 364).map(lambda n: datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=n))
    middle = draw(st.sampled_from(changes) | any_day) if changes else draw(any_day)
    since = middle + timedelta(minutes=draw(st.integers(-90, 90) | st.integers(-2 * 24 * 60, 0)))
    until = since + timedelta(minutes=draw(st.integers(1, 3 * 24 * 60)))
    start = middle.date() + timedelta(days=draw(st.integers(-40, 3)))
    length = draw(st.none() | st.integers(7, 50))
    plan = SchedulePlan(
        rule=CalendarRule(tuple(draw(times_of_rule)), draw(weekdays)),
        start_date=start,
        end_date=None if length is None else start + timedelta(days=length),
        zone=zone.key,
        zone_policy=ZonePolicy.FOLLOW,
        dose=Dose(Decimal(1), "tablet"),
    )
    return plan, zone, since, until


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(situations())
def test_no_dose_is_missing_invented_doubled_or_at_another_instant(
    situation: tuple[SchedulePlan, ZoneInfo, datetime, datetime],
) -> None:
    plan, zone, since, until = situation

    found = list(occurrences(plan, zone="UTC", valid_from=since - timedelta(days=400), since=since, until=until))

    assert Counter((dose.nominal_local, dose.due_at) for dose in found) == Counter(oracle(plan, zone, since, until))
    assert [dose.due_at for dose in found] == sorted(dose.due_at for dose in found)
    assert all(dose.due_at < dose.missed_at for dose in found)


@pytest.mark.parametrize("zone_name", ODD_ZONES)
def test_every_half_hour_around_every_change_of_odd_clocks(zone_name: str) -> None:
    zone = ZoneInfo(zone_name)
    plan = SchedulePlan(
        rule=CalendarRule(tuple(time(n // 2, n % 2 * 30) for n in range(48))),
        start_date=date(2005, 1, 1),
        end_date=None,
        zone=zone_name,
        zone_policy=ZonePolicy.FOLLOW,
        dose=Dose(Decimal(1), "tablet"),
    )
    for change in (change for year in (2006, 2011, 2018, 2024) for change in clock_changes(zone, year)):
        since, until = change - timedelta(hours=13), change + timedelta(hours=13)
        found = [
            (dose.nominal_local, dose.due_at)
            for dose in occurrences(plan, zone="UTC", valid_from=since - MINUTE, until=until)
        ]
        assert sorted(found) == sorted(oracle(plan, zone, since, until))
        assert [due_at for _, due_at in found] == sorted(due_at for _, due_at in found)


@settings(max_examples=60, deadline=None)
@given(situations(), st.lists(st.integers(0, 3 * 24 * 60), max_size=6))
def test_planning_in_pieces_is_planning_at_once(
    situation: tuple[SchedulePlan, ZoneInfo, datetime, datetime], cuts: list[int]
) -> None:
    plan, _, since, until = situation
    edges = sorted({since, until, *(min(until, since + timedelta(minutes=cut)) for cut in cuts)})

    def planned_between(begin: datetime, end: datetime) -> list:
        return list(occurrences(plan, zone="UTC", valid_from=since, since=begin, until=end))

    pieces = [dose for begin, end in pairwise(edges) for dose in planned_between(begin, end)]

    assert pieces == planned_between(since, until)


def test_the_oracle_itself_finds_gap_fold_and_the_day_that_never_was() -> None:
    plan = SchedulePlan(
        CalendarRule((time(2, 30),)), date(2005, 1, 1), None, None, ZonePolicy.FOLLOW, Dose(Decimal(1), "tablet")
    )

    def due(zone: str, day: str) -> list[str]:
        since = datetime.fromisoformat(f"{day}T00:00Z")
        return [f"{at:%dT%H:%M}" for _, at in oracle(plan, ZoneInfo(zone), since, since + timedelta(days=1))]

    assert due("Europe/Berlin", "2026-03-29") == ["29T01:30"]
    assert due("Europe/Berlin", "2026-10-25") == ["25T00:30"]
    assert due("Pacific/Apia", "2011-12-30") == ["30T12:30"]  # the 31st; the 29th was at 12:30Z of its own date
    assert due("Pacific/Apia", "2011-12-29") == ["29T12:30"]
