"""Cron patterns on the nights when clocks change: a table of known nights, and a walk through the minutes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from carequeue.repeat import Repeat, next_run

if TYPE_CHECKING:
    from collections.abc import Iterator

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def runs(pattern: str, zone: str, since: str, count: int) -> list[str]:
    """The next `count` runs after local time `since`, as local times with their offset."""
    home = ZoneInfo(zone)
    now = datetime.fromisoformat(since).replace(tzinfo=home)
    repeat = Repeat.cron(pattern, zone=zone)
    found: list[str] = []
    for _ in range(count):
        run = next_run(repeat, after=now)
        assert run is not None
        found.append(run.astimezone(home).strftime("%m-%d %H:%M:%S %z"))
        now = run
    return found


@pytest.mark.parametrize(
    ("zone", "pattern", "since", "expected"),
    [
        # The time does not exist: the first instant after the gap, the next day as ever.
        ("Europe/Berlin", "30 2 * * *", "2026-03-28T12:00", ["03-29 03:00:00 +0200", "03-30 02:30:00 +0200"]),
        ("America/New_York", "30 2 * * *", "2026-03-07T12:00", ["03-08 03:00:00 -0400", "03-09 02:30:00 -0400"]),
        ("Europe/London", "30 1 * * *", "2026-03-28T12:00", ["03-29 02:00:00 +0100", "03-30 01:30:00 +0100"]),
        # Several times in one gap: one run, also when the first time after the gap is itself a time of the pattern.
        ("Europe/Berlin", "0,20,40 2 * * *", "2026-03-28T12:00", ["03-29 03:00:00 +0200", "03-30 02:00:00 +0200"]),
        ("Europe/Berlin", "0,30 2,3 * * *", "2026-03-28T12:00", ["03-29 03:00:00 +0200", "03-29 03:30:00 +0200"]),
        ("Europe/Berlin", "*/10 * 2 * * *", "2026-03-29T00:00", ["03-29 03:00:00 +0200", "03-30 02:00:00 +0200"]),
        # The time comes twice: the first one.
        ("Europe/Berlin", "30 2 * * *", "2026-10-24T12:00", ["10-25 02:30:00 +0200", "10-26 02:30:00 +0100"]),
        ("Europe/Berlin", "0 3 * * *", "2026-10-24T12:00", ["10-25 03:00:00 +0100", "10-26 03:00:00 +0100"]),
        ("America/New_York", "30 1 * * *", "2026-10-31T12:00", ["11-01 01:30:00 -0400", "11-02 01:30:00 -0500"]),
        ("Europe/Dublin", "30 1 * * *", "2026-10-24T12:00", ["10-25 01:30:00 +0100", "10-26 01:30:00 +0000"]),
        # The morning after is not touched.
        ("Europe/Berlin", "0 8 * * *", "2026-03-28T12:00", ["03-29 08:00:00 +0200", "03-30 08:00:00 +0200"]),
        ("Europe/Berlin", "0 8 * * *", "2026-10-24T12:00", ["10-25 08:00:00 +0100", "10-26 08:00:00 +0100"]),
        ("America/New_York", "0 8 * * 0", "2026-03-02T12:00", ["03-08 08:00:00 -0400", "03-15 08:00:00 -0400"]),
        # Midnight itself is missing.
        ("Africa/Cairo", "0 0 * * *", "2026-04-23T12:00", ["04-24 01:00:00 +0300", "04-25 00:00:00 +0300"]),
        ("Asia/Beirut", "0 0 * * *", "2026-03-28T12:00", ["03-29 01:00:00 +0300", "03-30 00:00:00 +0300"]),
        ("America/Santiago", "30 0 * * *", "2026-09-05T12:00", ["09-06 01:00:00 -0300", "09-07 00:30:00 -0300"]),
        ("America/Havana", "0 0 * * *", "2026-03-07T12:00", ["03-08 01:00:00 -0400", "03-09 00:00:00 -0400"]),
        ("Africa/Cairo", "0 0 24 4 *", "2026-01-01T00:00", ["04-24 01:00:00 +0300"]),
        ("Africa/Cairo", "@daily", "2026-10-29T12:00", ["10-30 00:00:00 +0200", "10-31 00:00:00 +0200"]),
        # The last hour of a day comes twice (Beirut goes back at midnight).
        ("Asia/Beirut", "30 23 * * *", "2026-10-24T12:00", ["10-24 23:30:00 +0300", "10-25 23:30:00 +0200"]),
        # Half an hour.
        ("Australia/Lord_Howe", "15 2 * * *", "2026-10-03T12:00", ["10-04 02:30:00 +1100", "10-05 02:15:00 +1100"]),
        ("Australia/Lord_Howe", "45 1 * * *", "2026-04-04T12:00", ["04-05 01:45:00 +1100", "04-06 01:45:00 +1030"]),
        # A day that never was.
        ("Pacific/Apia", "0 8 * * *", "2011-12-29T00:00", ["12-29 08:00:00 -1000", "12-31 08:00:00 +1400"]),
        # Hourly and minutely patterns: each real hour, both in the overlap, nothing made up after the gap.
        (
            "Europe/Berlin",
            "30 * * * *",
            "2026-10-25T01:00",
            ["10-25 01:30:00 +0200", "10-25 02:30:00 +0200", "10-25 02:30:00 +0100", "10-25 03:30:00 +0100"],
        ),
        (
            "Europe/Berlin",
            "30 * * * *",
            "2026-03-29T00:45",
            ["03-29 01:30:00 +0100", "03-29 03:30:00 +0200", "03-29 04:30:00 +0200"],
        ),
        (
            "Australia/Lord_Howe",
            "*/20 * * * *",
            "2026-04-05T01:00",
            ["04-05 01:20:00 +1100", "04-05 01:40:00 +1100", "04-05 01:40:00 +1030", "04-05 02:00:00 +1030"],
        ),
        (
            "Asia/Beirut",
            "0 * * * *",
            "2026-10-24T22:30",
            ["10-24 23:00:00 +0300", "10-24 23:00:00 +0200", "10-25 00:00:00 +0200"],
        ),
        # Zones that stopped changing their clocks: a stale zone database shows here.
        ("America/Mexico_City", "0 8 * * *", "2026-07-01T00:00", ["07-01 08:00:00 -0600"]),
        ("Asia/Tehran", "0 8 * * *", "2026-07-01T00:00", ["07-01 08:00:00 +0330"]),
    ],
)
def test_on_the_night_of_a_clock_change(zone: str, pattern: str, since: str, expected: list[str]) -> None:
    assert runs(pattern, zone, since, len(expected)) == expected


def test_hourly_runs_are_an_hour_apart_all_year() -> None:
    repeat = Repeat.cron("0 * * * *", zone="Europe/Berlin")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    found = [now]
    while now < datetime(2027, 1, 1, tzinfo=UTC):
        run = next_run(repeat, after=now)
        assert run is not None
        found.append(run)
        now = run

    assert {b - a for a, b in pairwise(found)} == {timedelta(hours=1)}


def test_a_question_asked_in_the_second_pass_does_not_run_the_first_again() -> None:
    second_pass = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)  # 02:10 for the second time

    run = next_run(Repeat.cron("30 2 * * *", zone="Europe/Berlin"), after=second_pass)

    assert run == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


# The judge: no clever step, it looks at every minute.

NIGHTS = [
    ("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC)),
    ("Europe/Dublin", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2026, 4, 23, 22, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2026, 10, 29, 21, tzinfo=UTC)),
    ("Asia/Beirut", datetime(2026, 10, 24, 21, tzinfo=UTC)),
    ("America/Santiago", datetime(2026, 9, 6, 4, tzinfo=UTC)),
    ("America/Havana", datetime(2026, 11, 1, 5, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
    ("Africa/Casablanca", datetime(2026, 2, 15, 2, tzinfo=UTC)),
    ("Antarctica/Troll", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
    ("Pacific/Kwajalein", datetime(1993, 8, 21, 12, tzinfo=UTC)),
    ("Asia/Pyongyang", datetime(2018, 5, 4, 15, tzinfo=UTC)),
    ("UTC", datetime(2026, 2, 28, 23, tzinfo=UTC)),
]
WALK = timedelta(days=4)


@dataclass(frozen=True)
class Slots:
    """A pattern as sets, so that the judge needs no parser."""

    minutes: frozenset[int]
    hours: frozenset[int] | None
    weekdays: frozenset[int] | None

    def __str__(self) -> str:
        return f"{_list(self.minutes)} {_list(self.hours)} * * {_list(self.weekdays)}"

    def match(self, wall: datetime) -> bool:
        return (
            wall.minute in self.minutes
            and (self.hours is None or wall.hour in self.hours)
            and (self.weekdays is None or wall.isoweekday() % 7 in self.weekdays)
        )


def _list(values: frozenset[int] | None) -> str:
    return "*" if values is None else ",".join(map(str, sorted(values)))


@lru_cache(maxsize=64)
def clock(zone: str, since: datetime) -> list[tuple[datetime, datetime]]:
    """(instant, what the clock on the wall shows) for each minute of the walk and the two days before it."""
    home, start = ZoneInfo(zone), since - 2 * DAY
    minutes = [start + n * MINUTE for n in range(int((WALK + 2 * DAY) / MINUTE))]
    return [(at, at.astimezone(home).replace(tzinfo=None)) for at in minutes]


def walked(slots: Slots, zone: str, since: datetime) -> Iterator[datetime]:
    """Every run of the walk, found by looking at every minute."""
    highest = None
    for at, wall in clock(zone, since):
        if slots.hours is None or highest is None:
            due = slots.match(wall)
        else:
            due = any(slots.match(seen) for seen in _newly_shown(highest, wall))
        if due and at > since:
            yield at
        highest = wall if highest is None else max(highest, wall)


def _newly_shown(highest: datetime, wall: datetime) -> Iterator[datetime]:
    """What the clock shows for the first time now, or has jumped over, except dates that never were."""
    seen = highest + MINUTE
    while seen <= wall:
        midnight = datetime.combine(seen.date(), time.min)
        if not (highest < midnight and midnight + DAY <= wall):
            yield seen
        seen += MINUTE


minutes = st.frozensets(st.integers(0, 59), min_size=1, max_size=4)
hours = st.none() | st.frozensets(st.integers(0, 23) | st.sampled_from([0, 1, 2, 3, 23]), min_size=1, max_size=5)
weekdays = st.none() | st.frozensets(st.integers(0, 6), min_size=1, max_size=6)


@settings(max_examples=120, deadline=None)
@given(
    night=st.sampled_from(NIGHTS),
    slots=st.builds(Slots, minutes, hours, weekdays),
    shift=st.integers(-26 * 60, 26 * 60),
)
@example(
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)), Slots(frozenset({10}), frozenset({2}), None), -1
)
@example(
    ("Pacific/Kwajalein", datetime(1993, 8, 21, 12, tzinfo=UTC)), Slots(frozenset({0}), frozenset({8}), None), -600
)
def test_the_runs_are_those_that_a_walk_through_the_minutes_finds(
    night: tuple[str, datetime], slots: Slots, shift: int
) -> None:
    zone, change = night
    since = change + shift * MINUTE
    expected = list(walked(slots, zone, since))[:6]
    repeat = Repeat.cron(str(slots), zone=zone)

    now, found = since, list[datetime]()
    for _ in expected:
        run = next_run(repeat, after=now)
        assert run is not None
        found.append(run)
        now = run

    assert found == expected
