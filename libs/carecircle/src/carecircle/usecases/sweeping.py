"""What nobody acted on until its window ended: doses become missed or unknown, deliveries expire.

A circle hears of the doses that nobody was reminded of: that was our fault, and the patient may have missed them (R11).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from carecircle.db.deliveries import NewDelivery, add_deliveries, expire_deliveries
from carecircle.db.digests import Place, extend_open_digests
from carecircle.db.facts import people_to_tell
from carecircle.db.missed import open_past_window, record_missed, sweeps_alone
from carecircle.db.session import database_now
from carecircle.domain.delivery import DIGEST_SETTLING, DIGEST_WINDOW, Kind
from carecircle.domain.medication import Severity
from carecircle.domain.occurrence import sweep_state

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.channels import ChannelSpec
    from carecircle.db.missed import Unanswered
    from carecircle.db.session import Database

BATCH = 200

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Swept:
    """How many doses were missed, of how many nobody was reminded, and which deliveries (channel, state) ended."""

    missed: int
    unknown: int
    deliveries: tuple[tuple[str, str], ...]


async def sweep(database: Database, channels: Mapping[str, ChannelSpec]) -> Swept:
    """End everything whose window is over. Doses somebody was reminded of are missed, the others unknown (R11)."""
    missed = unknown = 0
    while True:
        doses = await _end_doses(database, channels)
        missed += sum(dose.reminded for dose in doses)
        unknown += sum(not dose.reminded for dose in doses)
        if len(doses) < BATCH:
            break
    async with database.transaction() as session:
        ended = await expire_deliveries(session, await database_now(session))
    if missed or unknown or ended:
        log.warning("sweep.ended", missed=missed, unknown=unknown, expired=len(ended))
    return Swept(missed, unknown, tuple(ended))


async def _end_doses(database: Database, channels: Mapping[str, ChannelSpec]) -> Sequence[Unanswered]:
    """Some of the doses, in one transaction with their digests; none while another sweep is at it.

    Two sweeps with each its own doses of one patient would each tell the circle.
    """
    async with database.transaction() as session:
        if not await sweeps_alone(session):
            return ()
        now = await database_now(session)
        doses = await open_past_window(session, now, limit=BATCH)
        for reminded in (True, False):
            ids = [dose.occurrence_id for dose in doses if dose.reminded is reminded]
            await record_missed(session, ids, sweep_state(reminded=reminded), now)
        await _tell(session, channels, [dose for dose in doses if not dose.reminded], now)
    return doses


async def _tell(
    session: AsyncSession, channels: Mapping[str, ChannelSpec], doses: Sequence[Unanswered], now: datetime
) -> None:
    """One digest a patient, recipient and target: the one that is still to be sent, else a new one."""
    if not doses:
        return
    newest = {dose.patient_id: dose.occurrence_id for dose in sorted(doses, key=lambda dose: dose.due_at)}
    covered = await extend_open_digests(session, newest, now)
    places = [
        Place(patient_id, recipient_id, name, target_id)
        for patient_id, recipient_id in await people_to_tell(session, newest)
        for name, spec in channels.items()
        for target_id in await spec.targets(session, recipient_id)
    ]
    wanted = [_digest(newest[place.patient_id], place, now) for place in places if place not in covered]
    await add_deliveries(session, wanted, now)


def _digest(occurrence_id: UUID, place: Place, now: datetime) -> NewDelivery:
    return NewDelivery(
        occurrence_id=occurrence_id,
        patient_id=place.patient_id,
        recipient_id=place.recipient_id,
        channel=place.channel,
        target_id=place.target_id,
        kind=Kind.NOT_REMINDED,
        step=0,
        severity=Severity.INFO,
        expires_at=now + DIGEST_WINDOW,
        next_attempt_at=now + DIGEST_SETTLING,
    )
