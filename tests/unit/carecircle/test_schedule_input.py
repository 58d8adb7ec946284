"""What a plan refuses, and which part of the input it names."""

from __future__ import annotations

from datetime import UTC, date, time
from decimal import Decimal
from typing import Any

import pytest

from carecircle.domain.errors import Invalid
from carecircle.domain.rules import rule_from_json, rule_to_json
from carecircle.domain.schedule import CalendarRule, Dose, SchedulePlan, Weekday, ZonePolicy
from carecircle.domain.times import wall_clock
from carecircle.domain.zones import place_zones, zone_named

EIGHT = time(8, 0)
GOOD_PLAN: dict[str, Any] = {
    "rule": CalendarRule((EIGHT,)),
    "start_date": date(2026, 1, 1),
    "end_date": None,
    "zone": None,
    "zone_policy": ZonePolicy.FOLLOW,
    "dose": Dose(Decimal(1), "tablet"),
}
TUESDAYS = CalendarRule((EIGHT,), frozenset({Weekday.TUE}))


@pytest.mark.parametrize(
    ("times", "days", "field"),
    [
        pytest.param((), None, "times", id="no time"),
        pytest.param((EIGHT, time(9, 0), EIGHT), None, "times.2", id="a time twice"),
        pytest.param((EIGHT, EIGHT.replace(fold=1)), None, "times.1", id="a time twice, second of a fold"),
        pytest.param((EIGHT, time(8, 0, 30)), None, "times.1", id="seconds"),
        pytest.param((time(8, 0, 0, 1),), None, "times.0", id="microseconds"),
        pytest.param((EIGHT.replace(tzinfo=UTC),), None, "times.0", id="a time with a zone"),
        pytest.param(tuple(time(n // 60, n % 60) for n in range(49)), None, "times", id="49 times"),
        pytest.param((EIGHT,), frozenset(), "days_of_week", id="no day"),
    ],
)
def test_a_rule_names_what_is_wrong(times: tuple[time, ...], days: frozenset[Weekday] | None, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        CalendarRule(times, days)

    assert refused.value.field == field


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"start_date": date(1, 1, 1)}, "start_date"),
        ({"start_date": date(9999, 12, 31)}, "start_date"),
        ({"end_date": date(2201, 1, 1)}, "end_date"),
        ({"end_date": date(2025, 12, 31)}, "end_date"),
        ({"rule": TUESDAYS, "end_date": date(2026, 1, 5)}, "days_of_week"),
        ({"zone": "Europe/Atlantis"}, "zone"),
        ({"zone": ""}, "zone"),
    ],
    ids=[
        "year 1",
        "year 9999",
        "end in 2201",
        "end before start",
        "no Tuesday from Thursday to Monday",
        "zone",
        "empty",
    ],
)
def test_a_plan_names_what_is_wrong(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        SchedulePlan(**{**GOOD_PLAN, **changes})

    assert refused.value.field == field


@pytest.mark.parametrize(
    ("quantity", "unit", "field"),
    [
        ("0", "tablet", "dose.quantity"),
        ("-1", "tablet", "dose.quantity"),
        ("NaN", "tablet", "dose.quantity"),
        ("sNaN", "tablet", "dose.quantity"),
        ("Infinity", "tablet", "dose.quantity"),
        ("100001", "tablet", "dose.quantity"),
        ("1E+500", "tablet", "dose.quantity"),
        ("1E-500", "tablet", "dose.quantity"),
        ("0.00001", "tablet", "dose.quantity"),
        ("1", "", "dose.unit"),
        ("1", "   ", "dose.unit"),
        ("1", "x" * 51, "dose.unit"),
        ("1", "tab\0let", "dose.unit"),
        ("1", "tab\nlet", "dose.unit"),
        ("1", "\ud800", "dose.unit"),
    ],
)
def test_a_dose_names_what_is_wrong(quantity: str, unit: str, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        Dose(Decimal(quantity), unit)

    assert refused.value.field == field


@pytest.mark.parametrize(
    ("given", "kept"), [("1.0000", "1"), ("10", "10"), ("100.0", "100"), ("0.50", "0.5"), ("2.1250", "2.125")]
)
def test_an_amount_is_written_plainly(given: str, kept: str) -> None:
    assert str(Dose(Decimal(given), "ml").quantity) == kept


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "UTC+2",
        "EST",
        "EST5EDT",
        "CET",
        "Etc/GMT-2",
        "localtime",
        "Factory",
        "europe/berlin",
        "Europe/Berlin ",
        "../../etc/passwd",
        "/etc/passwd",
        "Europe/../../../etc/passwd",
        "Europe",
        "Europe/Berlin\0",
        "\ud800",
        "x" * 5000,
    ],
)
def test_what_is_no_place_is_no_zone(name: str) -> None:
    with pytest.raises(Invalid) as refused:
        zone_named(name)

    assert refused.value.field == "zone"


