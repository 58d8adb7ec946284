"""Doses of every date: what is counted in seconds equals what is walked date by date."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carecircle.domain.schedule import (
    CalendarRule,
    Dose,
    PlannedDose,
    SchedulePlan,
    Weekday,
    ZonePolicy,
    occurrences,
    sheets,
)
from carecircle.domain.zones import place_zones

ZONES = sorted(place_zones())
YEARS = int(os.environ.get("CARECIRCLE_ZONE_YEARS", "1"))
"""`make test-zones` asks for ten."""
Times: TypeAlias = tuple[time, ...]
TIMES = (time(0, 0), time(1, 30), time(2, 30), time(23, 30))


def plan_of(
    times: tuple[time, ...], zone: str, *, walked: bool, end: date | None = None, **more: object
) -> SchedulePlan:
    """The same schedule; "on every day of the week" has to be walked."""
    days = frozenset(Weekday) if walked else None
    return SchedulePlan(
        rule=CalendarRule(times, days),
        start_date=date(2009, 12, 30),
        end_date=end,
        zone=zone,
        zone_policy=ZonePolicy.FOLLOW,
        dose=Dose(Decimal(1), "tablet"),
        **more,
    )


def both(
    since: datetime, until: datetime, times: tuple[time, ...], zone: str, **more: object
) -> list[list[PlannedDose]]:
    return [
        list(occurrences(plan_of(times, zone, walked=walked, **more), zone="UTC", valid_from=since, until=until))
        for walked in (False, True)
    ]


@pytest.mark.parametrize("initial", sorted({name[0] for name in ZONES}))
def test_in_every_zone_for_years(initial: str) -> None:
    for name in (name for name in ZONES if name.startswith(initial)):
        since = datetime(2026, 1, 1, 5, tzinfo=UTC)
        counted, walked = both(since, since + timedelta(days=366 * YEARS), TIMES, name)
        assert counted == walked, name


instants = st.datetimes(datetime(2010, 1, 1), datetime(2040, 1, 1)).map(  # noqa: DTZ001 - made aware
    lambda at: at.replace(tzinfo=UTC)
)
times_of_day = st.lists(
    st.times().map(lambda at: at.replace(second=0, microsecond=0)), min_size=1, max_size=9, unique=True
)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(ZONES),
    times_of_day.map(tuple),
    instants,
    st.timedeltas(timedelta(0), timedelta(days=200)),
    st.none() | st.timedeltas(timedelta(microseconds=1), timedelta(days=7)),
    st.none() | st.integers(-3, 210),
)
def test_between_any_two_instants(
    zone: str,
    times: Times,
    since: datetime,
    length: timedelta,
    missed_after: timedelta | None,
    ends_after: int | None,
) -> None:
    end = None if ends_after is None else max(date(2010, 1, 2), (since + timedelta(days=ends_after)).date())
    counted, walked = both(since, since + length, times, zone, missed_after=missed_after, end=end)

    assert counted == walked


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(ZONES), times_of_day.map(tuple), instants, st.integers(0, 400))
def test_the_columns_are_the_doses(zone: str, times: Times, since: datetime, days: int) -> None:
    for walked in (False, True):
        plan = plan_of(times, zone, walked=walked)
        until = since + timedelta(days=days)
        doses = iter(occurrences(plan, zone="UTC", valid_from=since, until=until))
        for sheet in sheets(plan, zone="UTC", valid_from=since, until=until):
            columns = (sheet.nominal_local(), sheet.due_at(), sheet.missed_at(), sheet.note(), sheet.dose())
            for nominal, due_at, missed_at, note, dose in zip(*columns, strict=True):
                assert next(doses) == PlannedDose(nominal, zone, due_at, missed_at, note, dose)
        assert next(doses, None) is None


def test_an_instant_of_the_range_is_taken_to_the_microsecond() -> None:
    plan = plan_of((time(8, 0),), "UTC", walked=False)
    due = datetime(2026, 6, 1, 8, tzinfo=UTC)
    moment = timedelta.resolution

    def doses(since: datetime, until: datetime, valid_from: datetime) -> int:
        return len(list(occurrences(plan, zone="UTC", valid_from=valid_from, since=since, until=until)))

    long_ago = due - timedelta(days=3)
    assert doses(due, due + moment, long_ago) == 1
    assert doses(due, due, long_ago) == 0
    assert doses(due - moment, due, long_ago) == 0
    assert doses(due + moment, due + timedelta(hours=1), long_ago) == 0
    assert doses(due - moment, due + moment, due) == 0
    assert doses(due - moment, due + moment, due - moment) == 1


def test_instants_may_come_with_any_offset() -> None:
    plan = plan_of((time(8, 0),), "Asia/Tokyo", walked=False)
    since = datetime.fromisoformat("2026-06-01T00:30-07:00")
    found = list(occurrences(plan, zone="UTC", valid_from=since, until=since + timedelta(days=2)))
    assert [dose.due_at for dose in found] == [datetime(2026, 6, day, 23, tzinfo=UTC) for day in (1, 2)]
    assert all(dose.due_at.tzinfo is UTC for dose in found)


def test_the_last_dose_before_a_change_of_clocks_looks_over_it() -> None:
    plan = plan_of((time(12, 0), time(23, 0)), "Europe/Berlin", walked=False)
    since = datetime(2026, 3, 27, tzinfo=UTC)
    found = list(occurrences(plan, zone="UTC", valid_from=since, until=since + timedelta(days=4)))
    waits = {str(dose.nominal_local): dose.missed_at - dose.due_at for dose in found}
    assert waits["2026-03-28 23:00:00"] == timedelta(hours=6)  # 12 h to noon, by the wall 13
    assert waits["2026-03-29 23:00:00"] == timedelta(hours=6, minutes=30)
