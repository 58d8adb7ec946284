"""Doses whose window ended without an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from carecircle.db.deliveries import Delivery
from carecircle.db.occurrences import OccurrenceRow
from carecircle.domain.delivery import DeliveryState, Kind
from carecircle.domain.occurrence import NOT_REMINDED, OPEN, OccurrenceState

SWEEP_LOCK = 0x43435357
"""Any number, as long as no other advisory lock of this database has it."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    occurrence_id: UUID
    patient_id: UUID
    due_at: datetime
    reminded: bool
    """A reminder was handed over, or may have been."""


async def sweeps_alone(session: AsyncSession) -> bool:
    """Whether no other transaction is sweeping; none will be until this one ends."""
    return (await session.execute(select(func.pg_try_advisory_xact_lock(SWEEP_LOCK)))).scalar_one()


async def open_past_window(session: AsyncSession, now: datetime, *, limit: int) -> list[Unanswered]:
    """The doses, locked; those that somebody is answering at this moment are left for the next time."""
    handed_over = (
        select(Delivery.id)
        .where(
            Delivery.occurrence_id == OccurrenceRow.id,
            Delivery.kind == Kind.DUE,
            or_(
                Delivery.state.in_((DeliveryState.SENT, DeliveryState.AMBIGUOUS, DeliveryState.HANDOFF)),
                Delivery.ambiguous > 0,
            ),
        )
        .exists()
    )
    found = await session.execute(
        select(OccurrenceRow.id, OccurrenceRow.patient_id, OccurrenceRow.due_at, handed_over)
        .where(OccurrenceRow.state.in_(OPEN), OccurrenceRow.missed_at <= now)
        .order_by(OccurrenceRow.missed_at)
        .limit(limit)
        .with_for_update(of=OccurrenceRow, skip_locked=True)
    )
    return [Unanswered(*row) for row in found]


async def record_missed(
    session: AsyncSession, occurrence_ids: Sequence[UUID], state: OccurrenceState, now: datetime
) -> None:
    """Give them the state that the sweep decided."""
    if not occurrence_ids:
        return
    reason = NOT_REMINDED if state is OccurrenceState.UNKNOWN else None
    await session.execute(
        update(OccurrenceRow)
        .where(OccurrenceRow.id.in_(occurrence_ids))
        .values(state=state, reason=reason, updated_at=now)
        .execution_options(synchronize_session=False)
    )
