"""What happens when a reminder's time has come: look again, decide who is told on which channels, and let them know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from carecircle.db.alerted import alerted
from carecircle.db.deliveries import NewDelivery, add_deliveries
from carecircle.db.due import Waiting, waiting_delivery
from carecircle.db.facts import DoseFacts, dose_facts, people_to_remind
from carecircle.db.session import database_now
from carecircle.domain.delivery import Kind
from carecircle.domain.occurrence import OPEN, NotYet, OccurrenceState, Remind, Skip, SkipReason, still_matters

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.channels import ChannelSpec
    from carecircle.db.session import Database

REPLACED_AT_ONCE = 200

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Dispatched:
    """These messages now wait to be sent; whoever asked adds their jobs."""

    deliveries: Sequence[Waiting]
    late: bool


@dataclass(frozen=True, slots=True)
class TooEarly:
    until: datetime
    now: datetime
    """PostgreSQL's clock."""


async def dispatch(
    database: Database, channels: Mapping[str, ChannelSpec], occurrence_id: UUID
) -> Dispatched | TooEarly | SkipReason:
    """Decide about one reminder, in one transaction; doing it twice is doing it once."""
    async with database.transaction() as session:
        dose = await dose_facts(session, occurrence_id)
        if dose is None:
            return SkipReason.NOT_FOUND
        match still_matters(dose.facts, dose.now):
            case NotYet(until):
                return TooEarly(until, dose.now)
            case Skip(reason):
                if dose.facts.state in OPEN and dose.now >= dose.facts.remind_at:
                    dose.occurrence.reminded_step = dose.occurrence.reminder_step  # decided: nobody comes back for it
                return reason
            case Remind() as reminder:
                return await _remind(session, channels, dose, reminder)


async def replace_alerts(database: Database, channels: Mapping[str, ChannelSpec]) -> Sequence[Waiting]:
    """Tell those who were alerted that the dose is answered, where a message can replace the shown one (R13).

    Looks at rows: an answered dose with a message that arrived and none that replaces it. The new messages wait.
    """
    replacing = [name for name, spec in channels.items() if spec.replaces]
    if not replacing:
        return []
    async with database.transaction() as session:
        now = await database_now(session)
        wanted = await alerted(session, replacing, now, limit=REPLACED_AT_ONCE)
        return [waiting_delivery(row) for row in await add_deliveries(session, wanted, now)]


async def _remind(
    session: AsyncSession, channels: Mapping[str, ChannelSpec], dose: DoseFacts, reminder: Remind
) -> Dispatched:
    occurrence = dose.occurrence
    wanted = [
        NewDelivery(
            occurrence_id=occurrence.id,
            patient_id=occurrence.patient_id,
            recipient_id=recipient_id,
            channel=name,
            target_id=target_id,
            kind=Kind.DUE,
            step=occurrence.reminder_step,
            severity=dose.severity,
            expires_at=occurrence.missed_at,
        )
        for recipient_id in await people_to_remind(session, occurrence.patient_id)
        if reminder.only_to in (None, recipient_id)
        for name, spec in channels.items()
        for target_id in await spec.targets(session, recipient_id)
    ]
    if not wanted:
        log.warning("reminder.nobody_to_tell", occurrence_id=occurrence.id)
    occurrence.state = OccurrenceState.DUE
    occurrence.reminded_step = occurrence.reminder_step
    occurrence.updated_at = dose.now
    return Dispatched([waiting_delivery(row) for row in await add_deliveries(session, wanted, dose.now)], reminder.late)
