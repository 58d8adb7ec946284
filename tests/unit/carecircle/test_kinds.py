"""The kinds of rules: which local times each yields, and at which instants. Numbers are those of the list of cases in
the domain document.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from carecircle.domain.calendar_rule import CalendarRule, Cycle, DateUnit, EveryDate, MonthEnd, Weekday
from carecircle.domain.dose import Dose
from carecircle.domain.interval_rule import Anchor, EveryTime, IntervalMode, IntervalRule, TimeUnit, Window
from carecircle.domain.routine import Routine, When
from carecircle.domain.schedule import Background, SchedulePlan, ZonePolicy, occurrences
from carecircle.domain.steps_rule import Step, StepsRule

if TYPE_CHECKING:
    from carecircle.domain.rules import Rule

LONG_AGO = datetime(2010, 1, 1, tzinfo=UTC)
EIGHT = (time(8, 0),)
TABLET = Dose(Decimal(1), "tablet")


def plan_of(rule: Rule, zone: str = "Europe/Berlin", start: str = "2026-01-01", **more: Any) -> SchedulePlan:
    values: dict[str, Any] = {"end_date": None, "zone_policy": ZonePolicy.FOLLOW, "dose": TABLET} | more
    return SchedulePlan(rule=rule, start_date=date.fromisoformat(start), zone=zone, **values)


def due(plan: SchedulePlan, since: str, until: str, **background: Any) -> list[str]:
    """`2026-03-08T07:30` in UTC for each."""
    found = occurrences(
        plan,
        zone="UTC",
        valid_from=LONG_AGO,
        since=datetime.fromisoformat(since + "Z"),
        until=datetime.fromisoformat(until + "Z"),
        background=Background(**background),
    )
    return [f"{dose.due_at:%Y-%m-%dT%H:%M}" for dose in found]


def days(plan: SchedulePlan, since: str, until: str, **background: Any) -> list[str]:
    """`03-08` for each local date with a dose, from midnight to midnight in UTC."""
    found = occurrences(
        plan,
        zone="UTC",
        valid_from=LONG_AGO,
        since=datetime.fromisoformat(since + "T00:00Z"),
        until=datetime.fromisoformat(until + "T00:00Z"),
        background=Background(**background),
    )
    return [f"{dose.nominal_local:%m-%d}" for dose in found]


def every(n: int, unit: str) -> EveryDate:
    return EveryDate(n, DateUnit(unit))


class TestCalendar:
    def test_19_every_two_days_keeps_the_wall_time_over_a_change_of_clocks(self) -> None:
        plan = plan_of(CalendarRule(EIGHT, every=every(2, "day")), start="2026-03-28")
        assert due(plan, "2026-03-28T00:00", "2026-04-01T00:00") == ["2026-03-28T07:00", "2026-03-30T06:00"]

    def test_every_n_days_counts_from_the_start_wherever_one_begins_to_look(self) -> None:
        plan = plan_of(CalendarRule(EIGHT, every=every(3, "day")), start="2026-01-01")
        assert days(plan, "2026-01-05", "2026-01-14") == ["01-07", "01-10", "01-13"]

    @pytest.mark.parametrize(
        ("weekdays", "expected"),
        [(None, ["01-07", "01-21", "02-04"]), ({"mon", "fri"}, ["01-09", "01-19", "01-23", "02-02", "02-06"])],
        ids=["the start's weekday", "named weekdays"],
    )
    def test_every_two_weeks_counts_weeks_from_monday(self, weekdays: set[str] | None, expected: list[str]) -> None:
        names = None if weekdays is None else frozenset(Weekday(day) for day in weekdays)
        plan = plan_of(CalendarRule(EIGHT, names, every(2, "week")), start="2026-01-07")  # a Wednesday
        assert days(plan, "2026-01-01", "2026-02-10") == expected

    @pytest.mark.parametrize(
        ("policy", "expected"),
        [
            (MonthEnd.CLAMP, ["2026-01-31T08:00", "2026-02-28T08:00", "2026-03-31T07:00", "2026-04-30T07:00"]),
            (MonthEnd.SKIP, ["2026-01-31T08:00", "2026-03-31T07:00"]),
        ],
    )
    def test_22_day_31_of_a_short_month(self, policy: MonthEnd, expected: list[str]) -> None:
        plan = plan_of(CalendarRule((time(9, 0),), days_of_month=(31,), month_end=policy))
        assert due(plan, "2026-01-01T00:00", "2026-05-15T00:00") == expected

    def test_a_short_month_has_its_last_day_once(self) -> None:
        plan = plan_of(CalendarRule(EIGHT, days_of_month=(31, 30, 28, 1)))
        assert days(plan, "2026-02-01", "2026-03-02") == ["02-01", "02-28", "03-01"]

    def test_every_three_months_on_the_day_of_the_start(self) -> None:
        plan = plan_of(CalendarRule(EIGHT, every=every(3, "month")), start="2025-11-30")
        assert days(plan, "2025-01-01", "2027-01-01") == ["11-30", "02-28", "05-30", "08-30", "11-30"]

    def test_the_day_of_a_leap_year(self) -> None:
        plan = plan_of(CalendarRule(EIGHT, every=every(12, "month"), month_end=MonthEnd.SKIP), start="2024-02-29")
        assert days(plan, "2024-01-01", "2034-01-01") == ["02-29", "02-29", "02-29"]

    def test_21_days_on_and_7_off(self) -> None:
        plan = plan_of(CalendarRule(EIGHT, cycle=Cycle(21, 7)), start="2026-03-01")
        on = days(plan, "2026-02-01", "2026-04-02")
        assert (on[0], on[20], on[21], len(on)) == ("03-01", "03-21", "03-29", 25)

    def test_all_conditions_have_to_hold(self) -> None:
        friday_13th = CalendarRule(EIGHT, frozenset({Weekday.FRI}), days_of_month=(13,))
        assert days(plan_of(friday_13th), "2026-01-01", "2027-01-01") == ["02-13", "03-13", "11-13"]

    def test_so_many_doses_and_no_more(self) -> None:
        plan = plan_of(CalendarRule((time(8, 0), time(20, 0))), start="2026-06-01", count=5)
        assert days(plan, "2026-05-01", "2027-01-01") == ["06-01", "06-01", "06-02", "06-02", "06-03"]
        assert days(plan, "2026-06-03", "2027-01-01") == ["06-03"]

    def test_so_many_doses_are_counted_from_when_the_schedule_was_made(self) -> None:
        plan = plan_of(CalendarRule((time(8, 0), time(20, 0))), start="2026-06-01", count=2)
        made = datetime(2026, 6, 1, 9, 30, tzinfo=UTC)
        assert days(plan, "2026-05-01", "2027-01-01", counted_from=made) == ["06-01", "06-02"]

    def test_the_last_of_so_many_doses_has_a_long_window(self) -> None:
        plan = plan_of(CalendarRule((time(8, 0), time(20, 0))), start="2026-06-01", count=1)
        [dose] = occurrences(plan, zone="UTC", valid_from=LONG_AGO, until=datetime(2026, 7, 1, tzinfo=UTC))
        assert dose.missed_at - dose.due_at == timedelta(hours=12)

    def test_the_routine_of_the_patient_decides(self) -> None:
        rule = CalendarRule(when=(When.BEDTIME, When.BEFORE_BREAKFAST, When.AFTER_DINNER))
        late_riser = Routine(wake_up=time(9, 45), breakfast=time(10, 15), bedtime=time(23, 55))
        assert due(plan_of(rule), "2026-01-10T00:00", "2026-01-11T00:00") == [
            "2026-01-10T06:30",
            "2026-01-10T18:00",
            "2026-01-10T21:00",
        ]
        assert due(plan_of(rule), "2026-01-10T00:00", "2026-01-11T00:00", routine=late_riser) == [
            "2026-01-10T08:45",
            "2026-01-10T18:00",
            "2026-01-10T22:55",
        ]

    def test_two_points_of_the_routine_at_the_same_time_are_one_dose(self) -> None:
        rule = CalendarRule(when=(When.BREAKFAST, When.WAKE_UP))
        assert len(days(plan_of(rule), "2026-01-10", "2026-01-11", routine=Routine(wake_up=time(8, 0)))) == 1


def interval(n: int, unit: str, start: str, **more: Any) -> IntervalRule:
    window: str | None = more.pop("window", None)
    if window is not None:
        opens, closes = (time.fromisoformat(at) for at in window.split("-"))
        more["window"] = Window(opens, closes)
        more["mode"] = IntervalMode.WINDOWED
    elif "mode" in more:
        more["mode"] = IntervalMode(more["mode"])
    if more.pop("last_taken", False):
        more["anchor"] = Anchor.LAST_TAKEN
    return IntervalRule(EveryTime(n, TimeUnit(unit)), datetime.fromisoformat(start), **more)


def interval_plan(rule: IntervalRule, zone: str = "Europe/Berlin", **more: Any) -> SchedulePlan:
    return plan_of(rule, zone, rule.start.date().isoformat(), **more)


def at(*texts: str) -> tuple[datetime, ...]:
    return tuple(datetime.fromisoformat(text + "Z") for text in texts)


class TestInterval:
    def test_18_elapsed_hours_do_not_notice_a_change_of_clocks(self) -> None:
        plan = interval_plan(interval(8, "hour", "2026-03-07T22:00"), "America/New_York")
        found = list(occurrences(plan, zone="UTC", valid_from=LONG_AGO, until=datetime(2026, 3, 9, 4, 0, tzinfo=UTC)))
        assert [f"{dose.nominal_local:%d %H:%M}" for dose in found] == ["07 22:00", "08 07:00", "08 15:00", "08 23:00"]
        assert [dose.due_at for dose in found] == list(
            at("2026-03-08T03:00", "2026-03-08T11:00", "2026-03-08T19:00", "2026-03-09T03:00")
        )

    def test_every_hour_through_a_fold_has_both_rounds(self) -> None:
        plan = interval_plan(interval(1, "hour", "2026-10-25T00:00"))
        found = list(occurrences(plan, zone="UTC", valid_from=LONG_AGO, until=datetime(2026, 10, 25, 3, 0, tzinfo=UTC)))
        assert [(dose.nominal_local.hour, dose.nominal_local.fold) for dose in found] == [
            (0, 0), (1, 0), (2, 0), (2, 1), (3, 0),
        ]  # fmt: skip

    def test_a_start_in_a_gap_is_shifted_and_noted(self) -> None:
        plan = interval_plan(interval(12, "hour", "2026-03-08T02:30"), "America/New_York")
        first, second = list(
            occurrences(plan, zone="UTC", valid_from=LONG_AGO, until=datetime(2026, 3, 9, 6, tzinfo=UTC))
        )
        assert (first.nominal_local.hour, first.note, first.due_at) == (2, "gap", *at("2026-03-08T07:30"))
        assert (second.nominal_local.hour, second.note, second.due_at) == (15, None, *at("2026-03-08T19:30"))

    def test_elapsed_days_shift_the_wall_time_and_calendar_days_do_not(self) -> None:
        elapsed = interval_plan(interval(1, "day", "2026-03-28T08:00"))
        calendar = interval_plan(interval(1, "day", "2026-03-28T08:00", mode="calendar"))
        assert due(elapsed, "2026-03-29T00:00", "2026-03-30T00:00") == ["2026-03-29T07:00"]
        assert due(calendar, "2026-03-29T00:00", "2026-03-30T00:00") == ["2026-03-29T06:00"]

    def test_a_start_keeps_its_instant_when_the_zone_in_force_is_another(self) -> None:
        rule = interval(8, "hour", "2026-05-01T08:00", start_zone="America/New_York")
        assert (
            due(interval_plan(rule), "2026-05-02T00:00", "2026-05-02T12:00")
            == [
                "2026-05-02T04:00",
                "2026-05-02T12:00",
            ][:1]
        )

    def test_the_end_date_is_local_and_inclusive(self) -> None:
        plan = interval_plan(interval(6, "hour", "2026-06-29T02:00"), "Pacific/Auckland", end_date=date(2026, 6, 30))
        assert due(plan, "2026-06-29T12:00", "2026-07-10T00:00") == [
            "2026-06-29T14:00", "2026-06-29T20:00", "2026-06-30T02:00", "2026-06-30T08:00",
        ]  # fmt: skip

    def test_27_a_window_on_the_day_of_a_change_of_clocks(self) -> None:
        plan = interval_plan(interval(3, "hour", "2026-03-01T09:00", window="09:00-21:00"))
        assert due(plan, "2026-03-29T00:00", "2026-03-30T00:00") == [
            f"2026-03-29T{hour:02}:00" for hour in (7, 10, 13, 16, 19)
        ]

    def test_steps_inside_a_window_are_elapsed(self) -> None:
        plan = interval_plan(interval(2, "hour", "2026-03-01T00:00", window="00:30-07:00"))
        assert due(plan, "2026-03-28T23:00", "2026-03-29T12:00") == [
            f"2026-03-{at}" for at in ("28T23:30", "29T01:30", "29T03:30")
        ]

    def test_a_window_over_midnight(self) -> None:
        plan = interval_plan(interval(3, "hour", "2026-06-10T22:00", window="22:00-05:00"), end_date=date(2026, 6, 11))
        assert due(plan, "2026-06-01T00:00", "2026-07-01T00:00") == [
            f"2026-06-{at}" for at in ("10T20:00", "10T23:00", "11T02:00", "11T20:00")
        ]

    def test_a_start_in_the_middle_of_a_window_leaves_out_what_is_before_it(self) -> None:
        plan = interval_plan(interval(3, "hour", "2026-06-10T13:00", window="09:00-21:00"))
        assert due(plan, "2026-06-10T00:00", "2026-06-11T00:00") == [f"2026-06-10T{hour}:00" for hour in (13, 16, 19)]

    def test_a_window_on_a_day_that_never_was(self) -> None:
        plan = interval_plan(interval(6, "hour", "2011-12-01T09:00", window="09:00-21:00"), "Pacific/Apia")
        assert due(plan, "2011-12-29T18:00", "2011-12-31T12:00") == [
            "2011-12-29T19:00", "2011-12-30T01:00", "2011-12-30T07:00", "2011-12-30T19:00", "2011-12-31T01:00",
            "2011-12-31T07:00",
        ]  # fmt: skip

    @pytest.mark.parametrize(("mode", "expected"), [("calendar", "2026-03-27T08:00"), ("elapsed", "2026-03-27T09:15")])
    def test_30_every_three_days_from_when_it_was_taken(self, mode: str, expected: str) -> None:
        plan = interval_plan(interval(3, "day", "2026-03-23T09:00", mode=mode, last_taken=True))
        assert due(plan, "2026-03-23T00:00", "2026-03-28T00:00", taken=at("2026-03-24T09:15")) == [
            "2026-03-23T08:00",
            expected,
        ]

    def test_an_unanswered_dose_does_not_stop_the_series(self) -> None:
        plan = interval_plan(interval(8, "hour", "2026-06-01T08:00", last_taken=True), "UTC")
        assert due(plan, "2026-06-01T00:00", "2026-06-02T00:00") == ["2026-06-01T08:00", "2026-06-01T16:00"]

    def test_a_dose_taken_early_answers_the_one_that_was_ahead(self) -> None:
        plan = interval_plan(interval(8, "hour", "2026-06-01T08:00", last_taken=True), "UTC")
        taken = at("2026-06-01T07:50", "2026-06-01T15:00")
        assert due(plan, "2026-06-01T00:00", "2026-06-02T08:00", taken=taken) == [
            "2026-06-01T08:00", "2026-06-01T15:50", "2026-06-01T23:00", "2026-06-02T07:00",
        ]  # fmt: skip

    def test_a_dose_taken_long_before_the_start_is_none_of_the_series(self) -> None:
        plan = interval_plan(interval(8, "hour", "2026-06-01T08:00", last_taken=True), "UTC")
        assert due(plan, "2026-05-31T00:00", "2026-06-01T17:00", taken=at("2026-05-31T20:00")) == [
            "2026-06-01T08:00",
            "2026-06-01T16:00",
        ]

    def test_a_range_that_begins_later_sees_the_same_series(self) -> None:
        plan = interval_plan(interval(8, "hour", "2026-06-01T08:00", last_taken=True), "UTC")
        taken = at("2026-06-01T08:10", "2026-06-01T17:00")
        whole = due(plan, "2026-06-01T00:00", "2026-06-04T00:00", taken=taken)
        assert due(plan, "2026-06-01T16:30", "2026-06-04T00:00", taken=taken) == whole[2:]
        assert whole[:3] == ["2026-06-01T08:00", "2026-06-01T16:10", "2026-06-02T01:00"]

    def test_from_the_last_taken_inside_a_window(self) -> None:
        plan = interval_plan(interval(4, "hour", "2026-06-01T08:00", window="08:00-20:00", last_taken=True), "UTC")
        assert due(plan, "2026-06-01T00:00", "2026-06-02T13:00", taken=at("2026-06-01T09:00", "2026-06-01T18:30")) == [
            "2026-06-01T08:00", "2026-06-01T13:00", "2026-06-01T17:00", "2026-06-02T08:00", "2026-06-02T12:00",
        ]  # fmt: skip


class TestSteps:
    def taper(self) -> SchedulePlan:
        steps = [
            Step(date(2026, 10, 20), date(2026, 10, 26), Dose(Decimal(20), "mg")),
            Step(date(2026, 10, 27), date(2026, 11, 2), Dose(Decimal(10), "mg")),
            Step(date(2026, 11, 3), date(2026, 11, 9), Dose(Decimal(5), "mg")),
        ]
        return plan_of(StepsRule(EIGHT, tuple(steps)), "America/New_York", "2026-10-20", end_date=date(2026, 11, 9))

    @pytest.mark.parametrize(
        ("day", "expected"),
        [
            ("2026-10-19", []),
            ("2026-10-26", [("2026-10-26T12:00", 20)]),
            ("2026-10-27", [("2026-10-27T12:00", 10)]),
            ("2026-11-01", [("2026-11-01T13:00", 10)]),
            ("2026-11-03", [("2026-11-03T13:00", 5)]),
            ("2026-11-10", []),
        ],
    )
    def test_26_a_taper_over_a_change_of_clocks(self, day: str, expected: list[tuple[str, int]]) -> None:
        begin = datetime.fromisoformat(day + "T00:00Z")
        found = occurrences(self.taper(), zone="UTC", valid_from=LONG_AGO, since=begin, until=begin + timedelta(days=1))
        assert [(f"{dose.due_at:%Y-%m-%dT%H:%M}", dose.dose.quantity) for dose in found] == expected

    def test_another_dose_by_day_of_the_week(self) -> None:
        weekend = frozenset({Weekday.SAT, Weekday.SUN})
        steps = [
            Step(date(2026, 1, 1), None, Dose(Decimal(2), "tablet"), weekend),
            Step(date(2026, 1, 1), None, TABLET, frozenset(Weekday) - weekend),
        ]
        found = occurrences(
            plan_of(StepsRule(EIGHT, tuple(steps))),
            zone="UTC",
            valid_from=datetime(2026, 1, 1, tzinfo=UTC),
            until=datetime(2026, 1, 6, tzinfo=UTC),
        )
        assert [int(dose.dose.quantity) for dose in found] == [1, 1, 2, 2, 1]
