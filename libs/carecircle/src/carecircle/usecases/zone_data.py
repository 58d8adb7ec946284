"""A new edition of the database of zones: planned doses keep their wall time and get the instant that it has now (R17).

A new edition comes with a new process, so each dispatcher looks once after its start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from carecircle.db.due_times import move_due_time, planned_wall_times
from carecircle.domain.errors import Invalid
from carecircle.domain.zones import resolve, zone_named

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from sqlalchemy.ext.asyncio import AsyncSession

log = structlog.stdlib.get_logger(__name__)


async def correct_due_times(
    session: AsyncSession, now: datetime, zone_of: Callable[[str], ZoneInfo] = zone_named
) -> int:
    """Move the doses that are still ahead to where the zones put them now; the number moved.

    Their identity stays, and what was already sent is not touched. Elapsed intervals are instants and stay.
    """
    moved = 0
    for planned in await planned_wall_times(session, now):
        try:
            resolved = resolve(planned.nominal_local, zone_of(planned.zone))
        except Invalid:  # a zone that is no longer there: the planner says so, the doses stay where they were
            continue
        if resolved is not None and resolved.due_at != planned.due_at:
            moved += await move_due_time(session, planned, resolved, now)
    if moved:
        log.warning("zones.due_times_moved", planned=moved)
    return moved
