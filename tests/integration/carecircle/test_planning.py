"""The planner, pauses and moves, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, update

from carecircle.db.occurrences import OccurrenceRow
from carecircle.db.schedules import ScheduleRow
from carecircle.domain.occurrence import AdministrationStatus
from carecircle.domain.schedule import ZonePolicy
from carecircle.usecases.doses import record_administration
from carecircle.usecases.planning import (
    HORIZON,
    medication_status_changed,
    patient_zone_changed,
    plan_ahead,
    plan_schedule,
)
from carecircle.usecases.schedules import create_schedule, revise_schedule

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.session import Database

pytestmark = pytest.mark.postgres

DAY = timedelta(days=1)
TAKEN = AdministrationStatus.TAKEN


async def planned_schedule(
    session: AsyncSession, circle: Any, kit: Any, times: str = "20:00", **plan: Any
) -> ScheduleRow:
    return await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan(times, **plan), kit.now)


async def set_status(session: AsyncSession, circle: Any, status: str, now: datetime) -> None:
    circle.medication.status = status
    await medication_status_changed(session, circle.medication, now)


async def set_zone(session: AsyncSession, circle: Any, zone: str, now: datetime) -> None:
    circle.patient.zone = zone
    await patient_zone_changed(session, circle.patient, now)


async def test_the_planner_goes_on_from_the_watermark(session: AsyncSession, circle: Any, kit: Any) -> None:
    schedule = await planned_schedule(session, circle, kit)
    now = kit.now + DAY

    moved = await plan_ahead(session, HORIZON, now, limit=10)

    assert moved == 1
    assert await circle.planned(session) == ["10T18:00", "11T18:00", "12T18:00"]
    assert schedule.planned_until == now + HORIZON


async def test_the_planner_leaves_alone_what_is_planned_far_enough(
    session: AsyncSession, circle: Any, kit: Any
) -> None:
    await planned_schedule(session, circle, kit)

    assert await plan_ahead(session, HORIZON, kit.now + timedelta(hours=12), limit=10) == 0
    assert await plan_ahead(session, HORIZON, kit.now + timedelta(hours=12, seconds=1), limit=10) == 1


async def test_planning_again_stores_nothing_twice(session: AsyncSession, circle: Any, kit: Any) -> None:
    schedule = await planned_schedule(session, circle, kit)
    schedule.planned_until = kit.now  # as after a restore of an older backup

    stored = await plan_schedule(session, schedule, kit.now + 3 * DAY, kit.now)

    assert stored == 1
    assert await circle.planned(session) == ["10T18:00", "11T18:00", "12T18:00"]


async def test_39_the_planner_covers_the_days_it_was_away(session: AsyncSession, circle: Any, kit: Any) -> None:
    await planned_schedule(session, circle, kit)

    await plan_ahead(session, HORIZON, kit.now + 5 * DAY, limit=10)

    assert await circle.planned(session) == [f"{day}T18:00" for day in range(10, 17)]


async def test_the_watermark_never_moves_back(session: AsyncSession, circle: Any, kit: Any) -> None:
    schedule = await planned_schedule(session, circle, kit)
    reached = schedule.planned_until

    assert await plan_schedule(session, schedule, kit.now, kit.now) == 0
    assert schedule.planned_until == reached


async def test_a_schedule_made_today_for_last_week_has_no_past(session: AsyncSession, circle: Any, kit: Any) -> None:
    schedule = await planned_schedule(session, circle, kit, start_date=date(2020, 1, 1))
    schedule.planned_until = datetime(2020, 1, 1, tzinfo=UTC)

    await plan_ahead(session, HORIZON, kit.now, limit=10)

    assert await circle.planned(session) == ["10T18:00", "11T18:00"]


async def test_a_schedule_that_is_over_is_not_looked_at_again(session: AsyncSession, circle: Any, kit: Any) -> None:
    await planned_schedule(session, circle, kit, end_date=date(2026, 4, 11))

    for days in range(1, 9):
        await plan_ahead(session, HORIZON, kit.now + days * DAY, limit=10)

    assert await plan_ahead(session, HORIZON, kit.now + 30 * DAY, limit=10) == 0
    assert await circle.planned(session) == ["10T18:00", "11T18:00"]


async def test_the_last_dose_of_a_far_zone_is_not_lost(session: AsyncSession, circle: Any, kit: Any) -> None:
    """21:00 in Honolulu is the next day in UTC: the coarse check of the end date must not drop it."""
    await planned_schedule(session, circle, kit, "21:00", zone="Pacific/Honolulu", end_date=date(2026, 4, 20))

    for hours in range(0, 15 * 24, 3):
        await plan_ahead(session, HORIZON, kit.now + timedelta(hours=hours), limit=10)

    assert (await circle.planned(session))[-1] == "21T07:00"


@pytest.mark.parametrize("end", ["on_hold", "stopped", "completed", "deleted", "schedule deleted"])
async def test_nothing_is_planned_of_what_is_not_taken(session: AsyncSession, circle: Any, kit: Any, end: str) -> None:
    schedule = await planned_schedule(session, circle, kit)
    if end == "schedule deleted":
        schedule.deleted_at = kit.now
    elif end == "deleted":
        circle.medication.deleted_at = kit.now
    else:
        circle.medication.status = end
    await session.flush()

    assert await plan_ahead(session, HORIZON, kit.now + 9 * DAY, limit=10) == 0
    assert len(await circle.occurrences(session)) == 2


async def test_a_schedule_that_cannot_be_read_does_not_stop_those_behind_it(
    session: AsyncSession, circle: Any, kit: Any
) -> None:
    broken = await planned_schedule(session, circle, kit, "07:00")
    await planned_schedule(session, circle, kit, "20:00")
    await session.execute(
        update(ScheduleRow)
        .where(ScheduleRow.id == broken.id)
        .values(zone="Europe/Atlantis", planned_until=kit.now - DAY)
    )

    assert await plan_ahead(session, HORIZON, kit.now + DAY, limit=10) == 1
    assert "12T18:00" in await circle.planned(session)


async def test_the_planner_takes_those_that_are_furthest_behind(session: AsyncSession, circle: Any, kit: Any) -> None:
    ahead, behind = [await planned_schedule(session, circle, kit) for _ in range(2)]
    behind.planned_until -= timedelta(hours=1)
    await session.flush()

    assert await plan_ahead(session, HORIZON, kit.now + DAY, limit=1) == 1
    assert behind.planned_until > ahead.planned_until


async def test_many_doses_are_stored_in_pieces(session: AsyncSession, circle: Any, kit: Any) -> None:
    times = " ".join(f"{n // 2:02}:{n % 2 * 30:02}" for n in range(48))
    schedule = await planned_schedule(session, circle, kit, times)

    assert await plan_schedule(session, schedule, kit.now + 30 * DAY, kit.now) == 28 * 48


async def test_two_planners_at_once_plan_everything_once(database: Database, kit: Any) -> None:
    async with database.transaction() as session:
        circle = await kit.make_circle(session)
        for _ in range(12):
            await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan(), kit.now)
    start = asyncio.Barrier(3)

    async def planner() -> int:
        moved = 0
        await start.wait()
        while True:
            async with database.transaction() as session:
                step = await plan_ahead(session, HORIZON, kit.now + 4 * DAY, limit=3)
            moved += step
            if step == 0:
                return moved

    moved = await asyncio.gather(*(planner() for _ in range(3)))

    assert sum(moved) == 12
    async with database.transaction() as session:
        doses = await session.execute(
            select(OccurrenceRow.schedule_id, func.count()).group_by(OccurrenceRow.schedule_id)
        )
        assert sorted(count for _, count in doses) == [12] * 12


async def test_the_planner_passes_by_what_an_edit_holds(database: Database, kit: Any) -> None:
    async with database.transaction() as session:
        circle = await kit.make_circle(session)
        schedule = await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan(), kit.now)

    async with database.transaction() as editing:
        await revise_schedule(editing, circle.anna, schedule.id, kit.make_plan("21:00"), kit.now)
        async with database.transaction() as session:
            assert await plan_ahead(session, HORIZON, kit.now + DAY, limit=10) == 0

    async with database.transaction() as session:
        assert await plan_ahead(session, HORIZON, kit.now + DAY, limit=10) == 1
        assert await circle.planned(session) == ["10T19:00", "11T19:00", "12T19:00"]


# Pauses: 20:00 in Berlin, put on hold and back.


async def test_a_pause_puts_open_doses_on_hold_and_cancels_their_reminders(
    session: AsyncSession, circle: Any, kit: Any
) -> None:
    await planned_schedule(session, circle, kit)
    [first, *_] = await circle.occurrences(session)
    delivery = await kit.add_delivery(session, first, circle.ben)

    await set_status(session, circle, "on_hold", kit.now)

    assert await circle.states(session) == [("10T18:00", "on_hold", None), ("11T18:00", "on_hold", None)]
    assert await kit.delivery_outcome(session, delivery) == ("cancelled", "inactive")


async def test_after_a_pause_the_first_dose_is_strictly_later(session: AsyncSession, circle: Any, kit: Any) -> None:
    await planned_schedule(session, circle, kit)
    await set_status(session, circle, "on_hold", kit.now)

    await set_status(session, circle, "active", datetime(2026, 4, 11, 18, 0, tzinfo=UTC))

    assert await circle.states(session) == [
        ("10T18:00", "on_hold", None),
        ("11T18:00", "on_hold", None),
        ("12T18:00", "planned", None),
    ]


async def test_a_short_pause_brings_the_same_doses_back(session: AsyncSession, circle: Any, kit: Any) -> None:
    await planned_schedule(session, circle, kit)
    before = [row.id for row in await circle.occurrences(session)]
    await set_status(session, circle, "on_hold", kit.now)

    await set_status(session, circle, "active", kit.now + timedelta(minutes=1))

    assert await circle.planned(session) == ["10T18:00", "11T18:00"]
    assert [row.id for row in await circle.occurrences(session)] == before


async def test_a_month_of_pause_leaves_no_doses_behind(session: AsyncSession, circle: Any, kit: Any) -> None:
    await planned_schedule(session, circle, kit)
    await set_status(session, circle, "on_hold", kit.now)
    resumed = kit.now + 30 * DAY

    await set_status(session, circle, "active", resumed)
    await plan_ahead(session, HORIZON, resumed, limit=10)

    assert [row.due_at for row in await circle.occurrences(session) if row.state == "planned"] == [
        datetime(2026, 5, day, 18, 0, tzinfo=UTC) for day in (10, 11)
    ]
    assert len(await circle.occurrences(session)) == 4


@pytest.mark.parametrize("status", ["stopped", "completed"])
async def test_a_stopped_medication_cancels_its_doses_and_can_be_taken_up_again(
    session: AsyncSession, circle: Any, kit: Any, status: str
) -> None:
    await planned_schedule(session, circle, kit)

    await set_status(session, circle, status, kit.now)
    assert await circle.states(session) == [("10T18:00", "cancelled", status), ("11T18:00", "cancelled", status)]

    await set_status(session, circle, "active", kit.now)
    assert await circle.states(session) == [("10T18:00", "planned", None), ("11T18:00", "planned", None)]


async def test_a_deleted_medication_cancels_its_doses_and_keeps_its_history(
    session: AsyncSession, circle: Any, kit: Any
) -> None:
    await planned_schedule(session, circle, kit)
    [first, *_] = await circle.occurrences(session)
    await record_administration(session, circle.ben, first.id, status=TAKEN, at=kit.now, reason=None, now=kit.now)

    circle.medication.deleted_at = kit.now
    await medication_status_changed(session, circle.medication, kit.now)

    assert await circle.states(session) == [("10T18:00", "taken", None), ("11T18:00", "cancelled", "deleted")]


async def test_an_edit_during_a_pause_counts_from_its_end(session: AsyncSession, circle: Any, kit: Any) -> None:
    schedule = await planned_schedule(session, circle, kit)
    await set_status(session, circle, "on_hold", kit.now)
    await revise_schedule(session, circle.anna, schedule.id, kit.make_plan("21:00"), kit.now)
    assert await circle.planned(session) == []

    await set_status(session, circle, "active", kit.now + DAY)

    assert await circle.planned(session) == ["11T19:00", "12T19:00"]


# Moves: New York 08:00 and 20:00, last due 2026-05-10T12:00Z, zone -> Paris at 15:00Z.

BEFORE_THE_MOVE = datetime(2026, 5, 10, 0, 30, tzinfo=UTC)
THE_MOVE = datetime(2026, 5, 10, 15, 0, tzinfo=UTC)


async def traveller(session: AsyncSession, kit: Any, **plan: Any) -> Any:
    circle = await kit.make_circle(session, zone="America/New_York")
    await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan(**plan), BEFORE_THE_MOVE)
    return circle


async def test_33_doses_follow_the_patient(session: AsyncSession, kit: Any) -> None:
    circle = await traveller(session, kit)
    waiting = (await circle.occurrences(session))[1]
    delivery = await kit.add_delivery(session, waiting, circle.ben)

    await set_zone(session, circle, "Europe/Paris", THE_MOVE)

    assert await circle.planned(session) == ["10T12:00", "10T18:00", "11T06:00", "11T18:00", "12T06:00"]
    assert {
        row.zone for row in await circle.occurrences(session) if row.due_at > THE_MOVE and row.state == "planned"
    } == {"Europe/Paris"}
    assert await kit.delivery_outcome(session, delivery) == ("cancelled", "superseded")


async def test_33_doses_at_home_stay(session: AsyncSession, kit: Any) -> None:
    circle = await traveller(session, kit, zone_policy=ZonePolicy.HOME)

    await set_zone(session, circle, "Europe/Paris", THE_MOVE)

    assert await circle.planned(session) == ["10T12:00", "11T00:00", "11T12:00", "12T00:00"]


async def test_a_schedule_with_a_zone_of_its_own_stays(session: AsyncSession, kit: Any) -> None:
    circle = await traveller(session, kit, zone="America/New_York")

    await set_zone(session, circle, "Europe/Paris", THE_MOVE)

    assert await circle.planned(session) == ["10T12:00", "11T00:00", "11T12:00", "12T00:00"]


async def test_a_dose_that_was_due_before_the_move_stays_open_and_is_not_asked_twice(
    session: AsyncSession, kit: Any
) -> None:
    """08:00 in New York was due at 12:00Z; 08:00 in Honolulu is at 18:00Z, just far enough away, and the same slot."""
    circle = await traveller(session, kit)

    await set_zone(session, circle, "Pacific/Honolulu", THE_MOVE)

    [kept, *_] = await circle.occurrences(session)
    assert (kept.state, kept.revision, kept.zone) == ("planned", 2, "America/New_York")
    assert await circle.planned(session) == ["10T12:00", "11T06:00", "11T18:00", "12T06:00"]


async def test_a_dose_that_was_taken_leaves_room_for_the_next_in_the_new_zone(session: AsyncSession, kit: Any) -> None:
    circle = await traveller(session, kit)
    [first, *_] = await circle.occurrences(session)
    at = datetime(2026, 5, 10, 12, 0, tzinfo=UTC)
    await record_administration(session, circle.ben, first.id, status=TAKEN, at=at, reason=None, now=at)

    await set_zone(session, circle, "Pacific/Honolulu", THE_MOVE)

    assert (await circle.planned(session))[:2] == ["10T18:00", "11T06:00"]


async def test_a_dose_taken_early_counts_when_the_gap_is_measured(session: AsyncSession, kit: Any) -> None:
    """The 20:00 dose (00:00Z) taken at 14:59Z: 18:00Z in Paris is too soon after it."""
    circle = await traveller(session, kit)
    evening = (await circle.occurrences(session))[1]
    at = THE_MOVE - timedelta(minutes=1)
    await record_administration(session, circle.ben, evening.id, status=TAKEN, at=at, reason=None, now=at)

    await set_zone(session, circle, "Europe/Paris", THE_MOVE)

    assert "10T18:00" not in await circle.planned(session)
    assert "11T06:00" in await circle.planned(session)


async def test_a_move_during_a_pause_counts_from_its_end(session: AsyncSession, kit: Any) -> None:
    circle = await traveller(session, kit)
    await set_status(session, circle, "on_hold", THE_MOVE - timedelta(hours=1))
    await set_zone(session, circle, "Europe/Paris", THE_MOVE)
    assert await circle.planned(session) == []

    await set_status(session, circle, "active", THE_MOVE)

    assert (await circle.planned(session))[:2] == ["10T18:00", "11T06:00"]


async def test_the_planner_goes_on_in_the_new_zone(session: AsyncSession, kit: Any) -> None:
    circle = await traveller(session, kit)
    await set_zone(session, circle, "Europe/Paris", THE_MOVE)

    await plan_ahead(session, HORIZON, THE_MOVE + DAY, limit=10)

    assert (await circle.planned(session))[-2:] == ["12T18:00", "13T06:00"]


async def test_there_and_back_again(session: AsyncSession, kit: Any) -> None:
    circle = await traveller(session, kit)
    await set_zone(session, circle, "Europe/Paris", THE_MOVE)
    await set_zone(session, circle, "America/New_York", THE_MOVE + timedelta(minutes=1))

    assert await circle.planned(session) == ["10T12:00", "11T00:00", "11T12:00", "12T00:00", "12T12:00"]


async def test_a_move_leaves_a_trace(session: AsyncSession, kit: Any) -> None:
    circle = await traveller(session, kit)
    await set_zone(session, circle, "Europe/Paris", THE_MOVE)
    await session.flush()

    last = (await circle.audit(session))[-1]
    assert (last.action, last.actor_id, last.details) == (
        "schedule.replanned",
        None,
        {"zone": "Europe/Paris", "revision": 2},
    )
