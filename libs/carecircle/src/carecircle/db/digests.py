"""Digests (R11): one message about all the doses of a patient that ended without any reminder in one go.

A digest covers what the sweeps ended until `expires_at - DIGEST_WINDOW`, which is the reading of the clock that its
sweep gave to the doses. So each dose has its digest however late that is sent, and every copy is about the same doses.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from carecircle.db.deliveries import Delivery
from carecircle.db.medications import Medication
from carecircle.db.occurrences import OccurrenceRow
from carecircle.domain.delivery import DIGEST_REACH, DIGEST_WINDOW, DeliveryState, Kind
from carecircle.domain.occurrence import NOT_REMINDED, OccurrenceState


class Place(NamedTuple):
    """Where one digest of one patient goes."""

    patient_id: UUID
    recipient_id: UUID
    channel: str
    target_id: UUID


@dataclass(frozen=True, slots=True)
class Unreminded:
    """A dose that a digest tells of."""

    nominal_local: datetime
    medication: str
    strength: str | None
    quantity: Decimal
    unit: str


async def extend_open_digests(session: AsyncSession, patient_ids: Collection[UUID], now: datetime) -> set[Place]:
    """Let the digests that are still to be sent cover what ends now; where there are such.

    One that somebody sends at this moment, or that may have arrived, stays as it is.
    """
    waiting = (
        select(Delivery.id)
        .where(
            Delivery.patient_id.in_(patient_ids),
            Delivery.kind == Kind.NOT_REMINDED,
            Delivery.state.in_((DeliveryState.PENDING, DeliveryState.RETRY)),
            Delivery.ambiguous == 0,
        )
        .with_for_update(skip_locked=True)
    )
    extended = await session.execute(
        update(Delivery)
        .where(Delivery.id.in_(waiting))
        .values(expires_at=now + DIGEST_WINDOW, updated_at=now)
        .returning(Delivery.patient_id, Delivery.recipient_id, Delivery.channel, Delivery.target_id)
        .execution_options(synchronize_session=False)
    )
    return {Place(*row) for row in extended}


async def unreminded_doses(session: AsyncSession, delivery_id: UUID) -> list[Unreminded]:
    """What a digest tells of now, in the order in which it was due."""
    dose = aliased(OccurrenceRow)
    found = await session.execute(
        select(dose, Medication.name, Medication.strength)
        .select_from(Delivery)
        .join(dose, _covers(dose))
        .join(Medication, Medication.id == dose.medication_id)
        .where(Delivery.id == delivery_id, Medication.deleted_at.is_(None))
        .order_by(dose.due_at, dose.id)
    )
    return [
        Unreminded(row.shown_local, name, strength, row.dose_quantity, row.dose_unit) for row, name, strength in found
    ]


def tells_of_a_dose() -> ColumnElement[bool]:
    """Whether something that this digest covers is still unknown."""
    dose, medication = aliased(OccurrenceRow), aliased(Medication)
    return (
        select(dose.id)
        .join(medication, medication.id == dose.medication_id)
        .where(_covers(dose), medication.deleted_at.is_(None))
        .correlate(Delivery)
        .exists()
    )


def _covers(dose: type[OccurrenceRow]) -> ColumnElement[bool]:
    until = Delivery.expires_at - DIGEST_WINDOW
    return and_(
        dose.patient_id == Delivery.patient_id,
        dose.state == OccurrenceState.UNKNOWN,
        dose.reason == NOT_REMINDED,
        # Nothing but an answer changes an unknown dose: it was changed last when it ended.
        dose.updated_at <= until,
        dose.updated_at > until - DIGEST_REACH,
        ~_told_before(dose),
    )


def _told_before(dose: type[OccurrenceRow]) -> ColumnElement[bool]:
    """Another digest that covers it has arrived at the same place."""
    other = aliased(Delivery)
    return (
        select(other.id)
        .where(
            other.id != Delivery.id,
            other.patient_id == Delivery.patient_id,
            other.recipient_id == Delivery.recipient_id,
            other.channel == Delivery.channel,
            other.target_id == Delivery.target_id,
            other.kind == Kind.NOT_REMINDED,
            other.state.in_((DeliveryState.SENT, DeliveryState.AMBIGUOUS)),
            other.expires_at - DIGEST_WINDOW >= dose.updated_at,
        )
        .correlate(Delivery, dose)
        .exists()
    )
