"""Messages about supplies: whether one is still wanted, and the facts that a channel composes it from.

What it says was written down when the supply was looked at, so that a copy says the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from carecircle.channels import MessageFacts, SupplyFacts, SupplyLine
from carecircle.delivery.message import amount, message_date, product
from carecircle.domain.occurrence import SkipReason
from carecircle.domain.zones import shown_at

if TYPE_CHECKING:
    from carecircle.db.medications import Medication
    from carecircle.db.supply_alerts import SupplyAlert, SupplyDelivery


def unwanted_supply(read: SupplyDelivery) -> SkipReason | None:
    """Why this message is not to be sent now; None when it is."""
    if read.membership is None or not read.membership.supply_messages:
        return SkipReason.INACTIVE
    if read.now >= read.delivery.expires_at:
        return SkipReason.EXPIRED
    return None if read.alerts else SkipReason.SUPERSEDED


def supply_message_facts(read: SupplyDelivery) -> MessageFacts:
    """What the message may say. Without the recipient's wish for details it holds no medicine and no amount."""
    delivery, notice = read.delivery, read.notice
    details = read.recipient.details_in_messages
    lines = tuple(_line(alert, medication, details=details) for alert, medication in read.alerts)
    return MessageFacts(
        delivery_id=delivery.id,
        occurrence_id=notice.id,
        target_id=delivery.target_id,
        kind=delivery.kind,
        step=delivery.step,
        attempt=delivery.attempt,
        patient_name=read.patient.display_name,
        recipient_name=read.recipient.display_name,
        nominal_local=shown_at(notice.created_at, ZoneInfo(read.patient.zone)),
        due_at=notice.created_at,
        missed_at=delivery.expires_at,
        expires_at=delivery.expires_at,
        late=False,
        severity=delivery.severity,
        medication_name=lines[0].medication_name,
        dose=None,
        answer=None,
        first_handoff_at=message_date(read),
        supply=SupplyFacts(read.patient.id, lines),
    )


def _line(alert: SupplyAlert, medication: Medication, *, details: bool) -> SupplyLine:
    return SupplyLine(
        kind=alert.kind,
        medication_name=product(medication.name, medication.strength) if details else None,
        left=amount(alert.stock, alert.unit) if details else None,
        empty=alert.stock <= 0,
        run_out_on=alert.run_out_on,
        expires_on=alert.expires_on,
    )
