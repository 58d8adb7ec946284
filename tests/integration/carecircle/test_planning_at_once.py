"""Everything at once on one circle: edits, pauses, moves, answers, the planner and a sender, each on its connection.

A deadlock or a lock timeout fails the test by itself: PostgreSQL raises it in whoever it picks.
"""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from carecircle.db.deliveries import NewDelivery, add_deliveries
from carecircle.db.facts import dose_facts
from carecircle.db.occurrences import Administration, OccurrenceRow
from carecircle.db.schedules import ScheduleRow
from carecircle.domain.delivery import Kind
from carecircle.domain.errors import Conflict, Invalid
from carecircle.domain.medication import MedicationStatus
from carecircle.domain.occurrence import AdministrationStatus
from carecircle.usecases.doses import record_administration, snooze, undo_administration
from carecircle.usecases.medications import change_medication
from carecircle.usecases.patients import change_patient
from carecircle.usecases.planning import HORIZON, plan_ahead
from carecircle.usecases.schedules import create_schedule, revise_schedule

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.session import Database

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.alone]

ROUNDS = 25


class Person:
    """Does one thing again and again, with dice of its own and a clock that all share."""

    def __init__(self, seed: int, circle: Any, schedules: list[UUID], clock: list[datetime]) -> None:
        self.dice = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        self.circle = circle
        self.schedules = schedules
        self._clock = clock

    def now(self) -> datetime:
        self._clock[0] += timedelta(minutes=self.dice.randint(1, 5))
        return self._clock[0]

    async def some_dose(self, session: AsyncSession, now: datetime) -> UUID:
        rows = await session.scalars(
            select(OccurrenceRow.id)
            .where(OccurrenceRow.patient_id == self.circle.patient.id, OccurrenceRow.due_at < now + timedelta(hours=20))
            .order_by(OccurrenceRow.due_at.desc())
            .limit(4)
        )
        return self.dice.choice(rows.all())

    async def answer(self, session: AsyncSession) -> None:
        now = self.now()
        dose = await self.some_dose(session, now)
        await record_administration(
            session, self.circle.ben, dose, status=AdministrationStatus.SKIPPED, at=now, reason=None, now=now
        )

    async def undo(self, session: AsyncSession) -> None:
        given = await session.scalar(
            select(Administration).where(Administration.entered_in_error_at.is_(None)).limit(1)
        )
        if given is not None:
            await undo_administration(session, self.circle.ben, given.occurrence_id, given.id, self.now())

    async def snooze(self, session: AsyncSession) -> None:
        now = self.now()
        await snooze(session, self.circle.ben, await self.some_dose(session, now), 1, now)

    async def edit(self, session: AsyncSession, make_plan: Callable[..., Any]) -> None:
        times = self.dice.choice(["08:00 20:00", "09:00", "07:00 13:00 19:00"])
        schedule = self.dice.choice(self.schedules)
        await revise_schedule(session, self.circle.anna, schedule, make_plan(times), self.now())

    async def pause(self, session: AsyncSession) -> None:
        status = self.dice.choice([MedicationStatus.ON_HOLD, MedicationStatus.ACTIVE, MedicationStatus.STOPPED])
        await change_medication(session, self.circle.anna, self.circle.medication.id, {"status": status}, self.now())

    async def move(self, session: AsyncSession) -> None:
        zone = self.dice.choice(["Europe/Berlin", "America/New_York", "Asia/Tokyo"])
        await change_patient(session, self.circle.anna, self.circle.patient.id, {"zone": zone}, self.now())

    async def plan(self, session: AsyncSession) -> None:
        await plan_ahead(session, HORIZON, self.now(), limit=2)

    async def send(self, session: AsyncSession) -> None:
        dose = await dose_facts(session, await self.some_dose(session, self.now()))
        if dose is None:
            return
        await add_deliveries(
            session,
            [
                NewDelivery(
                    occurrence_id=dose.occurrence.id,
                    patient_id=dose.occurrence.patient_id,
                    recipient_id=self.circle.anna.account_id,
                    channel="email",
                    target_id=self.circle.anna.account_id,
                    kind=Kind.DUE,
                    step=dose.occurrence.reminder_step,
                    severity="normal",
                    expires_at=dose.occurrence.missed_at,
                )
            ],
            dose.now,
        )


async def test_all_wishes_at_once_end_in_agreement(database: Database, kit: Any) -> None:
    async with database.transaction() as session:
        circle = await kit.make_circle(session)
        made = [
            await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan(times), kit.now)
            for times in ("08:00 20:00", "12:00", "07:30 15:30 23:30")
        ]
    schedules = [schedule.id for schedule in made]
    clock = [kit.now]

    async def keep_doing(wish: Callable[[AsyncSession], Awaitable[None]]) -> None:
        for _ in range(ROUNDS):
            try:
                async with database.transaction() as session:
                    await wish(session)
            except (Conflict, Invalid):
                pass  # answered, on hold or over by now: proper answers

    people = [Person(seed, circle, schedules, clock) for seed in range(8)]
    wishes: list[Callable[[AsyncSession], Awaitable[None]]] = [
        people[0].answer,
        people[1].undo,
        people[2].snooze,
        lambda session: people[3].edit(session, kit.make_plan),
        people[4].pause,
        people[5].move,
        people[6].plan,
        people[7].send,
    ]
    await asyncio.gather(*(keep_doing(wish) for wish in wishes))

    async with database.transaction() as session:
        await change_medication(
            session, circle.anna, circle.medication.id, {"status": MedicationStatus.ACTIVE}, people[0].now()
        )
    async with database.transaction() as session:
        zone = (await session.execute(select(type(circle.patient).zone))).scalar_one()
        revisions = {row.id: row.revision for row in await session.scalars(select(ScheduleRow))}
        still_open = [row for row in await circle.occurrences(session) if row.state in {"planned", "due"}]
        assert {row.revision for row in still_open if row.revision != revisions[row.schedule_id]} == set()
        coming = [row for row in still_open if row.due_at > clock[0]]
        assert coming
        assert {row.zone for row in coming} == {zone}
        assert len({(row.schedule_id, row.due_at) for row in coming}) == len(coming)
