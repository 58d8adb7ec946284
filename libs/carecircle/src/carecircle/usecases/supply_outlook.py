"""Until when a stock lasts: the doses that wait for an answer, then what the schedules will ask for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from heapq import merge
from operator import attrgetter
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from carecircle.db.planned_use import open_amounts
from carecircle.db.schedules import circumstances, schedules_of
from carecircle.db.supply import kinds_since, packages_of
from carecircle.domain.as_needed import AsNeededRule
from carecircle.domain.dose import Dose
from carecircle.domain.errors import NotFound
from carecircle.domain.schedule import occurrences
from carecircle.domain.supply import (
    EntryKind,
    Forecast,
    PlannedUse,
    Situation,
    SupplySettings,
    SupplyWarning,
    days_left,
    forecast,
    next_expiry,
    packages_left,
    warnings,
)
from carecircle.domain.zones import local_date
from carecircle.usecases.series import background_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.schedules import Circumstances, ScheduleRow
    from carecircle.db.supply import SupplyRow

LOOKED_AHEAD = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class Outlook:
    """A supply with what follows from it now."""

    supply: SupplyRow
    settings: SupplySettings
    situation: Situation
    run_out_on: date | None
    """Local date of the patient, like all dates here."""
    warnings: list[SupplyWarning]
    zone: str

    @property
    def forecast(self) -> Forecast:
        return self.situation.forecast


async def outlook(
    session: AsyncSession, supply: SupplyRow, now: datetime, *, ahead: timedelta = LOOKED_AHEAD
) -> Outlook:
    """What holds of this supply now. `ahead`: how far doses are looked at."""
    around = await circumstances(session, supply.medication_id)
    if around is None:
        raise NotFound
    settings = supply.settings()
    today = local_date(now, ZoneInfo(around.zone))
    uses = await planned_uses(session, supply.medication_id, around, settings, now, now + ahead)
    found = forecast(supply.stock, uses, active=around.active)
    run_out_on = None if found.run_out_at is None else local_date(found.run_out_at, ZoneInfo(around.zone))
    since_count = await kinds_since(session, supply.medication_id, supply.counted_at)
    situation = Situation(
        stock=supply.stock,
        forecast=found,
        days_left=None if run_out_on is None else days_left(run_out_on, today),
        next_expiry=next_expiry(packages_left(await packages_of(session, supply), supply.stock)),
        today=today,
        discrepancy=EntryKind.DISCREPANCY in since_count,
        uncounted=EntryKind.UNCOUNTED in since_count,
    )
    return Outlook(supply, settings, situation, run_out_on, warnings(settings, situation), around.zone)


async def planned_uses(
    session: AsyncSession,
    medication_id: UUID,
    around: Circumstances,
    settings: SupplySettings,
    now: datetime,
    until: datetime,
) -> Iterator[PlannedUse]:
    """What is to be taken until then, in the order in which it is due. Lazy. As-needed doses are planned by nobody."""

    def use(at: datetime, dose: Dose) -> PlannedUse:
        return PlannedUse(at, settings.amount_of(dose))

    rows = [use(at, Dose(quantity, unit)) for at, quantity, unit in await open_amounts(session, medication_id)]
    series = [
        await _coming(session, schedule, around, settings, now, until)
        for schedule in await schedules_of(session, medication_id)
    ]
    return merge(rows, *series, key=attrgetter("at"))


async def _coming(
    session: AsyncSession,
    schedule: ScheduleRow,
    around: Circumstances,
    settings: SupplySettings,
    now: datetime,
    until: datetime,
) -> Iterator[PlannedUse]:
    """What the planner has not made rows of yet."""
    plan = schedule.plan()
    if isinstance(plan.rule, AsNeededRule):
        return iter(())
    background, valid_from = await background_of(session, schedule, plan, around)
    doses = occurrences(
        plan,
        zone=around.zone,
        valid_from=valid_from,
        since=max(schedule.planned_until, now),
        until=until,
        background=background,
    )
    return (PlannedUse(one.due_at, settings.amount_of(one.dose)) for one in doses)
