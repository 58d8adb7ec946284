"""IANA time zones by name. The one place that turns a person's input into a `ZoneInfo`."""

from __future__ import annotations

from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from carecircle.domain.errors import Invalid

# In the database of names, but no place where anybody lives: their meaning depends on the machine.
NOT_PLACES = frozenset({"localtime", "posixrules", "Factory"})


def zone_named(name: str, *, field: str = "zone") -> ZoneInfo:
    """The zone, or `Invalid`. Names are matched exactly, as IANA writes them."""
    if name not in _names():
        raise Invalid("This is not the name of an IANA time zone, such as Europe/Berlin.", field=field)
    return ZoneInfo(name)


@cache
def _names() -> frozenset[str]:
    # Listing them once reads the whole database; a lookup by path instead would let input choose a file name.
    return frozenset(available_timezones()) - NOT_PLACES
