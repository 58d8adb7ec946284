"""What people wish for medicines taken as needed: log a dose, and know when the next one is allowed (R15)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from carecircle.db.as_needed import insert_taken, locked_occurrence_at
from carecircle.db.audit import add_entry
from carecircle.db.occurrences import taken_times
from carecircle.db.schedules import ScheduleRow, hold_circumstances, lock_schedules, schedule_by_id
from carecircle.domain.answer import Answer
from carecircle.domain.as_needed import Allowance, AsNeededRule, TooEarly, allowance
from carecircle.domain.errors import Conflict, Invalid, NotFound
from carecircle.domain.occurrence import (
    AdministrationStatus,
    NotAnswerable,
    OccurrenceState,
    check_administered_at,
)
from carecircle.domain.people import Action
from carecircle.usecases.access import Actor, require
from carecircle.usecases.answering import store_answer

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.occurrences import Administration, OccurrenceRow
    from carecircle.db.schedules import Circumstances
    from carecircle.domain.dose import Dose

LONGEST_AGO = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Given:
    """A dose that somebody says was taken, and what the rule says after it."""

    administration: Administration
    allowance: Allowance


class NotAsNeeded(Conflict):
    """The doses of this schedule are planned: answer the dose itself."""

    code = "not_as_needed"


async def record_as_needed(
    session: AsyncSession,
    actor: Actor,
    schedule_id: UUID,
    *,
    at: datetime,
    dose: Dose | None,
    reason: str | None,
    even_if_early: bool,
    now: datetime,
) -> Given:
    """Log a dose. Two people at once are one after the other: the second sees what the first one gave.

    Raises:
        TooEarly: the rule does not allow it at `at`, and `even_if_early` was not said.
        AlreadyRecorded: a dose at this very instant is there.
    """
    schedule, around, rule = await _for_answer(session, actor, schedule_id)
    at = check_administered_at(at, AdministrationStatus.TAKEN, due_at=at, now=now)
    if at < now - LONGEST_AGO:
        raise Invalid(f"This is more than {LONGEST_AGO.days} days ago.", field="at")
    before = await _allowance(session, schedule, rule, at)
    if not before.allows(at) and not even_if_early:
        raise TooEarly(before)
    occurrence = await _taken_at(session, schedule, around, dose or schedule.plan().dose, at)
    answer = Answer(AdministrationStatus.TAKEN, at, reason)
    administration = await store_answer(session, actor, occurrence, answer, now=now)
    add_entry(
        session,
        "administration.recorded",
        administration.id,
        actor_id=actor.account_id,
        patient_id=schedule.patient_id,
        details={"occurrence": str(occurrence.id), "at": at.isoformat(), "early": not before.allows(at)},
    )
    return Given(administration, await _allowance(session, schedule, rule, at))


async def next_allowed(session: AsyncSession, actor: Actor, schedule_id: UUID, now: datetime) -> Allowance:
    """Whether a dose may be taken now, and if not, from when."""
    schedule = await _seen(session, actor, schedule_id, Action.READ)
    return await _allowance(session, schedule, _rule(schedule), now)


async def _for_answer(
    session: AsyncSession, actor: Actor, schedule_id: UUID
) -> tuple[ScheduleRow, Circumstances, AsNeededRule]:
    """The schedule under its lock, taken after those of its medication and its patient."""
    seen = await _seen(session, actor, schedule_id, Action.ANSWER)
    around = await hold_circumstances(session, seen.medication_id)
    locked = await lock_schedules(session, ScheduleRow.id == schedule_id)
    if around is None or not locked:
        raise NotFound
    if not around.active:
        raise NotAnswerable
    return locked[0], around, _rule(locked[0])


def _rule(schedule: ScheduleRow) -> AsNeededRule:
    rule = schedule.plan().rule
    if not isinstance(rule, AsNeededRule):
        raise NotAsNeeded
    return rule


async def _seen(session: AsyncSession, actor: Actor, schedule_id: UUID, action: Action) -> ScheduleRow:
    schedule = await schedule_by_id(session, schedule_id)
    if schedule is None:
        raise NotFound
    await require(session, actor, schedule.patient_id, action)
    return schedule


async def _allowance(session: AsyncSession, schedule: ScheduleRow, rule: AsNeededRule, at: datetime) -> Allowance:
    return allowance(rule, await taken_times(session, schedule.id, at - rule.looks_back), at)


async def _taken_at(
    session: AsyncSession, schedule: ScheduleRow, around: Circumstances, dose: Dose, at: datetime
) -> OccurrenceRow:
    """The occurrence that holds the dose. One whose answer was undone is there already, cancelled."""
    await insert_taken(session, schedule, zone=schedule.zone or around.zone, dose=dose, at=at)
    occurrence = await locked_occurrence_at(session, schedule, at)
    if occurrence is None:  # pragma: no cover - the schedule's lock is held, and it is there or was just made
        raise NotFound
    if occurrence.state == OccurrenceState.CANCELLED:
        occurrence.state = OccurrenceState.TAKEN
        occurrence.reason = None
        occurrence.dose_quantity, occurrence.dose_unit = dose.quantity, dose.unit
        await session.flush()
    return occurrence
