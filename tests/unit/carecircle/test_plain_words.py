"""What people read of a schedule: every kind, and whatever can be said of it."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from carecircle.domain.as_needed import AsNeededRule, Maximum
from carecircle.domain.calendar_rule import CalendarRule, Cycle, DateUnit, EveryDate, MonthEnd, Weekday
from carecircle.domain.dose import Dose
from carecircle.domain.interval_rule import Anchor, EveryTime, IntervalMode, IntervalRule, TimeUnit, Window
from carecircle.domain.plain_words import in_words, length_words
from carecircle.domain.routine import Routine, When
from carecircle.domain.schedule import SchedulePlan, ZonePolicy
from carecircle.domain.steps_rule import Step, StepsRule

TODAY = date(2026, 11, 24)
AT_8 = (time(8),)
MON_WED = frozenset({Weekday.WED, Weekday.MON})
HOURS_8, DAYS_3 = EveryTime(8, TimeUnit.HOUR), EveryTime(3, TimeUnit.DAY)
START = datetime(2026, 1, 1, 9, 0)  # noqa: DTZ001 - wall time


def words(rule: Any, quantity: str = "1", unit: str = "tablet", **more: Any) -> tuple[str, ...]:
    values: dict[str, Any] = {"start_date": date(2026, 1, 1), "end_date": None, "zone": None}
    plan = SchedulePlan(
        rule=rule, zone_policy=ZonePolicy.FOLLOW, dose=Dose(Decimal(quantity), unit), **{**values, **more}
    )
    return in_words(plan, Routine(), TODAY)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (CalendarRule(AT_8), "1 tablet every day at 08:00"),
        (CalendarRule((time(20), time(8), time(12))), "1 tablet every day at 08:00, 12:00 and 20:00"),
        (CalendarRule(AT_8, MON_WED), "1 tablet on Mondays and Wednesdays at 08:00"),
        (CalendarRule(AT_8, every=EveryDate(2, DateUnit.DAY)), "1 tablet every 2 days at 08:00"),
        (CalendarRule(AT_8, every=EveryDate(1, DateUnit.WEEK)), "1 tablet every week on Thursdays at 08:00"),
        (
            CalendarRule(AT_8, MON_WED, EveryDate(2, DateUnit.WEEK)),
            "1 tablet every 2 weeks on Mondays and Wednesdays at 08:00",
        ),
        (CalendarRule(AT_8, every=EveryDate(1, DateUnit.MONTH)), "1 tablet every month on the 1st at 08:00"),
        (
            CalendarRule(AT_8, every=EveryDate(3, DateUnit.MONTH), days_of_month=(2, 31)),
            "1 tablet every 3 months on the 2nd and 31st (on the last day of a shorter month) at 08:00",
        ),
        (
            CalendarRule(AT_8, days_of_month=(13, 31), month_end=MonthEnd.SKIP),
            "1 tablet every month on the 13th and 31st (not in a shorter month) at 08:00",
        ),
        (CalendarRule(AT_8, cycle=Cycle(21, 7)), "1 tablet every day for 21 days, then 7 days without, at 08:00"),
        (
            CalendarRule((), when=(When.WAKE_UP, When.BEFORE_LUNCH, When.DINNER, When.BEDTIME)),
            "1 tablet every day on waking up (07:00), before lunch (12:00), with dinner (18:30) and at bedtime (22:00)",
        ),
        (IntervalRule(HOURS_8, START), "1 tablet every 8 hours"),
        (
            IntervalRule(
                EveryTime(90, TimeUnit.MINUTE), START, IntervalMode.WINDOWED, window=Window(time(9), time(21))
            ),
            "1 tablet every 1 hour 30 minutes between 09:00 and 21:00",
        ),
        (IntervalRule(DAYS_3, START, IntervalMode.CALENDAR), "1 tablet every 3 days at 09:00"),
        (
            IntervalRule(DAYS_3, START, anchor=Anchor.LAST_TAKEN),
            "1 tablet every 3 days, counted from the last dose taken",
        ),
        (AsNeededRule(), "1 tablet as needed"),
        (
            AsNeededRule(timedelta(hours=4), Maximum(4, timedelta(hours=24))),
            "1 tablet as needed, at least 4 hours apart, at most 4 doses in 24 hours",
        ),
        (AsNeededRule(None, Maximum(1, timedelta(days=7))), "1 tablet as needed, at most 1 dose in 7 days"),
    ],
)
def test_each_kind_is_one_sentence(rule: Any, said: str) -> None:
    assert words(rule) == (said,)


def test_a_taper_is_a_line_for_each_step() -> None:
    steps = (
        Step(date(2026, 11, 24), date(2026, 11, 30), Dose(Decimal(20), "mg")),
        Step(date(2026, 12, 1), date(2026, 12, 1), Dose(Decimal("2.5"), "tablet")),
        Step(date(2026, 12, 2), None, Dose(Decimal(5), "mg"), MON_WED),
    )
    assert words(StepsRule(AT_8, steps), start_date=date(2026, 11, 24)) == (
        "20 mg every day at 08:00, 24 November 2026 to 30 November 2026",
        "2.5 tablets every day at 08:00, on 1 December 2026",
        "5 mg on Mondays and Wednesdays at 08:00, from 2 December 2026",
    )


def test_where_it_begins_and_ends_is_said() -> None:
    rule = CalendarRule(AT_8)
    assert words(rule, end_date=date(2026, 12, 1)) == ("1 tablet every day at 08:00, until 1 December 2026",)
    assert words(rule, start_date=date(2026, 12, 1), count=10) == (
        "1 tablet every day at 08:00, from 1 December 2026, 10 doses in all",
    )


@pytest.mark.parametrize(
    ("quantity", "unit", "said"),
    [
        ("0.5", "tablet", "0.5 tablet"),
        ("2", "tablet", "2 tablets"),
        ("2", "mg", "2 mg"),
        ("2", "Hub", "2 Hub"),
        ("10", "drop", "10 drops"),
    ],
)
def test_units_have_their_plural(quantity: str, unit: str, said: str) -> None:
    assert words(CalendarRule(AT_8), quantity, unit) == (f"{said} every day at 08:00",)


def test_lengths_of_time() -> None:
    assert [length_words(timedelta(minutes=n)) for n in (5, 60, 61, 1440, 2880, 1500)] == [
        "5 minutes", "1 hour", "1 hour 1 minute", "24 hours", "2 days", "25 hours",
    ]  # fmt: skip
