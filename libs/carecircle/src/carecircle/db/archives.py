"""A patient's whole record, read for an archive and written from one. Everything is there, deleted things as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from carecircle.db.accounts import Account
from carecircle.db.base import new_id
from carecircle.db.medications import Medication
from carecircle.db.occurrences import Administration, OccurrenceRow
from carecircle.db.pages import Mark
from carecircle.db.schedules import ScheduleRow
from carecircle.domain.answer import NotDoneReason, Timing
from carecircle.domain.archive import ArchivedAnswer, ArchivedDose, ArchivedMedication, ArchivedSchedule
from carecircle.domain.dose import Dose
from carecircle.domain.medication import MedicationStatus, Severity
from carecircle.domain.occurrence import OPEN, AdministrationStatus, OccurrenceState


async def archived_medications(session: AsyncSession, patient_id: UUID) -> tuple[ArchivedMedication, ...]:
    """In the order they were made."""
    schedules: dict[UUID, list[ArchivedSchedule]] = {}
    rows = await session.scalars(
        select(ScheduleRow).where(ScheduleRow.patient_id == patient_id).order_by(ScheduleRow.id)
    )
    for row in rows:
        schedules.setdefault(row.medication_id, []).append(_schedule(row))
    found = await session.scalars(
        select(Medication).where(Medication.patient_id == patient_id).order_by(Medication.created_at, Medication.id)
    )
    return tuple(_medication(row, tuple(schedules.get(row.id, ()))) for row in found)


async def archived_doses(
    session: AsyncSession, patient_id: UUID, *, after: Mark | None, limit: int
) -> list[ArchivedDose]:
    """Some of the doses in the order they are due, those that come after the place `after`."""
    query = select(OccurrenceRow).where(OccurrenceRow.patient_id == patient_id)
    if after is not None:
        query = query.where(tuple_(OccurrenceRow.due_at, OccurrenceRow.id) > tuple_(after.at, after.id))
    found = await session.scalars(query.order_by(OccurrenceRow.due_at, OccurrenceRow.id).limit(limit))
    rows = found.all()
    answers = await _answers(session, [row.id for row in rows])
    return [_dose(row, tuple(answers.get(row.id, ()))) for row in rows]


async def insert_doses(
    session: AsyncSession,
    patient_id: UUID,
    account_id: UUID,
    doses: Sequence[ArchivedDose],
    schedules: Mapping[UUID, ScheduleRow],
) -> None:
    """Store doses and their answers under new ids. `schedules`: the new row by the archive's id."""
    new = [(new_id(), dose) for dose in doses]
    rows = [_dose_values(id_, dose, schedules[dose.schedule_id]) for id_, dose in new]
    await _insert(session, OccurrenceRow, rows)
    await _insert(
        session,
        Administration,
        [_answer_values(id_, patient_id, account_id, answer) for id_, dose in new for answer in dose.answers],
    )


async def count_planned(session: AsyncSession, patient_id: UUID) -> int:
    query = select(func.count()).where(OccurrenceRow.patient_id == patient_id, OccurrenceRow.state.in_(OPEN))
    return (await session.execute(query)).scalar_one()


async def _insert(session: AsyncSession, table: type[Any], rows: list[dict[str, Any]]) -> None:
    if rows:
        await session.execute(insert(table).values(rows).execution_options(synchronize_session=False))


async def _answers(session: AsyncSession, occurrence_ids: Sequence[UUID]) -> dict[UUID, list[ArchivedAnswer]]:
    recorder, eraser = aliased(Account), aliased(Account)
    found = await session.execute(
        select(Administration, recorder.display_name, eraser.display_name)
        .join(recorder, recorder.id == Administration.recorded_by)
        .outerjoin(eraser, eraser.id == Administration.entered_in_error_by)
        .where(Administration.occurrence_id.in_(occurrence_ids))
        .order_by(Administration.recorded_at, Administration.id)
    )
    answers: dict[UUID, list[ArchivedAnswer]] = {}
    for row, recorded_by, erased_by in found:
        answer = ArchivedAnswer(
            status=AdministrationStatus(row.status),
            at=row.at,
            reason=row.reason,
            dose=Dose(row.dose_quantity, row.dose_unit),
            recorded_by=row.recorded_as or recorded_by,
            recorded_at=row.recorded_at,
            entered_in_error_at=row.entered_in_error_at,
            entered_in_error_by=row.entered_in_error_as or erased_by,
            reason_code=None if row.reason_code is None else NotDoneReason(row.reason_code),
            timing=None if row.timing is None else Timing(row.timing),
            dose_changed=row.dose_changed,
        )
        answers.setdefault(row.occurrence_id, []).append(answer)
    return answers


