"""Cron patterns: which wall-clock times they name. Pure; knows nothing of zones (that is `wall.py`).

Five fields, or six with seconds first: `seconds minutes hours day-of-month month day-of-week`.

- `*` or `?` any value · `a,b` a list · `a-b` a range · `*/n`, `a-b/n`, `a/n` (from a on) every nth value
- `JAN`-`DEC`, `SUN`-`SAT`; Sunday is 0 and 7
- day of month: `L` the last one, `15W` the weekday (Mon-Fri) nearest to the 15th, `LW` the last weekday
- day of week: `5L` the last Friday of the month, `1#2` its second Monday
- `H` a value chosen by the seed, so that many schedulers with one pattern do not strike at once; `H/15`, `H(0-29)/10`
- `@yearly @annually @monthly @weekly @daily @midnight @hourly @minutely @secondly @weekdays @weekends`

With both day fields restricted a day needs to match only one of them, as in every cron. BullMQ's other clients read all
of this but `W`, `@midnight`, and `H` as we spread it: keep to the rest on a queue that they share.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from calendar import monthrange
from dataclasses import dataclass
from datetime import MAXYEAR, date, datetime, time
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, NoReturn

from carequeue.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SEARCH_YEARS = 100
MAX_LENGTH = 1000
ALIASES = {
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@midnight": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
    "@minutely": "0 * * * * *",
    "@secondly": "* * * * * *",
    "@weekdays": "0 0 0 * * 1-5",
    "@weekends": "0 0 0 * * 0,6",
}
MONTHS = {
    "JAN": 1,
    "FEB": 2,
    "MAR": 3,
    "APR": 4,
    "MAY": 5,
    "JUN": 6,
    "JUL": 7,
    "AUG": 8,
    "SEP": 9,
    "OCT": 10,
    "NOV": 11,
    "DEC": 12,
}
WEEKDAYS = {"SUN": 0, "MON": 1, "TUE": 2, "WED": 3, "THU": 4, "FRI": 5, "SAT": 6}
ANY = ("*", "?")
SATURDAY, SUNDAY = 5, 6  # as date.weekday() counts
ALWAYS_THERE = 28  # `H` as a day of the month stays below the shortest month's end
DAYS_OF_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

ATOM = re.compile(
    r"(?:(?P<any>[*?])|(?P<hash>H)(?:\((?P<low>\d+)-(?P<high>\d+)\))?|(?P<first>\w+)(?:-(?P<last>\w+))?)"
    r"(?:/(?P<step>\d+))?",
    re.ASCII | re.IGNORECASE,
)
NTH = re.compile(r"(?P<day>\w+)#(?P<nth>[1-5])", re.ASCII)
LAST = re.compile(r"(?P<day>\w+)L", re.ASCII | re.IGNORECASE)
NEAREST = re.compile(r"(?P<day>\d+)W", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed pattern. Make one with `Cron.parse`."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    months: frozenset[int]
    days: MonthDays
    weekdays: Weekdays

    @classmethod
    def parse(cls, pattern: str, *, seed: str = "") -> Cron:
        """Read a pattern; `seed` decides what `H` means.

        Raises:
            InvalidOption: says which field is wrong and why, or that no date ever matches.
        """
        return _parse(pattern, seed)

    @property
    def every_hour(self) -> bool:
        """Whether the pattern leaves the hour open, as hourly and minutely patterns do."""
        return len(self.hours) == 24

    def first(self, wall: datetime) -> datetime | None:
        """The first matching time at or after `wall` (naive, whole seconds); None if the next 100 years have none."""
        for day in self._dates(wall.date()):
            at = self._time_from(wall.time() if day == wall.date() else time.min)
            if at is not None:
                return datetime.combine(day, at)
        return None

    def matches(self, day: date) -> bool:
        """Whether the pattern has times on this day."""
        return day.month in self.months and day.day in self._days_of(day.year, day.month)

    def _dates(self, start: date) -> Iterator[date]:
        for year in range(start.year, min(start.year + SEARCH_YEARS, MAXYEAR) + 1):
            for month in sorted(self.months):
                if (year, month) < (start.year, start.month):
                    continue
                found = (date(year, month, day) for day in sorted(self._days_of(year, month)))
                yield from (day for day in found if day >= start)

    def _days_of(self, year: int, month: int) -> set[int]:
        if self.days.any and self.weekdays.any:
            return set(range(1, monthrange(year, month)[1] + 1))
        days = set[int]() if self.days.any else self.days.of(year, month)
        return days if self.weekdays.any else days | self.weekdays.of(year, month)

    def _time_from(self, at: time) -> time | None:
        for hour in _from(self.hours, at.hour):
            minute_floor = at.minute if hour == at.hour else 0
            for minute in _from(self.minutes, minute_floor):
                second_floor = at.second if (hour, minute) == (at.hour, at.minute) else 0
                for second in _from(self.seconds, second_floor):
                    return time(hour, minute, second)
        return None


@dataclass(frozen=True, slots=True)
class MonthDays:
    """The day-of-month field."""

    any: bool = False
    numbers: frozenset[int] = frozenset()
    last: bool = False
    nearest: frozenset[int] = frozenset()
    last_weekday: bool = False

    def of(self, year: int, month: int) -> set[int]:
        length = monthrange(year, month)[1]
        days = {day for day in self.numbers if day <= length}
        days |= {_nearest_weekday(date(year, month, day), length) for day in self.nearest if day <= length}
        if self.last:
            days.add(length)
        if self.last_weekday:
            end = date(year, month, length)
            days.add(length - max(0, end.weekday() - (SATURDAY - 1)))
        return days


@dataclass(frozen=True, slots=True)
class Weekdays:
    """The day-of-week field; Sunday is 0."""

    any: bool = False
    numbers: frozenset[int] = frozenset()
    last: frozenset[int] = frozenset()
    nth: frozenset[tuple[int, int]] = frozenset()

    def of(self, year: int, month: int) -> set[int]:
        monday_based, length = monthrange(year, month)
        first = (monday_based + 1) % 7  # the weekday of the 1st, Sunday = 0
        days = {day for day in range(1, length + 1) if (first + day - 1) % 7 in self.numbers}
        for weekday in self.last:
            days.add(length - (first + length - 1 - weekday) % 7)
        for weekday, nth in self.nth:
            day = 1 + (weekday - first) % 7 + 7 * (nth - 1)
            if day <= length:
                days.add(day)
        return days


@dataclass(frozen=True, slots=True)
class _Field:
    """One field while it is read: its bounds, and what an error message needs to know."""

    name: str
    low: int
    high: int
    position: int
    pattern: str
    seed: str
    names: dict[str, int]

    def wrong(self, why: str) -> NoReturn:
        raise InvalidOption(f"cron field {self.position} ({self.name}) of {self.pattern!r}: {why}")

    def number(self, text: str) -> int:
        """The value that a number or a name stands for."""
        if text.upper() in self.names:
            return self.names[text.upper()]
        if not (text.isascii() and text.isdigit()):
            names = f" or one of {', '.join(self.names)}" if self.names else ""
            self.wrong(f"{text!r} is not a number{names}")
        if len(text) > 4 or not self.low <= int(text) <= self.high:
            self.wrong(f"{text} is not between {self.low} and {self.high}")
        return int(text)

    def values(self, atom: str) -> set[int]:
        """What one atom of the list stands for."""
        found = ATOM.fullmatch(atom)
        if found is None:
            self.wrong(f"{atom!r} is not a value, a range or a step" if atom else "there is an empty value")
        step = self.step(found["step"])
        if found["hash"]:
            return self.hashed(found["low"], found["high"], step)
        if found["any"]:
            low, high = self.low, self.high
        else:
            low = self.number(found["first"])
            high = self.number(found["last"]) if found["last"] else self.high if step else low
        if low > high:
            hint = "; Sunday at the end of a range is 7" if high == 0 and self.names is WEEKDAYS else ""
            self.wrong(f"the range {atom!r} runs backwards{hint}")
        return set(range(low, high + 1, step or 1))

    def step(self, text: str | None) -> int | None:
        if text is None:
            return None
        if len(text) > 4 or not 1 <= int(text) <= self.high:
            self.wrong(f"a step is between 1 and {self.high}, got {text}")
        return int(text)

    def hashed(self, low_text: str | None, high_text: str | None, step: int | None) -> set[int]:
        """`H`: the same value for the same seed, spread evenly over the seeds."""
        low = self.low if low_text is None else self.number(low_text)
        high = min(self.high, ALWAYS_THERE if self.name == "day of month" else self.high)
        if self.names is WEEKDAYS:
            high = 6
        if high_text is not None:
            high = self.number(high_text)
        if low > high:
            self.wrong(f"the range H({low}-{high}) runs backwards")
        spread = int.from_bytes(sha256(f"{self.seed}\0{self.name}".encode()).digest()[:8], "big")
        if step is None:
            return {low + spread % (high - low + 1)}
        return set(range(low + spread % min(step, high - low + 1), high + 1, step))


@lru_cache(maxsize=512)
def _parse(pattern: str, seed: str) -> Cron:
    if len(pattern) > MAX_LENGTH:
        raise InvalidOption(f"a cron pattern has at most {MAX_LENGTH} characters, got {len(pattern)}")
    texts = ALIASES.get(pattern.strip().lower(), pattern).split()
    if len(texts) not in (5, 6):
        aliases = ", ".join(ALIASES)
        raise InvalidOption(
            f"a cron pattern has 5 fields, or 6 with seconds first, or is one of {aliases}; "
            f"{pattern!r} has {len(texts)}"
        )
    skipped = 6 - len(texts)
    bounds: list[tuple[str, int, int, dict[str, int]]] = [
        ("seconds", 0, 59, {}), ("minutes", 0, 59, {}), ("hours", 0, 23, {}),
        ("day of month", 1, 31, {}), ("month", 1, 12, MONTHS), ("day of week", 0, 7, WEEKDAYS),
    ]  # fmt: skip
    fields = [
        _Field(name, low, high, at - skipped + 1, pattern, seed, names)
        for at, (name, low, high, names) in enumerate(bounds)
    ]
    seconds, minutes, hours, days, months, weekdays = zip(fields, ["0"] * skipped + texts, strict=True)
    cron = Cron(
        seconds=_numbers(*seconds),
        minutes=_numbers(*minutes),
        hours=_numbers(*hours),
        months=frozenset(_numbers(*months)),
        days=_month_days(*days),
        weekdays=_weekdays(*weekdays),
    )
    _check_date_exists(cron, fields[3])
    return cron


def _numbers(field: _Field, text: str) -> tuple[int, ...]:
    return tuple(sorted({value for atom in text.split(",") for value in field.values(atom)}))


def _month_days(field: _Field, text: str) -> MonthDays:
    numbers, nearest, words = set[int](), set[int](), set[str]()
    for atom in text.split(","):
        if atom.upper() in ("L", "LW"):
            words.add(atom.upper())
        elif found := NEAREST.fullmatch(atom):
            nearest.add(field.number(found["day"]))
        else:
            numbers |= field.values(atom)
    return MonthDays(text in ANY, frozenset(numbers), "L" in words, frozenset(nearest), "LW" in words)


def _weekdays(field: _Field, text: str) -> Weekdays:
    numbers, last, nth = set[int](), set[int](), set[tuple[int, int]]()
    for atom in text.split(","):
        if found := NTH.fullmatch(atom):
            nth.add((field.number(found["day"]) % 7, int(found["nth"])))
        elif "#" in atom:
            field.wrong(f"{atom!r} is not a day and which one of the month (1 to 5), as in 1#2")
        elif found := LAST.fullmatch(atom):
            last.add(field.number(found["day"]) % 7)
        elif atom.upper() == "L":
            field.wrong("'L' needs a day before it here: 5L is the last Friday of the month")
        else:
            numbers |= {value % 7 for value in field.values(atom)}
    return Weekdays(text in ANY, frozenset(numbers), frozenset(last), frozenset(nth))


def _check_date_exists(cron: Cron, field: _Field) -> None:
    """31 February is a mistake to report now, not a job that never runs."""
    days = cron.days
    if days.any or not cron.weekdays.any or days.last or days.last_weekday:
        return
    longest = max(DAYS_OF_MONTH[month - 1] for month in cron.months)
    if min(days.numbers | days.nearest) > longest:
        field.wrong(f"no month that the pattern names has this day; the longest has {longest}")


def _nearest_weekday(day: date, length: int) -> int:
    """The Monday to Friday nearest to `day` without leaving its month."""
    if day.weekday() == SATURDAY:
        return day.day - 1 if day.day > 1 else day.day + 2
    if day.weekday() == SUNDAY:
        return day.day + 1 if day.day < length else day.day - 2
    return day.day


def _from(values: Sequence[int], floor: int) -> Sequence[int]:
    return values[bisect_left(values, floor) :]
