"""What becomes of doses that a person moved when their schedule is planned anew: a move stands as long as it can."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from carecircle.db.moves import open_moves
from carecircle.db.occurrences import stored_wall_time
from carecircle.domain.moving import LONGEST_MOVE, Room
from carecircle.domain.schedule import occurrences
from carecircle.domain.windows import LOOK_AHEAD, missed_at
from carecircle.usecases.series import background_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.occurrences import OccurrenceRow
    from carecircle.db.schedules import Circumstances, ScheduleRow
    from carecircle.domain.schedule import PlannedDose, SchedulePlan

ROUND_THE_WORLD = timedelta(hours=26)
"""The furthest that two zones are apart."""


async def keep_moves(session: AsyncSession, schedule: ScheduleRow, around: Circumstances, now: datetime) -> list[UUID]:
    """Take the moved doses that the plan still has into the present revision; their ids.

    A move stands when the plan has a dose at the same wall time, and the new time keeps its distance from the
    neighbours it has now. The others are replaced as every open dose of an older revision is (R9).
    """
    moved = await open_moves(session, schedule.id, now)
    if not moved:
        return []
    plan = schedule.plan()
    gap = plan.smallest_gap(around.routine)
    doses = await _doses_around(session, schedule, plan, around, moved, gap)
    places = {stored_wall_time(dose.nominal_local): place for place, dose in enumerate(doses)}
    at = {places[row.nominal_local]: row.due_at for row in moved if row.nominal_local in places}
    kept: list[UUID] = []
    for row in moved:
        place = places.get(row.nominal_local)
        if place is None:
            continue
        before, after = _last_at(doses, place - 1, at), _first_at(doses, place + 1, at)
        if Room.between(before, after, gap).holds(row.due_at):
            _carry_over(row, schedule, doses[place], missed_at(row.due_at, after, plan.missed_after), now)
            kept.append(row.id)
    await session.flush()
    return kept


async def _doses_around(
    session: AsyncSession,
    schedule: ScheduleRow,
    plan: SchedulePlan,
    around: Circumstances,
    moved: Sequence[OccurrenceRow],
    gap: timedelta,
) -> Sequence[PlannedDose]:
    """What the plan has from the dose before the first moved one until the one after the last."""
    background, _ = await background_of(session, schedule, plan, around)
    reach = gap + LOOK_AHEAD + ROUND_THE_WORLD
    instants = [at for row in moved for at in (row.due_at, row.moved_from) if at is not None]
    since = max(min(instants) - reach, max(instants) - 2 * LONGEST_MOVE)
    until = max(instants) + reach
    return list(occurrences(plan, zone=around.zone, valid_from=since, since=since, until=until, background=background))


def _last_at(doses: Sequence[PlannedDose], place: int, moved: Mapping[int, datetime]) -> datetime | None:
    """When the dose at a place is due at the latest: as planned, or where it was moved."""
    return max(doses[place].due_at, moved.get(place, doses[place].due_at)) if place >= 0 else None


def _first_at(doses: Sequence[PlannedDose], place: int, moved: Mapping[int, datetime]) -> datetime | None:
    """The same at the earliest."""
    return min(doses[place].due_at, moved.get(place, doses[place].due_at)) if place < len(doses) else None


def _carry_over(
    row: OccurrenceRow, schedule: ScheduleRow, dose: PlannedDose, missed_at: datetime, now: datetime
) -> None:
    row.revision = schedule.revision
    row.zone, row.moved_from, row.note = dose.zone, dose.due_at, dose.note
    row.missed_at = missed_at
    row.dose_quantity, row.dose_unit = dose.dose.quantity, dose.dose.unit
    row.updated_at = now
