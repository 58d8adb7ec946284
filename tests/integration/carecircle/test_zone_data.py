"""Two editions of the database of zones: in the second one Berlin has given up summer time."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from carecircle.domain.errors import Invalid
from carecircle.domain.interval_rule import EveryTime, IntervalRule, TimeUnit
from carecircle.usecases.schedules import create_schedule
from carecircle.usecases.zone_data import correct_due_times

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

pytestmark = pytest.mark.postgres


def without_summer_time(name: str) -> ZoneInfo:
    return ZoneInfo("Africa/Lagos" if name == "Europe/Berlin" else name)  # an hour ahead of UTC all year


async def planned(session: AsyncSession, circle: Any, kit: Any, **plan: Any) -> None:
    await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan("20:00", **plan), kit.now)


async def test_the_same_edition_moves_nothing(session: AsyncSession, circle: Any, kit: Any) -> None:
    await planned(session, circle, kit)

    assert await correct_due_times(session, kit.now) == 0
    assert await circle.planned(session) == ["10T18:00", "11T18:00"]


async def test_a_new_edition_moves_the_instants_and_keeps_the_doses(
    session: AsyncSession, circle: Any, kit: Any
) -> None:
    await planned(session, circle, kit)
    before = await circle.occurrences(session)
    for row in before:
        row.enqueued_at = kit.now
    identities = [(row.id, row.nominal_local, row.revision) for row in before]
    window = before[0].missed_at - before[0].due_at
    await session.flush()

    assert await correct_due_times(session, kit.now, without_summer_time) == 2

    after = await circle.occurrences(session)
    assert [(row.id, row.nominal_local, row.revision) for row in after] == identities
    assert await circle.planned(session) == ["10T19:00", "11T19:00"]
    assert all(row.missed_at - row.due_at == window and row.remind_at == row.due_at for row in after)
    assert [row.enqueued_at for row in after] == [None, None]
    assert await correct_due_times(session, kit.now, without_summer_time) == 0


async def test_what_was_sent_answered_or_is_past_is_not_touched(session: AsyncSession, circle: Any, kit: Any) -> None:
    await planned(session, circle, kit)
    sent, answered = await circle.occurrences(session)
    sent.reminded_step, answered.state = 0, "taken"
    await session.flush()

    assert await correct_due_times(session, kit.now, without_summer_time) == 0
    assert await correct_due_times(session, kit.now + timedelta(days=9), without_summer_time) == 0


async def test_other_zones_and_elapsed_intervals_stay(session: AsyncSession, circle: Any, kit: Any) -> None:
    await planned(session, circle, kit, zone="Asia/Tokyo")
    start = datetime(2026, 4, 10, 12, 0)  # noqa: DTZ001 - a wall time
    every_eight = IntervalRule(EveryTime(8, TimeUnit.HOUR), start)
    await planned(session, circle, kit, rule=every_eight, start_date=date(2026, 4, 10))

    assert await correct_due_times(session, kit.now, without_summer_time) == 0


async def test_a_zone_that_is_gone_leaves_its_doses_where_they_were(
    session: AsyncSession, circle: Any, kit: Any
) -> None:
    await planned(session, circle, kit)

    def gone(name: str) -> ZoneInfo:
        raise Invalid(name)

    assert await correct_due_times(session, kit.now, gone) == 0
