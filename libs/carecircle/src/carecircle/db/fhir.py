"""What a patient's FHIR record is read from."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from carecircle.db.medications import Medication
from carecircle.db.occurrences import Administration, OccurrenceRow
from carecircle.db.schedules import ScheduleRow
from carecircle.domain.occurrence import OccurrenceState


async def live_medications(session: AsyncSession, patient_id: UUID) -> list[Medication]:
    query = select(Medication).where(Medication.patient_id == patient_id, Medication.deleted_at.is_(None))
    return list(await session.scalars(query.order_by(Medication.created_at, Medication.id)))


async def live_schedules(session: AsyncSession, patient_id: UUID) -> list[ScheduleRow]:
    """Also those of deleted medications; they are in no list of medications."""
    query = select(ScheduleRow).where(ScheduleRow.patient_id == patient_id, ScheduleRow.deleted_at.is_(None))
    return list(await session.scalars(query.order_by(ScheduleRow.id)))


async def answers_between(
    session: AsyncSession, patient_id: UUID, since: datetime, until: datetime, limit: int
) -> list[tuple[Administration, OccurrenceRow]]:
    """What was said to have happened in [since, until), also what was undone."""
    found = await session.execute(
        select(Administration, OccurrenceRow)
        .join(OccurrenceRow, OccurrenceRow.id == Administration.occurrence_id)
        .where(Administration.patient_id == patient_id, Administration.at >= since, Administration.at < until)
        .order_by(Administration.at, Administration.id)
        .limit(limit)
    )
    return [(answer, dose) for answer, dose in found]


async def silent_doses_between(
    session: AsyncSession, patient_id: UUID, since: datetime, until: datetime, limit: int
) -> list[OccurrenceRow]:
    """The doses due in [since, until) that nobody answered, or nobody was asked about."""
    query = select(OccurrenceRow).where(
        OccurrenceRow.patient_id == patient_id,
        OccurrenceRow.due_at >= since,
        OccurrenceRow.due_at < until,
        OccurrenceRow.state.in_((OccurrenceState.MISSED, OccurrenceState.UNKNOWN)),
    )
    return list(await session.scalars(query.order_by(OccurrenceRow.due_at, OccurrenceRow.id).limit(limit)))
