"""What a circle was told about its supplies, so that it is told once each time.

An alert stands from when a supply fell to its threshold (or a package came near its date) until that is over. All that
is found for one patient in one go is one notice, and so one message a person and channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import ColumnElement, ForeignKey, Index, Numeric, Select, String, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from carecircle.db.accounts import Account
from carecircle.db.base import CreatedAt, Row, new_id
from carecircle.db.deliveries import Delivery
from carecircle.db.medications import Medication
from carecircle.db.patients import Membership, Patient
from carecircle.db.supply import SupplyRow
from carecircle.domain.medication import MedicationStatus
from carecircle.domain.supply import AlertKind


class SupplyNotice(Row):
    """What one message tells of: alerts of one patient."""

    __tablename__ = "supply_notice"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    patient_id: Mapped[UUID] = mapped_column(ForeignKey("patient.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[CreatedAt]


class SupplyAlert(Row):
    """One thing to do something about, with the facts of the moment at which it was found."""

    __tablename__ = "supply_alert"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    notice_id: Mapped[UUID] = mapped_column(ForeignKey("supply_notice.id", ondelete="CASCADE"), index=True)
    medication_id: Mapped[UUID] = mapped_column(ForeignKey("medication.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(16))
    """`low` or `expiring` (`domain.supply.AlertKind`)."""
    stock: Mapped[Decimal] = mapped_column(Numeric(14, 4))
    unit: Mapped[str] = mapped_column(String(50))
    run_out_on: Mapped[date | None]
    expires_on: Mapped[date | None]
    raised_at: Mapped[datetime]
    cleared_at: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "uq_supply_alert_standing",
            "medication_id",
            "kind",
            unique=True,
            postgresql_where=text("cleared_at IS NULL"),
        ),
    )


@dataclass(frozen=True, slots=True)
class SupplyDelivery:
    """One message about supplies with everything that it may say. `now` is PostgreSQL's clock."""

    delivery: Delivery
    patient: Patient
    recipient: Account
    membership: Membership | None
    """None: the recipient has left the circle."""
    notice: SupplyNotice
    alerts: Sequence[tuple[SupplyAlert, Medication]]
    """Those that still stand."""
    now: datetime


async def lock_due_supplies(session: AsyncSession, now: datetime) -> list[SupplyRow]:
    """The supplies of one patient that are to be looked at, those that somebody else holds left out."""
    first = await session.scalar(_due(now).order_by(SupplyRow.check_at).limit(1))
    if first is None:
        return []
    found = await session.scalars(
        _due(now).where(SupplyRow.patient_id == first.patient_id).order_by(SupplyRow.medication_id)
    )
    return list(found.all())


async def standing_alerts(session: AsyncSession, medication_id: UUID) -> dict[AlertKind, SupplyAlert]:
    found = await session.scalars(
        select(SupplyAlert).where(SupplyAlert.medication_id == medication_id, SupplyAlert.cleared_at.is_(None))
    )
    return {AlertKind(alert.kind): alert for alert in found}


async def clear_alerts(session: AsyncSession, medication_id: UUID, kinds: Sequence[AlertKind], now: datetime) -> None:
    """They are over: the next time is worth another message, and what was not sent yet is not sent."""
    await session.execute(
        update(SupplyAlert)
        .where(
            SupplyAlert.medication_id == medication_id, SupplyAlert.kind.in_(kinds), SupplyAlert.cleared_at.is_(None)
        )
        .values(cleared_at=now)
        .execution_options(synchronize_session=False)
    )


async def people_to_tell_of_supplies(session: AsyncSession, patient_id: UUID) -> Sequence[UUID]:
    """The accounts of the circle that want to be told, in a fixed order."""
    wanting = select(Membership.account_id).where(
        Membership.patient_id == patient_id, Membership.supply_messages.is_(True)
    )
    return (await session.scalars(wanting.order_by(Membership.created_at, Membership.id))).all()


async def supply_delivery(session: AsyncSession, delivery_id: UUID) -> SupplyDelivery | None:
    found = await session.execute(
        select(Delivery, Patient, Account, SupplyNotice, func.clock_timestamp())
        .join(SupplyNotice, SupplyNotice.id == Delivery.supply_notice_id)
        .join(Patient, Patient.id == Delivery.patient_id)
        .join(Account, Account.id == Delivery.recipient_id)
        .where(Delivery.id == delivery_id)
        .execution_options(populate_existing=True)
    )
    row = found.one_or_none()
    if row is None:
        return None
    delivery, patient, recipient, notice, now = row
    membership = await session.scalar(
        select(Membership)
        .where(Membership.patient_id == patient.id, Membership.account_id == recipient.id)
        .execution_options(populate_existing=True)
    )
    alerts = await session.execute(
        select(SupplyAlert, Medication)
        .join(Medication, Medication.id == SupplyAlert.medication_id)
        .join(SupplyRow, SupplyRow.medication_id == SupplyAlert.medication_id)
        .where(SupplyAlert.notice_id == notice.id, *_stands())
        .order_by(SupplyAlert.raised_at, SupplyAlert.id)
        .execution_options(populate_existing=True)
    )
    lines = [(alert, medication) for alert, medication in alerts]
    return SupplyDelivery(delivery, patient, recipient, membership, notice, lines, now)


def tells_of_a_supply() -> ColumnElement[bool]:
    """Whether something that this message is about still stands."""
    return (
        select(SupplyAlert.id)
        .join(Medication, Medication.id == SupplyAlert.medication_id)
        .join(SupplyRow, SupplyRow.medication_id == SupplyAlert.medication_id)
        .where(SupplyAlert.notice_id == Delivery.supply_notice_id, *_stands())
        .correlate(Delivery)
        .exists()
    )


def _stands() -> tuple[ColumnElement[bool], ...]:
    return (SupplyAlert.cleared_at.is_(None), SupplyRow.ended_at.is_(None), *_taken_at_present())


def _taken_at_present() -> tuple[ColumnElement[bool], ...]:
    return (Medication.deleted_at.is_(None), Medication.status == MedicationStatus.ACTIVE)


def _due(now: datetime) -> Select[SupplyRow]:
    return (
        select(SupplyRow)
        .join(Medication, Medication.id == SupplyRow.medication_id)
        .where(SupplyRow.ended_at.is_(None), SupplyRow.check_at <= now, *_taken_at_present())
        .with_for_update(of=SupplyRow, key_share=True, skip_locked=True)
        .execution_options(populate_existing=True)
    )
