"""Deliveries: one message to one recipient on one channel. The row is the claim, the log and the proof."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from carecircle.db.base import CreatedAt, Row, new_id


class Delivery(Row):
    """States and the claim protocol: `domain.delivery`. Every update is fenced by `attempt`."""

    __tablename__ = "delivery"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    occurrence_id: Mapped[UUID] = mapped_column(ForeignKey("occurrence.id", ondelete="CASCADE"))
    patient_id: Mapped[UUID] = mapped_column(ForeignKey("patient.id", ondelete="CASCADE"))
    recipient_id: Mapped[UUID] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)
    channel: Mapped[str] = mapped_column(String(32))
    target_id: Mapped[UUID]
    """What is addressed: the account for e-mail, the push subscription for push."""
    kind: Mapped[str] = mapped_column(String(16))
    """`due` (also a snooze's repeat) or `answered` (the visible replacement of R13)."""
    step: Mapped[int] = mapped_column(default=0)
    """The occurrence's `reminder_step` this belongs to."""
    severity: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16), default="pending")
    attempt: Mapped[int] = mapped_column(default=0)
    ambiguous: Mapped[int] = mapped_column(default=0)
    """How many attempts ended without anyone knowing whether the provider had taken the message."""
    worker: Mapped[str | None] = mapped_column(String(100))
    lease_until: Mapped[datetime | None]
    first_handoff_at: Mapped[datetime | None]
    """Fixed over all attempts: the `Date` of the mail."""
    handoff_at: Mapped[datetime | None]
    next_attempt_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(64))
    """A short code without personal data: `sent`, `smtp_550`, `push_410`, `answered`, `superseded`, …"""
    provider_reference: Mapped[str | None] = mapped_column(String(255))
    generation: Mapped[int] = mapped_column(default=0)
    enqueued_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]

    __table_args__ = (
        UniqueConstraint("occurrence_id", "recipient_id", "channel", "kind", "step", "target_id"),
        Index("ix_delivery_patient_created", "patient_id", "created_at"),
        Index(
            "ix_delivery_open",
            "channel",
            "next_attempt_at",
            postgresql_where=text("state IN ('pending', 'retry', 'claimed', 'handoff')"),
        ),
    )
