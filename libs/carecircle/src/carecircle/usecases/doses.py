"""What people wish for single doses: see them, answer them, take an answer back, be asked again later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from carecircle.db.audit import add_entry
from carecircle.db.deliveries import cancel_open_deliveries
from carecircle.db.doses import (
    OccurrenceView,
    administration_of,
    view_of,
    views_between,
)
from carecircle.db.occurrences import last_taken_at, lock_occurrence, occurrence_by_id
from carecircle.db.schedules import Circumstances, ScheduleRow, follows_answers, hold_circumstances, lock_schedules
from carecircle.domain.errors import Invalid, NotFound
from carecircle.domain.occurrence import (
    ANSWERABLE,
    ANSWERED,
    AS_NEEDED,
    ENTERED_IN_ERROR,
    OPEN,
    SUPERSEDED,
    AdministrationStatus,
    NotAnswerable,
    OccurrenceState,
    SkipReason,
    WindowOver,
    check_administered_at,
    reopened_state,
    snoozed_until,
)
from carecircle.domain.people import Action
from carecircle.domain.text import check_text
from carecircle.usecases.access import Actor, require
from carecircle.usecases.answering import store_answer
from carecircle.usecases.planning import HORIZON, count_from_answer
from carecircle.usecases.stock import put_back

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.occurrences import Administration, OccurrenceRow

LONGEST_LIST = timedelta(days=93)
MAX_REASON_LENGTH = 500
ROW_REASON_LENGTH = 200


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
    occurrence = await _seen(session, actor, occurrence_id, Action.READ)
    return await _view(session, occurrence.id)


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
    """Answer a dose. Whatever was not sent of its reminders is cancelled, for everybody (R13).

    Raises:
        AlreadyRecorded: somebody else was first; says who and when.
        NotAnswerable: the dose is on hold or was cancelled.
    """
    series = await _series(session, await _seen(session, actor, occurrence_id, Action.ANSWER))
    occurrence = await _locked(session, actor, occurrence_id)
    at = check_administered_at(at, status, due_at=occurrence.due_at, now=now)
    if reason is not None:
        check_text(reason, field="reason", max_length=MAX_REASON_LENGTH)
    if occurrence.state not in ANSWERABLE | ANSWERED:
        raise NotAnswerable
    administration = await store_answer(session, actor, occurrence, status, at=at, reason=reason, now=now)
    before = occurrence.state
    occurrence.state = OccurrenceState(status)
    occurrence.reason = reason[:ROW_REASON_LENGTH] if reason and status is AdministrationStatus.SKIPPED else None
    occurrence.updated_at = now
    await cancel_open_deliveries(session, [occurrence.id], SkipReason.ANSWERED)
    await _count_on(session, series, occurrence, administration, now, horizon)
    _note(session, actor, "administration.recorded", administration.id, occurrence, before, at=at.isoformat())
    return administration


async def undo_administration(
    session: AsyncSession,
    actor: Actor,
    occurrence_id: UUID,
    administration_id: UUID,
    now: datetime,
    *,
    horizon: timedelta = HORIZON,
) -> OccurrenceView:
    """Take an answer back. The row stays, marked as entered in error; undoing twice is undoing once.

    A dose whose window lasts is open again, and is asked for again, as the circle was told that it was answered.
    """
    series = await _series(session, await _seen(session, actor, occurrence_id, Action.ANSWER), always=True)
    revision = series.schedule.revision if series is not None and series.around.active else None
    occurrence = await _locked(session, actor, occurrence_id)
    administration = await administration_of(session, occurrence_id, administration_id)
    if administration is None:
        raise NotFound
    if administration.entered_in_error_at is not None:
        return await _view(session, occurrence_id)
    administration.entered_in_error_at = now
    administration.entered_in_error_by = actor.account_id
    await put_back(session, occurrence.medication_id, administration, actor.account_id, now)
    before = occurrence.state
    state, occurrence.reason = _reopened(occurrence, revision, now)
    occurrence.state = state
    if state in OPEN:
        _ask_again(occurrence, max(now, occurrence.due_at))
    occurrence.updated_at = now
    await session.flush()
    await _count_on(session, series, occurrence, administration, now, horizon)
    _note(session, actor, "administration.undone", administration.id, occurrence, before)
    return await _view(session, occurrence_id)


async def snooze(
    session: AsyncSession, actor: Actor, occurrence_id: UUID, minutes: int, now: datetime
) -> OccurrenceView:
    """Ask again later; the dose stays open.

    Raises:
        WindowOver: it is open no more.
    """
    occurrence = await _locked(session, actor, occurrence_id)
    if occurrence.state not in OPEN or now >= occurrence.missed_at:
        raise WindowOver
    until = snoozed_until(minutes, due_at=occurrence.due_at, missed_at=occurrence.missed_at, now=now)
    before = occurrence.state
    occurrence.reminder_step += 1
    occurrence.remind_at = until
    occurrence.enqueued_at = None
    occurrence.updated_at = now
    await cancel_open_deliveries(session, [occurrence.id], "snoozed")
    _note(session, actor, "occurrence.snoozed", occurrence.id, occurrence, before, remind_at=until.isoformat())
    await session.flush()
    return await _view(session, occurrence_id)


def _reopened(occurrence: OccurrenceRow, revision: int | None, now: datetime) -> tuple[OccurrenceState, str | None]:
    """The state of a dose whose answer was undone, and why. One that was only logged never was."""
    if occurrence.note == AS_NEEDED:
        return OccurrenceState.CANCELLED, ENTERED_IN_ERROR
    state = reopened_state(occurrence.due_at, occurrence.missed_at, now, replaced=occurrence.revision != revision)
    return state, SUPERSEDED if state is OccurrenceState.CANCELLED else None


def _ask_again(occurrence: OccurrenceRow, at: datetime) -> None:
    """A new step, if the last one went out: a step's deliveries are decided once."""
    if occurrence.reminded_step is not None and occurrence.reminded_step >= occurrence.reminder_step:
        occurrence.reminder_step += 1
        occurrence.remind_at = at
    occurrence.enqueued_at = None


