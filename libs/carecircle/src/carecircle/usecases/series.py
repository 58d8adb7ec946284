"""What the doses of one schedule depend on beside itself, read for who plans, previews or moves them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from carecircle.db.occurrences import last_taken_at
from carecircle.domain.interval_rule import IntervalRule
from carecircle.domain.schedule import Background, SchedulePlan
from carecircle.domain.zones import zone_named

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.schedules import Circumstances, ScheduleRow


async def background_of(
    session: AsyncSession, schedule: ScheduleRow, plan: SchedulePlan, around: Circumstances
) -> tuple[Background, datetime]:
    """What the plan depends on beside itself, and the instant after which its doses count."""
    taken: tuple[datetime, ...] = ()
    valid_from = schedule.valid_from
    if isinstance(plan.rule, IntervalRule) and plan.rule.follows_answers:
        zone = zone_named(plan.zone or around.zone)
        last = await last_taken_at(session, schedule.id)
        if last is not None and plan.rule.is_answered_by(last, zone):
            taken = (last,)  # what was before it is rows already, and took its course
            valid_from = max(valid_from, plan.rule.resumes_at(last, zone) - timedelta.resolution)
    return Background(around.routine, taken, schedule.created_at), valid_from
