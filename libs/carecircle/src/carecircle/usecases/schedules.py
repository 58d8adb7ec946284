"""What people wish for schedules: make one, change it, end it, look at it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from carecircle.db.audit import add_entry, difference
from carecircle.db.base import new_id
from carecircle.db.deliveries import cancel_open_deliveries
from carecircle.db.medications import medication_seen_by
from carecircle.db.occurrences import change_dose_text, close_open, handled_wall_times
from carecircle.db.schedules import (
    ScheduleRow,
    hold_circumstances,
    lock_schedules,
    schedule_by_id,
    schedules_of,
)
from carecircle.domain.errors import LimitReached, NotFound, RevisionMismatch
from carecircle.domain.interval_rule import IntervalRule
from carecircle.domain.occurrence import SUPERSEDED, OccurrenceState, SkipReason
from carecircle.domain.people import Action
from carecircle.domain.schedule import Background, SchedulePlan, ZonePolicy, past_slots_of_today, rule_to_json
from carecircle.domain.times import duration_text
from carecircle.usecases.access import Actor, require
from carecircle.usecases.kept_moves import keep_moves
from carecircle.usecases.planning import HORIZON, plan_schedule

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.medications import Medication
    from carecircle.db.schedules import Circumstances

MAX_SCHEDULES = 20
"""Of one medication."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A schedule after an edit."""

    schedule: ScheduleRow
    past_slots_today: list[datetime]
    """Wall times of today that the edit came too late for: somebody has to say whether those doses were taken (R9)."""


async def create_schedule(
    session: AsyncSession,
    actor: Actor,
    medication_id: UUID,
    plan: SchedulePlan,
    now: datetime,
    *,
    horizon: timedelta = HORIZON,
) -> ScheduleRow:
    """A new schedule with its first doses planned, none of them at or before `now`."""
    medication = await _medication(session, actor, medication_id)
    await require(session, actor, medication.patient_id, Action.EDIT)
    around = await _circumstances(session, medication_id)
    if len(await schedules_of(session, medication_id)) >= MAX_SCHEDULES:
        raise LimitReached
    schedule = ScheduleRow(
        id=new_id(),
        medication_id=medication_id,
        patient_id=medication.patient_id,
        created_at=now,
        valid_from=now,
        planned_until=now,
    )
    schedule.adopt(_pinned(plan, around))
    session.add(schedule)
    await session.flush()
    await plan_schedule(session, schedule, now + horizon, now)
    _note(session, actor, "schedule.created", schedule, {"after": plan_to_json(schedule.plan())})
    return schedule


async def revise_schedule(
    session: AsyncSession,
    actor: Actor,
    schedule_id: UUID,
    plan: SchedulePlan,
    now: datetime,
    *,
    expected_revision: int | None = None,
    horizon: timedelta = HORIZON,
) -> Revision:
    """The schedule with another plan. New times make a new revision, a new dose text does not (R9).

    Raises:
        RevisionMismatch: `expected_revision` is given, and somebody else made another one since.
    """
    schedule, around = await _for_change(session, actor, schedule_id)
    if expected_revision not in {None, schedule.revision}:
        raise RevisionMismatch
    before = schedule.plan()
    after = _as_before(_pinned(plan, around), before)
    if after == before:
        return Revision(schedule, [])
    schedule.adopt(after)
    past: list[datetime] = []
    if after.same_slots_as(before):
        await session.flush()
        if after.dose != before.dose:  # never for steps, whose doses are part of the rule
            await change_dose_text(session, schedule, now)
    else:
        past = await _replace_slots(session, schedule, after, around, now, horizon)
    _note(session, actor, "schedule.revised", schedule, difference(plan_to_json(before), plan_to_json(after)))
    return Revision(schedule, past)


async def delete_schedule(session: AsyncSession, actor: Actor, schedule_id: UUID, now: datetime) -> None:
    """End the schedule and everything that was still open of it."""
    schedule, _ = await _for_change(session, actor, schedule_id)
    schedule.deleted_at = now
    closed = await close_open(session, [schedule.id], OccurrenceState.CANCELLED, reason="deleted", now=now)
    await cancel_open_deliveries(session, closed, SkipReason.INACTIVE)
    _note(session, actor, "schedule.deleted", schedule, {"before": plan_to_json(schedule.plan())})


async def list_schedules(session: AsyncSession, actor: Actor, medication_id: UUID) -> list[ScheduleRow]:
    medication = await _medication(session, actor, medication_id)
    await require(session, actor, medication.patient_id, Action.READ)
    return await schedules_of(session, medication_id)


