"""The one gate to a care circle: another circle's id does not exist, an own one asks the role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from carecircle.db.patients import Membership
from carecircle.domain.errors import NotAllowed, NotFound
from carecircle.domain.people import Action, Role, may

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is asking."""

    account_id: UUID


async def require(session: AsyncSession, actor: Actor, patient_id: UUID, action: Action) -> Membership:
    """The actor's membership of this patient's circle.

    Raises:
        NotFound: the actor is no member, or there is no such patient; the two look the same.
        NotAllowed: the actor's role does not allow the action.
    """
    membership = await session.scalar(
        select(Membership).where(Membership.patient_id == patient_id, Membership.account_id == actor.account_id)
    )
    if membership is None:
        raise NotFound
    if not may(Role(membership.role), action, is_patient=membership.is_patient):
        raise NotAllowed
    return membership
