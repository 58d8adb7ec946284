"""What people wish for single doses: see them, answer them, take an answer back, be asked again later."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from carecircle.db.deliveries import cancel_open_deliveries
from carecircle.db.doses import OccurrenceView, administration_of, views_between
from carecircle.domain.answer import Answer
from carecircle.domain.errors import Invalid, NotFound
from carecircle.domain.occurrence import OPEN, WindowOver, snoozed_until
from carecircle.domain.people import Action
from carecircle.usecases.access import Actor, require
from carecircle.usecases.answering import give_answer, hold_series, note, take_back
from carecircle.usecases.one_dose import locked_dose, seen_dose, shown_dose
from carecircle.usecases.planning import HORIZON

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.occurrences import Administration
    from carecircle.domain.occurrence import AdministrationStatus

LONGEST_LIST = timedelta(days=93)


async def list_occurrences(
    session: AsyncSession, actor: Actor, patient_id: UUID, since: datetime, until: datetime
) -> list[OccurrenceView]:
    """The patient's doses due in [since, until), without those that an edit or the end of a schedule cancelled."""
    await require(session, actor, patient_id, Action.READ)
    if not since < until:
        raise Invalid("The end of the period is not after its start.", field="until")
    if until - since > LONGEST_LIST:
        raise Invalid(f"Ask for at most {LONGEST_LIST.days} days at once.", field="until")
    return await views_between(session, patient_id, since, until)


async def get_occurrence(session: AsyncSession, actor: Actor, occurrence_id: UUID) -> OccurrenceView:
    occurrence = await seen_dose(session, actor, occurrence_id, Action.READ)
    return await shown_dose(session, occurrence.id)


async def record_administration(
    session: AsyncSession,
    actor: Actor,
    occurrence_id: UUID,
    *,
    status: AdministrationStatus,
    at: datetime,
    reason: str | None,
    now: datetime,
    horizon: timedelta = HORIZON,
) -> Administration:
    """`answer_dose` with what every answer has."""
    return await answer_dose(session, actor, occurrence_id, Answer(status, at, reason), now, horizon=horizon)


async def answer_dose(
    session: AsyncSession,
    actor: Actor,
    occurrence_id: UUID,
    answer: Answer,
    now: datetime,
    *,
    horizon: timedelta = HORIZON,
) -> Administration:
    """Answer a dose; what that does and raises says `give_answer`."""
    series = await hold_series(session, await seen_dose(session, actor, occurrence_id, Action.ANSWER))
    occurrence = await locked_dose(session, actor, occurrence_id)
    return await give_answer(session, actor, occurrence, series, answer, now=now, horizon=horizon)


async def undo_administration(
    session: AsyncSession,
    actor: Actor,
    occurrence_id: UUID,
    administration_id: UUID,
    now: datetime,
    *,
    horizon: timedelta = HORIZON,
) -> OccurrenceView:
    """Take an answer back; what that does says `take_back`."""
    series = await hold_series(session, await seen_dose(session, actor, occurrence_id, Action.ANSWER), always=True)
    occurrence = await locked_dose(session, actor, occurrence_id)
    administration = await administration_of(session, occurrence_id, administration_id)
    if administration is None:
        raise NotFound
    await take_back(session, actor, occurrence, series, administration, now=now, horizon=horizon)
    return await shown_dose(session, occurrence_id)


async def snooze(
    session: AsyncSession, actor: Actor, occurrence_id: UUID, later: int | datetime, now: datetime
) -> OccurrenceView:
    """Ask again later, that many minutes from now or at an instant; the dose stays open.

    Raises:
        WindowOver: it is open no more.
        Invalid: its window is over by then.
    """
    occurrence = await locked_dose(session, actor, occurrence_id)
    if occurrence.state not in OPEN or now >= occurrence.missed_at:
        raise WindowOver
    until = snoozed_until(later, due_at=occurrence.due_at, missed_at=occurrence.missed_at, now=now)
    before = occurrence.state
    occurrence.reminder_step += 1
    occurrence.remind_at = until
    occurrence.enqueued_at = None
    occurrence.updated_at = now
    await cancel_open_deliveries(session, [occurrence.id], "snoozed")
    note(session, actor, "occurrence.snoozed", occurrence.id, occurrence, before, remind_at=until.isoformat())
    await session.flush()
    return await shown_dose(session, occurrence_id)
