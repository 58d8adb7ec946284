"""Schedules: the rule that yields a medication's occurrences. Each edit raises the revision."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Date, ForeignKey, Index, Numeric, Select, String, cast, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from carecircle.db.base import CreatedAt, Row, new_id
from carecircle.db.medications import Medication
from carecircle.db.patients import Patient
from carecircle.domain.as_needed import AsNeededRule
from carecircle.domain.interval_rule import Anchor
from carecircle.domain.medication import MedicationStatus, Severity
from carecircle.domain.routine import Routine
from carecircle.domain.schedule import Dose, SchedulePlan, ZonePolicy, rule_from_json, rule_to_json


class ScheduleRow(Row):
    __tablename__ = "schedule"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    medication_id: Mapped[UUID] = mapped_column(ForeignKey("medication.id", ondelete="CASCADE"), index=True)
    patient_id: Mapped[UUID] = mapped_column(ForeignKey("patient.id", ondelete="CASCADE"), index=True)
    revision: Mapped[int] = mapped_column(default=1)
    kind: Mapped[str] = mapped_column(String(16))
    """One of `domain.rules.RULES`. The kind decides the shape of `rule`."""
    rule: Mapped[dict[str, Any]]
    """What is particular to the kind. Calendar: `{"times": ["08:00"], "days_of_week": ["mon"] | null}`."""
    start_date: Mapped[date]
    end_date: Mapped[date | None]
    zone: Mapped[str | None] = mapped_column(String(64))
    """None: the patient's zone."""
    zone_policy: Mapped[str] = mapped_column(String(16), default="follow")
    dose_quantity: Mapped[Decimal] = mapped_column(Numeric(12, 4))
    dose_unit: Mapped[str] = mapped_column(String(50))
    count: Mapped[int | None]
    """So many doses, counted from `created_at` on; None: until the end date."""
    min_gap: Mapped[timedelta | None]
    severity: Mapped[str | None] = mapped_column(String(16))
    """None: the medication's."""
    on_time: Mapped[timedelta | None]
    missed_after: Mapped[timedelta | None]
    created_at: Mapped[CreatedAt]
    valid_from: Mapped[datetime]
    """When it was made, last edited or last resumed: only slots strictly after it exist (R6, R9, R16)."""
    planned_until: Mapped[datetime]
    """The planner's watermark: every occurrence due before it has its row. Only moves forward within a revision."""
    deleted_at: Mapped[datetime | None]

    __table_args__ = (Index("ix_schedule_planned_until", "planned_until", postgresql_where=text("deleted_at IS NULL")),)

    def plan(self) -> SchedulePlan:
        """What is stored, as a value."""
        return SchedulePlan(
            rule=rule_from_json(self.kind, self.rule),
            start_date=self.start_date,
            end_date=self.end_date,
            zone=self.zone,
            zone_policy=ZonePolicy(self.zone_policy),
            dose=Dose(self.dose_quantity, self.dose_unit),
            count=self.count,
            min_gap=self.min_gap,
            severity=None if self.severity is None else Severity(self.severity),
            on_time=self.on_time,
            missed_after=self.missed_after,
        )

    def adopt(self, plan: SchedulePlan) -> None:
        """Store the value. Says nothing of the revision: the use case knows whether it rises."""
        self.kind = plan.rule.kind
        self.rule = rule_to_json(plan.rule)
        self.start_date = plan.start_date
        self.end_date = plan.end_date
        self.zone = plan.zone
        self.zone_policy = plan.zone_policy
        self.dose_quantity = plan.dose.quantity
        self.dose_unit = plan.dose.unit
        self.count = plan.count
        self.min_gap = plan.min_gap
        self.severity = plan.severity
        self.on_time = plan.on_time
        self.missed_after = plan.missed_after


async def schedule_by_id(session: AsyncSession, schedule_id: UUID) -> ScheduleRow | None:
    """The schedule, unless it or its medication was deleted."""
    return await session.scalar(_live().where(ScheduleRow.id == schedule_id))


async def schedules_of(session: AsyncSession, medication_id: UUID) -> list[ScheduleRow]:
    """Every schedule of a medication that was not deleted, oldest first."""
    found = await session.scalars(_live().where(ScheduleRow.medication_id == medication_id).order_by(ScheduleRow.id))
    return list(found.all())


