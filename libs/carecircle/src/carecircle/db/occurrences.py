"""Occurrences (planned doses) and administrations (what really happened)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ColumnElement,
    DateTime,
    ForeignKey,
    Index,
    Numeric,
    String,
    UniqueConstraint,
    false,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from carecircle.db.base import CreatedAt, Row, new_id
from carecircle.db.schedules import ScheduleRow
from carecircle.domain.occurrence import OPEN, AdministrationStatus, OccurrenceState
from carecircle.domain.schedule import PlannedDose
from carecircle.domain.zones import wall_time


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
    moved_from: Mapped[datetime | None]
    """Where `due_at` was before a person moved this one dose; None: it is where its schedule puts it."""
    moved_at: Mapped[datetime | None]
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
    acknowledged_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id", ondelete="SET NULL"))
    """Who handles it: until `acknowledged_until` nobody else is reminded. Says nothing about intake."""
    acknowledged_at: Mapped[datetime | None]
    acknowledged_until: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]

    __table_args__ = (
        UniqueConstraint("schedule_id", "revision", "nominal_local"),
        Index("ix_occurrence_patient_due", "patient_id", "due_at"),
        Index("ix_occurrence_open", "remind_at", postgresql_where=text("state IN ('planned', 'due')")),
        Index("ix_occurrence_missed_at", "missed_at", postgresql_where=text("state IN ('planned', 'due')")),
        Index(
            "ix_occurrence_acknowledged",
            "acknowledged_until",
            postgresql_where=text("acknowledged_until IS NOT NULL AND state IN ('planned', 'due')"),
        ),
    )

    @property
    def shown_local(self) -> datetime:
        """The wall time that people are told, naive: the planned one, or that of the moved dose."""
        return self.nominal_local if self.moved_from is None else wall_time(self.due_at, ZoneInfo(self.zone))


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
    reason_code: Mapped[str | None] = mapped_column(String(32))
    """`domain.answer.NotDoneReason` of a skipped dose."""
    timing: Mapped[str | None] = mapped_column(String(16))
    """`domain.answer.Timing` of a taken dose, by the window that held then; None of what was taken as needed."""
    dose_quantity: Mapped[Decimal] = mapped_column(Numeric(12, 4))
    """What was really taken."""
    dose_unit: Mapped[str] = mapped_column(String(50))
    dose_changed: Mapped[bool] = mapped_column(server_default=false())
    """It was another amount than the planned one."""
    recorded_by: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    recorded_as: Mapped[str | None] = mapped_column(String(200))
    """The person's name, of an answer that was brought along; `recorded_by` is who brought it. None: the account's."""
    recorded_at: Mapped[CreatedAt]
    entered_in_error_at: Mapped[datetime | None]
    entered_in_error_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    entered_in_error_as: Mapped[str | None] = mapped_column(String(200))

    __table_args__ = (
        Index(
            "uq_administration_standing",
            "occurrence_id",
            unique=True,
            postgresql_where=text("entered_in_error_at IS NULL"),
        ),
    )


async def occurrence_by_id(session: AsyncSession, occurrence_id: UUID) -> OccurrenceRow | None:
    return await session.get(OccurrenceRow, occurrence_id)


async def lock_occurrence(session: AsyncSession, occurrence_id: UUID) -> OccurrenceRow | None:
    """The row, read again under its lock: whoever holds it decides what the dose becomes."""
    return await session.scalar(
        select(OccurrenceRow)
        .where(OccurrenceRow.id == occurrence_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


async def insert_planned(
    session: AsyncSession, schedule: ScheduleRow, doses: Sequence[PlannedDose], now: datetime
) -> int:
    """Store the planned doses that are not there yet; the number stored."""
    if not doses:
        return 0
    rows = [
        {
            "id": new_id(),
            "schedule_id": schedule.id,
            "medication_id": schedule.medication_id,
            "patient_id": schedule.patient_id,
            "revision": schedule.revision,
            "nominal_local": stored_wall_time(dose.nominal_local),
            "zone": dose.zone,
            "due_at": dose.due_at,
            "missed_at": dose.missed_at,
            "note": dose.note,
            "dose_quantity": dose.dose.quantity,
            "dose_unit": dose.dose.unit,
            "state": OccurrenceState.PLANNED,
            "remind_at": dose.due_at,
            "created_at": now,
            "updated_at": now,
        }
        for dose in doses
    ]
    identity = [OccurrenceRow.schedule_id, OccurrenceRow.revision, OccurrenceRow.nominal_local]
    stored = await session.scalars(
        insert(OccurrenceRow)
        .values(rows)
        .on_conflict_do_nothing(index_elements=identity)
        .returning(OccurrenceRow.id)
        .execution_options(synchronize_session=False)
    )
    return len(stored.all())


def stored_wall_time(nominal_local: datetime) -> datetime:
    """PostgreSQL's `timestamp` knows no fold. A clock set back shows a time twice: the second is a microsecond later,
    so that both doses of an hourly schedule have their identity.
    """
    return nominal_local + timedelta(microseconds=nominal_local.fold)


async def close_open(
    session: AsyncSession,
    schedule_ids: Collection[UUID],
    state: OccurrenceState,
    *,
    now: datetime,
    reason: str | None = None,
    due_after: datetime | None = None,
    kept: Collection[UUID] = (),
) -> list[UUID]:
    """End what is still open of these schedules, or of that what is due after an instant; the ids of what ended.

    The doses in `kept` stay as they are.
    """
    conditions: list[ColumnElement[bool]] = [OccurrenceRow.schedule_id.in_(schedule_ids), OccurrenceRow.state.in_(OPEN)]
    if due_after is not None:
        conditions.append(OccurrenceRow.due_at > due_after)
    if kept:
        conditions.append(OccurrenceRow.id.not_in(kept))
    closed = await session.scalars(
        update(OccurrenceRow)
        .where(*conditions)
        .values(state=state, reason=reason, updated_at=now)
        .returning(OccurrenceRow.id)
        .execution_options(synchronize_session=False)
    )
    return list(closed.all())


async def reopen_after_pause(session: AsyncSession, schedule: ScheduleRow, now: datetime) -> int:
    """Plan again what a pause or a stop closed and what is due after `now`; the number of doses."""
    reopened = await session.scalars(
        update(OccurrenceRow)
        .where(
            OccurrenceRow.schedule_id == schedule.id,
            OccurrenceRow.revision == schedule.revision,
            OccurrenceRow.due_at > now,
            OccurrenceRow.state.in_((OccurrenceState.ON_HOLD, OccurrenceState.CANCELLED)),
        )
        .values(
            state=OccurrenceState.PLANNED,
            reason=None,
            remind_at=OccurrenceRow.due_at,
            enqueued_at=None,
            updated_at=now,
        )
        .returning(OccurrenceRow.id)
        .execution_options(synchronize_session=False)
    )
    return len(reopened.all())


async def carry_open_over(
    session: AsyncSession, schedule: ScheduleRow, now: datetime, *, due_until: datetime | None = None
) -> None:
    """Take what was due by now, or by another instant, into the schedule's present revision: it does not end (R8)."""
    await session.execute(
        update(OccurrenceRow)
        .where(
            OccurrenceRow.schedule_id == schedule.id,
            OccurrenceRow.state.in_(OPEN),
            OccurrenceRow.due_at <= (due_until or now),
        )
        .values(revision=schedule.revision, updated_at=now)
        .execution_options(synchronize_session=False)
    )


