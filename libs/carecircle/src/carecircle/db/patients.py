"""Patients, the people of their care circle, and invitations to it. A circle is a patient and its memberships."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from carecircle.db.base import CreatedAt, Row, new_id


class Patient(Row):
    __tablename__ = "patient"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    display_name: Mapped[str] = mapped_column(String(200))
    zone: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[CreatedAt]


class Membership(Row):
    """What one account may do in one patient's circle, and whether it is told when a dose is due."""

    __tablename__ = "membership"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    patient_id: Mapped[UUID] = mapped_column(ForeignKey("patient.id", ondelete="CASCADE"))
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)
    role: Mapped[str] = mapped_column(String(16))
    """`owner`, `carer` or `viewer` (`domain.people.Role`)."""
    is_patient: Mapped[bool] = mapped_column(default=False)
    """This account is the patient's own login; at most one a circle."""
    reminders: Mapped[bool] = mapped_column(default=True)
    """Is told when a dose is due. Viewers start with False."""
    created_at: Mapped[CreatedAt]

    __table_args__ = (
        UniqueConstraint("patient_id", "account_id"),
        Index("uq_membership_own_login", "patient_id", unique=True, postgresql_where=text("is_patient")),
    )


class Invitation(Row):
    """A one-use link to join a circle. Only the hash of the token is kept."""

    __tablename__ = "invitation"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    patient_id: Mapped[UUID] = mapped_column(ForeignKey("patient.id", ondelete="CASCADE"), index=True)
    email: Mapped[str] = mapped_column(String(254))
    role: Mapped[str] = mapped_column(String(16))
    is_patient: Mapped[bool] = mapped_column(default=False)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    invited_by: Mapped[UUID] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