@dataclass(frozen=True, slots=True)
class Series:
    """The schedule of a dose under its lock, taken before that of the occurrence, and what it depends on."""

    schedule: ScheduleRow
    around: Circumstances


async def _series(session: AsyncSession, occurrence: OccurrenceRow, *, always: bool = False) -> Series | None:
    """None: the schedule is gone, or it does not mind how its doses are answered and `always` is not asked for."""
    if not always and not await follows_answers(session, occurrence.schedule_id):
        return None
    around = await hold_circumstances(session, occurrence.medication_id)
    schedules = await lock_schedules(session, ScheduleRow.id == occurrence.schedule_id)
    return Series(schedules[0], around) if schedules and around is not None else None


async def _count_on(
    session: AsyncSession,
    series: Series | None,
    occurrence: OccurrenceRow,
    administration: Administration,
    now: datetime,
    horizon: timedelta,
) -> None:
    """What a series makes of a dose that was taken last, or is no longer."""
    if series is None or not series.around.active or administration.status != AdministrationStatus.TAKEN:
        return
    last = await last_taken_at(session, series.schedule.id)
    if await follows_answers(session, series.schedule.id) and (last is None or last <= administration.at):
        await count_from_answer(session, series.schedule, series.around, occurrence, now, horizon)


async def _seen(session: AsyncSession, actor: Actor, occurrence_id: UUID, action: Action) -> OccurrenceRow:
    occurrence = await occurrence_by_id(session, occurrence_id)
    if occurrence is None:
        raise NotFound
    await require(session, actor, occurrence.patient_id, action)
    return occurrence


async def _locked(session: AsyncSession, actor: Actor, occurrence_id: UUID) -> OccurrenceRow:
    """The occurrence under its lock: a sender and a second caller wait here, and see what the first decided."""
    await _seen(session, actor, occurrence_id, Action.ANSWER)
    occurrence = await lock_occurrence(session, occurrence_id)
    if occurrence is None:
        raise NotFound
    return occurrence


async def _view(session: AsyncSession, occurrence_id: UUID) -> OccurrenceView:
    view = await view_of(session, occurrence_id)
    if view is None:
        raise NotFound
    return view


def _note(
    session: AsyncSession,
    actor: Actor,
    action: str,
    subject_id: UUID,
    occurrence: OccurrenceRow,
    before: str,
    **more: Any,
) -> None:
    details = {"occurrence": str(occurrence.id), "before": {"state": before}, "after": {"state": occurrence.state}}
    add_entry(
        session,
        action,
        subject_id,
        actor_id=actor.account_id,
        patient_id=occurrence.patient_id,
        details={**details, **more},
    )
