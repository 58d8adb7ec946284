"""The audit trail: who changed what and when. Append-only; a trigger refuses changes."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from carecircle.db.base import CreatedAt, Row, new_id


class AuditEntry(Row):
    __tablename__ = "audit_entry"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    at: Mapped[CreatedAt]
    actor_id: Mapped[UUID | None]
    """The account, or None when the system acted. No foreign key: the entry outlives what it speaks of."""
    patient_id: Mapped[UUID | None]
    action: Mapped[str] = mapped_column(String(64))
    """`medication.created`, `schedule.revised`, `administration.recorded`, …"""
    subject_type: Mapped[str] = mapped_column(String(32))
    subject_id: Mapped[UUID]
    details: Mapped[dict[str, Any]]
    """What changed, before and after."""

    __table_args__ = (Index("ix_audit_entry_patient_at", "patient_id", "at"),)
