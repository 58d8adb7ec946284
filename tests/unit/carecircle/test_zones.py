"""What the engine takes for granted of the database of zones, looked up in the database that is installed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, _zoneinfo

import pytest

from carecircle.domain.zones import place_zones, resolve, steady_offset

FIRST = datetime(1999, 12, 1, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("initial", sorted({name[0] for name in place_zones()}))
def test_no_clock_changes_twice_within_two_days(initial: str) -> None:
    for name in sorted(name for name in place_zones() if name.startswith(initial)):
        listed = [at for at in _zoneinfo.ZoneInfo.no_cache(name)._trans_utc if at >= FIRST]
        assert all(later - earlier > 2 * 86_400 for earlier, later in pairwise(listed)), name


@pytest.mark.parametrize("name", ["Europe/Berlin", "Africa/Cairo", "America/Nuuk", "Pacific/Apia", "Asia/Gaza", "UTC"])
def test_a_steady_offset_gives_what_going_there_and_back_gives(name: str) -> None:
    zone = ZoneInfo(name)
    changing = 0
    for day in (date(2011, 1, 1) + timedelta(days=n) for n in range(14 * 365)):
        offset = steady_offset(day, zone)
        changing += offset is None
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        for hours in (0, 1, 2, 12, 23.5) if offset is not None else ():
            instant = midnight + timedelta(hours=hours)
            resolved = resolve(instant.replace(tzinfo=None), zone)
            assert resolved == (instant - offset, None), (day, hours)
    assert (changing > 0) == (name != "UTC")
