"""A patient's whole record leaves as an archive, and comes back as a new patient in the circle of whoever brings it.

Nothing of the past is asked for again: what was due before the import is history. What is to come is planned once.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING
from uuid import UUID

from carecircle.db.archives import archived_doses, archived_medications, count_planned, insert_doses
from carecircle.db.audit import add_entry
from carecircle.db.base import new_id
from carecircle.db.medications import Medication
from carecircle.db.pages import Mark
from carecircle.db.patients import Patient
from carecircle.db.schedules import ScheduleRow
from carecircle.domain.archive import Archive, ArchivedDose, ArchivedMedication, ArchivedSchedule, Examiner
from carecircle.domain.occurrence import OPEN
from carecircle.domain.routine import Routine
from carecircle.usecases.exporting import PAGE, begin_export
from carecircle.usecases.patients import NewPatient, create_patient
from carecircle.usecases.planning import HORIZON, plan_schedule

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from datetime import datetime, timedelta

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.usecases.access import Actor


@dataclass(frozen=True, slots=True)
class Exported:
    """The plan as a whole, and the doses page by page in the order they are due."""

    plan: Archive
    """Without doses."""
    doses: AsyncIterator[list[ArchivedDose]]


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, or would do."""

    patient_id: UUID | None
    """None: it was only tried."""
    medications: int
    schedules: int
    doses: int
    answers: int
    closed: int
    """Doses that were due and open: they are missed or unknown now, and can still be answered."""
    planned: int
    """Doses to come."""


async def export_patient(session: AsyncSession, actor: Actor, patient_id: UUID) -> Exported:
    """Everything of a patient but the people, messages and the audit trail. The session sees one moment of it all."""
    await begin_export(session, actor, patient_id, "archive")
    patient = await session.get_one(Patient, patient_id)
    routine = None if patient.routine is None else Routine.from_json(patient.routine)
    medications = await archived_medications(session, patient_id)
    plan = Archive(patient.display_name, patient.zone, routine, medications, ())
    return Exported(plan, _pages(session, patient_id))


async def import_patient(
    session: AsyncSession,
    actor: Actor,
    archive: Archive,
    now: datetime,
    *,
    dry_run: bool = False,
    horizon: timedelta = HORIZON,
) -> Imported:
    """The archive as a new patient; the actor is the owner. `dry_run`: all of it is done and taken back.

    Raises:
        InvalidArchive: its parts contradict each other; says all of it.
    """
    examiner = Examiner()
    examiner.look_at_plan(archive)
    examiner.conclude()
    savepoint = await session.begin_nested()
    imported = await _bring_in(session, actor, archive, examiner, now, horizon)
    if dry_run:
        await savepoint.rollback()
        return replace(imported, patient_id=None)
    await savepoint.commit()
    return imported


async def _bring_in(
    session: AsyncSession, actor: Actor, archive: Archive, examiner: Examiner, now: datetime, horizon: timedelta
) -> Imported:
    view = await create_patient(session, actor, NewPatient(archive.display_name, archive.zone))
    patient = view.patient
    patient.routine = None if archive.routine is None else archive.routine.to_json()
    schedules = await _add_plan(session, patient.id, archive, now, horizon)
    answers = closed = 0
    for first in range(0, len(archive.doses), PAGE):
        chunk = archive.doses[first : first + PAGE]
        examiner.look_at_doses(chunk, first)
        if not examiner.faults:
            await insert_doses(session, patient.id, actor.account_id, [dose.settled(now) for dose in chunk], schedules)
        answers += sum(len(dose.answers) for dose in chunk)
        closed += sum(dose.state in OPEN and dose.due_at <= now for dose in chunk)
        await asyncio.sleep(0)  # years of doses are looked at; others want to be served meanwhile
    examiner.conclude()
    for schedule in schedules.values():
        await plan_schedule(session, schedule, now + horizon, now)
    imported = Imported(
        patient_id=patient.id,
        medications=len(archive.medications),
        schedules=len(schedules),
        doses=len(archive.doses),
        answers=answers,
        closed=closed,
        planned=await count_planned(session, patient.id),
    )
    details = {"medications": imported.medications, "schedules": imported.schedules, "doses": imported.doses}
    add_entry(
        session, "patient.imported", patient.id, actor_id=actor.account_id, patient_id=patient.id, details=details
    )
    await session.flush()
    return imported


async def _add_plan(
    session: AsyncSession, patient_id: UUID, archive: Archive, now: datetime, horizon: timedelta
) -> dict[UUID, ScheduleRow]:
    """The medications and schedules; the new row of each schedule by the archive's id."""
    ids = _rising_ids()
    schedules: dict[UUID, ScheduleRow] = {}
    for medication in archive.medications:
        row = _medication(next(ids), patient_id, medication)
        session.add(row)
        for schedule in medication.schedules:
            schedules[schedule.id] = _schedule(next(ids), row, schedule, now, horizon)
    await session.flush()
    session.add_all(schedules.values())
    await session.flush()
    return schedules


def _medication(id_: UUID, patient_id: UUID, medication: ArchivedMedication) -> Medication:
    return Medication(
        id=id_,
        patient_id=patient_id,
        name=medication.name,
        strength=medication.strength,
        form=medication.form,
        instructions=medication.instructions,
        status=medication.status.value,
        severity=medication.severity.value,
        created_at=medication.created_at,
        deleted_at=medication.deleted_at,
    )


def _schedule(
    id_: UUID, medication: Medication, schedule: ArchivedSchedule, now: datetime, horizon: timedelta
) -> ScheduleRow:
    row = ScheduleRow(
        id=id_,
        medication_id=medication.id,
        patient_id=medication.patient_id,
        revision=schedule.revision,
        created_at=min(schedule.created_at, now),
        valid_from=min(schedule.valid_from, now),
        # The archive has the doses up to its own mark. Nothing is planned before now, and no mark silences more than
        # what is planned ahead anyway.
        planned_until=min(max(schedule.planned_until, now), now + horizon),
        deleted_at=schedule.deleted_at,
    )
    row.adopt(schedule.plan)
    return row


def _rising_ids() -> Iterator[UUID]:
    """Schedules are listed by their ids: what was before another one stays before it."""
    return (UUID(int=number) for number in count(new_id().int))


async def _pages(session: AsyncSession, patient_id: UUID) -> AsyncIterator[list[ArchivedDose]]:
    after: Mark | None = None
    while page := await archived_doses(session, patient_id, after=after, limit=PAGE):
        yield page
        after = Mark(page[-1].due_at, page[-1].id)
        if len(page) < PAGE:
            return
