"""Recurrence rules and events of others: what they mean here, beside dateutil, and what is refused in words."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from carecircle.domain.calendar_rule import CalendarRule, DateUnit, EveryDate, MonthEnd, Weekday
from carecircle.domain.dose import Dose
from carecircle.domain.errors import Invalid
from carecircle.domain.rrule import import_rrule
from carecircle.domain.schedule import SchedulePlan, ZonePolicy, occurrences
from carecircle.domain.vevent import import_vevent

START = datetime(2026, 3, 2, 8, 0)  # noqa: DTZ001 - a wall time; a Monday


def plan_of(text: str, start: datetime = START) -> SchedulePlan:
    found = import_rrule(text, start, "Europe/Berlin")
    return SchedulePlan(
        rule=found.rule,
        start_date=found.start_date,
        end_date=found.end_date,
        zone=found.zone,
        zone_policy=ZonePolicy.FOLLOW,
        dose=Dose(Decimal(1), "tablet"),
        count=found.count,
    )


numbers = st.integers(1, 40).map(str)
by_day = st.lists(st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"]), min_size=1, max_size=7, unique=True).map(
    ",".join
)
by_hour = st.lists(st.integers(8, 23), min_size=1, max_size=4, unique=True).map(lambda it: ",".join(map(str, it)))
by_month_day = st.lists(st.sampled_from([1, 15, 28, 29, 30, 31]), min_size=1, unique=True).map(
    lambda it: ",".join(map(str, it))
)


@st.composite
def rules(draw: st.DrawFn) -> str:
    frequency = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY"]))
    parts = [f"FREQ={frequency}", f"INTERVAL={draw(st.integers(1, 4))}"]
    if frequency == "MONTHLY":
        parts.append(f"BYMONTHDAY={draw(by_month_day)}")
    if draw(st.booleans()):
        parts.append(f"BYDAY={draw(by_day)}")
    if draw(st.booleans()):
        parts.append(f"BYHOUR={draw(by_hour)}")
    parts += draw(st.sampled_from([[], ["COUNT=7"], ["UNTIL=20260601"]]))
    return ";".join(draw(st.permutations(parts)))


@settings(max_examples=200, deadline=None)
@given(rules())
def test_a_rule_means_what_dateutil_reads_in_it(text: str) -> None:
    theirs = list(rrulestr(text.replace("UNTIL=20260601", "UNTIL=20260601T235959"), dtstart=START)[:40])
    if not theirs:
        with pytest.raises(Invalid, match="None of these days"):
            plan_of(text)
        return
    plan = plan_of(text)

    ours = occurrences(
        plan,
        zone="UTC",
        valid_from=datetime(2026, 3, 1, tzinfo=UTC),
        until=datetime(2030, 1, 1, tzinfo=UTC),
    )

    wall = [dose.nominal_local for _, dose in zip(range(40), ours, strict=False)]
    assert wall == [at for at in theirs if at.year < 2030][:40]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("FREQ=DAILY", CalendarRule((time(8, 0),))),
        ("RRULE:freq=daily;byhour=20,8;byminute=30", CalendarRule((time(8, 30), time(20, 30)))),
        (
            "FREQ=WEEKLY;BYDAY=MO,TH;WKST=MO",
            CalendarRule((time(8, 0),), frozenset({Weekday.MON, Weekday.THU}), EveryDate(1, DateUnit.WEEK)),
        ),
        (
            "FREQ=MONTHLY;BYMONTHDAY=-1",
            CalendarRule((time(8, 0),), every=EveryDate(1, DateUnit.MONTH), days_of_month=(31,)),
        ),
        ("FREQ=YEARLY", CalendarRule((time(8, 0),), every=EveryDate(12, DateUnit.MONTH), month_end=MonthEnd.SKIP)),
    ],
)
def test_rules_in_our_words(text: str, rule: CalendarRule) -> None:
    assert import_rrule(text, START, None).rule == rule


def test_hours_are_elapsed_time_and_it_is_said() -> None:
    found = import_rrule("FREQ=HOURLY;INTERVAL=8", START, None)

    assert (found.rule.kind, found.rule.to_json()["every"]) == ("interval", {"n": 8, "unit": "hour"})
    assert "elapsed" in found.notes[0]


@pytest.mark.parametrize(
    ("until", "last"),
    [
        ("20260331", date(2026, 3, 31)),
        ("20260331T235900", date(2026, 3, 31)),
        ("20260331T180000Z", date(2026, 3, 31)),  # 20:00 in Berlin
        ("20260331T055900Z", date(2026, 3, 30)),  # 07:59
    ],
)
def test_until_is_inclusive_and_local(until: str, last: date) -> None:
    assert import_rrule(f"FREQ=DAILY;BYHOUR=8,20;UNTIL={until}", START, "Europe/Berlin").end_date == last


REFUSED = [
    ("", "NAME=VALUE"),
    ("DAILY", "NAME=VALUE"),
    ("FREQ=DAILY;;COUNT=2", "NAME=VALUE"),
    ("FREQ=DAILY;FREQ=WEEKLY", "twice"),
    ("INTERVAL=2", "FREQ"),
    ("FREQ=SECONDLY", "FREQ"),
    ("FREQ=DAILY;INTERVAL=0", "Every 1 to"),
    ("FREQ=DAILY;INTERVAL=99999", "Every 1 to"),
    ("FREQ=DAILY;INTERVAL=-1", "whole number"),
    ("FREQ=DAILY;INTERVAL=9999999999999", "whole number"),
    ("FREQ=MINUTELY;INTERVAL=1", "5 minutes"),
    ("FREQ=MINUTELY;INTERVAL=30;BYDAY=MO", "BYDAY"),
    ("FREQ=DAILY;BYSECOND=1", "BYSECOND"),
    ("FREQ=DAILY;BYMONTH=2", "BYMONTH"),
    ("FREQ=MONTHLY;BYDAY=2MO", "2MO"),
    ("FREQ=MONTHLY;BYDAY=MO", "WEEKLY"),
    ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=1", "BYSETPOS"),
    ("FREQ=MONTHLY;BYMONTHDAY=32", "1 to 31"),
    ("FREQ=MONTHLY;BYMONTHDAY=-2", "1 to 31"),
    ("FREQ=YEARLY;BYMONTHDAY=15", "YEARLY"),
    ("FREQ=DAILY;BYHOUR=24", "0 to 23"),
    ("FREQ=DAILY;BYHOUR=8;BYMINUTE=60", "0 to 59"),
    ("FREQ=DAILY;BYHOUR=" + ",".join(map(str, range(24))) + ";BYMINUTE=0,10,20,30,40,50", "144 times a day"),
    ("FREQ=WEEKLY;WKST=SU", "WKST"),
    ("FREQ=DAILY;COUNT=3;UNTIL=20260401", "exclude"),
    ("FREQ=DAILY;UNTIL=tomorrow", "20260308"),
    ("FREQ=DAILY;UNTIL=20260230", "20260308"),
    ("FREQ=DAILY;BYHOUR=8,20;UNTIL=20260331T120000", "between two doses"),
    ("FREQ=DAILY;" + "A" * 600, "500"),
    ("FREQ=DAILY;BYHOUR=\u0668", "NAME=VALUE"),
]


@pytest.mark.parametrize(("text", "words"), REFUSED, ids=[text[:40] or "empty" for text, _ in REFUSED])
def test_what_cannot_be_kept_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(Invalid) as refused:
        import_rrule(text, START, None)
    assert words in refused.value.message
    assert refused.value.field == "rrule"


def event(*lines: str) -> str:
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "BEGIN:VEVENT", *lines, "END:VEVENT", "END:VCALENDAR", ""])


def test_an_event_with_its_zone_folded_lines_and_an_alarm() -> None:
    found = import_vevent(
        event(
            'DTSTART;TZID="Europe/Berlin":20260302T080000',
            "RRULE:FREQ=WEEKLY;BYDAY=MO,\r\n WE",
            "SUMMARY:A pill: 1\\, 2",
            "BEGIN:VALARM",
            "TRIGGER:-PT30M",
            "END:VALARM",
        )
    )

    assert (found.zone, found.start_date) == ("Europe/Berlin", date(2026, 3, 2))
    assert found.rule == CalendarRule((time(8, 0),), frozenset({Weekday.MON, Weekday.WED}), EveryDate(1, DateUnit.WEEK))


def test_an_event_that_does_not_repeat_is_one_dose() -> None:
    found = import_vevent(event("DTSTART:20260302T080000Z"))

    assert (found.zone, found.count, found.end_date) == ("UTC", 1, date(2026, 3, 2))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "exactly one"),
        ("BEGIN:VEVENT", "exactly one"),
        ("END:VEVENT", "ends nothing"),
        ("nonsense", "no line"),
        (event("DTSTART:20260302T080000Z") * 2, "exactly one"),
        (event("SUMMARY:x"), "DTSTART"),
        (event("DTSTART;VALUE=DATE:20260302"), "time of day"),
        (event("DTSTART;TZID=EST:20260302T080000"), "IANA"),
        (event("DTSTART:20260302T080030Z"), "seconds"),
        (event("DTSTART:20260302T080000Z", "EXDATE:20260303T080000Z"), "EXDATE"),
        (event("DTSTART:20260302T080000Z", "RDATE:20260303T080000Z"), "RDATE"),
        (event("DTSTART:20260302T080000Z", "RRULE:FREQ=DAILY", "RRULE:FREQ=DAILY"), "twice"),
        (event("DTSTART:20260302T080000Z", "RRULE:FREQ=SECONDLY"), "RRULE: FREQ"),
        ("X" * 30_000, "20,000"),
    ],
)
def test_events_that_cannot_be_kept_are_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(Invalid) as refused:
        import_vevent(text)
    assert words in refused.value.message


def test_nothing_takes_long_to_refuse() -> None:
    for text in (event(*["X;A=" + "a" * 150] * 100), event("DTSTART" + ";A=B" * 3000 + ":1"), "BEGIN:VEVENT\n" * 1000):
        with pytest.raises(Invalid):
            import_vevent(text)
