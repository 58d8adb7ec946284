"""Handling a dose: say it, give it back, and what happens when it ends without an answer.

The row of the dose is all there is: who handles it and until when. Whatever dies, the next round of the reconciler
finds it over and has the dose asked for again, before its window ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from carecircle.db.acknowledgements import lock_lapsed
from carecircle.db.audit import add_entry
from carecircle.db.deliveries import cancel_open_deliveries
from carecircle.db.patients import names_of
from carecircle.db.session import database_now
from carecircle.domain.acknowledgement import AlreadyAcknowledged, holds_until
from carecircle.domain.occurrence import ANSWERED, OPEN, NotAnswerable, OccurrenceState, SkipReason, WindowOver
from carecircle.usecases.answering import already_recorded, ask_again, note, release
from carecircle.usecases.one_dose import locked_dose, shown_dose

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.doses import OccurrenceView
    from carecircle.db.occurrences import OccurrenceRow
    from carecircle.db.session import Database
    from carecircle.usecases.access import Actor

LAPSED_AT_ONCE = 200
PUT_ASIDE = (OccurrenceState.ON_HOLD, OccurrenceState.CANCELLED)

log = structlog.stdlib.get_logger(__name__)


async def acknowledge(
    session: AsyncSession,
    actor: Actor,
    occurrence_id: UUID,
    wish: int | datetime | None,
    *,
    take_over: bool,
    now: datetime,
) -> OccurrenceView:
    """Handle a dose until then (minutes, an instant, or as usual); who handles it already gets a new end.

    Raises:
        AlreadyAcknowledged: somebody else handles it, and `take_over` was not said.
        AlreadyRecorded: it was answered; says by whom and when.
        NotAnswerable, WindowOver: nobody is asked for it any more.
        Invalid: the wish is no time inside its window.
    """
    occurrence = await locked_dose(session, actor, occurrence_id)
    await _check_open(session, occurrence, now)
    until = holds_until(wish, due_at=occurrence.due_at, missed_at=occurrence.missed_at, now=now)
    if not take_over:
        await _check_nobody_else(session, actor, occurrence, now)
    occurrence.acknowledged_by = actor.account_id
    occurrence.acknowledged_at = now
    occurrence.acknowledged_until = until
    occurrence.updated_at = now
    await cancel_open_deliveries(session, [occurrence.id], SkipReason.ACKNOWLEDGED, but_to=actor.account_id)
    note(
        session,
        actor,
        "occurrence.acknowledged",
        occurrence.id,
        occurrence,
        occurrence.state,
        until=until.isoformat(),
        took_over=take_over,
    )
    await session.flush()
    return await shown_dose(session, occurrence_id)


async def give_back(session: AsyncSession, actor: Actor, occurrence_id: UUID, now: datetime) -> OccurrenceView:
    """Handle a dose no longer: it is asked for again at once. Of one that nobody handles nothing changes.

    Raises:
        AlreadyAcknowledged: somebody else handles it.
    """
    occurrence = await locked_dose(session, actor, occurrence_id)
    if occurrence.state in OPEN and occurrence.acknowledged_until is not None:
        await _check_nobody_else(session, actor, occurrence, now)
        await _end(session, occurrence, now)
        note(session, actor, "occurrence.given_back", occurrence.id, occurrence, occurrence.state)
        await session.flush()
    return await shown_dose(session, occurrence_id)


async def lapse_acknowledgements(database: Database) -> int:
    """Have every dose asked for again whose acknowledgement is over without an answer; how many.

    Several may do this at once: each dose is found by one of them.
    """
    lapsed = 0
    while True:
        async with database.transaction() as session:
            now = await database_now(session)
            over = await lock_lapsed(session, now, limit=LAPSED_AT_ONCE)
            for occurrence in over:
                holder = occurrence.acknowledged_by
                await _end(session, occurrence, now)
                add_entry(
                    session,
                    "occurrence.acknowledgement_lapsed",
                    occurrence.id,
                    actor_id=None,
                    patient_id=occurrence.patient_id,
                    details={"by": None if holder is None else str(holder)},
                )
        lapsed += len(over)
        if len(over) < LAPSED_AT_ONCE:
            break
    if lapsed:
        log.info("acknowledgement.lapsed", count=lapsed)
    return lapsed


async def _end(session: AsyncSession, occurrence: OccurrenceRow, now: datetime) -> None:
    """Nobody handles it any more. If its reminder went out, there is another one, to everybody."""
    release(occurrence)
    before = occurrence.reminder_step
    ask_again(occurrence, max(now, occurrence.due_at))
    occurrence.updated_at = now
    if occurrence.reminder_step != before:
        await cancel_open_deliveries(session, [occurrence.id], SkipReason.SUPERSEDED)


async def _check_open(session: AsyncSession, occurrence: OccurrenceRow, now: datetime) -> None:
    if occurrence.state in ANSWERED:
        raise await already_recorded(session, occurrence.id)
    if occurrence.state in PUT_ASIDE:
        raise NotAnswerable
    if occurrence.state not in OPEN or now >= occurrence.missed_at:
        raise WindowOver("The window of this dose is over; it can still be answered.")


async def _check_nobody_else(session: AsyncSession, actor: Actor, occurrence: OccurrenceRow, now: datetime) -> None:
    holder, at, until = occurrence.acknowledged_by, occurrence.acknowledged_at, occurrence.acknowledged_until
    if holder in (None, actor.account_id) or at is None or until is None or until <= now:
        return
    names = await names_of(session, [holder])
    raise AlreadyAcknowledged(by=names[holder], at=at, until=until)
