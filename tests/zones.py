"""Zones for tests of what happens at some hour of a person's day, whatever the time is when they run."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones


def zone_where_it_is(hour: int, now: datetime) -> str:
    """A zone whose clocks show this hour now, and are not changed for a while."""
    return next(name for name in sorted(available_timezones()) if _fits(name, hour, now))


def _fits(name: str, hour: int, now: datetime) -> bool:
    if "/" not in name or name.startswith(("Etc/", "SystemV/", "US/")):
        return False
    zone = ZoneInfo(name)
    offset = now.astimezone(zone).utcoffset()
    steady = offset == (now + timedelta(days=60)).astimezone(zone).utcoffset()
    whole = offset is not None and offset % timedelta(hours=1) == timedelta(0)
    return steady and whole and now.astimezone(zone).hour == hour