async def lock_schedules(session: AsyncSession, *conditions: ColumnElement[bool]) -> list[ScheduleRow]:
    """The schedules that were not deleted, read again under their locks. In order of id, so that two never deadlock."""
    found = await session.scalars(
        select(ScheduleRow)
        .where(ScheduleRow.deleted_at.is_(None), *conditions)
        .order_by(ScheduleRow.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return list(found.all())


async def following_answers(session: AsyncSession, schedule_ids: Collection[UUID]) -> set[UUID]:
    """Those of these schedules whose next dose is counted from when the last one was taken."""
    anchor = ScheduleRow.rule["anchor"].astext == Anchor.LAST_TAKEN
    return set((await session.scalars(select(ScheduleRow.id).where(ScheduleRow.id.in_(schedule_ids), anchor))).all())


async def follows_answers(session: AsyncSession, schedule_id: UUID) -> bool:
    """Whether its next dose is counted from when the last one was taken."""
    anchor = select(ScheduleRow.rule["anchor"].astext).where(ScheduleRow.id == schedule_id)
    return await session.scalar(anchor) == Anchor.LAST_TAKEN


def follows_routine() -> ColumnElement[bool]:
    """The schedules with doses at points of the patient's routine."""
    return func.jsonb_array_length(func.coalesce(ScheduleRow.rule["when"], text("'[]'::jsonb"))) > 0


async def lock_lagging_schedules(session: AsyncSession, planned_before: datetime, limit: int) -> list[ScheduleRow]:
    """Schedules to plan further, the furthest behind first; those that another planner or an edit holds are left out.

    Those whose last day is over are none of them. The comparison is two days wide, as dates here have no zone.
    """
    found = await session.scalars(
        select(ScheduleRow)
        .join(Medication, Medication.id == ScheduleRow.medication_id)
        .where(
            ScheduleRow.deleted_at.is_(None),
            ScheduleRow.kind != AsNeededRule.kind,
            ScheduleRow.planned_until < planned_before,
            or_(
                ScheduleRow.end_date.is_(None),
                ScheduleRow.end_date >= cast(ScheduleRow.planned_until, Date) - 2,
            ),
            Medication.status == MedicationStatus.ACTIVE,
            Medication.deleted_at.is_(None),
        )
        .order_by(ScheduleRow.planned_until)
        .limit(limit)
        .with_for_update(of=ScheduleRow, skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return list(found.all())


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a schedule depends on beside itself."""

    zone: str
    """The patient's."""
    routine: Routine
    active: bool
    """Its medication is being taken."""


async def hold_circumstances(
    session: AsyncSession, medication_id: UUID, *, skip_locked: bool = False
) -> Circumstances | None:
    """Read under shared locks: until this transaction ends, neither the zone nor the medication's status changes.

    Everybody takes these locks in the same order: medication, patient, schedules, occurrences. The planner holds
    schedules already, so it asks with `skip_locked`; None then means: somebody is changing them, come back later.
    """
    return await _circumstances(
        session, _around(medication_id).with_for_update(read=True, skip_locked=skip_locked, of=[Medication, Patient])
    )


async def circumstances(session: AsyncSession, medication_id: UUID) -> Circumstances | None:
    """Without locks, for who holds the patient's row: a status can change only after that."""
    return await _circumstances(session, _around(medication_id))


def _around(medication_id: UUID) -> Select[str, dict[str, Any] | None, str, datetime | None]:
    return (
        select(Patient.zone, Patient.routine, Medication.status, Medication.deleted_at)
        .select_from(Medication)
        .join(Patient, Patient.id == Medication.patient_id)
        .where(Medication.id == medication_id)
    )


async def _circumstances(
    session: AsyncSession, query: Select[str, dict[str, Any] | None, str, datetime | None]
) -> Circumstances | None:
    row = (await session.execute(query)).one_or_none()
    if row is None:
        return None
    zone, routine, status, deleted_at = row
    return Circumstances(
        zone, Routine.from_json(routine), active=status == MedicationStatus.ACTIVE and deleted_at is None
    )


def _live() -> Select[ScheduleRow]:
    return (
        select(ScheduleRow)
        .join(Medication, Medication.id == ScheduleRow.medication_id)
        .where(ScheduleRow.deleted_at.is_(None), Medication.deleted_at.is_(None))
    )
