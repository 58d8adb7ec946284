"""Medications: what one patient is to take, and whether it is active."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, String, Text, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from carecircle.db.base import CreatedAt, Row, new_id
from carecircle.db.pages import Page, PageRequest, page_of
from carecircle.db.patients import Membership


class Medication(Row):
    __tablename__ = "medication"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    patient_id: Mapped[UUID] = mapped_column(ForeignKey("patient.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    strength: Mapped[str | None] = mapped_column(String(100))
    form: Mapped[str | None] = mapped_column(String(100))
    instructions: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16), default="active")
    """`active`, `on_hold`, `stopped` or `completed` (`domain.medication.MedicationStatus`)."""
    severity: Mapped[str] = mapped_column(String(16), default="normal")
    """`info`, `normal`, `time_critical` or `critical` (`domain.medication.Severity`)."""
    created_at: Mapped[CreatedAt]
    deleted_at: Mapped[datetime | None]
    """Deleted medications are kept for the history, are never shown and never sent."""


async def medication_seen_by(
    session: AsyncSession, account_id: UUID, medication_id: UUID, *, locked: bool = False
) -> Medication | None:
    """The medication, if it is not deleted and the account belongs to the patient's circle."""
    query = (
        select(Medication)
        .join(Membership, Membership.patient_id == Medication.patient_id)
        .where(Medication.id == medication_id, Medication.deleted_at.is_(None), Membership.account_id == account_id)
    )
    return await session.scalar(query.with_for_update(of=Medication, key_share=True) if locked else query)


async def medications_of(session: AsyncSession, patient_id: UUID, request: PageRequest) -> Page[tuple[Medication]]:
    query = select(Medication).where(Medication.patient_id == patient_id, Medication.deleted_at.is_(None))
    return await page_of(session, query, request, Medication.created_at, Medication.id)


async def count_medications(session: AsyncSession, patient_id: UUID) -> int:
    query = (
        select(func.count())
        .select_from(Medication)
        .where(Medication.patient_id == patient_id, Medication.deleted_at.is_(None))
    )
    return (await session.execute(query)).scalar_one()
