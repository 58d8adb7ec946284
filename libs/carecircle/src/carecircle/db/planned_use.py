"""The doses of a medication that wait for an answer: what will be taken out of its stock first."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from carecircle.db.occurrences import OccurrenceRow
from carecircle.db.schedules import ScheduleRow
from carecircle.domain.occurrence import OPEN


async def open_amounts(session: AsyncSession, medication_id: UUID) -> list[tuple[datetime, Decimal, str]]:
    """(due at, quantity, unit) of each, in the order in which they are due; those overdue are among them."""
    found = await session.execute(
        select(OccurrenceRow.due_at, OccurrenceRow.dose_quantity, OccurrenceRow.dose_unit)
        .join(ScheduleRow, ScheduleRow.id == OccurrenceRow.schedule_id)
        .where(
            OccurrenceRow.medication_id == medication_id,
            OccurrenceRow.state.in_(OPEN),
            OccurrenceRow.revision == ScheduleRow.revision,
            ScheduleRow.deleted_at.is_(None),
        )
        .order_by(OccurrenceRow.due_at, OccurrenceRow.id)
    )
    return [(due_at, quantity, unit) for due_at, quantity, unit in found]