def test_zones_of_places_are_known() -> None:
    assert {"UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Asia/Kathmandu", "US/Eastern"} <= place_zones()


def test_times_are_kept_in_order() -> None:
    assert CalendarRule((time(20, 0), EIGHT)).times == (EIGHT, time(20, 0))
    assert CalendarRule((time(20, 0), EIGHT)) == CalendarRule((EIGHT, time(20, 0)))


@pytest.mark.parametrize(
    ("rule", "stored"),
    [
        (CalendarRule((EIGHT, time(20, 5))), {"times": ["08:00", "20:05"], "days_of_week": None}),
        (
            CalendarRule((EIGHT,), frozenset({Weekday.SUN, Weekday.MON})),
            {"times": ["08:00"], "days_of_week": ["mon", "sun"]},
        ),
    ],
)
def test_a_rule_comes_back_from_its_stored_form(rule: CalendarRule, stored: dict[str, Any]) -> None:
    assert rule_to_json(rule) == stored
    assert rule_from_json("calendar", stored) == rule


@pytest.mark.parametrize(
    ("kind", "stored", "field"),
    [
        ("lunar", {"times": ["08:00"]}, "kind"),
        ("calendar", {}, "rule"),
        ("calendar", {"times": None}, "rule"),
        ("calendar", {"times": [8]}, "rule"),
        ("calendar", {"times": ["8 o'clock"]}, "times.0"),
        ("calendar", {"times": ["08:00", "24:00"]}, "times.1"),
        ("calendar", {"times": ["08:00"], "days_of_week": ["monday"]}, "rule"),
    ],
)
def test_a_stored_form_that_is_none_is_refused(kind: str, stored: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        rule_from_json(kind, stored)

    assert refused.value.field == field


@pytest.mark.parametrize(
    "text",
    ["8:00", "08:0", "08:00:00", "24:00", "08.00", "", "+8:00", "08:00Z", "\u0660\u0668:\u0660\u0660", "08:00\n"],
)
def test_a_wall_clock_time_is_hh_mm(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        wall_clock(text, field="times.3")

    assert refused.value.field == "times.3"


@pytest.mark.parametrize(
    ("times", "days", "hours"),
    [
        ("08:00", None, 24),
        ("08:00 20:00", None, 12),
        ("08:00 14:00 20:00", None, 6),
        ("23:00 01:00", None, 2),
        ("08:00", {Weekday.MON, Weekday.WED}, 48),
        ("08:00", {Weekday.SUN, Weekday.MON}, 24),
        ("08:00", {Weekday.MON}, 168),
    ],
)
def test_the_shortest_interval_goes_over_the_turn_of_the_week(
    times: str, days: set[Weekday] | None, hours: int
) -> None:
    rule = CalendarRule(
        tuple(time.fromisoformat(at) for at in times.split()), None if days is None else frozenset(days)
    )

    assert rule.shortest_interval(date(2026, 1, 1)).total_seconds() == hours * 3600


def test_a_new_dose_text_or_policy_keeps_the_slots_and_a_new_zone_does_not() -> None:
    plan = SchedulePlan(**GOOD_PLAN)
    changed = SchedulePlan(**{**GOOD_PLAN, "dose": Dose(Decimal(2), "drops"), "zone_policy": ZonePolicy.HOME})

    assert changed.same_slots_as(plan)
    assert not SchedulePlan(**{**GOOD_PLAN, "zone": "Asia/Tokyo"}).same_slots_as(plan)
    assert not SchedulePlan(**{**GOOD_PLAN, "end_date": date(2026, 5, 1)}).same_slots_as(plan)
