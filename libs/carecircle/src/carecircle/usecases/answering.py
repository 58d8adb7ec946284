"""The one place where an answer to a dose is stored: one stands, and whoever comes second is told of the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from carecircle.db.doses import NewAdministration, insert_administration, standing_administration
from carecircle.domain.errors import NotFound
from carecircle.domain.occurrence import AdministrationStatus, AlreadyRecorded
from carecircle.usecases.stock import take_out

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.occurrences import Administration, OccurrenceRow
    from carecircle.usecases.access import Actor


async def store_answer(
    session: AsyncSession,
    actor: Actor,
    occurrence: OccurrenceRow,
    status: AdministrationStatus,
    *,
    at: datetime,
    reason: str | None,
    now: datetime,
) -> Administration:
    """Store the answer to an occurrence whose lock the caller holds.

    Raises:
        AlreadyRecorded: somebody else was first; says who and when.
    """
    administration = await insert_administration(
        session,
        NewAdministration(
            occurrence_id=occurrence.id,
            patient_id=occurrence.patient_id,
            status=status,
            at=at,
            reason=reason,
            dose_quantity=occurrence.dose_quantity,
            dose_unit=occurrence.dose_unit,
            recorded_by=actor.account_id,
            recorded_at=now,
        ),
    )
    if administration is None:
        raise await _already_recorded(session, occurrence.id)
    if status is AdministrationStatus.TAKEN:
        await take_out(session, occurrence.medication_id, administration, now)
    return administration


async def _already_recorded(session: AsyncSession, occurrence_id: UUID) -> AlreadyRecorded:
    standing = await standing_administration(session, occurrence_id)
    if standing is None:  # pragma: no cover - undone between two statements, and we hold the occurrence's lock
        raise NotFound
    administration, name = standing
    return AlreadyRecorded(by=name, at=administration.at, status=administration.status)
