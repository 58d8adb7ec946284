"""Stock, forecast and expiry, without a database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carecircle.domain.dose import Dose
from carecircle.domain.errors import Invalid
from carecircle.domain.supply import (
    Basis,
    Equivalent,
    Forecast,
    Package,
    PlannedUse,
    Situation,
    SupplySettings,
    SupplyWarning,
    Taken,
    days_left,
    days_supply,
    forecast,
    next_expiry,
    packages_left,
    take,
    warnings,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

START = datetime(2026, 4, 10, 18, 0, tzinfo=UTC)
TODAY = date(2026, 4, 10)
D = Decimal


def uses(*amounts: str | None) -> list[PlannedUse]:
    return [
        PlannedUse(START + timedelta(hours=12 * number), None if amount is None else D(amount))
        for number, amount in enumerate(amounts)
    ]


@pytest.mark.parametrize(
    ("stock", "amount", "left", "shortfall"),
    [("14", "1", "13", "0"), ("0.3", "0.1", "0.2", "0"), ("0.5", "1", "0", "0.5"), ("0", "2", "0", "2")],
)
def test_an_intake_counts_whole_and_stops_at_nothing(stock: str, amount: str, left: str, shortfall: str) -> None:
    assert take(D(stock), D(amount)) == Taken(D(left), D(shortfall))


@given(st.lists(st.decimals(D("0.0001"), D("9.9999"), places=4), max_size=40))
def test_no_number_of_intakes_makes_a_stock_negative_or_loses_any_of_it(amounts: list[Decimal]) -> None:
    stock, short = D(10), D(0)
    for amount in amounts:
        taken = take(stock, amount)
        stock, short = taken.stock, short + taken.shortfall
    assert stock >= 0
    assert stock - short == 10 - sum(amounts)


@pytest.mark.parametrize(
    ("dose", "amount"),
    [
        (("1", "tablet"), "1"),
        (("1", " Tablet"), "1"),
        (("250", "mg"), "0.5"),
        (("333", "MG"), "0.666"),
        (("1", "drop"), "0.0333"),
        (("1", "tablets"), None),
        (("0.001", "drop"), None),
    ],
)
def test_a_dose_in_another_unit_is_converted_only_as_stated(dose: tuple[str, str], amount: str | None) -> None:
    settings = SupplySettings("tablet", (Equivalent("mg", D(500)), Equivalent("drop", D(30))))
    assert settings.amount_of(Dose(D(dose[0]), dose[1])) == (None if amount is None else D(amount))


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"unit": " "}, "unit"),
        ({"unit": "ml", "equivalents": (Equivalent("ML", D(1)),)}, "equivalents"),
        ({"unit": "ml", "equivalents": (Equivalent("mg", D(1)), Equivalent(" mg", D(2)))}, "equivalents"),
        ({"unit": "ml", "equivalents": tuple(Equivalent(f"u{n}", D(1)) for n in range(6))}, "equivalents"),
        ({"unit": "ml", "package_size": D(0)}, "package_size"),
        ({"unit": "ml", "package_size": D("1.00001")}, "package_size"),
        ({"unit": "ml", "warn_days": -1}, "warn_days"),
        ({"unit": "ml", "warn_days": 367}, "warn_days"),
        ({"unit": "ml", "warn_stock": D(-1)}, "warn_stock"),
        ({"unit": "ml", "warn_expiry_days": 1000}, "warn_expiry_days"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        SupplySettings(**settings)
    assert refused.value.field == field


def test_an_equivalent_of_nothing_is_refused() -> None:
    with pytest.raises(Invalid):
        Equivalent("mg", D(0))


def test_the_stock_runs_out_at_the_first_dose_that_it_does_not_cover() -> None:
    assert forecast(D("2.5"), uses("1", "1", "1")) == Forecast(Basis.PLANNED_DOSES, START + timedelta(hours=24), 2)
    assert forecast(D(3), uses("1", "1", "1")) == Forecast(Basis.LASTS_LONGER, None, None)
    assert forecast(D(0), uses("1")) == Forecast(Basis.PLANNED_DOSES, START, 0)


@pytest.mark.parametrize(
    ("planned", "active", "basis"),
    [
        (uses(), True, Basis.NOTHING_PLANNED),
        (uses("1", None), True, Basis.UNIT_UNKNOWN),
        (uses("1"), False, Basis.NOT_ACTIVE),
    ],
)
def test_without_a_forecast_it_says_why(planned: list[PlannedUse], active: bool, basis: Basis) -> None:
    assert forecast(D(5), planned, active=active) == Forecast(basis, None, None)


def test_no_more_doses_are_read_than_needed() -> None:
    def forever() -> Iterator[PlannedUse]:
        for number in range(10_000_000):
            assert number <= 3
            yield PlannedUse(START + timedelta(days=number), D(1))

    assert forecast(D(3), forever()).run_out_at == START + timedelta(days=3)


def test_days_left_are_days_that_are_covered_whole() -> None:
    assert days_left(date(2026, 4, 17), TODAY) == 7
    assert days_left(TODAY, TODAY) == 0
    assert days_left(date(2026, 4, 9), TODAY) == 0  # a dose of yesterday is still open


def test_days_supply_of_a_refill_is_rounded_down_to_half_a_day() -> None:
    assert days_supply(D(30), uses(*["1"] * 56), 28) == D(15)
    assert days_supply(D(31), uses(*["1"] * 56), 28) == D("15.5")
    assert days_supply(D("31.9"), uses(*["1"] * 56), 28) == D("15.5")
    assert days_supply(D(30), uses(), 28) is None
    assert days_supply(D(30), uses("1", None), 28) is None


def test_packages_are_used_in_the_order_in_which_they_expire() -> None:
    may, june = date(2026, 5, 1), date(2026, 6, 1)
    packages = [Package(D(10), june), Package(D(20), None), Package(D(10), may)]

    assert packages_left(packages, D(25)) == [Package(D(5), None), Package(D(10), may), Package(D(10), june)]
    assert packages_left(packages, D(15)) == [Package(D(5), may), Package(D(10), june)]
    assert packages_left(packages, D(7)) == [Package(D(7), june)]
    assert packages_left(packages, D(0)) == []
    assert packages_left([Package(D(10), may)], D(90)) == [Package(D(10), may)]  # the rest was counted in
    assert next_expiry(packages_left(packages, D(15))) == may
    assert next_expiry([Package(D(1), None)]) is None


def situation(**changes: Any) -> Situation:
    run_out = Forecast(Basis.PLANNED_DOSES, START + timedelta(days=20), 40)
    values: dict[str, Any] = {
        "stock": D(40),
        "forecast": run_out,
        "days_left": 20,
        "next_expiry": None,
        "today": TODAY,
    }
    return Situation(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"days_left": 8}, []),
        ({"days_left": 7}, ["low"]),
        ({"stock": D(4)}, ["low"]),
        ({"stock": D(0), "days_left": 0, "forecast": Forecast(Basis.PLANNED_DOSES, START, 0)}, ["out", "low"]),
        ({"stock": D(0), "days_left": None, "forecast": Forecast(Basis.NOT_ACTIVE, None, None)}, []),
        ({"next_expiry": date(2026, 5, 11)}, []),
        ({"next_expiry": date(2026, 5, 10)}, ["expiring"]),
        ({"next_expiry": TODAY}, ["expiring"]),
        ({"next_expiry": date(2026, 4, 9)}, ["expired"]),
        ({"discrepancy": True, "uncounted": True}, ["discrepancy", "unit_unknown"]),
        ({"forecast": Forecast(Basis.UNIT_UNKNOWN, None, None), "days_left": None}, ["unit_unknown"]),
    ],
)
def test_warnings_say_what_holds_now(changes: dict[str, Any], expected: list[str]) -> None:
    settings = SupplySettings("tablet", warn_stock=D(4))
    assert warnings(settings, situation(**changes)) == [SupplyWarning(word) for word in expected]


def test_a_threshold_that_is_switched_off_warns_of_nothing() -> None:
    silent = SupplySettings("tablet", warn_days=None, warn_expiry_days=None)
    assert warnings(silent, situation(days_left=1, next_expiry=TODAY)) == []
