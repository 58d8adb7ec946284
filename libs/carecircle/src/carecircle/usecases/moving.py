"""What people wish for the times of doses: have one dose at another time, this once, and take that back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from carecircle.db.audit import add_entry
from carecircle.db.deliveries import cancel_open_deliveries
from carecircle.db.moves import dose_after, dose_before, open_dose_before
from carecircle.db.occurrences import lock_occurrence
from carecircle.db.schedules import ScheduleRow, hold_circumstances, lock_schedules
from carecircle.domain.errors import Invalid, NotFound
from carecircle.domain.moving import MOVED, MovedMeanwhile, NotMovable, Room, check_move
from carecircle.domain.occurrence import OPEN, OccurrenceState
from carecircle.domain.people import Action
from carecircle.domain.schedule import occurrences
from carecircle.domain.windows import LOOK_AHEAD, missed_at
from carecircle.domain.zones import resolve, zone_named
from carecircle.usecases.answering import release
from carecircle.usecases.one_dose import seen_dose, shown_dose
from carecircle.usecases.series import background_of

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.doses import OccurrenceView
    from carecircle.db.occurrences import OccurrenceRow
    from carecircle.db.schedules import Circumstances
    from carecircle.usecases.access import Actor


@dataclass(frozen=True, slots=True)
class Movable:
    """An open dose under its lock, with the schedule it belongs to under its own."""

    dose: OccurrenceRow
    schedule: ScheduleRow
    around: Circumstances

    @property
    def origin(self) -> datetime:
        """Where the schedule puts it."""
        return self.dose.moved_from or self.dose.due_at

    @property
    def missed_after(self) -> timedelta | None:
        return self.schedule.plan().missed_after


async def reschedule(
    session: AsyncSession,
    actor: Actor,
    occurrence_id: UUID,
    to: datetime,
    now: datetime,
    *,
    seen_due_at: datetime | None = None,
) -> OccurrenceView:
    """Let one open dose be due at another time. It stays the dose that it was (R4): nothing plans it a second time.

    `to` is an instant, or a naive wall time where the dose is planned. Moving it to where it belongs ends the move.

    Raises:
        NotMovable: it is not open any more.
        MovedMeanwhile: it is not due at `seen_due_at`, where the caller saw it.
        TooClose: a neighbour is too near; says where there is room.
    """
    movable = await _movable(session, actor, occurrence_id, now)
    at = _instant(to, movable.dose.zone)
    if seen_due_at is not None and seen_due_at != movable.dose.due_at:
        raise MovedMeanwhile
    after = await _next_due(session, movable, at)
    before = await dose_before(session, movable.dose, movable.origin)
    gap = movable.schedule.plan().smallest_gap(movable.around.routine)
    check_move(at, origin=movable.origin, room=Room.between(before, after, gap), now=now)
    return await _put(session, actor, movable, at, after, now)


async def move_back(session: AsyncSession, actor: Actor, occurrence_id: UUID, now: datetime) -> OccurrenceView:
    """Let a dose be due where its schedule puts it, as long as its window there lasts; one that was not moved stays.

    Raises:
        NotMovable: it is not open any more, or would be missed there by now.
    """
    movable = await _movable(session, actor, occurrence_id, now)
    after = await _next_due(session, movable, movable.origin)
    if missed_at(movable.origin, after, movable.missed_after) <= now:
        raise NotMovable("The window of this dose would be over at the time it came from.")
    return await _put(session, actor, movable, movable.origin, after, now)


async def _movable(session: AsyncSession, actor: Actor, occurrence_id: UUID, now: datetime) -> Movable:
    """The locks in the order that everybody takes them: medication, patient, schedule, occurrence."""
    seen = await seen_dose(session, actor, occurrence_id, Action.EDIT)
    around = await hold_circumstances(session, seen.medication_id)
    schedules = await lock_schedules(session, ScheduleRow.id == seen.schedule_id)
    dose = await lock_occurrence(session, occurrence_id)
    if dose is None:
        raise NotFound
    is_open = dose.state in OPEN and now < dose.missed_at
    if around is None or not around.active or not schedules or not is_open:
        raise NotMovable
    return Movable(dose, schedules[0], around)


def _instant(to: datetime, zone: str) -> datetime:
    if to.tzinfo is not None:
        return to
    resolved = resolve(to, zone_named(zone))
    if resolved is None:
        raise Invalid(f"The calendar of {zone} skips that day; choose another one.", field="to")
    return resolved.due_at


async def _next_due(session: AsyncSession, movable: Movable, at: datetime) -> datetime | None:
    """When the next dose of the series is due: one that has its row, else the first that will get one."""
    planned = await dose_after(session, movable.dose, movable.origin)
    if planned is not None:
        return planned
    schedule, around = movable.schedule, movable.around
    plan = schedule.plan()
    background, valid_from = await background_of(session, schedule, plan, around)
    since = max(schedule.planned_until, movable.origin)
    doses = occurrences(
        plan,
        zone=around.zone,
        valid_from=max(valid_from, movable.origin),
        since=since,
        until=max(since, at) + plan.smallest_gap(around.routine) + LOOK_AHEAD,
        background=background,
    )
    return next((dose.due_at for dose in doses), None)


async def _put(
    session: AsyncSession, actor: Actor, movable: Movable, at: datetime, after: datetime | None, now: datetime
) -> OccurrenceView:
    """The dose at another instant: its window and reminder go along, and what was to leave at the old time does not."""
    dose, origin, before = movable.dose, movable.origin, movable.dose.due_at
    if at != before:
        await _shorten_window_before(session, movable, at, now)
        dose.due_at = dose.remind_at = at
        dose.missed_at = missed_at(at, after, movable.missed_after)
        dose.moved_from = None if at == origin else origin
        dose.moved_at = None if at == origin else now
        dose.state = OccurrenceState.PLANNED
        dose.enqueued_at = None
        release(dose)  # who handles it said so of the old time
        if dose.reminded_step is not None and dose.reminded_step >= dose.reminder_step:
            dose.reminder_step += 1  # a step's messages are decided once: the new time has messages of its own
        dose.updated_at = now
        await cancel_open_deliveries(session, [dose.id], MOVED)
        _note(session, actor, dose, before)
        await session.flush()
    return await shown_dose(session, dose.id)


async def _shorten_window_before(session: AsyncSession, movable: Movable, at: datetime, now: datetime) -> None:
    """The dose before counts as missed half way to this one (R10); what is open now does not end by that."""
    previous = await open_dose_before(session, movable.dose, movable.origin)
    if previous is None:
        return
    ends = missed_at(previous.due_at, at, movable.missed_after)
    previous.missed_at = ends if ends > now else min(previous.missed_at, at)
    previous.updated_at = now


def _note(session: AsyncSession, actor: Actor, dose: OccurrenceRow, before: datetime) -> None:
    add_entry(
        session,
        "occurrence.rescheduled",
        dose.id,
        actor_id=actor.account_id,
        patient_id=dose.patient_id,
        details={"before": {"due_at": before.isoformat()}, "after": {"due_at": dose.due_at.isoformat()}},
    )
