"""The one place where an answer to a dose is stored and taken back: one stands, and a second is told of the first.

Whatever an answer changes beside its own row is done here too, so that single answers, many at once and those that
come late from a phone that was offline mean the same. Everything expects the caller to hold the locks: of the
schedule where `hold_series` says so, then of the occurrence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from carecircle.db.audit import add_entry
from carecircle.db.base import new_id
from carecircle.db.deliveries import cancel_open_deliveries
from carecircle.db.doses import NewAdministration, insert_administration, on_time_of, standing_administration
from carecircle.db.nearby import answers_with_ids
from carecircle.db.occurrences import last_taken_at
from carecircle.db.schedules import Circumstances, ScheduleRow, follows_answers, hold_circumstances, lock_schedules
from carecircle.domain.answer import IdTaken, timing
from carecircle.domain.dose import Dose
from carecircle.domain.occurrence import (
    ANSWERABLE,
    ANSWERED,
    AS_NEEDED,
    ENTERED_IN_ERROR,
    OPEN,
    SUPERSEDED,
    AdministrationStatus,
    AlreadyRecorded,
    NotAnswerable,
    OccurrenceState,
    SkipReason,
    reopened_state,
)
from carecircle.usecases.planning import HORIZON, count_from_answer
from carecircle.usecases.stock import put_back, take_out

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.occurrences import Administration, OccurrenceRow
    from carecircle.domain.answer import Answer, Timing
    from carecircle.usecases.access import Actor

ROW_REASON_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Series:
    """The schedule of a dose under its lock, taken before that of the occurrence, and what it depends on."""

    schedule: ScheduleRow
    around: Circumstances


async def hold_series(session: AsyncSession, occurrence: OccurrenceRow, *, always: bool = False) -> Series | None:
    """None: the schedule is gone, or it does not mind how its doses are answered and `always` is not asked for."""
    if not always and not await follows_answers(session, occurrence.schedule_id):
        return None
    around = await hold_circumstances(session, occurrence.medication_id)
    schedules = await lock_schedules(session, ScheduleRow.id == occurrence.schedule_id)
    return Series(schedules[0], around) if schedules and around is not None else None


async def give_answer(
    session: AsyncSession,
    actor: Actor,
    occurrence: OccurrenceRow,
    series: Series | None,
    answer: Answer,
    *,
    now: datetime,
    horizon: timedelta = HORIZON,
) -> Administration:
    """Answer a dose. Whatever was not sent of its reminders is cancelled, for everybody (R13).

    Nothing is written when it raises, nor when an answer with this id is there: that one comes back as it is.

    Raises:
        AlreadyRecorded: somebody else was first; says who and when.
        IdTaken: the id belongs to another answer.
        NotAnswerable: the dose is on hold or was cancelled.
        Invalid: the answer makes no sense for this dose.
    """
    planned = Dose(occurrence.dose_quantity, occurrence.dose_unit)
    answer = answer.checked(due_at=occurrence.due_at, planned=planned, now=now)
    if occurrence.state not in ANSWERABLE | ANSWERED:
        raise NotAnswerable
    known = await known_answer(session, actor, occurrence.patient_id, answer, occurrence_id=occurrence.id)
    if known is not None:
        return known
    administration = await store_answer(session, actor, occurrence, answer, now=now)
    before = occurrence.state
    occurrence.state = OccurrenceState(answer.status)
    occurrence.reason = _shown_reason(answer)
    release(occurrence)
    occurrence.updated_at = now
    await cancel_open_deliveries(session, [occurrence.id], SkipReason.ANSWERED)
    await _count_on(session, series, occurrence, administration, now, horizon)
    note(session, actor, "administration.recorded", administration.id, occurrence, before, at=answer.at.isoformat())
    return administration


async def store_answer(
    session: AsyncSession, actor: Actor, occurrence: OccurrenceRow, answer: Answer, *, now: datetime
) -> Administration:
    """Store a checked answer to an occurrence whose lock the caller holds.

    Raises:
        AlreadyRecorded: somebody else was first; says who and when.
        IdTaken: an answer of anybody has this id.
    """
    taken = answer.dose or Dose(occurrence.dose_quantity, occurrence.dose_unit)
    administration = await insert_administration(
        session,
        NewAdministration(
            id=answer.id or new_id(),
            occurrence_id=occurrence.id,
            patient_id=occurrence.patient_id,
            status=answer.status,
            at=answer.at,
            reason=answer.reason,
            reason_code=answer.reason_code,
            timing=await _timing(session, occurrence, answer),
            dose_quantity=taken.quantity,
            dose_unit=taken.unit,
            dose_changed=answer.dose is not None,
            recorded_by=actor.account_id,
            recorded_at=now,
        ),
    )
    if administration is None:
        raise await already_recorded(session, occurrence.id)
    if answer.status is AdministrationStatus.TAKEN:
        await take_out(session, occurrence.medication_id, administration, now)
    return administration


async def known_answer(
    session: AsyncSession, actor: Actor, patient_id: UUID, answer: Answer, *, occurrence_id: UUID | None = None
) -> Administration | None:
    """The answer that was given with this id before, undone or not.

    Raises:
        IdTaken: it was another person's, of another dose, or said something else.
    """
    if answer.id is None:
        return None
    known = (await answers_with_ids(session, patient_id, [answer.id])).get(answer.id)
    if known is None:
        return None
    own = known.recorded_by == actor.account_id and known.status == answer.status
    if not own or occurrence_id not in (None, known.occurrence_id):
        raise IdTaken(field="id")
    return known


async def take_back(
    session: AsyncSession,
    actor: Actor,
    occurrence: OccurrenceRow,
    series: Series | None,
    administration: Administration,
    *,
    now: datetime,
    horizon: timedelta = HORIZON,
) -> None:
    """Take an answer back. The row stays, marked as entered in error; undoing twice is undoing once.

    `series`: held with `always`. A dose whose window lasts is open again, and is asked for again, as the circle was
    told that it was answered.
    """
    if administration.entered_in_error_at is not None:
        return
    revision = series.schedule.revision if series is not None and series.around.active else None
    administration.entered_in_error_at = now
    administration.entered_in_error_by = actor.account_id
    await put_back(session, occurrence.medication_id, administration, actor.account_id, now)
    before = occurrence.state
    state, occurrence.reason = _reopened(occurrence, revision, now)
    occurrence.state = state
    if state in OPEN:
        ask_again(occurrence, max(now, occurrence.due_at))
    occurrence.updated_at = now
    await session.flush()
    await _count_on(session, series, occurrence, administration, now, horizon)
    note(session, actor, "administration.undone", administration.id, occurrence, before)


def ask_again(occurrence: OccurrenceRow, at: datetime) -> None:
    """A new step, if the last one went out: a step's deliveries are decided once."""
    if occurrence.reminded_step is not None and occurrence.reminded_step >= occurrence.reminder_step:
        occurrence.reminder_step += 1
        occurrence.remind_at = at
    occurrence.enqueued_at = None


