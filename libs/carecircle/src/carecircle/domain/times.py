"""Times of day and lengths of time as people and programs write them."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

from carecircle.domain.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_TIMES_A_DAY = 48
DURATION = re.compile(r"P(?=.)(?:(\d{1,5})W|(?:(\d{1,5})D)?(?:T(?=\d)(?:(\d{1,5})H)?(?:(\d{1,5})M)?)?)", re.ASCII)


def wall_clock(text: str, *, field: str) -> time:
    """A time of day from `HH:MM`, and from nothing else."""
    try:
        at = datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 - a wall time has no zone of its own
    except ValueError:
        raise Invalid('Give a time of day as "HH:MM", between "00:00" and "23:59".', field=field) from None
    if at.strftime("%H:%M") != text:
        raise Invalid('Give a time of day as "HH:MM", with two digits each.', field=field)
    return at


def local_date_time(text: str, *, field: str) -> datetime:
    """A naive wall-clock date and time from `YYYY-MM-DDTHH:MM`, and from nothing else (`:00` for seconds is fine)."""
    found = re.fullmatch(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2})(?::00)?", text, re.ASCII)
    try:
        if found is not None:
            return datetime.fromisoformat(found[1])
    except ValueError:
        pass
    raise Invalid('Give a local date and time as "2026-03-07T22:00", without a zone.', field=field)


def duration(text: str, *, field: str) -> timedelta:
    """A length of time from ISO 8601 (`PT4H`, `PT90M`, `P1DT12H`, `P1W`): exact ones, so no years and months."""
    found = DURATION.fullmatch(text)
    if found is None:
        raise Invalid('Give a length of time as ISO 8601, such as "PT4H", "PT90M" or "P1D".', field=field)
    weeks, days, hours, minutes = (int(part or 0) for part in found.groups())
    return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes)


def duration_text(length: timedelta) -> str:
    """ISO 8601 in hours and minutes: one day is `PT24H`."""
    minutes = int(length.total_seconds()) // 60
    hours, rest = divmod(minutes, 60)
    if not minutes:
        return "PT0M"
    return "PT" + (f"{hours}H" if hours else "") + (f"{rest}M" if rest else "")


def check_times(times: Iterable[time]) -> None:
    """At least one, each once, hours and minutes only."""
    seen: set[time] = set()
    for number, at in enumerate(times):
        if number == MAX_TIMES_A_DAY:
            raise Invalid(f"At most {MAX_TIMES_A_DAY} times a day.", field="times")
        if at.tzinfo is not None or at.second or at.microsecond:
            raise Invalid("A time of day is hours and minutes, without a zone.", field=f"times.{number}")
        if at in seen:
            raise Invalid(f"{at:%H:%M} is there twice.", field=f"times.{number}")
        seen.add(at.replace(fold=0))
    if not seen:
        raise Invalid("Give at least one time of day.", field="times")
