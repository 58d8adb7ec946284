"""From rows to what a message may say: whether it is still wanted, and the facts that a channel composes from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from carecircle.channels import MessageFacts, UnremindedDose
from carecircle.db.facts import Answer, DeliveryFacts, standing_answer
from carecircle.domain.delivery import Kind
from carecircle.domain.occurrence import ANSWERED, LATE_AFTER, Skip, SkipReason, still_matters

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.digests import Unreminded
    from carecircle.db.supply_alerts import SupplyDelivery


def unwanted(read: DeliveryFacts | None) -> SkipReason | None:
    """Why this message is not to be sent now; None when it is."""
    if read is None:
        return SkipReason.NOT_FOUND
    if read.membership is None:
        return SkipReason.INACTIVE
    if read.dose.now >= read.delivery.expires_at:
        return SkipReason.EXPIRED
    if read.delivery.kind == Kind.ANSWERED:
        # The answer was taken back: what the message says is no longer true.
        return None if read.dose.facts.state in ANSWERED else SkipReason.SUPERSEDED
    if not read.membership.reminders:
        return SkipReason.INACTIVE
    if read.delivery.kind == Kind.NOT_REMINDED:
        return None if read.unreminded else _why_nothing_to_tell(read)
    facts = replace(read.dose.facts, already_sent=False)
    verdict = still_matters(facts, read.dose.now, recipient=read.delivery.recipient_id)
    if isinstance(verdict, Skip):
        return verdict.reason
    return None if read.delivery.step == read.dose.occurrence.reminder_step else SkipReason.SUPERSEDED


def _why_nothing_to_tell(read: DeliveryFacts) -> SkipReason:
    return SkipReason.ANSWERED if read.dose.facts.state in ANSWERED else SkipReason.INACTIVE


async def message_facts(session: AsyncSession, read: DeliveryFacts) -> MessageFacts:
    """What the message may say. Without the recipient's wish for details it holds no medicine."""
    delivery, occurrence, medication = read.delivery, read.dose.occurrence, read.dose.medication
    answer = await standing_answer(session, occurrence.id) if delivery.kind == Kind.ANSWERED else None
    details = read.recipient.details_in_messages
    first_handoff_at = message_date(read)
    return MessageFacts(
        delivery_id=delivery.id,
        occurrence_id=occurrence.id,
        target_id=delivery.target_id,
        kind=delivery.kind,
        step=delivery.step,
        attempt=delivery.attempt,
        patient_name=read.patient.display_name,
        recipient_name=read.recipient.display_name,
        nominal_local=occurrence.shown_local,
        due_at=occurrence.due_at,
        missed_at=occurrence.missed_at,
        expires_at=delivery.expires_at,
        late=first_handoff_at - occurrence.due_at > LATE_AFTER,
        severity=delivery.severity,
        medication_name=product(medication.name, medication.strength) if details else None,
        dose=amount(occurrence.dose_quantity, occurrence.dose_unit) if details else None,
        answer=phrase(answer, details=details) if answer else None,
        first_handoff_at=first_handoff_at,
        unreminded=tuple(unreminded(one, details=details) for one in read.unreminded),
    )


def unreminded(dose: Unreminded, *, details: bool) -> UnremindedDose:
    return UnremindedDose(
        dose.nominal_local,
        product(dose.medication, dose.strength) if details else None,
        amount(dose.quantity, dose.unit) if details else None,
    )


def message_date(read: DeliveryFacts | SupplyDelivery) -> datetime:
    """The date that the message carries.

    Once an attempt may have arrived it stays as it was, so that the copy is the same and can be dropped as one. As
    long as none can have, it is now, and the text says "late" when it is.
    """
    first = read.delivery.first_handoff_at
    return first if first is not None and read.delivery.ambiguous else read.now


def phrase(answer: Answer, *, details: bool) -> str:
    """`taken`, or `taken, recorded by Ana` for who asked for details."""
    return f"{answer.status}, recorded by {answer.by}" if details else answer.status


def product(name: str, strength: str | None) -> str:
    return f"{name} {strength}" if strength else name


def amount(quantity: Decimal, unit: str) -> str:
    return f"{plain(quantity)} {unit}"


def plain(quantity: Decimal) -> str:
    """A quantity as people write it: `1`, `0.5`, `20`; not `1.0000`, not `2E+1`."""
    text = f"{quantity:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
