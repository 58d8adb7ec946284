"""Schedules: the rule that yields a medication's occurrences. Each edit raises the revision."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Numeric, String, text
from sqlalchemy.orm import Mapped, mapped_column

from carecircle.db.base import CreatedAt, Row, new_id


class ScheduleRow(Row):
    __tablename__ = "schedule"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    medication_id: Mapped[UUID] = mapped_column(ForeignKey("medication.id", ondelete="CASCADE"), index=True)
    patient_id: Mapped[UUID] = mapped_column(ForeignKey("patient.id", ondelete="CASCADE"), index=True)
    revision: Mapped[int] = mapped_column(default=1)
    kind: Mapped[str] = mapped_column(String(16))
    """`calendar`; later kinds extend it. The kind decides the shape of `rule`."""
    rule: Mapped[dict[str, Any]]
    """What is particular to the kind. Calendar: `{"times": ["08:00"], "days_of_week": ["mon"] | null}`."""
    start_date: Mapped[date]
    end_date: Mapped[date | None]
    zone: Mapped[str | None] = mapped_column(String(64))
    """None: the patient's zone."""
    zone_policy: Mapped[str] = mapped_column(String(16), default="follow")
    dose_quantity: Mapped[Decimal] = mapped_column(Numeric(12, 4))
    dose_unit: Mapped[str] = mapped_column(String(50))
    created_at: Mapped[CreatedAt]
    valid_from: Mapped[datetime]
    """The instant of this revision: only slots strictly after it exist (R6, R9)."""
    planned_until: Mapped[datetime]
    """The planner's watermark: every occurrence due before it has its row. Only moves forward within a revision."""
    deleted_at: Mapped[datetime | None]

    __table_args__ = (Index("ix_schedule_planned_until", "planned_until", postgresql_where=text("deleted_at IS NULL")),)
