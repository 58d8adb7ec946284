"""What decides about a reminder, read in one go: for the dispatcher (a dose) and for a channel worker (a delivery)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from carecircle.db.accounts import Account
from carecircle.db.deliveries import Delivery
from carecircle.db.digests import Unreminded, unreminded_doses
from carecircle.db.medications import Medication
from carecircle.db.occurrences import Administration, OccurrenceRow
from carecircle.db.patients import Membership, Patient
from carecircle.db.schedules import ScheduleRow
from carecircle.domain.delivery import Kind
from carecircle.domain.medication import MedicationStatus
from carecircle.domain.occurrence import OPEN, Facts, OccurrenceState


@dataclass(frozen=True, slots=True)
class DoseFacts:
    """One occurrence with what decides about it. `now` is PostgreSQL's clock."""

    occurrence: OccurrenceRow
    medication: Medication
    facts: Facts
    severity: str
    """The schedule's own, else the medication's."""
    now: datetime


@dataclass(frozen=True, slots=True)
class DeliveryFacts:
    """One delivery with everything that its message may say."""

    delivery: Delivery
    dose: DoseFacts
    patient: Patient
    recipient: Account
    membership: Membership | None
    """None: the recipient has left the circle."""
    unreminded: Sequence[Unreminded] = ()
    """Of a digest: the doses that it tells of."""

    @property
    def now(self) -> datetime:
        """PostgreSQL's clock."""
        return self.dose.now


@dataclass(frozen=True, slots=True)
class Answer:
    status: str
    by: str


async def dose_facts(session: AsyncSession, occurrence_id: UUID) -> DoseFacts | None:
    """The occurrence under its row lock: who holds it decides, everybody else waits and sees the decision."""
    found = await session.execute(DOSE.where(OccurrenceRow.id == occurrence_id).with_for_update(of=OccurrenceRow))
    row = found.one_or_none()
    return None if row is None else _dose(*row)


async def delivery_facts(session: AsyncSession, delivery_id: UUID) -> DeliveryFacts | None:
    found = await session.execute(DELIVERY.where(Delivery.id == delivery_id))
    row = found.one_or_none()
    if row is None:
        return None
    occurrence, medication, schedule, newer, now, delivery, patient, recipient, membership = row
    dose = _dose(occurrence, medication, schedule, newer, now)
    unreminded = await unreminded_doses(session, delivery_id) if delivery.kind == Kind.NOT_REMINDED else ()
    return DeliveryFacts(delivery, dose, patient, recipient, membership, unreminded)


async def people_to_remind(session: AsyncSession, patient_id: UUID) -> Sequence[UUID]:
    """The accounts of the circle that want to be told, in a fixed order."""
    wanting = select(Membership.account_id).where(Membership.patient_id == patient_id, Membership.reminders.is_(True))
    return (await session.scalars(wanting.order_by(Membership.created_at, Membership.id))).all()


async def people_to_tell(session: AsyncSession, patient_ids: Collection[UUID]) -> Sequence[tuple[UUID, UUID]]:
    """The same for many patients: each patient with each of these accounts."""
    wanting = select(Membership.patient_id, Membership.account_id).where(
        Membership.patient_id.in_(patient_ids), Membership.reminders.is_(True)
    )
    ordered = wanting.order_by(Membership.patient_id, Membership.created_at, Membership.id)
    return [(patient_id, account_id) for patient_id, account_id in await session.execute(ordered)]


async def standing_answer(session: AsyncSession, occurrence_id: UUID) -> Answer | None:
    """Who answered the dose, and how."""
    found = await session.execute(
        select(Administration.status, Account.display_name)
        .join(Account, Account.id == Administration.recorded_by)
        .where(Administration.occurrence_id == occurrence_id, Administration.entered_in_error_at.is_(None))
    )
    row = found.one_or_none()
    return None if row is None else Answer(*row)


def _dose(
    occurrence: OccurrenceRow, medication: Medication, schedule: ScheduleRow, newer: bool, now: datetime
) -> DoseFacts:
    facts = Facts(
        state=OccurrenceState(occurrence.state),
        revision=occurrence.revision,
        schedule_revision=schedule.revision,
        schedule_deleted=schedule.deleted_at is not None,
        medication_status=MedicationStatus(medication.status),
        medication_deleted=medication.deleted_at is not None,
        due_at=occurrence.due_at,
        missed_at=occurrence.missed_at,
        remind_at=occurrence.remind_at,
        already_sent=occurrence.reminded_step is not None and occurrence.reminded_step >= occurrence.reminder_step,
        newer_is_due=newer,
        acknowledged_by=occurrence.acknowledged_by,
        acknowledged_until=occurrence.acknowledged_until,
    )
    return DoseFacts(occurrence, medication, facts, schedule.severity or medication.severity, now)


def _newer_is_due() -> ColumnElement[bool]:
    other = aliased(OccurrenceRow)
    return (
        select(other.id)
        .where(
            other.medication_id == OccurrenceRow.medication_id,
            other.due_at > OccurrenceRow.due_at,
            other.due_at <= func.statement_timestamp(),
            other.state.in_(OPEN),
        )
        .exists()
    )


# Written down once: with their aliases they take longer to build than to run.
DOSE = (
    select(OccurrenceRow, Medication, ScheduleRow, _newer_is_due(), func.clock_timestamp())
    .join(Medication, Medication.id == OccurrenceRow.medication_id)
    .join(ScheduleRow, ScheduleRow.id == OccurrenceRow.schedule_id)
    .execution_options(populate_existing=True)
)
DELIVERY = (
    DOSE.add_columns(Delivery, Patient, Account, Membership)
    .join(Delivery, Delivery.occurrence_id == OccurrenceRow.id)
    .join(Patient, Patient.id == Delivery.patient_id)
    .join(Account, Account.id == Delivery.recipient_id)
    .outerjoin(
        Membership,
        (Membership.patient_id == Delivery.patient_id) & (Membership.account_id == Delivery.recipient_id),
    )
)
