"""How long a dose may be answered before it counts as missed, and what counts as on time (R10)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from carecircle.domain.medication import Severity
from carecircle.domain.schedule import occurrences
from carecircle.domain.windows import missed_at, on_time_window

if TYPE_CHECKING:
    from collections.abc import Callable

    from carecircle.domain.schedule import SchedulePlan

DUE = datetime(2026, 4, 10, 6, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("until_next", "wait"),
    [
        (None, timedelta(hours=12)),
        (timedelta(days=7), timedelta(hours=12)),
        (timedelta(hours=24), timedelta(hours=12)),
        (timedelta(hours=23), timedelta(hours=11, minutes=30)),
        (timedelta(hours=6), timedelta(hours=3)),
        (timedelta(minutes=61), timedelta(minutes=30, seconds=30)),
        (timedelta(minutes=20), timedelta(minutes=30)),
    ],
)
def test_missed_half_way_to_the_next_within_30_minutes_and_12_hours(
    until_next: timedelta | None, wait: timedelta
) -> None:
    next_due = None if until_next is None else DUE + until_next

    assert missed_at(DUE, next_due) - DUE == wait


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        pytest.param("08:00", ["18:00"], id="37 once a day"),
        pytest.param("08:00 14:00 20:00", ["09:00", "15:00", "00:00"], id="38 three times a day"),
        pytest.param("08:00 08:10", ["06:30", "18:05"], id="close together"),
    ],
)
def test_windows_of_one_day_in_berlin(make_plan: Callable[..., SchedulePlan], times: str, expected: list[str]) -> None:
    plan = make_plan(times, zone="Europe/Berlin")
    day = datetime(2026, 4, 10, tzinfo=UTC)

    doses = occurrences(plan, zone="UTC", valid_from=day, until=day + timedelta(days=1))

    assert [f"{dose.missed_at:%H:%M}" for dose in doses] == expected


def test_the_window_is_elapsed_time_over_the_change_of_clocks(make_plan: Callable[..., SchedulePlan]) -> None:
    plan = make_plan("08:00", zone="Europe/Berlin")
    before_change = datetime(2026, 3, 28, tzinfo=UTC)

    dose = next(occurrences(plan, zone="UTC", valid_from=before_change, until=before_change + timedelta(days=1)))

    assert dose.missed_at - dose.due_at == timedelta(hours=11, minutes=30)


def test_the_window_does_not_depend_on_the_end_of_the_range(make_plan: Callable[..., SchedulePlan]) -> None:
    plan = make_plan("08:00 14:00", zone="UTC")
    begin = datetime(2026, 4, 10, tzinfo=UTC)

    short, long = (
        next(occurrences(plan, zone="UTC", valid_from=begin, until=begin + reach))
        for reach in (timedelta(hours=8, minutes=1), timedelta(days=30))
    )

    assert short == long


def test_slots_that_a_gap_moved_onto_one_instant_share_their_window(make_plan: Callable[..., SchedulePlan]) -> None:
    plan = make_plan("02:30 03:30", zone="America/New_York")
    begin = datetime(2026, 3, 8, tzinfo=UTC)

    first, second = occurrences(plan, zone="UTC", valid_from=begin, until=begin + timedelta(days=1))

    assert first.missed_at == second.missed_at == datetime(2026, 3, 8, 19, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("severity", "often", "minutes"),
    [
        (Severity.NORMAL, True, 60),
        (Severity.NORMAL, False, 120),
        (Severity.INFO, False, 120),
        (Severity.TIME_CRITICAL, False, 30),
        (Severity.CRITICAL, True, 30),
    ],
)
def test_on_time(severity: Severity, *, often: bool, minutes: int) -> None:
    assert on_time_window(severity, more_often_than_daily=often) == timedelta(minutes=minutes)


def test_an_alert_overtakes_routine_mail() -> None:
    order = [Severity.CRITICAL, Severity.TIME_CRITICAL, Severity.NORMAL, Severity.INFO]

    assert sorted(Severity, key=lambda severity: severity.priority) == order
    assert min(severity.priority for severity in Severity) == 1
