"""Doses taken as needed. Each is an occurrence that is born taken, so that every list and report has it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from carecircle.db.base import new_id
from carecircle.db.occurrences import OccurrenceRow, stored_wall_time
from carecircle.db.schedules import ScheduleRow
from carecircle.domain.dose import Dose
from carecircle.domain.occurrence import AS_NEEDED, OccurrenceState
from carecircle.domain.zones import shown_at


async def insert_taken(session: AsyncSession, schedule: ScheduleRow, *, zone: str, dose: Dose, at: datetime) -> None:
    """The occurrence of a dose taken at `at`, unless it is there. Nobody is reminded of it."""
    await session.execute(
        insert(OccurrenceRow)
        .values(
            id=new_id(),
            schedule_id=schedule.id,
            medication_id=schedule.medication_id,
            patient_id=schedule.patient_id,
            revision=schedule.revision,
            nominal_local=stored_wall_time(shown_at(at, ZoneInfo(zone))),
            zone=zone,
            due_at=at,
            missed_at=at,
            remind_at=at,
            note=AS_NEEDED,
            dose_quantity=dose.quantity,
            dose_unit=dose.unit,
            state=OccurrenceState.TAKEN,
            reminded_step=0,
        )
        .on_conflict_do_nothing()
        .execution_options(synchronize_session=False)
    )


async def locked_occurrence_at(session: AsyncSession, schedule: ScheduleRow, at: datetime) -> OccurrenceRow | None:
    return await session.scalar(
        select(OccurrenceRow)
        .where(
            OccurrenceRow.schedule_id == schedule.id,
            OccurrenceRow.revision == schedule.revision,
            OccurrenceRow.due_at == at,
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    )