async def change_dose_text(session: AsyncSession, schedule: ScheduleRow, now: datetime) -> None:
    """Give the doses that are still to come, or still open, the schedule's present dose. History keeps its own (R9)."""
    paused = OccurrenceRow.state.in_((OccurrenceState.ON_HOLD, OccurrenceState.CANCELLED))
    await session.execute(
        update(OccurrenceRow)
        .where(
            OccurrenceRow.schedule_id == schedule.id,
            OccurrenceRow.revision == schedule.revision,
            or_(OccurrenceRow.state.in_(OPEN), paused & (OccurrenceRow.due_at > now)),
        )
        .values(dose_quantity=schedule.dose_quantity, dose_unit=schedule.dose_unit, updated_at=now)
        .execution_options(synchronize_session=False)
    )


async def last_dose_at(session: AsyncSession, schedule_id: UUID, now: datetime) -> datetime | None:
    """When a dose of this schedule was last due or taken, whichever is later."""
    ended = (OccurrenceState.ON_HOLD, OccurrenceState.CANCELLED)
    due = select(func.max(OccurrenceRow.due_at)).where(
        OccurrenceRow.schedule_id == schedule_id, OccurrenceRow.due_at <= now, OccurrenceRow.state.not_in(ended)
    )
    taken = (
        select(func.max(Administration.at))
        .join(OccurrenceRow, OccurrenceRow.id == Administration.occurrence_id)
        .where(
            OccurrenceRow.schedule_id == schedule_id,
            Administration.status == AdministrationStatus.TAKEN,
            Administration.entered_in_error_at.is_(None),
        )
    )
    both = select(func.greatest(due.scalar_subquery(), taken.scalar_subquery()))  # GREATEST ignores NULLs
    return (await session.execute(both)).scalar_one()


async def last_taken_at(session: AsyncSession, schedule_id: UUID) -> datetime | None:
    """When a dose of this schedule, of any revision, was last taken."""
    return await session.scalar(select(func.max(Administration.at)).where(*_taken_of(schedule_id)))


async def taken_times(session: AsyncSession, schedule_id: UUID, since: datetime) -> list[datetime]:
    """When doses of this schedule were taken from an instant on, in that order."""
    query = select(Administration.at).where(*_taken_of(schedule_id), Administration.at >= since)
    return list((await session.scalars(query.order_by(Administration.at))).all())


def _taken_of(schedule_id: UUID) -> tuple[ColumnElement[bool], ...]:
    doses = select(OccurrenceRow.id).where(OccurrenceRow.schedule_id == schedule_id)
    return (
        Administration.occurrence_id.in_(doses),
        Administration.status == AdministrationStatus.TAKEN,
        Administration.entered_in_error_at.is_(None),
    )


async def handled_wall_times(
    session: AsyncSession, schedule_id: UUID, wall_times: Collection[datetime]
) -> set[datetime]:
    """Which of these nominal times have a dose, of any revision, that took its course."""
    ended = (OccurrenceState.ON_HOLD, OccurrenceState.CANCELLED)
    found = await session.scalars(
        select(OccurrenceRow.nominal_local).where(
            OccurrenceRow.schedule_id == schedule_id,
            OccurrenceRow.nominal_local.in_(wall_times),
            OccurrenceRow.state.not_in(ended),
        )
    )
    return set(found.all())
