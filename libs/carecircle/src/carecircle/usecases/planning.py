"""Turning schedules into planned doses: up to the horizon, and again when a medication or a patient's zone changes."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING

import structlog

from carecircle.db.audit import add_entry
from carecircle.db.deliveries import cancel_open_deliveries
from carecircle.db.occurrences import (
    OccurrenceRow,
    carry_open_over,
    close_open,
    insert_planned,
    last_dose_at,
    reopen_after_pause,
)
from carecircle.db.schedules import (
    ScheduleRow,
    circumstances,
    follows_routine,
    hold_circumstances,
    lock_lagging_schedules,
    lock_schedules,
)
from carecircle.domain.errors import Invalid
from carecircle.domain.medication import MedicationStatus
from carecircle.domain.occurrence import SUPERSEDED, OccurrenceState, SkipReason
from carecircle.domain.schedule import (
    PlannedDose,
    ZonePolicy,
    occurrences,
    raised_from,
    replanned_in_zone,
)
from carecircle.domain.zones import zone_named
from carecircle.usecases.kept_moves import keep_moves
from carecircle.usecases.series import background_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.medications import Medication
    from carecircle.db.patients import Patient
    from carecircle.db.schedules import Circumstances

log = structlog.stdlib.get_logger(__name__)

HORIZON = timedelta(hours=48)
CHUNK = 500
"""Rows an INSERT: a long absence of the planner is caught up in flat memory."""


async def plan_schedule(session: AsyncSession, schedule: ScheduleRow, until: datetime, now: datetime) -> int:
    """Store the doses due before `until` and move the watermark there; the number stored.

    The caller holds the schedule's row. Nothing is planned of a medication that is not being taken, nor at or before
    `valid_from`.
    """
    around = await hold_circumstances(session, schedule.medication_id)
    return 0 if around is None else await _plan(session, schedule, around, until, now)


async def plan_ahead(session: AsyncSession, horizon: timedelta, now: datetime, limit: int) -> int:
    """Plan the schedules that are furthest behind; the number of schedules moved on. Call again while it is not 0.

    A schedule waits until a quarter of the horizon is used up, so most ticks write nothing. Several planners at once
    are harmless: each takes what no other holds.
    """
    moved = 0
    for schedule in await lock_lagging_schedules(session, now + horizon * 3 / 4, limit):
        around = await hold_circumstances(session, schedule.medication_id, skip_locked=True)
        if around is not None and _readable(schedule, around):
            await _plan(session, schedule, around, now + horizon, now)
            moved += 1
    return moved


async def medication_status_changed(
    session: AsyncSession, medication: Medication, now: datetime, *, horizon: timedelta = HORIZON
) -> None:
    """Make the planned doses agree with a medication whose status changed, or which was deleted.

    The caller holds the medication's row, changed.
    """
    await session.flush()
    around = await hold_circumstances(session, medication.id)
    schedules = await lock_schedules(session, ScheduleRow.medication_id == medication.id)
    if around is None or not schedules:
        return
    if around.active:
        for schedule in schedules:
            if _readable(schedule, around):
                await _resume(session, schedule, around, now, horizon)
        return
    state, reason = _closed_as(medication)
    closed = await close_open(session, [schedule.id for schedule in schedules], state, reason=reason, now=now)
    await cancel_open_deliveries(session, closed, SkipReason.INACTIVE)


async def patient_zone_changed(
    session: AsyncSession, patient: Patient, now: datetime, *, horizon: timedelta = HORIZON
) -> None:
    """Move the schedules that follow the patient into the new zone (R8).

    The caller holds the patient's row, changed.
    """
    await session.flush()
    following = await lock_schedules(
        session,
        ScheduleRow.patient_id == patient.id,
        ScheduleRow.zone.is_(None),
        ScheduleRow.zone_policy == ZonePolicy.FOLLOW,
    )
    for schedule in following:
        around = await circumstances(session, schedule.medication_id)
        if around is not None and _readable(schedule, around) and not schedule.plan().keeps_its_instants:
            await _move(session, schedule, around, now, horizon)


async def patient_routine_changed(
    session: AsyncSession, patient: Patient, now: datetime, *, horizon: timedelta = HORIZON
) -> None:
    """Move the schedules that hang on the patient's routine to its new times, as a change of zone would.

    The caller holds the patient's row, changed.
    """
    await session.flush()
    for schedule in await lock_schedules(session, ScheduleRow.patient_id == patient.id, follows_routine()):
        around = await circumstances(session, schedule.medication_id)
        if around is not None and _readable(schedule, around):
            await _move(session, schedule, around, now, horizon)


async def count_from_answer(
    session: AsyncSession,
    schedule: ScheduleRow,
    around: Circumstances,
    answered: OccurrenceRow,
    now: datetime,
    horizon: timedelta = HORIZON,
) -> None:
    """Plan a series that follows its answers anew, after `answered` was taken or its answer was undone.

    The caller holds the schedule's row. What comes after that dose is replaced; what was open before it stays open.
    """
    plan = schedule.plan()
    schedule.revision += 1
    if answered.revision == schedule.revision - 1:
        answered.revision = schedule.revision
    await session.flush()
    kept = await keep_moves(session, schedule, around, now)
    replaced = await close_open(
        session,
        [schedule.id],
        OccurrenceState.CANCELLED,
        reason=SUPERSEDED,
        due_after=answered.due_at,
        now=now,
        kept=kept,
    )
    await cancel_open_deliveries(session, replaced, SkipReason.SUPERSEDED)
    await carry_open_over(session, schedule, now, due_until=answered.due_at)
    background, valid_from = await background_of(session, schedule, plan, around)
    if answered.state != OccurrenceState.TAKEN:
        valid_from = max(valid_from, answered.due_at)
    until = now + horizon
    doses = raised_from(
        plan, zone=around.zone, valid_from=valid_from, changed_at=now, until=until, background=background
    )
    await _insert(session, schedule, doses, now)
    schedule.planned_until = until
    await session.flush()


def _readable(schedule: ScheduleRow, around: Circumstances) -> bool:
    """A schedule that cannot be read must not stop those behind it: what is wrong with it is said in the log."""
    try:
        zone_named(schedule.plan().zone or around.zone)
    except Invalid as refused:  # a zone that the database of zones no longer has, or a rule of a later version
        log.error("planner.schedule_unreadable", schedule_id=str(schedule.id), field=refused.field)  # noqa: TRY400
        return False
    return True


async def _plan(
    session: AsyncSession, schedule: ScheduleRow, around: Circumstances, until: datetime, now: datetime
) -> int:
    if not around.active or schedule.deleted_at is not None or until <= schedule.planned_until:
        return 0
    plan = schedule.plan()
    background, valid_from = await background_of(session, schedule, plan, around)
    doses = occurrences(
        plan,
        zone=around.zone,
        valid_from=valid_from,
        since=schedule.planned_until,
        until=until,
        background=background,
    )
    stored = await _insert(session, schedule, doses, now)
    schedule.planned_until = until
    await session.flush()
    return stored


async def _insert(session: AsyncSession, schedule: ScheduleRow, doses: Iterable[PlannedDose], now: datetime) -> int:
    return sum([await insert_planned(session, schedule, chunk, now) for chunk in _chunks(iter(doses))])


def _chunks(doses: Iterator[PlannedDose]) -> Iterator[list[PlannedDose]]:
    while chunk := list(islice(doses, CHUNK)):
        yield chunk


async def _resume(
    session: AsyncSession, schedule: ScheduleRow, around: Circumstances, now: datetime, horizon: timedelta
) -> None:
    """First slot strictly after `now` (R16); what the pause itself would have asked for stays on hold."""
    await reopen_after_pause(session, schedule, now)
    schedule.valid_from = schedule.planned_until = now
    await _plan(session, schedule, around, now + horizon, now)


async def _move(
    session: AsyncSession, schedule: ScheduleRow, around: Circumstances, now: datetime, horizon: timedelta
) -> None:
    """Replace what is due after `now` by what the patient's present zone and routine make of it."""
    last = await last_dose_at(session, schedule.id, now)
    schedule.revision += 1
    kept = await keep_moves(session, schedule, around, now)
    replaced = await close_open(
        session, [schedule.id], OccurrenceState.CANCELLED, reason=SUPERSEDED, due_after=now, now=now, kept=kept
    )
    await cancel_open_deliveries(session, replaced, SkipReason.SUPERSEDED)
    await session.flush()
    await carry_open_over(session, schedule, now)
    add_entry(
        session,
        "schedule.replanned",
        schedule.id,
        actor_id=None,
        patient_id=schedule.patient_id,
        details={"zone": around.zone, "revision": schedule.revision},
    )
    if not around.active:
        return
    plan = schedule.plan()
    background, valid_from = await background_of(session, schedule, plan, around)
    doses = replanned_in_zone(
        plan,
        zone=around.zone,
        valid_from=valid_from,
        changed_at=now,
        last_dose_at=last,
        until=now + horizon,
        background=background,
    )
    await _insert(session, schedule, doses, now)
    schedule.planned_until = now + horizon
    await session.flush()


def _closed_as(medication: Medication) -> tuple[OccurrenceState, str | None]:
    """What becomes of open doses, and why."""
    if medication.deleted_at is not None:
        return OccurrenceState.CANCELLED, "deleted"
    if medication.status == MedicationStatus.ON_HOLD:
        return OccurrenceState.ON_HOLD, None
    return OccurrenceState.CANCELLED, medication.status
