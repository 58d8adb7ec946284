"""Use of a medicine as needed over time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from carecircle.domain.as_needed import AsNeededRule, Maximum, allowance
from carecircle.domain.as_needed_use import TakenDose, Use, as_needed_use
from carecircle.domain.dose import Dose

RULE = AsNeededRule(timedelta(hours=4), Maximum(4, timedelta(hours=24)))
SINCE, UNTIL = date(2026, 1, 5), date(2026, 1, 18)


def taken(text: str, quantity: str = "1", unit: str = "tablet") -> TakenDose:
    at = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return TakenDose(at, at.date(), Dose(Decimal(quantity), unit))


def test_case_32_is_warned_of_at_the_third_and_reached_at_the_fourth() -> None:
    doses = [taken(f"2026-01-05 {hour}:00") for hour in (12, 16, 20)] + [taken("2026-01-06 00:00")]
    found = as_needed_use(RULE, doses, SINCE, UNTIL)
    assert found.total == Use(4, (("tablet", Decimal(4)),), before_max=1, at_max=1)
    assert found.total.near_max == 2
    assert [(day.name, day.use.doses, day.use.near_max) for day in found.days] == [
        ("2026-01-05", 3, 1),
        ("2026-01-06", 1, 1),
    ]


def test_what_came_before_the_period_counts_towards_the_maximum_only() -> None:
    before = [taken(f"2026-01-04 {hour}:00") for hour in ("08", "12", "16", "20")]
    found = as_needed_use(RULE, [*before, taken("2026-01-05 07:00")], SINCE, UNTIL)
    assert found.total == Use(1, (("tablet", Decimal(1)),), above_max=1)


def test_a_dose_too_close_to_the_last_is_told() -> None:
    found = as_needed_use(RULE, [taken("2026-01-05 08:00"), taken("2026-01-05 11:59")], SINCE, UNTIL)
    assert (found.total.too_early, found.days_with_use) == (1, 1)


def test_amounts_are_by_unit_and_weeks_are_all_there() -> None:
    doses = [taken("2026-01-05 08:00", "1.5"), taken("2026-01-12 08:00", "10", "ml"), taken("2026-01-13 08:00", "0.5")]
    found = as_needed_use(AsNeededRule(), doses, date(2026, 1, 1), date(2026, 1, 20))
    assert found.total.amounts == (("ml", Decimal(10)), ("tablet", Decimal("2.0")))
    assert [(week.name, week.since.day, week.until.day, week.use.doses) for week in found.weeks] == [
        ("2026-W01", 1, 4, 0),
        ("2026-W02", 5, 11, 1),
        ("2026-W03", 12, 18, 2),
        ("2026-W04", 19, 20, 0),
    ]


@given(
    minutes=st.lists(st.integers(0, 14 * 24 * 60 - 1), max_size=60),
    count=st.integers(1, 5),
    hours=st.sampled_from([1, 8, 24, 72]),
)
def test_each_dose_is_marked_as_its_allowance_says(minutes: list[int], count: int, hours: int) -> None:
    rule = AsNeededRule(timedelta(hours=2), Maximum(count, timedelta(hours=hours)))
    begin = datetime(2026, 1, 5, tzinfo=UTC)
    times = sorted(begin + timedelta(minutes=one) for one in minutes)
    doses = [TakenDose(at, at.date(), Dose(Decimal(1), "tablet")) for at in times]
    found = as_needed_use(rule, doses, SINCE, UNTIL)
    warnings = [allowance(rule, times[: number + 1], at).warning for number, at in enumerate(times)]
    assert found.total.before_max == warnings.count("last_before_max")
    assert found.total.at_max + found.total.above_max == warnings.count("max_reached")
    early = [at for earlier, at in pairwise(times) if at - earlier < timedelta(hours=2)]
    assert found.total.too_early == len(early)
    assert sum(week.use.doses for week in found.weeks) == sum(day.use.doses for day in found.days) == len(times)