def release(occurrence: OccurrenceRow) -> None:
    """Nobody handles it any more."""
    occurrence.acknowledged_by = occurrence.acknowledged_at = occurrence.acknowledged_until = None


def note(
    session: AsyncSession,
    actor: Actor,
    action: str,
    subject_id: UUID,
    occurrence: OccurrenceRow,
    before: str,
    **more: Any,
) -> None:
    """The audit entry of something that a person did to a dose."""
    details = {"occurrence": str(occurrence.id), "before": {"state": before}, "after": {"state": occurrence.state}}
    add_entry(
        session,
        action,
        subject_id,
        actor_id=actor.account_id,
        patient_id=occurrence.patient_id,
        details={**details, **more},
    )


def _reopened(occurrence: OccurrenceRow, revision: int | None, now: datetime) -> tuple[OccurrenceState, str | None]:
    """The state of a dose whose answer was undone, and why. One that was only logged never was."""
    if occurrence.note == AS_NEEDED:
        return OccurrenceState.CANCELLED, ENTERED_IN_ERROR
    state = reopened_state(occurrence.due_at, occurrence.missed_at, now, replaced=occurrence.revision != revision)
    return state, SUPERSEDED if state is OccurrenceState.CANCELLED else None


def _shown_reason(answer: Answer) -> str | None:
    """Why it was skipped, beside the dose: the person's words, else the code."""
    if answer.status is not AdministrationStatus.SKIPPED:
        return None
    return answer.reason[:ROW_REASON_LENGTH] if answer.reason else answer.reason_code


async def _timing(session: AsyncSession, occurrence: OccurrenceRow, answer: Answer) -> Timing | None:
    """None: it was skipped, or no time was planned for it."""
    if answer.status is not AdministrationStatus.TAKEN or occurrence.note == AS_NEEDED:
        return None
    on_time = await on_time_of(session, occurrence)
    if on_time is None:
        return None
    return timing(answer.at, due_at=occurrence.due_at, missed_at=occurrence.missed_at, on_time=on_time)


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


async def already_recorded(session: AsyncSession, occurrence_id: UUID) -> AlreadyRecorded:
    """Who was first, when and how, as the refusal of whoever comes second."""
    standing = await standing_administration(session, occurrence_id)
    if standing is None:  # whoever asks holds the dose's lock: it is the id that stood in the way
        raise IdTaken(field="id")
    administration, name = standing
    return AlreadyRecorded(by=name, at=administration.at, status=administration.status)
