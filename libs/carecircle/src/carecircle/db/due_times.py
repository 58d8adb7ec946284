"""The instants of doses that are still ahead, by their wall time: a handful of rows however many doses there are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from carecircle.db.occurrences import OccurrenceRow
from carecircle.db.schedules import ScheduleRow
from carecircle.domain.interval_rule import IntervalMode
from carecircle.domain.occurrence import OccurrenceState
from carecircle.domain.zones import Resolved


@dataclass(frozen=True, slots=True)
class PlannedWallTime:
    """A wall time that some doses ahead have, and the instant they were given (before somebody moved them)."""

    zone: str
    nominal_local: datetime
    due_at: datetime


async def planned_wall_times(session: AsyncSession, now: datetime) -> list[PlannedWallTime]:
    columns = (OccurrenceRow.zone, OccurrenceRow.nominal_local, _planned_at())
    found = await session.execute(select(*columns).where(*_ahead(now)).distinct())
    return [PlannedWallTime(*row) for row in found]


async def move_due_time(session: AsyncSession, planned: PlannedWallTime, resolved: Resolved, now: datetime) -> int:
    """Move window and reminder with the dose, and let it be enqueued anew; the number of doses.

    A dose that a person moved stays where it is: only the place it came from changes.
    """
    shift = resolved.due_at - planned.due_at
    conditions = (
        *_ahead(now),
        OccurrenceRow.zone == planned.zone,
        OccurrenceRow.nominal_local == planned.nominal_local,
        _planned_at() == planned.due_at,
    )
    origins = (
        update(OccurrenceRow)
        .where(*conditions, OccurrenceRow.moved_from.is_not(None))
        .values(moved_from=resolved.due_at, note=resolved.note, updated_at=now)
        .execution_options(synchronize_session=False)
    )
    await session.execute(origins)
    moved = await session.scalars(
        update(OccurrenceRow)
        .where(*conditions, OccurrenceRow.moved_from.is_(None))
        .values(
            due_at=resolved.due_at,
            missed_at=OccurrenceRow.missed_at + shift,
            remind_at=OccurrenceRow.remind_at + shift,
            note=resolved.note,
            enqueued_at=None,
            updated_at=now,
        )
        .returning(OccurrenceRow.id)
        .execution_options(synchronize_session=False)
    )
    return len(moved.all())


def _planned_at() -> ColumnElement[datetime]:
    return func.coalesce(OccurrenceRow.moved_from, OccurrenceRow.due_at)


def _ahead(now: datetime) -> tuple[ColumnElement[bool], ...]:
    elapsed = select(ScheduleRow.id).where(
        ScheduleRow.id == OccurrenceRow.schedule_id,
        func.coalesce(ScheduleRow.rule["mode"].astext, "") != "",
        ScheduleRow.rule["mode"].astext != IntervalMode.CALENDAR,
    )
    return (
        OccurrenceRow.state == OccurrenceState.PLANNED,
        OccurrenceRow.reminded_step.is_(None),
        OccurrenceRow.due_at > now,
        ~elapsed.exists(),
    )
