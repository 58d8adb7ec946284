"""The doses of a medication around an instant, with the windows in which a log counts for them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from carecircle.db.medications import Medication
from carecircle.db.occurrences import Administration, OccurrenceRow
from carecircle.db.schedules import ScheduleRow
from carecircle.domain.errors import Invalid
from carecircle.domain.medication import Severity
from carecircle.domain.occurrence import AS_NEEDED, OccurrenceState
from carecircle.domain.windows import on_time_window

AROUND = timedelta(hours=24)
MOST = 200
PUT_ASIDE = (OccurrenceState.ON_HOLD, OccurrenceState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Nearby:
    """A planned dose that a log may be about."""

    occurrence_id: UUID
    nominal_local: datetime
    zone: str
    due_at: datetime
    missed_at: datetime
    early: timedelta
    """So long before its time a log counts for it: its window of being on time."""
    state: OccurrenceState


async def doses_near(session: AsyncSession, medication_id: UUID, at: datetime) -> list[Nearby]:
    """Those due within a day of `at` or with a window that holds it, answered ones too; in the order they are due."""
    found = await session.execute(
        select(OccurrenceRow, ScheduleRow, Medication.severity)
        .join(ScheduleRow, ScheduleRow.id == OccurrenceRow.schedule_id)
        .join(Medication, Medication.id == OccurrenceRow.medication_id)
        .where(
            OccurrenceRow.medication_id == medication_id,
            OccurrenceRow.state.not_in(PUT_ASIDE),
            OccurrenceRow.note.is_distinct_from(AS_NEEDED),
            or_(
                OccurrenceRow.due_at.between(at - AROUND, at + AROUND),
                and_(OccurrenceRow.due_at <= at, OccurrenceRow.missed_at >= at),
            ),
        )
        .order_by(OccurrenceRow.due_at, OccurrenceRow.id)
        .limit(MOST)
    )
    return [_nearby(*row) for row in found]


async def planned_at(session: AsyncSession, patient_id: UUID, at: datetime, *, limit: int) -> list[UUID]:
    """The patient's planned doses at one time: an instant if `at` is aware, else the time on their wall."""
    when = OccurrenceRow.nominal_local == at if at.tzinfo is None else OccurrenceRow.due_at == at
    found = await session.scalars(
        select(OccurrenceRow.id)
        .where(
            OccurrenceRow.patient_id == patient_id,
            when,
            OccurrenceRow.state.not_in(PUT_ASIDE),
            OccurrenceRow.note.is_distinct_from(AS_NEEDED),
        )
        .order_by(OccurrenceRow.id)
        .limit(limit)
    )
    return list(found.all())


async def doses_of(
    session: AsyncSession, patient_id: UUID, occurrence_ids: Collection[UUID]
) -> dict[UUID, OccurrenceRow]:
    """Those of these doses that are this patient's."""
    found = await session.scalars(
        select(OccurrenceRow)
        .where(OccurrenceRow.id.in_(occurrence_ids), OccurrenceRow.patient_id == patient_id)
        .execution_options(populate_existing=True)
    )
    return {row.id: row for row in found}


async def medications_among(session: AsyncSession, patient_id: UUID, medication_ids: Collection[UUID]) -> set[UUID]:
    """Those of these medications that this patient takes, or took."""
    found = await session.scalars(
        select(Medication.id).where(
            Medication.id.in_(medication_ids), Medication.patient_id == patient_id, Medication.deleted_at.is_(None)
        )
    )
    return set(found.all())


async def lock_doses(session: AsyncSession, occurrence_ids: Collection[UUID]) -> None:
    """Lock many, in order of id, so that two never wait for each other in a circle."""
    locked = select(OccurrenceRow.id).where(OccurrenceRow.id.in_(occurrence_ids)).order_by(OccurrenceRow.id)
    await session.execute(locked.with_for_update())


async def answers_with_ids(
    session: AsyncSession, patient_id: UUID, administration_ids: Collection[UUID]
) -> dict[UUID, Administration]:
    """Those of these answers that are this patient's, undone ones too."""
    found = await session.scalars(
        select(Administration)
        .where(Administration.id.in_(administration_ids), Administration.patient_id == patient_id)
        .execution_options(populate_existing=True)
    )
    return {row.id: row for row in found}


def _nearby(row: OccurrenceRow, schedule: ScheduleRow, severity: str) -> Nearby:
    return Nearby(
        occurrence_id=row.id,
        nominal_local=row.nominal_local,
        zone=row.zone,
        due_at=row.due_at,
        missed_at=row.missed_at,
        early=_early(schedule, Severity(severity)),
        state=OccurrenceState(row.state),
    )


def _early(schedule: ScheduleRow, severity: Severity) -> timedelta:
    try:
        return schedule.plan().on_time_within(severity)
    except Invalid:  # a rule of a later version: the narrower window
        return on_time_window(severity, more_often_than_daily=True)
