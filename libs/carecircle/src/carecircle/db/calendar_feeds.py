"""Calendar feeds: secret addresses at which a patient's planned doses can be read without a login."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ForeignKey, String, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from carecircle.db.audit import AuditEntry
from carecircle.db.base import CreatedAt, Row, new_id
from carecircle.db.medications import Medication
from carecircle.db.occurrences import OccurrenceRow
from carecircle.db.patients import Membership
from carecircle.db.schedules import ScheduleRow
from carecircle.domain.medication import MedicationStatus
from carecircle.domain.occurrence import AS_NEEDED

NOTED_EVERY = timedelta(hours=1)
"""A feed is read again and again: that it is being read is written down this often."""


class CalendarFeed(Row):
    """Only the hash of the secret is kept."""

    __tablename__ = "calendar_feed"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    patient_id: Mapped[UUID] = mapped_column(ForeignKey("patient.id", ondelete="CASCADE"), index=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)
    """Who made it. The feed ends with their membership of the circle."""
    name: Mapped[str] = mapped_column(String(100))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    medicine_names: Mapped[bool] = mapped_column(default=False)
    alarm_lead: Mapped[timedelta]
    created_at: Mapped[CreatedAt]
    last_read_at: Mapped[datetime | None]
    """To the hour."""
    revoked_at: Mapped[datetime | None]


async def live_feed(session: AsyncSession, token_hash: str) -> CalendarFeed | None:
    """The feed with this secret, if it was not revoked and who made it is still in the circle."""
    return await session.scalar(
        select(CalendarFeed)
        .join(
            Membership,
            (Membership.patient_id == CalendarFeed.patient_id) & (Membership.account_id == CalendarFeed.account_id),
        )
        .where(CalendarFeed.token_hash == token_hash, CalendarFeed.revoked_at.is_(None))
    )


async def feeds_of(session: AsyncSession, patient_id: UUID, account_id: UUID | None) -> list[CalendarFeed]:
    """The patient's feeds that count, oldest first: those of one account, or all."""
    query = select(CalendarFeed).where(CalendarFeed.patient_id == patient_id, CalendarFeed.revoked_at.is_(None))
    if account_id is not None:
        query = query.where(CalendarFeed.account_id == account_id)
    return list(await session.scalars(query.order_by(CalendarFeed.created_at, CalendarFeed.id)))


async def locked_feed(session: AsyncSession, patient_id: UUID, feed_id: UUID) -> CalendarFeed | None:
    return await session.scalar(
        select(CalendarFeed)
        .where(CalendarFeed.id == feed_id, CalendarFeed.patient_id == patient_id, CalendarFeed.revoked_at.is_(None))
        .with_for_update()
    )


async def note_reading(session: AsyncSession, feed_id: UUID, now: datetime) -> None:
    await session.execute(
        update(CalendarFeed)
        .where(
            CalendarFeed.id == feed_id,
            or_(CalendarFeed.last_read_at.is_(None), CalendarFeed.last_read_at <= now - NOTED_EVERY),
        )
        .values(last_read_at=now)
        .execution_options(synchronize_session=False)
    )


async def planned_rows(
    session: AsyncSession, patient_id: UUID, since: datetime, until: datetime, limit: int
) -> list[tuple[OccurrenceRow, Medication]]:
    """The stored doses due in [since, until), whatever became of them; not those that were taken as needed."""
    found = await session.execute(
        select(OccurrenceRow, Medication)
        .join(Medication, Medication.id == OccurrenceRow.medication_id)
        .where(
            OccurrenceRow.patient_id == patient_id,
            OccurrenceRow.due_at >= since,
            OccurrenceRow.due_at < until,
            or_(OccurrenceRow.note.is_(None), OccurrenceRow.note != AS_NEEDED),
        )
        .order_by(OccurrenceRow.due_at, OccurrenceRow.id)
        .limit(limit)
    )
    return [(row, medication) for row, medication in found]


async def active_schedules(session: AsyncSession, patient_id: UUID) -> list[tuple[ScheduleRow, Medication]]:
    """The schedules of a patient whose medication is being taken."""
    found = await session.execute(
        select(ScheduleRow, Medication)
        .join(Medication, Medication.id == ScheduleRow.medication_id)
        .where(
            ScheduleRow.patient_id == patient_id,
            ScheduleRow.deleted_at.is_(None),
            Medication.deleted_at.is_(None),
            Medication.status == MedicationStatus.ACTIVE,
        )
        .order_by(ScheduleRow.id)
    )
    return [(schedule, medication) for schedule, medication in found]


async def last_changes(session: AsyncSession, patient_id: UUID) -> dict[UUID, datetime]:
    """When each medication and schedule of the patient was last changed, as the audit trail knows."""
    found = await session.execute(
        select(AuditEntry.subject_id, func.max(AuditEntry.at))
        .where(AuditEntry.patient_id == patient_id, AuditEntry.subject_type.in_(("medication", "schedule")))
        .group_by(AuditEntry.subject_id)
    )
    return {row[0]: row[1] for row in found}
