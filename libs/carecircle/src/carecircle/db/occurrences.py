"""Occurrences (planned doses) and administrations (what really happened)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, Index, Numeric, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from carecircle.db.base import CreatedAt, Row, new_id


class OccurrenceRow(Row):
    """One planned dose. Identity: (schedule, revision, nominal local time); `due_at` is derived (R4)."""

    __tablename__ = "occurrence"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    schedule_id: Mapped[UUID] = mapped_column(ForeignKey("schedule.id", ondelete="CASCADE"))
    medication_id: Mapped[UUID] = mapped_column(ForeignKey("medication.id", ondelete="CASCADE"), index=True)
    patient_id: Mapped[UUID] = mapped_column(ForeignKey("patient.id", ondelete="CASCADE"))
    revision: Mapped[int]
    nominal_local: Mapped[datetime] = mapped_column(DateTime(timezone=False))
    zone: Mapped[str] = mapped_column(String(64))
    due_at: Mapped[datetime]
    missed_at: Mapped[datetime]
    note: Mapped[str | None] = mapped_column(String(16))
    """`gap` when the wall time does not exist and was shifted forward."""
    dose_quantity: Mapped[Decimal] = mapped_column(Numeric(12, 4))
    dose_unit: Mapped[str] = mapped_column(String(50))
    state: Mapped[str] = mapped_column(String(16), default="planned")
    """`domain.occurrence.OccurrenceState`."""
    reason: Mapped[str | None] = mapped_column(String(200))
    """Why it is unknown, cancelled or skipped: `not_reminded`, `superseded`, …, or a person's words for a skip."""
    remind_at: Mapped[datetime]
    """When the next reminder goes out: `due_at`, later after a snooze."""
    reminder_step: Mapped[int] = mapped_column(default=0)
    """0 for the due reminder, rises with each snooze; part of a delivery's identity."""
    reminded_step: Mapped[int | None]
    """The last step whose deliveries were decided; None before the first."""
    generation: Mapped[int] = mapped_column(default=0)
    """Rises with every enqueue; the job id is `<id>-g<generation>`."""
    enqueued_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]

    __table_args__ = (
        UniqueConstraint("schedule_id", "revision", "nominal_local"),
        Index("ix_occurrence_patient_due", "patient_id", "due_at"),
        Index("ix_occurrence_open", "remind_at", postgresql_where=text("state IN ('planned', 'due')")),
        Index("ix_occurrence_missed_at", "missed_at", postgresql_where=text("state IN ('planned', 'due')")),
    )


class Administration(Row):
    """Taken or skipped, by whom and when. Undo keeps the row and marks it entered in error."""

    __tablename__ = "administration"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    occurrence_id: Mapped[UUID] = mapped_column(ForeignKey("occurrence.id", ondelete="CASCADE"))
    patient_id: Mapped[UUID] = mapped_column(ForeignKey("patient.id", ondelete="CASCADE"), index=True)
    status: Mapped[str] = mapped_column(String(16))
    """`taken` or `skipped`."""
    at: Mapped[datetime]
    """When it happened, as the person says."""
    reason: Mapped[str | None] = mapped_column(String(500))
    dose_quantity: Mapped[Decimal] = mapped_column(Numeric(12, 4))
    dose_unit: Mapped[str] = mapped_column(String(50))
    recorded_by: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    recorded_at: Mapped[CreatedAt]
    entered_in_error_at: Mapped[datetime | None]
    entered_in_error_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))

    __table_args__ = (
        Index(
            "uq_administration_standing",
            "occurrence_id",
            unique=True,
            postgresql_where=text("entered_in_error_at IS NULL"),
        ),
    )