def _medication(row: Medication, schedules: tuple[ArchivedSchedule, ...]) -> ArchivedMedication:
    return ArchivedMedication(
        id=row.id,
        name=row.name,
        strength=row.strength,
        form=row.form,
        instructions=row.instructions,
        status=MedicationStatus(row.status),
        severity=Severity(row.severity),
        created_at=row.created_at,
        deleted_at=row.deleted_at,
        schedules=schedules,
    )


def _schedule(row: ScheduleRow) -> ArchivedSchedule:
    return ArchivedSchedule(
        id=row.id,
        plan=row.plan(),
        revision=row.revision,
        created_at=row.created_at,
        valid_from=row.valid_from,
        planned_until=row.planned_until,
        deleted_at=row.deleted_at,
    )


def _dose(row: OccurrenceRow, answers: tuple[ArchivedAnswer, ...]) -> ArchivedDose:
    return ArchivedDose(
        id=row.id,
        schedule_id=row.schedule_id,
        revision=row.revision,
        nominal_local=row.nominal_local,
        zone=row.zone,
        due_at=row.due_at,
        missed_at=row.missed_at,
        note=row.note,
        dose=Dose(row.dose_quantity, row.dose_unit),
        state=OccurrenceState(row.state),
        reason=row.reason,
        remind_at=row.remind_at,
        reminder_step=row.reminder_step,
        reminded_step=row.reminded_step,
        created_at=row.created_at,
        updated_at=row.updated_at,
        moved_from=row.moved_from,
        moved_at=row.moved_at,
        answers=answers,
    )


def _dose_values(id_: UUID, dose: ArchivedDose, schedule: ScheduleRow) -> dict[str, Any]:
    return {
        "id": id_,
        "schedule_id": schedule.id,
        "medication_id": schedule.medication_id,
        "patient_id": schedule.patient_id,
        "revision": dose.revision,
        "nominal_local": dose.nominal_local,
        "zone": dose.zone,
        "due_at": dose.due_at,
        "missed_at": dose.missed_at,
        "note": dose.note,
        "dose_quantity": dose.dose.quantity,
        "dose_unit": dose.dose.unit,
        "state": dose.state,
        "reason": dose.reason,
        "remind_at": dose.remind_at,
        "reminder_step": dose.reminder_step,
        "reminded_step": dose.reminded_step,
        "created_at": dose.created_at,
        "updated_at": dose.updated_at,
        "moved_from": dose.moved_from,
        "moved_at": dose.moved_at,
    }


def _answer_values(id_: UUID, patient_id: UUID, account_id: UUID, answer: ArchivedAnswer) -> dict[str, Any]:
    erased = answer.entered_in_error_at is not None
    return {
        "id": new_id(),
        "occurrence_id": id_,
        "patient_id": patient_id,
        "status": answer.status,
        "at": answer.at,
        "reason": answer.reason,
        "reason_code": answer.reason_code,
        "timing": answer.timing,
        "dose_changed": answer.dose_changed,
        "dose_quantity": answer.dose.quantity,
        "dose_unit": answer.dose.unit,
        "recorded_by": account_id,
        "recorded_as": answer.recorded_by,
        "recorded_at": answer.recorded_at,
        "entered_in_error_at": answer.entered_in_error_at,
        "entered_in_error_by": account_id if erased else None,
        "entered_in_error_as": answer.entered_in_error_by if erased else None,
    }
