"""The calendar feed as a file: read back by the library, and by a reader of our own that knows nothing but RFC 5545."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from icalendar import Calendar

from carecircle.domain.agenda import AgendaEntry, Ahead, Standing, agenda
from carecircle.domain.schedule import Background, Dose, SchedulePlan
from carecircle.usecases.calendar_feeds import FeedSource
from carecircle_api.calendar_file import write_calendar

if TYPE_CHECKING:
    from collections.abc import Callable

MADE = datetime(2026, 1, 1, 10, 0, 0, 123456, tzinfo=UTC)
SCHEDULE = UUID("01890a5d-ac96-774b-bcce-b302099a8057")


def ahead(plan: SchedulePlan, zone: str, since: datetime, schedule_id: UUID = SCHEDULE) -> Ahead:
    return Ahead(schedule_id, 1, "Metoprolol 50 mg", plan, zone, MADE, since, Background(), MADE)


def source(*, stored=(), schedules=(), until: datetime, names: bool = False, lead: int = 0) -> FeedSource:
    return FeedSource("Mother, her; doses", names, timedelta(minutes=lead), list(stored), list(schedules), until)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def entry(**changes) -> AgendaEntry:
    return replace(
        AgendaEntry(
            schedule_id=SCHEDULE,
            revision=1,
            nominal_local=datetime.fromisoformat("2026-03-07T08:00"),
            zone="America/New_York",
            due_at=utc("2026-03-07T13:00"),
            note=None,
            medication="Metoprolol 50 mg",
            dose=Dose(Decimal(1), "tablet"),
            standing=Standing.PLANNED,
            changed_at=MADE,
            sequence=0,
        ),
        **changes,
    )


def unfolded(body: bytes) -> list[str]:
    assert body.endswith(b"\r\n")
    assert b"\n" not in body.replace(b"\r\n", b"")
    assert all(len(line) <= 75 for line in body.split(b"\r\n"))
    return re.sub(r"\r\n[ \t]", "", body.decode()).split("\r\n")[:-1]


@pytest.mark.parametrize(
    ("zone", "times", "since", "until", "expected"),
    [
        (
            "America/New_York",
            "08:00",
            "2026-03-07T00:00",
            "2026-03-09T00:00",
            ["20260307T130000Z", "20260308T120000Z"],
        ),
        ("America/New_York", "02:30 03:30", "2026-03-08T00:00", "2026-03-09T00:00", ["20260308T073000Z"] * 2),
        ("America/New_York", "01:30", "2026-11-01T00:00", "2026-11-02T00:00", ["20261101T053000Z"]),
        ("Europe/Berlin", "02:30", "2026-10-25T00:00", "2026-10-26T00:00", ["20261025T003000Z"]),
        ("Pacific/Chatham", "08:00", "2026-07-14T00:00", "2026-07-15T00:00", ["20260714T191500Z"]),
    ],
)
def test_starts_are_the_instants_of_the_engine_also_when_clocks_change(
    make_plan: Callable[..., SchedulePlan], zone: str, times: str, since: str, until: str, expected: list[str]
):
    lines = unfolded(write_calendar(source(schedules=[ahead(make_plan(times), zone, utc(since))], until=utc(until))))
    assert [line.removeprefix("DTSTART:") for line in lines if line.startswith("DTSTART")] == expected
    uids = [line for line in lines if line.startswith("UID:")]
    assert len(set(uids)) == len(expected)  # two slots may share an instant and are still two doses (R4)


def test_the_library_reads_back_what_was_written():
    body = write_calendar(source(stored=[entry()], until=utc("2026-04-01T00:00"), names=True, lead=10))
    calendar = Calendar.from_ical(body)
    assert calendar["VERSION"] == "2.0"
    assert calendar["METHOD"] == "PUBLISH"
    assert calendar["REFRESH-INTERVAL"].dt == timedelta(hours=1)
    [event] = calendar.walk("VEVENT")
    assert event["UID"] == f"{SCHEDULE}-r1-20260307T0800@carecircle-reminders"
    assert event["SUMMARY"] == "Metoprolol 50 mg: 1 tablet"
    assert event.start == utc("2026-03-07T13:00")
    assert event.duration == timedelta(minutes=15)
    assert event["SEQUENCE"] == 0
    assert event["LAST-MODIFIED"].dt == event["DTSTAMP"].dt == MADE.replace(microsecond=0)
    assert "08:00 (America/New_York)" in event["DESCRIPTION"]
    [alarm] = event.walk("VALARM")
    assert alarm["ACTION"] == "DISPLAY"
    assert alarm["TRIGGER"].dt == timedelta(minutes=-10)
    lines = unfolded(body)
    assert "REFRESH-INTERVAL;VALUE=DURATION:PT1H" in lines
    assert "X-PUBLISHED-TTL:PT1H" in lines
    assert "NAME:Mother\\, her\\; doses" in lines
    assert "X-WR-CALNAME:Mother\\, her\\; doses" in lines


def test_without_names_no_word_of_the_medicine_is_in_the_file(make_plan: Callable[..., SchedulePlan]):
    plan = ahead(make_plan("08:00"), "Europe/Berlin", utc("2026-03-01T00:00"))
    body = write_calendar(source(stored=[entry()], schedules=[plan], until=utc("2026-04-01T00:00")))
    assert b"Metoprolol" not in body
    assert b"tablet" not in body
    assert b"SUMMARY:Medicine" in body


@pytest.mark.parametrize(("standing", "word"), [(Standing.ANSWERED, "Done"), (Standing.CANCELLED, "Cancelled")])
def test_what_was_answered_or_cancelled_rings_no_more(standing: Standing, word: str):
    body = write_calendar(source(stored=[entry(standing=standing, sequence=7)], until=utc("2026-04-01T00:00")))
    [event] = Calendar.from_ical(body).walk("VEVENT")
    assert event["STATUS"] == "CANCELLED"
    assert event["SEQUENCE"] == 7
    assert event["SUMMARY"].startswith(word)
    assert event.walk("VALARM") == []


def test_texts_of_people_cannot_add_lines_of_their_own():
    evil = entry(medication='A\r\nEND:VEVENT\nBEGIN:VALARM;,\\ "x"' + "ä" * 100)
    body = write_calendar(source(stored=[evil], until=utc("2026-04-01T00:00"), names=True))
    lines = unfolded(body)
    assert lines.count("END:VEVENT") == 1
    assert lines.count("BEGIN:VALARM") == 1


def test_a_stored_dose_wins_over_the_same_one_worked_out(make_plan: Callable[..., SchedulePlan]):
    plan = ahead(make_plan("08:00"), "America/New_York", utc("2026-03-07T00:00"))
    taken = entry(standing=Standing.ANSWERED, sequence=3, due_at=utc("2026-03-07T14:30"))
    found = agenda([taken], [plan], until=utc("2026-03-09T00:00"), most=100)
    assert [(one.nominal_local.day, one.standing) for one in found] == [
        (7, Standing.ANSWERED),
        (8, Standing.PLANNED),
    ]


def test_the_nearest_doses_are_shown_if_there_are_too_many(make_plan: Callable[..., SchedulePlan]):
    plans = [
        ahead(make_plan("08:00"), "Europe/Berlin", utc("2026-03-01T00:00")),
        ahead(make_plan("20:00"), "Europe/Berlin", utc("2026-03-01T00:00"), UUID(int=7)),
    ]
    found = agenda([], plans, until=utc("2200-01-01T00:00"), most=5)
    assert [one.due_at.day for one in found] == [1, 1, 2, 2, 3]


def test_both_rounds_of_an_hour_that_comes_twice_have_a_uid_of_their_own():
    first = entry(nominal_local=datetime.fromisoformat("2026-11-01T01:30"))
    second = replace(first, nominal_local=first.nominal_local.replace(fold=1))
    assert first.uid != second.uid
