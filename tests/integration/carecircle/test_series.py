"""Series that count from the last dose taken, and schedules that hang on the routine, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from carecircle.db.due import mark_enqueued
from carecircle.db.schedules import ScheduleRow
from carecircle.domain.calendar_rule import CalendarRule
from carecircle.domain.dose import Dose
from carecircle.domain.errors import Invalid
from carecircle.domain.interval_rule import Anchor, EveryTime, IntervalMode, IntervalRule, TimeUnit
from carecircle.domain.medication import Severity
from carecircle.domain.occurrence import AdministrationStatus, AlreadyRecorded
from carecircle.domain.routine import When
from carecircle.domain.steps_rule import Step, StepsRule
from carecircle.usecases.doses import record_administration, undo_administration
from carecircle.usecases.patients import change_patient
from carecircle.usecases.planning import HORIZON, patient_zone_changed, plan_ahead
from carecircle.usecases.schedules import create_schedule, revise_schedule

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.occurrences import Administration
    from carecircle.db.session import Database

pytestmark = pytest.mark.postgres

HOUR = timedelta(hours=1)
# Every 8 hours from 12:00 in Berlin on 10 April (10:00Z); it is 10:00 there (08:00Z) when the schedule is made.


def every(hours: int, **more: Any) -> IntervalRule:
    start = datetime(2026, 4, 10, 12, 0)  # noqa: DTZ001 - a wall time
    return IntervalRule(EveryTime(hours, TimeUnit.HOUR), start, anchor=Anchor.LAST_TAKEN, **more)


async def series(session: AsyncSession, circle: Any, kit: Any, rule: Any = None) -> ScheduleRow:
    plan = kit.make_plan(rule=rule or every(8), start_date=date(2026, 4, 10))
    return await create_schedule(session, circle.anna, circle.medication.id, plan, kit.now, horizon=24 * HOUR)


async def answer(
    session: AsyncSession, circle: Any, due: str, at: str, *, status: str = "taken", now: str | None = None
) -> Administration:
    [dose] = [
        row
        for row in await circle.occurrences(session)
        if f"{row.due_at:%dT%H:%M}" == due and row.state not in {"cancelled", "taken"}
    ]
    when = datetime.fromisoformat(f"2026-04-{at}:00Z")
    return await record_administration(
        session,
        circle.ben,
        dose.id,
        status=AdministrationStatus(status),
        at=when,
        reason=None,
        now=datetime.fromisoformat(f"2026-04-{now}:00Z") if now else when,
        horizon=24 * HOUR,
    )


async def test_doses_are_planned_as_if_each_were_taken_on_time(session: AsyncSession, circle: Any, kit: Any) -> None:
    await series(session, circle, kit)

    assert await circle.planned(session) == ["10T10:00", "10T18:00", "11T02:00"]


async def test_a_dose_taken_late_moves_the_next_ones(session: AsyncSession, circle: Any, kit: Any) -> None:
    await series(session, circle, kit)

    await answer(session, circle, "10T10:00", "10T11:30")

    assert await circle.planned(session) == ["10T19:30", "11T03:30"]
    assert ("10T18:00", "cancelled", "superseded") in await circle.states(session)


async def test_a_dose_taken_early_moves_them_too(session: AsyncSession, circle: Any, kit: Any) -> None:
    await series(session, circle, kit)

    await answer(session, circle, "10T10:00", "10T09:00")

    assert (await circle.planned(session))[:2] == ["10T17:00", "11T01:00"]


async def test_one_after_the_other(session: AsyncSession, circle: Any, kit: Any) -> None:
    schedule = await series(session, circle, kit)

    await answer(session, circle, "10T10:00", "10T10:30")
    await answer(session, circle, "10T18:30", "10T19:00")
    await plan_ahead(session, HORIZON, kit.now + 24 * HOUR, limit=10)

    assert (await circle.planned(session))[:3] == ["11T03:00", "11T11:00", "11T19:00"]
    assert schedule.revision == 3


async def test_a_skipped_dose_and_silence_leave_the_series_alone(session: AsyncSession, circle: Any, kit: Any) -> None:
    await series(session, circle, kit)

    await answer(session, circle, "10T10:00", "10T11:30", status="skipped")

    assert await circle.planned(session) == ["10T18:00", "11T02:00"]


async def test_a_dose_logged_after_the_next_was_due_replaces_that_one(
    session: AsyncSession, circle: Any, kit: Any
) -> None:
    """The 10:00 dose was taken at 12:00; it is said at 18:30, when the one of 18:00 is being asked for."""
    await series(session, circle, kit)

    await answer(session, circle, "10T10:00", "10T12:00", now="10T18:30")

    assert (await circle.planned(session))[:2] == ["10T20:00", "11T04:00"]


async def test_what_would_be_past_by_now_but_not_missed_is_asked_for_at_once(
    session: AsyncSession, circle: Any, kit: Any
) -> None:
    await series(session, circle, kit)

    await answer(session, circle, "10T10:00", "10T11:00", now="10T20:00")

    assert (await circle.planned(session))[:2] == ["10T19:00", "11T03:00"]


async def test_an_answer_taken_back_brings_the_doses_back(session: AsyncSession, circle: Any, kit: Any) -> None:
    await series(session, circle, kit)
    given = await answer(session, circle, "10T10:00", "10T11:30")

    now = datetime(2026, 4, 10, 11, 35, tzinfo=UTC)
    view = await undo_administration(
        session, circle.ben, given.occurrence_id, given.id, now, horizon=timedelta(hours=18)
    )

    assert view.state == "due"
    assert await circle.planned(session) == ["10T10:00", "10T18:00", "11T02:00"]


async def test_taking_back_an_older_answer_changes_nothing(session: AsyncSession, circle: Any, kit: Any) -> None:
    await series(session, circle, kit)
    first = await answer(session, circle, "10T10:00", "10T10:30")
    await answer(session, circle, "10T18:30", "10T19:00")
    before = await circle.planned(session)

    await undo_administration(
        session, circle.ben, first.occurrence_id, first.id, datetime(2026, 4, 10, 19, 5, tzinfo=UTC)
    )

    assert await circle.planned(session) == before


async def test_30_by_the_calendar_the_time_of_day_stays(session: AsyncSession, circle: Any, kit: Any) -> None:
    start = datetime(2026, 4, 10, 12, 0)  # noqa: DTZ001 - a wall time
    rule = IntervalRule(EveryTime(1, TimeUnit.DAY), start, IntervalMode.CALENDAR, Anchor.LAST_TAKEN)
    await series(session, circle, kit, rule)

    await answer(session, circle, "10T10:00", "10T23:15", now="10T23:15")  # 01:15 on the 11th in Berlin

    await plan_ahead(session, HORIZON, kit.now + 24 * HOUR, limit=10)
    assert (await circle.planned(session))[:1] == ["12T10:00"]


async def test_two_people_who_take_at_once_move_the_series_once(database: Database, kit: Any) -> None:
    async with database.transaction() as session:
        circle = await kit.make_circle(session)
        schedule = await series(session, circle, kit)
    results: list[str] = []
    start = asyncio.Barrier(2)

    async def take(minute: int) -> None:
        await start.wait()
        try:
            async with database.transaction() as session:
                await answer(session, circle, "10T10:00", f"10T10:{minute}")
                results.append("recorded")
        except (AlreadyRecorded, ValueError):
            results.append("too late")

    await asyncio.gather(take(10), take(20))

    assert sorted(results) == ["recorded", "too late"]
    async with database.transaction() as session:
        row = await session.get_one(ScheduleRow, schedule.id)
        assert row.revision == 2
        assert len(await circle.planned(session)) == 2


async def test_an_elapsed_series_does_not_travel(session: AsyncSession, circle: Any, kit: Any) -> None:
    await series(session, circle, kit)
    before = await circle.planned(session)

    circle.patient.zone = "America/New_York"
    await patient_zone_changed(session, circle.patient, kit.now + HOUR)
    await plan_ahead(session, HORIZON, kit.now + 2 * HOUR, limit=10)

    assert (await circle.planned(session))[: len(before)] == before
    assert (await circle.planned(session))[len(before) :] == ["11T10:00", "11T18:00", "12T02:00"]


async def test_an_elapsed_series_sent_back_unchanged_after_a_journey_stays(
    session: AsyncSession, circle: Any, kit: Any
) -> None:
    schedule = await series(session, circle, kit)
    circle.patient.zone = "America/New_York"
    await patient_zone_changed(session, circle.patient, kit.now + HOUR)

    same = kit.make_plan(rule=every(8), start_date=date(2026, 4, 10))
    revised = await revise_schedule(session, circle.anna, schedule.id, same, kit.now + 2 * HOUR)

    assert revised.schedule.revision == 1


async def test_every_hour_of_a_night_that_is_an_hour_longer(session: AsyncSession, circle: Any, kit: Any) -> None:
    start = datetime(2026, 10, 25, 0, 0)  # noqa: DTZ001 - a wall time
    plan = kit.make_plan(rule=IntervalRule(EveryTime(1, TimeUnit.HOUR), start), start_date=date(2026, 10, 25))
    now = datetime(2026, 10, 24, 21, 0, tzinfo=UTC)

    await create_schedule(session, circle.anna, circle.medication.id, plan, now, horizon=6 * HOUR)

    assert await circle.planned(session) == ["24T22:00", "24T23:00", "25T00:00", "25T01:00", "25T02:00"]


# The routine: before breakfast (07:30 in Berlin, 05:30Z) unless the patient gets up later.


async def test_doses_follow_the_routine(session: AsyncSession, circle: Any, kit: Any) -> None:
    plan = kit.make_plan(rule=CalendarRule(when=(When.BEFORE_BREAKFAST,)))
    await create_schedule(session, circle.anna, circle.medication.id, plan, kit.now)
    assert await circle.planned(session) == ["11T05:30", "12T05:30"]

    await change_patient(session, circle.anna, circle.patient.id, {"routine": {"breakfast": "09:30"}}, kit.now)

    assert await circle.planned(session) == ["11T07:00", "12T07:00"]
    last = (await circle.audit(session))[-1]
    assert (last.action, last.details["after"]["routine"]["breakfast"]) == ("patient.changed", "09:30")


async def test_the_routine_leaves_clock_times_alone(session: AsyncSession, circle: Any, kit: Any) -> None:
    await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan("20:00"), kit.now)
    before = [row.id for row in await circle.occurrences(session)]

    await change_patient(session, circle.anna, circle.patient.id, {"routine": {"breakfast": "09:30"}}, kit.now)

    assert [row.id for row in await circle.occurrences(session)] == before


async def test_a_routine_out_of_order_is_refused(session: AsyncSession, circle: Any, kit: Any) -> None:
    with pytest.raises(Invalid) as refused:
        await change_patient(session, circle.anna, circle.patient.id, {"routine": {"lunch": "20:00"}}, kit.now)
    assert refused.value.field == "routine.dinner"


async def test_the_horizon_is_the_operators(session: AsyncSession, circle: Any, kit: Any) -> None:
    plan = kit.make_plan("20:00")
    await create_schedule(session, circle.anna, circle.medication.id, plan, kit.now, horizon=4 * 24 * HOUR)

    assert len(await circle.planned(session)) == 4


async def test_a_schedule_that_cannot_be_read_does_not_stop_a_move(
    session: AsyncSession, circle: Any, kit: Any
) -> None:
    broken = await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan("07:00"), kit.now)
    await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan("20:00"), kit.now)
    await session.execute(update(ScheduleRow).where(ScheduleRow.id == broken.id).values(kind="lunar"))

    await change_patient(session, circle.anna, circle.patient.id, {"zone": "Europe/London"}, kit.now)

    assert "10T19:00" in await circle.planned(session)


async def test_a_schedule_of_so_many_doses_ends(session: AsyncSession, circle: Any, kit: Any) -> None:
    plan = kit.make_plan(rule=CalendarRule((time(8, 0), time(20, 0))), count=3)
    await create_schedule(session, circle.anna, circle.medication.id, plan, kit.now)

    for days in range(1, 8):
        await plan_ahead(session, HORIZON, kit.now + days * 24 * HOUR, limit=10)

    assert await circle.planned(session) == ["10T18:00", "11T06:00", "11T18:00"]


async def test_another_severity_leaves_the_doses_of_a_taper_alone(session: AsyncSession, circle: Any, kit: Any) -> None:
    """It once gave every dose that was open the amount of the first step."""
    steps = tuple(Step(date(2026, 4, day), date(2026, 4, day), Dose(Decimal(22 - day), "mg")) for day in (11, 12))
    rule = StepsRule((time(8, 0),), steps)
    plan = kit.make_plan(rule=rule, start_date=date(2026, 4, 11), dose=steps[0].dose)
    schedule = await create_schedule(session, circle.anna, circle.medication.id, plan, kit.now)

    critical = replace(plan, severity=Severity.CRITICAL)
    await revise_schedule(session, circle.anna, schedule.id, critical, kit.now)

    assert [row.dose_quantity for row in await circle.occurrences(session)] == [11, 10]
    assert schedule.revision == 1


async def test_a_new_start_ahead_counts_more_than_a_dose_taken_before_it(
    session: AsyncSession, circle: Any, kit: Any
) -> None:
    schedule = await series(session, circle, kit)
    await answer(session, circle, "10T10:00", "10T10:30")

    later = replace(every(8), start=datetime(2026, 4, 11, 12, 0))  # noqa: DTZ001 - a wall time
    plan = kit.make_plan(rule=later, start_date=date(2026, 4, 11))
    await revise_schedule(session, circle.anna, schedule.id, plan, datetime(2026, 4, 10, 11, 0, tzinfo=UTC))

    assert await circle.planned(session) == ["11T10:00", "11T18:00", "12T02:00", "12T10:00"]


async def test_the_severity_of_a_schedule_wins_over_that_of_the_medication(
    session: AsyncSession, circle: Any, kit: Any
) -> None:
    plan = kit.make_plan("20:00", severity=Severity.CRITICAL)
    await create_schedule(session, circle.anna, circle.medication.id, plan, kit.now)
    await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan("20:00"), kit.now)

    until = datetime(2026, 4, 10, 18, 0, tzinfo=UTC)
    waiting = await mark_enqueued(session, until=until, limit=10, patient_id=circle.patient.id)

    assert [one.severity for one in waiting] == [Severity.CRITICAL, Severity.NORMAL]


async def test_a_window_of_ones_own_is_the_window_of_its_doses(session: AsyncSession, circle: Any, kit: Any) -> None:
    plan = kit.make_plan("20:00", missed_after=timedelta(hours=2))
    schedule = await create_schedule(session, circle.anna, circle.medication.id, plan, kit.now)
    assert {row.missed_at - row.due_at for row in await circle.occurrences(session)} == {timedelta(hours=2)}

    longer = replace(plan, missed_after=timedelta(hours=3))
    await revise_schedule(session, circle.anna, schedule.id, longer, kit.now)

    still_open = [row for row in await circle.occurrences(session) if row.state == "planned"]
    assert {row.missed_at - row.due_at for row in still_open} == {timedelta(hours=3)}
