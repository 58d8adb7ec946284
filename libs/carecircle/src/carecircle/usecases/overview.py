"""What the circle sees of the system's work: which message went to whom, when, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from carecircle.db.overview import delivery_log
from carecircle.db.pages import Page
from carecircle.domain.people import Action
from carecircle.usecases.access import Actor, require

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.deliveries import Delivery
    from carecircle.db.pages import PageRequest


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """One message without its address."""

    delivery: Delivery
    recipient_name: str
    due_at: datetime


async def list_deliveries(
    session: AsyncSession, actor: Actor, patient_id: UUID, request: PageRequest
) -> Page[DeliveryView]:
    await require(session, actor, patient_id, Action.READ)
    page = await delivery_log(session, patient_id, request)
    views = [DeliveryView(delivery, account.display_name, dose.due_at) for delivery, account, dose in page.rows]
    return Page(views, page.next)
