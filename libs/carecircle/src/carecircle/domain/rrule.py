"""Recurrence rules of iCalendar (RFC 5545) as rules of ours. Our own small grammar: what it does not know, what would
not mean the same here, and what would never end is refused in words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from carecircle.domain.calendar_rule import WEEK_ORDER, CalendarRule, DateUnit, EveryDate, MonthEnd, Weekday
from carecircle.domain.errors import Invalid
from carecircle.domain.interval_rule import EveryTime, IntervalRule, TimeUnit
from carecircle.domain.times import MAX_TIMES_A_DAY
from carecircle.domain.zones import wall_time, zone_named

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_RULE = 500
PART = re.compile(r"([A-Z]{1,12})=([A-Z0-9,+:-]{1,200})", re.ASCII | re.IGNORECASE)
DATE_TIME = re.compile(r"(\d{8})(?:T(\d{6})(Z?))?", re.ASCII)
DAY_NAMES: dict[str, Weekday] = dict(zip(["MO", "TU", "WE", "TH", "FR", "SA", "SU"], WEEK_ORDER, strict=True))
DATES = {
    "DAILY": (1, DateUnit.DAY),
    "WEEKLY": (1, DateUnit.WEEK),
    "MONTHLY": (1, DateUnit.MONTH),
    "YEARLY": (12, DateUnit.MONTH),
}
TIMES = {"HOURLY": TimeUnit.HOUR, "MINUTELY": TimeUnit.MINUTE}
KNOWN = ("FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYHOUR", "BYMINUTE", "BYSECOND", "WKST")
FIELD = "rrule"


@dataclass(frozen=True, slots=True)
class Imported:
    """A recurrence in our words."""

    rule: CalendarRule | IntervalRule
    start_date: date
    end_date: date | None
    count: int | None
    zone: str | None
    """None: it is meant where the patient lives."""
    notes: tuple[str, ...] = ()
    """What means something slightly else here."""


def import_rrule(text: str, start: datetime, zone: str | None) -> Imported:
    """The rule of an RRULE whose DTSTART is `start`, by the wall clock of `zone`.

    Raises:
        Invalid: it is none, or none that can be kept exactly; the message says which part and why.
    """
    parts = _parts(text)
    try:
        return _imported(parts, start, zone)
    except Invalid as refused:  # a part of a rule of ours is a part of theirs
        raise Invalid(refused.message, field=FIELD) from None


def _imported(parts: dict[str, str], start: datetime, zone: str | None) -> Imported:
    frequency = parts.get("FREQ", "")
    interval = _number(parts, "INTERVAL", 1)
    if frequency in TIMES:
        return _by_time(parts, start, zone, EveryTime(interval, TIMES[frequency]))
    if frequency not in DATES:
        raise Invalid(f"FREQ is one of {', '.join([*DATES, *TIMES])}.", field=FIELD)
    if frequency == "YEARLY" and {"BYDAY", "BYMONTHDAY"} & parts.keys():
        raise Invalid("FREQ=YEARLY is kept on the date of the start only; use MONTHLY for other days.", field=FIELD)
    months, unit = DATES[frequency]
    return _by_date(parts, start, zone, EveryDate(interval * months, unit))


def _by_date(parts: dict[str, str], start: datetime, zone: str | None, every: EveryDate) -> Imported:
    days_of_week = _days_of_week(parts)
    days_of_month, month_end = _days_of_month(parts)
    monthly = every.unit is DateUnit.MONTH
    if days_of_month and not monthly and every != EveryDate(1, DateUnit.DAY):
        raise Invalid("BYMONTHDAY goes with FREQ=MONTHLY.", field=FIELD)
    if monthly and days_of_week and not days_of_month:
        raise Invalid(
            "Every such weekday of a month is FREQ=WEEKLY; add BYMONTHDAY for those on some dates.", field=FIELD
        )
    times = _times(parts, start)
    rule = CalendarRule(
        times=times,
        days_of_week=days_of_week,
        every=None if every == EveryDate(1, DateUnit.DAY) or (days_of_month and not monthly) else every,
        days_of_month=days_of_month,
        month_end=month_end,
    )
    notes = () if times[0] >= start.time() else ("On the first day the times before the start count as well.",)
    return Imported(rule, start.date(), _end(parts, times, zone), _count(parts), zone, notes)


def _by_time(parts: dict[str, str], start: datetime, zone: str | None, every: EveryTime) -> Imported:
    others = sorted(key for key in parts if key.startswith("BY"))
    if others:
        raise Invalid(
            f"{others[0]} does not go with FREQ={parts['FREQ']} here; use FREQ=DAILY with BYHOUR.", field=FIELD
        )
    if "UNTIL" in parts and "T" in parts["UNTIL"]:
        raise Invalid("Give UNTIL as a date: the whole of that day counts.", field=FIELD)
    notes = ("Counted in elapsed time: a change of clocks shifts the times of day.",)
    end_date = _end(parts, (), zone)
    return Imported(IntervalRule(every, start), start.date(), end_date, _count(parts), zone, notes)


def _parts(text: str) -> dict[str, str]:
    if len(text) > LONGEST_RULE:
        raise Invalid(f"A rule has at most {LONGEST_RULE} characters.", field=FIELD)
    found: dict[str, str] = {}
    for part in text.strip().removeprefix("RRULE:").rstrip(";").split(";"):
        match = PART.fullmatch(part)
        if match is None:
            raise Invalid("A rule is NAME=VALUE;NAME=VALUE, such as FREQ=DAILY;INTERVAL=2.", field=FIELD)
        name, value = match[1].upper(), match[2].upper()
        if name in found:
            raise Invalid(f"{name} is there twice.", field=FIELD)
        if name not in KNOWN:
            raise Invalid(f"{name} cannot be kept; known are {', '.join(KNOWN)}.", field=FIELD)
        found[name] = value
    if found.get("WKST", "MO") != "MO" and found.get("FREQ") == "WEEKLY":
        raise Invalid("Weeks begin on Monday here: only WKST=MO can be kept.", field=FIELD)
    if found.get("BYSECOND", "0") not in {"0", "00"}:
        raise Invalid("Doses are due on the minute: only BYSECOND=0 can be kept.", field=FIELD)
    if "COUNT" in found and "UNTIL" in found:
        raise Invalid("COUNT and UNTIL exclude each other.", field=FIELD)
    return found


def _number(parts: dict[str, str], name: str, usual: int) -> int:
    text = parts.get(name, str(usual))
    if not re.fullmatch(r"[0-9]{1,6}", text, re.ASCII):
        raise Invalid(f"{name} is a whole number.", field=FIELD)
    return int(text)


def _count(parts: dict[str, str]) -> int | None:
    return _number(parts, "COUNT", 0) if "COUNT" in parts else None


def _numbers(parts: dict[str, str], name: str, allowed: Callable[[int], bool], what: str) -> list[int]:
    numbers: list[int] = []
    for text in parts[name].split(","):
        if not re.fullmatch(r"[+-]?[0-9]{1,3}", text, re.ASCII) or not allowed(int(text)):
            raise Invalid(f"{name}: {what}.", field=FIELD)
        numbers.append(int(text))
    return sorted(set(numbers))


def _times(parts: dict[str, str], start: datetime) -> tuple[time, ...]:
    hours, minutes = [start.hour], [start.minute]
    if "BYHOUR" in parts:
        hours = _numbers(parts, "BYHOUR", lambda hour: 0 <= hour <= 23, "hours are 0 to 23")
    if "BYMINUTE" in parts:
        minutes = _numbers(parts, "BYMINUTE", lambda minute: 0 <= minute <= 59, "minutes are 0 to 59")
    if len(hours) * len(minutes) > MAX_TIMES_A_DAY:
        raise Invalid(f"These are {len(hours) * len(minutes)} times a day; {MAX_TIMES_A_DAY} is the most.", field=FIELD)
    return tuple(time(hour, minute) for hour in hours for minute in minutes)


def _days_of_week(parts: dict[str, str]) -> frozenset[Weekday] | None:
    if "BYDAY" not in parts:
        return None
    names = parts["BYDAY"].split(",")
    unknown = [name for name in names if name not in DAY_NAMES]
    if unknown:
        raise Invalid(f"BYDAY: {unknown[0]} cannot be kept; the days are {', '.join(DAY_NAMES)}.", field=FIELD)
    return frozenset(DAY_NAMES[name] for name in names)


def _days_of_month(parts: dict[str, str]) -> tuple[tuple[int, ...] | None, MonthEnd]:
    """iCalendar leaves out a month without the day; its -1 is our 31, clamped."""
    if "BYMONTHDAY" not in parts:
        return None, MonthEnd.SKIP if parts.get("FREQ") in {"MONTHLY", "YEARLY"} else MonthEnd.CLAMP
    what = "days are 1 to 31, or -1 for the last"
    days = _numbers(parts, "BYMONTHDAY", lambda day: 1 <= day <= 31 or day == -1, what)
    if days == [-1]:
        return (31,), MonthEnd.CLAMP
    if -1 in days and max(days) > 28:
        raise Invalid("BYMONTHDAY: -1 goes with days up to 28 only.", field=FIELD)
    if -1 in days:
        return (*days[1:], 31), MonthEnd.CLAMP
    return tuple(days), MonthEnd.SKIP


def _end(parts: dict[str, str], times: tuple[time, ...], zone: str | None) -> date | None:
    """The last day, inclusive. UNTIL may say a time of that day: then it has to be before all doses or after all."""
    if "UNTIL" not in parts:
        return None
    until = ical_time(parts["UNTIL"], zone, field=FIELD)
    if not isinstance(until, datetime):
        return until
    before = [at for at in times if at <= until.time()]
    if before and len(before) < len(times):
        raise Invalid("UNTIL falls between two doses of its day; give it as a date, or use COUNT.", field=FIELD)
    return until.date() if before else until.date() - timedelta(days=1)


def ical_time(text: str, zone: str | None, *, field: str) -> datetime | date:
    """A date, or a naive wall-clock time in `zone`, from `20260308`, `20260308T080000` or `20260308T120000Z`."""
    match = DATE_TIME.fullmatch(text)
    try:
        if match is None:
            raise ValueError(text)  # noqa: TRY301 - the same refusal as for a date that does not exist
        day = date.fromisoformat(match[1])
        if match[2] is None:
            return day
        at = datetime.combine(day, time.fromisoformat(match[2]))
    except ValueError:
        raise Invalid(
            "Give a time as 20260308T080000, as 20260308T120000Z, or a date as 20260308.", field=field
        ) from None
    return wall_time(at.replace(tzinfo=UTC), zone_named(zone or "UTC", field=field)) if match[3] else at
