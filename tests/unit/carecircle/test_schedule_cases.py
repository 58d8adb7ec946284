"""The instants that a correct engine gives: clock changes, odd zones, local dates, edits, moves. Numbers are those
of the list of cases in the domain document; each instant was checked against GNU date and ICU there.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from carecircle.domain.schedule import occurrences, past_slots_of_today, replanned_in_zone

if TYPE_CHECKING:
    from collections.abc import Callable

    from carecircle.domain.schedule import SchedulePlan

    MakePlan = Callable[..., SchedulePlan]

LONG_AGO = datetime(2025, 12, 1, tzinfo=UTC)

CASES = [
    # case, zone, times, local date, what is due in UTC that local date
    ("1 day before DST", "America/New_York", "08:00", "2026-03-07", ["2026-03-07T13:00Z"]),
    ("2 DST day", "America/New_York", "08:00", "2026-03-08", ["2026-03-08T12:00Z"]),
    ("3 gap", "America/New_York", "02:30", "2026-03-08", ["2026-03-08T07:30Z"]),
    ("4 two slots, one instant", "America/New_York", "02:30 03:30", "2026-03-08", ["2026-03-08T07:30Z"] * 2),
    ("5 fold, once", "America/New_York", "01:30", "2026-11-01", ["2026-11-01T05:30Z"]),
    ("6 before the 25 h day", "America/New_York", "08:00", "2026-10-31", ["2026-10-31T12:00Z"]),
    ("6 the 25 h day", "America/New_York", "08:00", "2026-11-01", ["2026-11-01T13:00Z"]),
    ("7 gap", "Europe/Berlin", "02:30", "2026-03-29", ["2026-03-29T01:30Z"]),
    ("7 fold", "Europe/Berlin", "02:30", "2026-10-25", ["2026-10-25T00:30Z"]),
    ("8 gap", "Europe/London", "01:30", "2026-03-29", ["2026-03-29T01:30Z"]),
    ("8 negative DST", "Europe/Dublin", "01:30", "2026-10-25", ["2026-10-25T00:30Z"]),
    ("10 quarter hours", "Asia/Kathmandu", "08:00", "2026-06-10", ["2026-06-10T02:15Z"]),
    ("10 half hours", "Asia/Kolkata", "08:00", "2026-06-10", ["2026-06-10T02:30Z"]),
    ("11 summer", "Pacific/Chatham", "08:00", "2026-01-15", ["2026-01-14T18:15Z"]),
    ("11 winter", "Pacific/Chatham", "08:00", "2026-07-15", ["2026-07-14T19:15Z"]),
    ("17 stale data", "America/Mexico_City", "08:00", "2026-07-01", ["2026-07-01T14:00Z"]),
    ("17 stale data", "Asia/Tehran", "08:00", "2026-07-01", ["2026-07-01T04:30Z"]),
    ("29 just after midnight", "America/New_York", "00:10", "2026-03-09", ["2026-03-09T04:10Z"]),
    ("gap at midnight", "Africa/Cairo", "00:30 01:30", "2026-04-24", ["2026-04-23T22:30Z"] * 2),
    ("half-hour gap", "Australia/Lord_Howe", "02:15", "2026-10-04", ["2026-10-03T15:45Z"]),
    ("day that never was", "Pacific/Apia", "08:00", "2011-12-30", []),
    ("gap up to midnight, shifted to another date", "America/Nuuk", "22:30 23:30", "2024-03-30", ["2024-03-31T00:30Z"]),
    ("day after it", "Pacific/Apia", "08:00", "2011-12-31", ["2011-12-30T18:00Z"]),
    ("leap day", "Europe/Berlin", "08:00", "2028-02-29", ["2028-02-29T07:00Z"]),
]


@pytest.mark.parametrize(("zone", "times", "day", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_instants_of_one_local_date(make_plan: MakePlan, zone: str, times: str, day: str, expected: list[str]) -> None:
    plan = make_plan(times, zone=zone, start="2000-01-01")
    around = datetime.fromisoformat(f"{day}T12:00Z")

    doses = occurrences(plan, zone="UTC", valid_from=around - timedelta(days=2), until=around + timedelta(days=2))

    assert [dose.due_at for dose in doses if dose.nominal_local.date().isoformat() == day] == instants(*expected)


def test_a_gap_is_noted_and_nothing_else_is(make_plan: MakePlan) -> None:
    doses = between(make_plan("02:30 03:30", zone="America/New_York"), "2026-03-08T00:00Z", "2026-03-09T00:00Z")

    assert [(str(dose.nominal_local), dose.note) for dose in doses] == [
        ("2026-03-08 02:30:00", "gap"),
        ("2026-03-08 03:30:00", None),
    ]


def test_a_slot_shifted_past_another_comes_after_it(make_plan: MakePlan) -> None:
    doses = between(make_plan("02:30 03:00", zone="Europe/Berlin"), "2026-03-29T00:00Z", "2026-03-30T00:00Z")

    assert [(f"{dose.nominal_local:%H:%M}", dose.due_at) for dose in doses] == [
        ("03:00", *instants("2026-03-29T01:00Z")),
        ("02:30", *instants("2026-03-29T01:30Z")),
    ]


def test_20_weekdays_are_local(make_plan: MakePlan) -> None:
    plan = make_plan("21:00", zone="America/Los_Angeles", days="mon wed fri")

    assert due(between(plan, "2026-10-30T12:00Z", "2026-11-04T00:00Z")) == instants(
        "2026-10-31T04:00Z", "2026-11-03T05:00Z"
    )


def test_23_the_end_date_is_local_and_inclusive(make_plan: MakePlan) -> None:
    plan = make_plan("08:00 20:00", zone="Pacific/Auckland", end="2026-06-30")

    assert due(between(plan, "2026-06-28T00:00Z", "2026-08-01T00:00Z"))[-1:] == instants("2026-06-30T08:00Z")


def test_the_start_date_is_local(make_plan: MakePlan) -> None:
    plan = make_plan("00:30", zone="Pacific/Auckland", start="2026-06-30")

    assert due(between(plan, "2026-06-01T00:00Z", "2026-07-01T00:00Z")) == instants(
        "2026-06-29T12:30Z", "2026-06-30T12:30Z"
    )


def test_24_nothing_before_the_creation(make_plan: MakePlan) -> None:
    plan = make_plan("08:00 20:00", zone="America/Los_Angeles", start="2026-06-01")
    created = datetime.fromisoformat("2026-06-01T09:30-07:00")

    first = next(occurrences(plan, zone="UTC", valid_from=created, until=created + timedelta(days=7)))

    assert [first.due_at] == instants("2026-06-02T03:00Z")


def test_a_slot_at_the_very_instant_of_creation_is_none(make_plan: MakePlan) -> None:
    plan = make_plan("08:00")
    created = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)

    doses = occurrences(plan, zone="UTC", valid_from=created, until=created + timedelta(days=2))

    assert due(doses) == instants("2026-06-02T08:00Z")


def test_a_range_has_its_start_and_not_its_end(make_plan: MakePlan) -> None:
    plan = make_plan("08:00", zone="UTC")

    assert due(between(plan, "2026-06-01T08:00Z", "2026-06-03T08:00Z")) == instants(
        "2026-06-01T08:00Z", "2026-06-02T08:00Z"
    )


def test_an_empty_range_has_nothing(make_plan: MakePlan) -> None:
    assert between(make_plan("08:00"), "2026-06-02T00:00Z", "2026-06-01T00:00Z") == []


def test_a_range_before_the_start_has_nothing(make_plan: MakePlan) -> None:
    assert between(make_plan("08:00", start="2026-06-01"), "2026-05-01T00:00Z", "2026-05-31T00:00Z") == []


def test_doses_of_ten_years_are_read_one_by_one(make_plan: MakePlan) -> None:
    plan = make_plan("08:00", zone="UTC")
    doses = occurrences(plan, zone="UTC", valid_from=LONG_AGO, until=datetime(2190, 1, 1, tzinfo=UTC))

    assert [next(doses).due_at, next(doses).due_at] == instants("2026-01-01T08:00Z", "2026-01-02T08:00Z")


def test_the_zone_of_the_patient_counts_where_the_plan_has_none(make_plan: MakePlan) -> None:
    own, patients = make_plan("08:00", zone="Asia/Tokyo"), make_plan("08:00")
    begin = datetime(2026, 6, 1, tzinfo=UTC)

    first = [
        next(occurrences(plan, zone="Europe/Berlin", valid_from=begin, until=begin + timedelta(days=2)))
        for plan in (own, patients)
    ]

    assert [(dose.zone, dose.due_at.hour) for dose in first] == [("Asia/Tokyo", 23), ("Europe/Berlin", 6)]


# Travel: New York 08:00 and 20:00, last due 2026-05-10T12:00Z, zone -> Paris at 15:00Z.
def test_33_following_schedules_go_on_in_the_new_zone(make_plan: MakePlan) -> None:
    moved = moved_to(make_plan("08:00 20:00"), "Europe/Paris", "2026-05-10T15:00Z", last="2026-05-10T12:00Z")

    assert moved[:2] == instants("2026-05-10T18:00Z", "2026-05-11T06:00Z")


def test_33_schedules_at_home_do_not_notice(make_plan: MakePlan) -> None:
    plan = make_plan("08:00 20:00", zone="America/New_York")

    assert due(between(plan, "2026-05-10T15:00Z", "2026-05-11T15:00Z")) == instants(
        "2026-05-11T00:00Z", "2026-05-11T12:00Z"
    )


def test_a_move_never_asks_twice_within_half_the_interval(make_plan: MakePlan) -> None:
    # 08:00 in Los Angeles is 15:00Z, three hours after the dose at 08:00 in New York.
    moved = moved_to(make_plan("08:00 20:00"), "America/Los_Angeles", "2026-05-10T13:00Z", last="2026-05-10T12:00Z")

    assert moved[:1] == instants("2026-05-11T03:00Z")


def test_a_move_raises_at_once_what_is_past_but_not_yet_missed(make_plan: MakePlan) -> None:
    # 20:00 in Paris was 18:00Z, and is missed at midnight UTC.
    late = moved_to(make_plan("08:00 20:00"), "Europe/Paris", "2026-05-10T19:00Z", last="2026-05-10T12:00Z")
    too_late = moved_to(make_plan("08:00 20:00"), "Europe/Paris", "2026-05-11T00:00Z", last="2026-05-10T12:00Z")

    assert late[:1] == instants("2026-05-10T18:00Z")
    assert too_late[:1] == instants("2026-05-11T06:00Z")


def test_a_move_raises_nothing_from_before_the_schedule_was_made(make_plan: MakePlan) -> None:
    moved = replanned_in_zone(
        make_plan("08:00 20:00"),
        zone="Europe/Paris",
        valid_from=datetime(2026, 5, 10, 18, 30, tzinfo=UTC),
        changed_at=datetime(2026, 5, 10, 19, 0, tzinfo=UTC),
        last_dose_at=None,
        until=datetime(2026, 5, 12, tzinfo=UTC),
    )

    assert due(moved)[:1] == instants("2026-05-11T06:00Z")


# Edits at 19:58 in Berlin, 2026-04-10 (17:58Z).
def test_41_a_later_time_is_due_the_same_day(make_plan: MakePlan) -> None:
    plan = make_plan("21:00", zone="Europe/Berlin")
    edited = datetime(2026, 4, 10, 17, 58, tzinfo=UTC)

    assert due(occurrences(plan, zone="UTC", valid_from=edited, until=edited + timedelta(days=1))) == instants(
        "2026-04-10T19:00Z"
    )
    assert past_slots_of_today(plan, zone="UTC", now=edited) == []


def test_42_an_earlier_time_that_is_past_is_said_and_not_planned(make_plan: MakePlan) -> None:
    plan = make_plan("19:00", zone="Europe/Berlin")
    edited = datetime(2026, 4, 10, 17, 58, tzinfo=UTC)

    assert due(occurrences(plan, zone="UTC", valid_from=edited, until=edited + timedelta(days=1))) == instants(
        "2026-04-11T17:00Z"
    )
    assert past_slots_of_today(plan, zone="UTC", now=edited) == [datetime(2026, 4, 10, 19, 0)]  # noqa: DTZ001 - wall


@pytest.mark.parametrize(("start", "end"), [("2026-04-11", None), ("2026-01-01", "2026-04-09")])
def test_a_plan_without_today_has_no_slot_of_today(make_plan: MakePlan, start: str, end: str | None) -> None:
    plan = make_plan("08:00", zone="Europe/Berlin", start=start, end=end)

    assert past_slots_of_today(plan, zone="UTC", now=datetime(2026, 4, 10, 17, 58, tzinfo=UTC)) == []


def between(plan: SchedulePlan, since: str, until: str) -> list:
    begin, end = instants(since, until)
    return list(occurrences(plan, zone="UTC", valid_from=LONG_AGO, since=begin, until=end))


def moved_to(plan: SchedulePlan, zone: str, changed_at: str, *, last: str) -> list[datetime]:
    changed, last_dose_at = instants(changed_at, last)
    moved = replanned_in_zone(
        plan,
        zone=zone,
        valid_from=LONG_AGO,
        changed_at=changed,
        last_dose_at=last_dose_at,
        until=changed + timedelta(days=2),
    )
    return due(moved)


def due(doses) -> list[datetime]:
    return [dose.due_at for dose in doses]


def instants(*texts: str) -> list[datetime]:
    return [datetime.fromisoformat(text) for text in texts]
