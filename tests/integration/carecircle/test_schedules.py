"""Schedules as people change them, on a real PostgreSQL: what is planned, what an edit replaces, what is kept."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from carecircle.db.base import new_id
from carecircle.domain.errors import LimitReached, NotAllowed, NotFound, RevisionMismatch
from carecircle.domain.occurrence import AdministrationStatus
from carecircle.domain.schedule import Dose, ZonePolicy
from carecircle.usecases.doses import record_administration
from carecircle.usecases.planning import medication_status_changed
from carecircle.usecases.schedules import (
    MAX_SCHEDULES,
    create_schedule,
    delete_schedule,
    get_schedule,
    list_schedules,
    revise_schedule,
)

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

pytestmark = pytest.mark.postgres

TWO_MINUTES_TO_EIGHT = datetime(2026, 4, 10, 17, 58, tzinfo=UTC)  # p.m., in Berlin


async def test_a_new_schedule_has_its_doses_for_two_days(session: AsyncSession, circle: Any, kit: Any) -> None:
    schedule = await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan(), kit.now)

    assert await circle.planned(session) == ["10T18:00", "11T06:00", "11T18:00", "12T06:00"]
    assert schedule.planned_until == kit.now + timedelta(hours=48)
    [first, *_] = await circle.occurrences(session)
    assert (first.zone, first.nominal_local, first.remind_at) == (
        "Europe/Berlin",
        datetime(2026, 4, 10, 20, 0),  # noqa: DTZ001 - a wall time
        first.due_at,
    )
    assert (first.revision, first.dose_quantity, first.dose_unit, first.generation) == (1, Decimal(1), "tablet", 0)


async def test_a_schedule_comes_back_as_it_was_given(session: AsyncSession, circle: Any, kit: Any) -> None:
    plan = kit.make_plan(
        "08:00 13:30",
        days="mon sun",
        end_date=date(2026, 12, 31),
        zone="Asia/Tokyo",
        dose=Dose(Decimal("0.5"), "ml"),
    )
    schedule = await create_schedule(session, circle.anna, circle.medication.id, plan, kit.now)
    await session.refresh(schedule)

    assert schedule.plan() == plan
    assert str(schedule.plan().dose.quantity) == "0.5"


async def test_a_schedule_of_a_paused_medication_plans_nothing(session: AsyncSession, circle: Any, kit: Any) -> None:
    circle.medication.status = "on_hold"

    await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan(), kit.now)

    assert await circle.occurrences(session) == []


async def test_a_schedule_that_is_over_plans_nothing(session: AsyncSession, circle: Any, kit: Any) -> None:
    plan = kit.make_plan(end_date=date(2026, 4, 9))

    await create_schedule(session, circle.anna, circle.medication.id, plan, kit.now)

    assert await circle.occurrences(session) == []


async def test_a_schedule_that_stays_at_home_keeps_the_zone_of_today(
    session: AsyncSession, circle: Any, kit: Any
) -> None:
    plan = kit.make_plan(zone_policy=ZonePolicy.HOME)

    schedule = await create_schedule(session, circle.anna, circle.medication.id, plan, kit.now)

    assert schedule.zone == "Europe/Berlin"


async def test_41_a_later_time_replaces_the_dose_that_was_waiting(session: AsyncSession, circle: Any, kit: Any) -> None:
    schedule = await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan("20:00"), kit.now)
    [waiting, *_] = await circle.occurrences(session)
    delivery = await kit.add_delivery(session, waiting, circle.ben)

    revision = await revise_schedule(session, circle.ben, schedule.id, kit.make_plan("21:00"), TWO_MINUTES_TO_EIGHT)

    assert await circle.states(session) == [
        ("10T18:00", "cancelled", "superseded"),
        ("10T19:00", "planned", None),
        ("11T18:00", "cancelled", "superseded"),
        ("11T19:00", "planned", None),
    ]
    assert (revision.schedule.revision, revision.past_slots_today) == (2, [])
    assert await kit.delivery_outcome(session, delivery) == ("cancelled", "superseded")


async def test_42_an_earlier_time_that_is_past_is_said_and_not_planned(
    session: AsyncSession, circle: Any, kit: Any
) -> None:
    schedule = await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan("20:00"), kit.now)

    revision = await revise_schedule(session, circle.anna, schedule.id, kit.make_plan("19:00"), TWO_MINUTES_TO_EIGHT)

    assert revision.past_slots_today == [datetime(2026, 4, 10, 19, 0)]  # noqa: DTZ001 - a wall time
    assert await circle.planned(session) == ["11T17:00", "12T17:00"]


async def test_a_past_slot_that_was_answered_needs_no_decision(session: AsyncSession, circle: Any, kit: Any) -> None:
    early = kit.now - timedelta(hours=3)  # 07:00 in Berlin
    schedule = await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan(), early)
    [morning, *_] = await circle.occurrences(session)
    await record_administration(
        session, circle.anna, morning.id, status=AdministrationStatus.TAKEN, at=kit.now, reason=None, now=kit.now
    )

    revision = await revise_schedule(session, circle.anna, schedule.id, kit.make_plan("08:00 09:00 21:00"), kit.now)

    assert revision.past_slots_today == [datetime(2026, 4, 10, 9, 0)]  # noqa: DTZ001 - a wall time
    assert (await circle.states(session))[0] == ("10T06:00", "taken", None)


async def test_43_a_new_dose_text_keeps_the_doses_and_leaves_history_alone(
    session: AsyncSession, circle: Any, kit: Any
) -> None:
    early = kit.now - timedelta(hours=3)
    schedule = await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan(), early)
    before = await circle.occurrences(session)
    await record_administration(
        session, circle.anna, before[0].id, status=AdministrationStatus.TAKEN, at=kit.now, reason=None, now=kit.now
    )

    plan = kit.make_plan(dose=Dose(Decimal("2.5"), "drops"))
    revision = await revise_schedule(session, circle.anna, schedule.id, plan, kit.now)

    after = await circle.occurrences(session)
    assert [row.id for row in after] == [row.id for row in before]
    assert [(row.dose_quantity, row.dose_unit) for row in after[:2]] == [
        (Decimal(1), "tablet"),
        (Decimal("2.5"), "drops"),
    ]
    assert (revision.schedule.revision, revision.past_slots_today) == (1, [])


async def test_an_edit_that_changes_nothing_does_nothing(session: AsyncSession, circle: Any, kit: Any) -> None:
    schedule = await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan(), kit.now)

    revision = await revise_schedule(
        session, circle.anna, schedule.id, kit.make_plan("20:00 08:00"), TWO_MINUTES_TO_EIGHT
    )

    assert (revision.schedule.revision, revision.past_slots_today) == (1, [])
    assert [entry.action for entry in await circle.audit(session)] == ["schedule.created"]


async def test_an_edit_of_a_version_that_is_gone_is_refused(session: AsyncSession, circle: Any, kit: Any) -> None:
    schedule = await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan(), kit.now)
    await revise_schedule(session, circle.anna, schedule.id, kit.make_plan("21:00"), kit.now, expected_revision=1)

    with pytest.raises(RevisionMismatch):
        await revise_schedule(session, circle.ben, schedule.id, kit.make_plan("22:00"), kit.now, expected_revision=1)


async def test_the_same_wall_times_can_come_back(session: AsyncSession, circle: Any, kit: Any) -> None:
    schedule = await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan("20:00"), kit.now)
    for times in ("21:00", "20:00"):
        await revise_schedule(session, circle.anna, schedule.id, kit.make_plan(times), kit.now)

    assert await circle.planned(session) == ["10T18:00", "11T18:00"]


async def test_a_deleted_schedule_ends_what_was_open(session: AsyncSession, circle: Any, kit: Any) -> None:
    schedule = await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan("20:00"), kit.now)
    [waiting, *_] = await circle.occurrences(session)
    delivery = await kit.add_delivery(session, waiting, circle.ben, state="retry")

    await delete_schedule(session, circle.anna, schedule.id, kit.now)

    assert {state for _, state, _ in await circle.states(session)} == {"cancelled"}
    assert await kit.delivery_outcome(session, delivery) == ("cancelled", "inactive")
    assert await list_schedules(session, circle.anna, circle.medication.id) == []
    with pytest.raises(NotFound):
        await get_schedule(session, circle.anna, schedule.id)
    with pytest.raises(NotFound):
        await revise_schedule(session, circle.anna, schedule.id, kit.make_plan("21:00"), kit.now)


async def test_schedules_of_a_deleted_medication_are_gone(session: AsyncSession, circle: Any, kit: Any) -> None:
    schedule = await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan(), kit.now)
    circle.medication.deleted_at = kit.now
    await medication_status_changed(session, circle.medication, kit.now)

    with pytest.raises(NotFound):
        await get_schedule(session, circle.anna, schedule.id)
    with pytest.raises(NotFound):
        await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan(), kit.now)


async def test_another_circle_sees_no_schedule(session: AsyncSession, circle: Any, kit: Any) -> None:
    schedule = await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan(), kit.now)
    plan = kit.make_plan("21:00")

    with pytest.raises(NotFound):
        await get_schedule(session, circle.stranger, schedule.id)
    with pytest.raises(NotFound):
        await list_schedules(session, circle.stranger, circle.medication.id)
    with pytest.raises(NotFound):
        await create_schedule(session, circle.stranger, circle.medication.id, plan, kit.now)
    with pytest.raises(NotFound):
        await revise_schedule(session, circle.stranger, schedule.id, plan, kit.now)
    with pytest.raises(NotFound):
        await delete_schedule(session, circle.stranger, schedule.id, kit.now)
    with pytest.raises(NotFound):
        await get_schedule(session, circle.anna, new_id())


async def test_a_viewer_reads_and_does_not_change(session: AsyncSession, circle: Any, kit: Any) -> None:
    schedule = await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan(), kit.now)

    assert (await get_schedule(session, circle.viewer, schedule.id)).id == schedule.id
    assert [row.id for row in await list_schedules(session, circle.viewer, circle.medication.id)] == [schedule.id]
    with pytest.raises(NotAllowed):
        await create_schedule(session, circle.viewer, circle.medication.id, kit.make_plan(), kit.now)
    with pytest.raises(NotAllowed):
        await revise_schedule(session, circle.viewer, schedule.id, kit.make_plan("21:00"), kit.now)
    with pytest.raises(NotAllowed):
        await delete_schedule(session, circle.viewer, schedule.id, kit.now)


async def test_a_medication_has_room_for_so_many_schedules(session: AsyncSession, circle: Any, kit: Any) -> None:
    plan = kit.make_plan("08:00", end_date=date(2026, 4, 9))
    for _ in range(MAX_SCHEDULES):
        await create_schedule(session, circle.anna, circle.medication.id, plan, kit.now)

    with pytest.raises(LimitReached):
        await create_schedule(session, circle.anna, circle.medication.id, plan, kit.now)


async def test_every_change_leaves_a_trace(session: AsyncSession, circle: Any, kit: Any) -> None:
    schedule = await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan("20:00"), kit.now)
    await revise_schedule(session, circle.ben, schedule.id, kit.make_plan("21:00"), kit.now)
    await delete_schedule(session, circle.anna, schedule.id, kit.now)
    await session.flush()

    created, revised, deleted = await circle.audit(session)
    assert [entry.action for entry in (created, revised, deleted)] == [
        "schedule.created",
        "schedule.revised",
        "schedule.deleted",
    ]
    assert (revised.actor_id, revised.subject_id) == (circle.ben.account_id, schedule.id)
    assert revised.details == {
        "before": {"rule": {"times": ["20:00"], "days_of_week": None}},
        "after": {"rule": {"times": ["21:00"], "days_of_week": None}},
        "revision": 2,
    }
