"""Doses that were moved, and their neighbours in the series."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from carecircle.db.occurrences import Administration, OccurrenceRow
from carecircle.domain.moving import MOVED
from carecircle.domain.occurrence import OPEN, AdministrationStatus, OccurrenceState
from carecircle.domain.schedule import Dose, PlannedDose

BELONGS_AT = func.coalesce(OccurrenceRow.moved_from, OccurrenceRow.due_at)
"""The order of a series: that of its plan, which no move changes."""
NOT_TAKEN = (OccurrenceState.SKIPPED, OccurrenceState.ON_HOLD, OccurrenceState.CANCELLED)


async def open_moves(session: AsyncSession, schedule_id: UUID, now: datetime) -> list[OccurrenceRow]:
    """The open doses of a schedule that a person moved to a time still to come, in that order."""
    found = await session.scalars(
        select(OccurrenceRow)
        .where(
            OccurrenceRow.schedule_id == schedule_id,
            OccurrenceRow.state.in_(OPEN),
            OccurrenceRow.moved_from.is_not(None),
            OccurrenceRow.due_at > now,
        )
        .order_by(OccurrenceRow.due_at)
    )
    return list(found.all())


def moved_dose(row: OccurrenceRow) -> PlannedDose:
    """A moved dose as lists of planned ones show it."""
    dose = Dose(row.dose_quantity, row.dose_unit)
    return PlannedDose(row.nominal_local, row.zone, row.due_at, row.missed_at, MOVED, dose)


async def dose_before(session: AsyncSession, dose: OccurrenceRow, origin: datetime) -> datetime | None:
    """When the dose before is due or was taken, or when any of the series was taken last, whichever is later.

    A dose that was skipped or called off asks for no distance.
    """
    last_due = (
        select(func.max(OccurrenceRow.due_at))
        .where(*_others(dose), origin > BELONGS_AT, OccurrenceRow.state.not_in(NOT_TAKEN))
        .scalar_subquery()
    )
    taken = (
        select(func.max(Administration.at))
        .join(OccurrenceRow, OccurrenceRow.id == Administration.occurrence_id)
        .where(
            *_others(dose),
            Administration.status == AdministrationStatus.TAKEN,
            Administration.entered_in_error_at.is_(None),
        )
        .scalar_subquery()
    )
    return (await session.execute(select(func.greatest(last_due, taken)))).scalar_one()  # GREATEST ignores NULLs


async def dose_after(session: AsyncSession, dose: OccurrenceRow, origin: datetime) -> datetime | None:
    """When the next open dose of the series that has its row is due."""
    query = select(func.min(OccurrenceRow.due_at))
    return await session.scalar(query.where(*_others(dose), origin < BELONGS_AT, OccurrenceRow.state.in_(OPEN)))


async def open_dose_before(session: AsyncSession, dose: OccurrenceRow, origin: datetime) -> OccurrenceRow | None:
    """The open dose before, under its lock: its window ends earlier when the next dose comes earlier."""
    return await session.scalar(
        select(OccurrenceRow)
        .where(*_others(dose), origin > BELONGS_AT, OccurrenceRow.state.in_(OPEN))
        .order_by(OccurrenceRow.due_at.desc())
        .limit(1)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def _others(dose: OccurrenceRow) -> tuple[ColumnElement[bool], ...]:
    return OccurrenceRow.schedule_id == dose.schedule_id, OccurrenceRow.id != dose.id
