"""Medications: what one patient is to take, and whether it is active."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from carecircle.db.base import CreatedAt, Row, new_id


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
