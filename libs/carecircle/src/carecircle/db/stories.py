"""What happened to one dose: its row, its messages and its answers, with the names of the people."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from carecircle.db.accounts import Account
from carecircle.db.deliveries import Delivery
from carecircle.db.doses import recorder_name
from carecircle.db.occurrences import Administration, OccurrenceRow
from carecircle.domain.delivery import DeliveryState
from carecircle.domain.explain import AnswerStory, DoseStory, MessageStory
from carecircle.domain.occurrence import OccurrenceState


def dose_story(row: OccurrenceRow) -> DoseStory:
    return DoseStory(
        nominal_local=row.nominal_local,
        zone=row.zone,
        revision=row.revision,
        due_at=row.due_at,
        missed_at=row.missed_at,
        remind_at=row.remind_at,
        note=row.note,
        moved_from=row.moved_from,
        moved_at=row.moved_at,
        state=OccurrenceState(row.state),
        reason=row.reason,
        snoozes=row.reminder_step,
        decided=row.reminded_step is not None,
        created_at=row.created_at,
        updated_at=row.updated_at,
        acknowledged_until=row.acknowledged_until,
    )


async def message_stories(session: AsyncSession, occurrence_id: UUID) -> list[MessageStory]:
    found = await session.execute(
        select(Delivery, Account.display_name)
        .join(Account, Account.id == Delivery.recipient_id)
        .where(Delivery.occurrence_id == occurrence_id)
        .order_by(Delivery.created_at, Delivery.id)
    )
    return [
        MessageStory(
            recipient=name,
            channel=row.channel,
            kind=row.kind,
            state=DeliveryState(row.state),
            outcome=row.outcome,
            attempts=row.attempt,
            created_at=row.created_at,
            sent_at=row.sent_at,
            updated_at=row.updated_at,
        )
        for row, name in found
    ]


async def answer_stories(session: AsyncSession, occurrence_id: UUID) -> list[AnswerStory]:
    """Those taken back as well."""
    found = await session.execute(
        select(Administration, recorder_name())
        .join(Account, Account.id == Administration.recorded_by)
        .where(Administration.occurrence_id == occurrence_id)
        .order_by(Administration.recorded_at, Administration.id)
    )
    return [AnswerStory(row.status, row.at, name, row.recorded_at, row.entered_in_error_at) for row, name in found]
