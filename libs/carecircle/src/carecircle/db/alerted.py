"""Who saw a reminder of a dose that somebody has answered since."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from carecircle.db.deliveries import Delivery, NewDelivery
from carecircle.db.occurrences import OccurrenceRow
from carecircle.domain.delivery import DeliveryState, Kind
from carecircle.domain.occurrence import ANSWERED


async def alerted(session: AsyncSession, channels: Collection[str], now: datetime, *, limit: int) -> list[NewDelivery]:
    """The messages that replace what is shown on these channels, one a target, while the dose's window lasts."""
    replacing = aliased(Delivery)
    told = (
        select(replacing.id)
        .where(
            replacing.occurrence_id == Delivery.occurrence_id,
            replacing.recipient_id == Delivery.recipient_id,
            replacing.channel == Delivery.channel,
            replacing.target_id == Delivery.target_id,
            replacing.kind == Kind.ANSWERED,
            replacing.step == OccurrenceRow.reminder_step,
        )
        .exists()
    )
    place = (Delivery.occurrence_id, Delivery.recipient_id, Delivery.channel, Delivery.target_id)
    arrived = Delivery.state.in_((DeliveryState.SENT, DeliveryState.AMBIGUOUS))
    shown = await session.execute(
        select(Delivery, OccurrenceRow.reminder_step)
        .join(OccurrenceRow, OccurrenceRow.id == Delivery.occurrence_id)
        .where(
            Delivery.kind == Kind.DUE,
            arrived,
            Delivery.channel.in_(channels),
            Delivery.expires_at > now,
            OccurrenceRow.state.in_(ANSWERED),
            ~told,
        )
        .ext(distinct_on(*place))
        .order_by(*place)
        .limit(limit)
    )
    return [_replacement(delivery, step) for delivery, step in shown]


def _replacement(shown: Delivery, step: int) -> NewDelivery:
    return NewDelivery(
        occurrence_id=shown.occurrence_id,
        patient_id=shown.patient_id,
        recipient_id=shown.recipient_id,
        channel=shown.channel,
        target_id=shown.target_id,
        kind=Kind.ANSWERED,
        step=step,
        severity=shown.severity,
        expires_at=shown.expires_at,
    )
