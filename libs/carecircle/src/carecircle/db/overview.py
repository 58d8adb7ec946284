"""Read models that join several aggregates, for pages and logs."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from carecircle.db.accounts import Account
from carecircle.db.deliveries import Delivery
from carecircle.db.occurrences import OccurrenceRow
from carecircle.db.pages import Page, PageRequest, page_of


async def delivery_log(
    session: AsyncSession, patient_id: UUID, request: PageRequest
) -> Page[tuple[Delivery, Account, OccurrenceRow | None]]:
    """Every message about this patient, newest first, with its recipient and its dose, if it is about one."""
    query = (
        select(Delivery, Account, OccurrenceRow)
        .join(Account, Account.id == Delivery.recipient_id)
        .outerjoin(OccurrenceRow, OccurrenceRow.id == Delivery.occurrence_id)
        .where(Delivery.patient_id == patient_id)
    )
    page = await page_of(session, query, request, Delivery.created_at, Delivery.id, newest_first=True)
    rows: list[tuple[Delivery, Account, OccurrenceRow | None]] = list(page.rows)  # an outer join
    return Page(rows, page.next)
