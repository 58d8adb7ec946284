"""Who handles a dose, as its row says, and the doses of which that is over."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from carecircle.db.occurrences import OccurrenceRow
from carecircle.db.patients import Membership
from carecircle.domain.occurrence import OPEN
from carecircle.domain.people import Action, Role, may

ANSWERING_ROLES = [role for role in Role if may(role, Action.ANSWER)]


async def lock_lapsed(session: AsyncSession, now: datetime, *, limit: int) -> list[OccurrenceRow]:
    """Open doses whose acknowledgement is over, or whose holder may no longer answer for the patient; locked.

    Those that somebody works on at this moment are left for the next time.
    """
    answers_for_it = (
        select(Membership.id)
        .where(
            Membership.patient_id == OccurrenceRow.patient_id,
            Membership.account_id == OccurrenceRow.acknowledged_by,
            or_(Membership.role.in_(ANSWERING_ROLES), Membership.is_patient.is_(True)),
        )
        .exists()
    )
    held = and_(OccurrenceRow.acknowledged_until.is_not(None), OccurrenceRow.state.in_(OPEN))
    found = await session.scalars(
        select(OccurrenceRow)
        .where(held, OccurrenceRow.missed_at > now, or_(OccurrenceRow.acknowledged_until <= now, ~answers_for_it))
        .order_by(OccurrenceRow.missed_at)
        .limit(limit)
        .with_for_update(of=OccurrenceRow, skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return list(found.all())
