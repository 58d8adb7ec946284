"""What nobody acted on until its window ended: doses become missed or unknown, deliveries expire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from carecircle.db.deliveries import expire_deliveries
from carecircle.db.missed import open_past_window, record_missed
from carecircle.db.session import database_now
from carecircle.domain.occurrence import sweep_state

if TYPE_CHECKING:
    from carecircle.db.session import Database

BATCH = 500

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Swept:
    """How many doses were missed, of how many nobody was reminded, and which deliveries (channel, state) ended."""

    missed: int
    unknown: int
    deliveries: tuple[tuple[str, str], ...]


async def sweep(database: Database) -> Swept:
    """End everything whose window is over. Doses somebody was reminded of are missed, the others unknown (R11)."""
    missed = unknown = 0
    while True:
        async with database.transaction() as session:
            now = await database_now(session)
            doses = await open_past_window(session, now, limit=BATCH)
            for reminded in (True, False):
                ids = [dose.occurrence_id for dose in doses if dose.reminded is reminded]
                await record_missed(session, ids, sweep_state(reminded=reminded), now)
        missed += sum(dose.reminded for dose in doses)
        unknown += sum(not dose.reminded for dose in doses)
        if len(doses) < BATCH:
            break
    async with database.transaction() as session:
        ended = await expire_deliveries(session, await database_now(session))
    if missed or unknown or ended:
        log.warning("sweep.ended", missed=missed, unknown=unknown, expired=len(ended))
    return Swept(missed, unknown, tuple(ended))