async def get_schedule(session: AsyncSession, actor: Actor, schedule_id: UUID) -> ScheduleRow:
    return await _schedule(session, actor, schedule_id, Action.READ)


def plan_to_json(plan: SchedulePlan) -> dict[str, Any]:
    """The plan as the audit trail keeps it."""
    return {
        "kind": plan.rule.kind,
        "rule": rule_to_json(plan.rule),
        "start_date": plan.start_date.isoformat(),
        "end_date": None if plan.end_date is None else plan.end_date.isoformat(),
        "zone": plan.zone,
        "zone_policy": plan.zone_policy,
        "dose": plan.dose.to_json(),
        **_wishes(plan),
    }


def _wishes(plan: SchedulePlan) -> dict[str, Any]:
    """What is not as usual."""
    wishes: dict[str, Any] = {"count": plan.count, "severity": plan.severity}
    for name in ("min_gap", "on_time", "missed_after"):
        length: timedelta | None = getattr(plan, name)
        wishes[name] = None if length is None else duration_text(length)
    return {name: value for name, value in wishes.items() if value is not None}


async def _replace_slots(
    session: AsyncSession,
    schedule: ScheduleRow,
    plan: SchedulePlan,
    around: Circumstances,
    now: datetime,
    horizon: timedelta,
) -> list[datetime]:
    schedule.revision += 1
    schedule.valid_from = schedule.planned_until = now
    await session.flush()
    kept = await keep_moves(session, schedule, around, now)
    replaced = await close_open(
        session, [schedule.id], OccurrenceState.CANCELLED, reason=SUPERSEDED, now=now, kept=kept
    )
    await cancel_open_deliveries(session, replaced, SkipReason.SUPERSEDED)
    await plan_schedule(session, schedule, now + horizon, now)
    background = Background(around.routine, counted_from=schedule.created_at)
    past = past_slots_of_today(plan, zone=around.zone, now=now, background=background)
    handled = await handled_wall_times(session, schedule.id, past)
    return [wall_time for wall_time in past if wall_time not in handled]


def _pinned(plan: SchedulePlan, around: Circumstances) -> SchedulePlan:
    """What must not move with the patient keeps the zone that is home now: the plan, or the start of an interval."""
    if plan.zone is None and plan.zone_policy is ZonePolicy.HOME:
        return replace(plan, zone=around.zone)
    if plan.zone is None and isinstance(plan.rule, IntervalRule) and plan.rule.keeps_its_instants:
        return replace(plan, rule=replace(plan.rule, start_zone=around.zone))
    return plan


def _as_before(plan: SchedulePlan, before: SchedulePlan) -> SchedulePlan:
    """An interval that is sent back as it was still starts where it was: at that time in that zone."""
    if not isinstance(plan.rule, IntervalRule) or not isinstance(before.rule, IntervalRule):
        return plan
    same = replace(plan.rule, start_zone=before.rule.start_zone)
    return replace(plan, rule=same) if same == before.rule and plan.zone == before.zone else plan


async def _for_change(session: AsyncSession, actor: Actor, schedule_id: UUID) -> tuple[ScheduleRow, Circumstances]:
    """The schedule under its lock, taken after those of its medication and its patient."""
    seen = await _schedule(session, actor, schedule_id, Action.EDIT)
    around = await _circumstances(session, seen.medication_id)
    locked = await lock_schedules(session, ScheduleRow.id == schedule_id)
    if not locked:
        raise NotFound
    return locked[0], around


async def _schedule(session: AsyncSession, actor: Actor, schedule_id: UUID, action: Action) -> ScheduleRow:
    schedule = await schedule_by_id(session, schedule_id)
    if schedule is None:
        raise NotFound
    await require(session, actor, schedule.patient_id, action)
    return schedule


async def _medication(session: AsyncSession, actor: Actor, medication_id: UUID) -> Medication:
    medication = await medication_seen_by(session, actor.account_id, medication_id)
    if medication is None:
        raise NotFound
    return medication


async def _circumstances(session: AsyncSession, medication_id: UUID) -> Circumstances:
    around = await hold_circumstances(session, medication_id)
    if around is None:
        raise NotFound
    return around


def _note(session: AsyncSession, actor: Actor, action: str, schedule: ScheduleRow, details: dict[str, Any]) -> None:
    details["revision"] = schedule.revision
    add_entry(session, action, schedule.id, actor_id=actor.account_id, patient_id=schedule.patient_id, details=details)
