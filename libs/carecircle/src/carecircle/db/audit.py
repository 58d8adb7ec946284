"""The audit trail: who changed what and when. Append-only; a trigger refuses changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from carecircle.db.base import CreatedAt, Row, new_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncSession


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


def add_entry(
    session: AsyncSession,
    action: str,
    subject_id: UUID,
    *,
    actor_id: UUID | None,
    patient_id: UUID | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write one entry with the transaction. `action` is `<subject type>.<verb>`; `details` hold JSON values."""
    session.add(
        AuditEntry(
            actor_id=actor_id,
            patient_id=patient_id,
            action=action,
            subject_type=action.split(".", 1)[0],
            subject_id=subject_id,
            details=dict(details or {}),
        )
    )


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """`{"before": …, "after": …}` with only the keys whose values differ."""
    changed = [key for key in after if before.get(key) != after[key]]
    return {"before": {key: before.get(key) for key in changed}, "after": {key: after[key] for key in changed}}
