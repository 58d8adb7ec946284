"""Previews over long times: what happened years ago costs nothing and changes nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from carecircle.domain.calendar_rule import CalendarRule
from carecircle.domain.dose import Dose
from carecircle.domain.interval_rule import Anchor, EveryTime, IntervalRule, TimeUnit
from carecircle.domain.preview import ZoneChange, preview
from carecircle.domain.schedule import Background, SchedulePlan, ZonePolicy

if TYPE_CHECKING:
    from carecircle.domain.rules import Rule

SINCE, UNTIL = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 4, tzinfo=UTC)


def plan_of(rule: Rule) -> SchedulePlan:
    return SchedulePlan(rule, date(2000, 1, 1), None, None, ZonePolicy.FOLLOW, Dose(Decimal(1), "tablet"))


def test_journeys_of_long_ago_leave_only_the_present_zone() -> None:
    plan = plan_of(CalendarRule(tuple(time(n // 2, n % 2 * 30) for n in range(48))))
    journeys = [
        ZoneChange(datetime(2001, 1, 1, tzinfo=UTC) + timedelta(days=180 * n), zone)
        for n, zone in enumerate(["Europe/Paris", "Asia/Tokyo"] * 25)
    ]

    travelled = preview(plan, zone="UTC", since=SINCE, until=UNTIL, zone_changes=journeys)
    at_home = preview(plan, zone="Asia/Tokyo", since=SINCE, until=UNTIL)

    assert travelled.occurrences == at_home.occurrences
    assert len(at_home.occurrences) == 3 * 48
    assert not travelled.dropped


def test_very_many_answers_are_read_once() -> None:
    start = datetime(2026, 6, 1)  # noqa: DTZ001 - a wall time
    plan = plan_of(IntervalRule(EveryTime(5, TimeUnit.MINUTE), start, anchor=Anchor.LAST_TAKEN))
    taken = tuple(SINCE + timedelta(minutes=7 * n) for n in range(1000))

    end = taken[-1] + timedelta(hours=1)
    found = preview(plan, zone="UTC", since=SINCE, until=end, background=Background(taken=taken))

    counted = [one.dose.due_at for one in found.occurrences if one.notes == ("after_taken",)]
    assert counted == [at + timedelta(minutes=5) for at in taken]


def test_two_changes_in_one_period_each_have_their_first_dose() -> None:
    plan = plan_of(CalendarRule((time(8, 0),)))
    journeys = [
        ZoneChange(datetime(2026, 6, 3, 12, tzinfo=UTC), "America/New_York"),
        ZoneChange(datetime(2026, 6, 2, 12, tzinfo=UTC), "Asia/Tokyo"),
    ]

    found = preview(plan, zone="Europe/Berlin", since=SINCE, until=UNTIL + timedelta(days=1), zone_changes=journeys)

    assert [(f"{one.dose.due_at:%dT%H}", one.notes) for one in found.occurrences] == [
        ("01T06", ()),
        ("02T06", ()),
        ("02T23", ("zone_change",)),
        ("03T12", ("zone_change", "raised_at_once")),
        ("04T12", ()),
    ]
