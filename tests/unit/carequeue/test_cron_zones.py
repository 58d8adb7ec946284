"""Cron patterns at every clock change of every time zone in ten years, against a judge that walks through the minutes.

The judge knows nothing of `cron.py` and `wall.py`: it reads what the clock shows at each minute around a change, and
has the patterns as sets. With CARECIRCLE_ZONE_EXAMPLES it takes all changes since 1970, and so many random patterns.
"""

from __future__ import annotations

import os
import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, available_timezones

import pytest

from carequeue.repeat import Repeat, next_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

RANDOM_PATTERNS = int(os.environ.get("CARECIRCLE_ZONE_EXAMPLES", "0")) // 1000
YEARS = range(1970, 2038) if RANDOM_PATTERNS else range(2020, 2031)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LOOK = HOUR if RANDOM_PATTERNS else DAY
"""How far apart the clock is looked at to find its changes: none of these years goes back sooner."""
LOOKS = [
    datetime(YEARS[0], 1, 1, tzinfo=UTC) + number * LOOK for number in range(timedelta(days=366 * len(YEARS)) // LOOK)
]
AROUND = 26 * HOUR
"""What is compared lies so close to a change; a zone has never moved by more than a day."""
LEAD = DAY
TOLD = 10


@dataclass(frozen=True)
class Change:
    """The zone's clock moves at this instant, by `after - before`."""

    at: datetime
    before: timedelta
    after: timedelta

    @property
    def walls(self) -> tuple[datetime, datetime]:
        """What the wall shows that is skipped, or comes twice: from, and up to but without."""
        instant = self.at.replace(tzinfo=None)
        return min(instant + self.before, instant + self.after), max(instant + self.before, instant + self.after)


@dataclass(frozen=True)
class Pattern:
    """A pattern as text, and what it says in sets. `hours` None: left open."""

    text: str
    minutes: frozenset[int]
    hours: frozenset[int] | None = None
    seconds: frozenset[int] = frozenset({0})
    on: Callable[[date], bool] = field(default=lambda _: True)
    rare: bool = False
    """Days of it lie a week apart at least."""

    def slots(self, dates: Sequence[date]) -> Iterator[datetime]:
        """The wall-clock times that it names on these dates."""
        for day in dates:
            if self.on(day):
                for hour in sorted(range(24) if self.hours is None else self.hours):
                    for minute in sorted(self.minutes):
                        for second in sorted(self.seconds):
                            yield datetime.combine(day, time(hour, minute, second))


class Walk:
    """What the clock of a zone showed, minute by minute, around a change."""

    def __init__(self, zone: ZoneInfo, change: datetime) -> None:
        self.start, self.end = change - AROUND, change + AROUND
        self.step = SECOND if change.second else MINUTE  # Monrovia moved in the middle of a minute
        self.shown: dict[datetime, list[datetime]] = defaultdict(list)
        self.passed: dict[datetime, datetime] = {}
        at, highest = self.start - LEAD, None
        while at <= self.end:
            wall = at.astimezone(zone).replace(tzinfo=None)
            self.shown[wall].append(at)
            newest = wall if highest is None else highest + self.step
            while newest <= wall:  # more than one of them: the clock jumped over the others
                self.passed[newest] = at
                newest += self.step
            highest = wall if highest is None else max(highest, wall)
            at += self.step
        self.dates = sorted({wall.date() for wall in self.shown})

    def runs(self, pattern: Pattern) -> list[datetime]:
        """When the pattern runs between start and end, by the policy in words: a time that hours are named for runs
        when the wall first shows it or has passed it; one with open hours at each instant that shows it.
        """
        found = set[datetime]()
        for slot in pattern.slots(self.dates):
            cell = slot.replace(second=0) if self.step == MINUTE else slot
            within = slot - cell
            if pattern.hours is None:
                found |= {at + within for at in self.shown.get(cell, ())}
            elif cell in self.passed:
                at = self.passed[cell]
                found.add(at + within if at in self.shown.get(cell, ()) else at)
        return sorted(at for at in found if self.start < at <= self.end)


@pytest.fixture(scope="module")
def changes() -> dict[int, dict[Change, str]]:
    """Every change of a year, and a zone that has it. Zones that changed alike in all years count once."""
    zones: dict[tuple[timedelta, tuple[Change, ...]], str] = {}
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        zones.setdefault((_offset(zone, LOOKS[0]), tuple(_changes(zone))), name)
    by_year: dict[int, dict[Change, str]] = defaultdict(dict)
    for (_, found), name in zones.items():
        for change in found:
            by_year[change.at.year][change] = name
    return by_year


def _changes(zone: ZoneInfo) -> Iterator[Change]:
    offsets = [_offset(zone, at) for at in LOOKS]
    for (low, before), (high, after) in pairwise(zip(LOOKS, offsets, strict=True)):
        if before != after:
            first, last = low, high
            while last - first > SECOND:
                middle = first + (last - first) // 2 // SECOND * SECOND
                first, last = (middle, last) if _offset(zone, middle) == before else (first, middle)
            yield Change(last, before, after)


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    offset = at.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


def patterns_for(change: Change) -> list[Pattern]:
    """Patterns whose times lie in and around what this change skips or repeats."""
    low, high = change.walls
    middle = low + (high - low) // 2 // MINUTE * MINUTE
    edges = [low - MINUTE, low, low + MINUTE, middle, high - MINUTE, high, high + MINUTE]
    hours = frozenset(wall.hour for wall in (low, middle, high))
    quarters = frozenset({0, 15, 30, 45})
    found = [daily(wall) for wall in sorted({edge.replace(second=0) for edge in edges})]
    found += [weekly(middle), weekly(low - MINUTE), monthly(middle), monthly(high), yearly(low), nth(middle)]
    found += [
        either_day(middle),
        Pattern("0 0 * * *", frozenset({0}), frozenset({0})),
        Pattern("59 23 * * *", frozenset({59}), frozenset({23})),
        Pattern("0 8 * * *", frozenset({0}), frozenset({8})),
        Pattern(f"*/15 {_list(hours)} * * *", quarters, hours),
        Pattern("0 */2 * * *", frozenset({0}), frozenset(range(0, 24, 2))),
        Pattern("30 0-22 * * *", frozenset({30}), frozenset(range(23))),
        Pattern(f"*/20 {middle.minute} {middle.hour} * * *", frozenset({middle.minute}), frozenset({middle.hour}),
                frozenset({0, 20, 40})),
        Pattern(f"{middle.minute} * * * *", frozenset({middle.minute})),
        Pattern("*/20 * * * *", frozenset({0, 20, 40})),
        Pattern(f"*/30 * * * {_weekday(middle)}", frozenset({0, 30}), on=_is_weekday(_weekday(middle)), rare=True),
        Pattern(f"45 {low.minute} 0-23 * * *", frozenset({low.minute}), seconds=frozenset({45})),
    ]  # fmt: skip
    return found


def daily(wall: datetime) -> Pattern:
    return Pattern(f"{wall.minute} {wall.hour} * * *", frozenset({wall.minute}), frozenset({wall.hour}))


def weekly(wall: datetime) -> Pattern:
    return _on(wall, f"* * {_weekday(wall)}", _is_weekday(_weekday(wall)))


def monthly(wall: datetime) -> Pattern:
    if (wall + DAY).day == 1:
        return _on(wall, "L * *", lambda day: (day + DAY).day == 1)
    return _on(wall, f"{wall.day} * *", lambda day: day.day == wall.day)


def yearly(wall: datetime) -> Pattern:
    return _on(wall, f"{wall.day} {wall.month} *", lambda day: (day.month, day.day) == (wall.month, wall.day))


def nth(wall: datetime) -> Pattern:
    """The first, second … or last such weekday of the month."""
    weekday = _is_weekday(_weekday(wall))
    if (wall + 7 * DAY).month != wall.month:
        return _on(wall, f"* * {_weekday(wall)}L", lambda day: weekday(day) and (day + 7 * DAY).month != day.month)
    which = (wall.day - 1) // 7
    return _on(wall, f"* * {_weekday(wall)}#{which + 1}", lambda day: weekday(day) and (day.day - 1) // 7 == which)


def either_day(wall: datetime) -> Pattern:
    """With both day fields one is enough."""
    weekday = _is_weekday(_weekday(wall))
    text = f"{wall.day} * {_weekday(wall)}"
    return _on(wall, text, lambda day: day.day == wall.day or weekday(day), rare=False)


def random_pattern(chance: random.Random, change: Change) -> Pattern:
    low, high = change.walls
    minutes = frozenset(chance.sample(range(60), chance.randint(1, 3)))
    near = sorted({low.hour, high.hour, (low.hour + 23) % 24, *chance.sample(range(24), 2)})
    hours = None if chance.random() < 0.25 else frozenset(chance.sample(near, chance.randint(1, len(near))))
    seconds = frozenset({chance.randrange(60)})
    days = frozenset(chance.sample(range(7), chance.randint(1, 7)))
    text = f"{_list(seconds)} {_list(minutes)} {'*' if hours is None else _list(hours)} * * {_list(days)}"
    return Pattern(text, minutes, hours, seconds, lambda day: day.isoweekday() % 7 in days)


def _on(wall: datetime, days: str, on: Callable[[date], bool], *, rare: bool = True) -> Pattern:
    text = f"{wall.minute} {wall.hour} {days}"
    return Pattern(text, frozenset({wall.minute}), frozenset({wall.hour}), on=on, rare=rare)


def _weekday(wall: datetime) -> int:
    return wall.isoweekday() % 7


def _is_weekday(weekday: int) -> Callable[[date], bool]:
    return lambda day: day.isoweekday() % 7 == weekday


def _list(values: frozenset[int]) -> str:
    return ",".join(map(str, sorted(values)))


def wrong_runs(name: str, change: Change, patterns: Sequence[Pattern]) -> Iterator[str]:
    """What `next_run` says otherwise than the judge: asked from run to run, and from in between."""
    walk = Walk(ZoneInfo(name), change.at)
    for pattern in patterns:
        repeat, expected = Repeat.cron(pattern.text, zone=name), walk.runs(pattern)
        found = list(_asked(repeat, walk.start, walk.end))
        if found != expected:
            yield f"{name} {change.at}: {pattern.text!r} runs at {_told(found)}, the clock says {_told(expected)}"
        for since in (change.at - MINUTE, change.at, change.at + MINUTE, change.at + abs(change.after - change.before)):
            following = next((at for at in expected if at > since), None)
            run = next_run(repeat, after=since)
            if following is not None and run != following:
                yield f"{name}: {pattern.text!r} asked at {since} runs at {run}, the clock says {following}"
        if pattern.rare and expected and next_run(repeat, after=walk.start - 4 * DAY) != expected[0]:
            yield f"{name} {change.at}: {pattern.text!r} asked days before runs elsewhere than at {expected[0]}"


def _asked(repeat: Repeat, start: datetime, end: datetime) -> Iterator[datetime]:
    run = next_run(repeat, after=start)
    while run is not None and run <= end:
        yield run
        run = next_run(repeat, after=run)


def _told(runs: Sequence[datetime]) -> str:
    return " ".join(f"{run:%m-%dT%H:%M:%S}" for run in runs[:TOLD]) or "no time"


@pytest.mark.parametrize("year", YEARS)
def test_at_every_change_of_every_zone_the_runs_are_those_that_the_clock_shows(
    changes: dict[int, dict[Change, str]], year: int
) -> None:
    wrong: list[str] = []
    for change, name in changes[year].items():
        chance = random.Random(f"{name} {change.at}")  # noqa: S311 - the same patterns each time
        patterns = patterns_for(change) + [random_pattern(chance, change) for _ in range(RANDOM_PATTERNS)]
        wrong += wrong_runs(name, change, patterns)

    assert not wrong, "\n".join([f"{len(wrong)} are wrong", *wrong[:TOLD]])


@pytest.mark.parametrize(
    ("zone", "change"),
    [
        ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),  # over the date line: the 30th never was
        ("Pacific/Fakaofo", datetime(2011, 12, 30, 11, tzinfo=UTC)),
        ("Pacific/Kwajalein", datetime(1993, 8, 21, 12, tzinfo=UTC)),
        ("Pacific/Kiritimati", datetime(1994, 12, 31, 10, tzinfo=UTC)),
        ("Asia/Pyongyang", datetime(2015, 8, 14, 15, tzinfo=UTC)),
        ("Asia/Pyongyang", datetime(2018, 5, 4, 15, tzinfo=UTC)),
        ("America/Caracas", datetime(2016, 5, 1, 7, tzinfo=UTC)),
        ("Asia/Kathmandu", datetime(1985, 12, 31, 18, 30, tzinfo=UTC)),
        ("America/Sao_Paulo", datetime(2018, 11, 4, 3, tzinfo=UTC)),
        ("Antarctica/Casey", datetime(2020, 10, 3, 16, 1, tzinfo=UTC)),  # three hours, at one minute past
        ("Africa/Monrovia", datetime(1972, 1, 7, 0, 44, 30, tzinfo=UTC)),
    ],
)
def test_at_the_odd_changes_of_other_years(zone: str, change: datetime) -> None:
    home = ZoneInfo(zone)
    moved = Change(change, _offset(home, change - SECOND), _offset(home, change))

    assert moved.before != moved.after
    assert not list(wrong_runs(zone, moved, patterns_for(moved)))


def test_the_zones_that_others_get_wrong_are_among_them(changes: dict[int, dict[Change, str]]) -> None:
    """Midnight skipped, half hours, two hours, summer time below winter time, Ramadan: a poor zone database shows."""
    kinds: dict[str, set[str]] = {}
    for name in (
        "Africa/Cairo", "Asia/Beirut", "America/Santiago", "America/Havana", "America/Asuncion",
        "Australia/Lord_Howe", "Antarctica/Troll", "Europe/Dublin", "Africa/Casablanca",
    ):  # fmt: skip
        zone, seen = ZoneInfo(name), {change for year in changes.values() for change in year}
        own = [change for change in _changes(zone) if change in seen]
        low_hours = {f"{change.walls[0]:%H:%M}" for change in own if change.after > change.before}
        sizes = {str(abs(change.after - change.before)) for change in own}
        assert own == list(_changes(zone)), name
        kinds[name] = low_hours | sizes

    for name in ("Africa/Cairo", "Asia/Beirut", "America/Santiago", "America/Havana", "America/Asuncion"):
        assert "00:00" in kinds[name], name
    assert "0:30:00" in kinds["Australia/Lord_Howe"]
    assert "2:00:00" in kinds["Antarctica/Troll"]
    assert len([change for change in _changes(ZoneInfo("Africa/Casablanca")) if change.at.year == 2025]) == 2
    assert ZoneInfo("Europe/Dublin").dst(datetime(2025, 1, 1)) == -HOUR  # noqa: DTZ001 - the zone's own wall time
