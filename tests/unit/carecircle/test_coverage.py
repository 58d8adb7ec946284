"""PDC and MPR from fills, against the domain's cases and an oracle that walks day by day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carecircle.domain.coverage import NOTHING, Coverage, coverage

FIRST, LAST = date(2026, 1, 1), date(2026, 3, 31)


@dataclass(frozen=True)
class Got:
    on: date
    days_supply: Decimal


def got(text: str) -> list[Got]:
    """`got("01-01 30, 01-25 30")`, of 2026."""
    pairs = (one.split() for one in text.split(",") if one.strip())
    return [Got(date.fromisoformat(day if len(day) > 5 else f"2026-{day}"), Decimal(days)) for day, days in pairs]


@pytest.mark.parametrize(
    ("fills", "covered", "days", "supplied"),
    [
        pytest.param("01-01 30, 01-25 30", 60, 90, 60, id="50 overlap carried forward"),
        pytest.param("01-01 90, 03-25 30", 90, 90, 120, id="50 at most all days, MPR above"),
        pytest.param("01-01 30, 02-15 30", 60, 90, 60, id="a hole"),
        pytest.param("03-31 30", 1, 1, 30, id="the last day"),
        pytest.param("01-31 30", 30, 60, 30, id="counted from the first fill"),
        pytest.param("2025-12-12 30", 10, 90, 0, id="what is left from before"),
        pytest.param("2025-12-12 30, 01-05 10", 20, 90, 10, id="left from before, then refilled"),
        pytest.param("01-01 10.5, 01-01 10.5", 21, 90, 21, id="two halves are a day"),
        pytest.param("01-01 10.5, 02-01 1.5", 12, 90, 12, id="half a day waits for the next fill"),
        pytest.param("01-01 0", 0, 90, 0, id="nothing in it"),
        pytest.param("01-01 99999999", 90, 90, 99999999, id="more than a calendar has"),
    ],
)
def test_days_covered(fills: str, covered: int, days: int, supplied: int) -> None:
    found = coverage(got(fills), FIRST, LAST)
    assert (found.covered, found.days, found.supplied) == (covered, days, supplied)


def test_the_shares_of_case_50() -> None:
    first = coverage(got("01-01 30, 01-25 30"), FIRST, LAST)
    second = coverage(got("01-01 90, 03-25 30"), FIRST, LAST)
    assert (round(first.pdc or 0, 3), round(first.mpr or 0, 3)) == (0.667, 0.667)
    assert (second.pdc, round(second.mpr or 0, 2)) == (1.0, 1.33)
    both = first + second
    assert (both.covered, both.days, both.fills) == (150, 180, 4)
    assert both.pdc == 150 / 180  # of days, not the mean of two shares


def test_without_a_fill_there_is_no_share() -> None:
    for fills in ("", "04-01 30"):
        found = coverage(got(fills), FIRST, LAST)
        assert (found, found.pdc, found.mpr) == (NOTHING, None, None)


FILLS = st.lists(
    st.builds(
        Got,
        on=st.dates(date(2025, 10, 1), date(2026, 4, 30)),
        days_supply=st.one_of(
            st.integers(0, 120).map(Decimal), st.decimals(0, 40, places=1, allow_nan=False, allow_infinity=False)
        ),
    ),
    max_size=8,
)


@given(fills=FILLS, length=st.integers(0, 120), start=st.dates(date(2025, 11, 1), date(2026, 3, 1)))
def test_it_agrees_with_a_walk_through_the_days(fills: list[Got], length: int, start: date) -> None:
    until = start + timedelta(days=length)
    assert coverage(fills, start, until) == walked(fills, start, until)


def walked(fills: list[Got], since: date, until: date) -> Coverage:
    """Every morning what was got is put into the cupboard; if there is enough for the day, it is taken out."""
    if not fills or min(fill.on for fill in fills) > until:
        return NOTHING
    first_fill = min(fill.on for fill in fills)
    cupboard, days, covered = Decimal(0), 0, 0
    day = first_fill
    while day <= until:
        cupboard += sum(fill.days_supply for fill in fills if fill.on == day)
        enough = cupboard >= 1
        cupboard -= enough
        if day >= since:
            days += 1
            covered += enough
        day += timedelta(days=1)
    counted = [fill for fill in fills if max(since, first_fill) <= fill.on <= until]
    return Coverage(days, covered, sum((fill.days_supply for fill in counted), Decimal(0)), len(counted))
