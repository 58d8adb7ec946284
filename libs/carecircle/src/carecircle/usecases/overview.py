"""What the circle sees of the system's work: what comes next, which message went to whom, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING

from carecircle.db.moves import moved_dose, open_moves
from carecircle.db.overview import delivery_log
from carecircle.db.pages import Page
from carecircle.db.schedules import ScheduleRow, circumstances, hold_circumstances, lock_schedules
from carecircle.domain.errors import NotFound
from carecircle.domain.people import Action
from carecircle.domain.schedule import PlannedDose, SchedulePlan, occurrences
from carecircle.usecases.access import Actor, require
from carecircle.usecases.schedules import get_schedule
from carecircle.usecases.series import background_of

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.deliveries import Delivery
    from carecircle.db.pages import PageRequest

PREVIEW = 3
PREVIEW_SPAN = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """A schedule with what follows from it now."""

    schedule: ScheduleRow
    plan: SchedulePlan
    zone: str
    """The zone in force: its own, else the patient's."""
    next_doses: list[PlannedDose]
    """The next few; none while the medication is not being taken."""


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """One message without its address."""

    delivery: Delivery
    recipient_name: str
    due_at: datetime | None
    """None: it is not about a dose."""


async def list_deliveries(
    session: AsyncSession, actor: Actor, patient_id: UUID, request: PageRequest
) -> Page[DeliveryView]:
    await require(session, actor, patient_id, Action.READ)
    page = await delivery_log(session, patient_id, request)
    views = [
        DeliveryView(delivery, account.display_name, None if dose is None else dose.due_at)
        for delivery, account, dose in page.rows
    ]
    return Page(views, page.next)


async def held_schedule(session: AsyncSession, actor: Actor, schedule_id: UUID, now: datetime) -> ScheduleView:
    """The schedule as it stays until this transaction ends: for who compares it before changing it."""
    seen = await get_schedule(session, actor, schedule_id)
    await hold_circumstances(session, seen.medication_id)  # the order of locks that every change takes
    locked = await lock_schedules(session, ScheduleRow.id == schedule_id)
    if not locked:
        raise NotFound
    return await view_schedule(session, locked[0], now)


async def view_schedule(session: AsyncSession, schedule: ScheduleRow, now: datetime) -> ScheduleView:
    """The view of a schedule that the actor was allowed to see."""
    plan = schedule.plan()
    around = await circumstances(session, schedule.medication_id)
    if around is None:
        raise NotFound
    background, valid_from = await background_of(session, schedule, plan, around)
    doses = occurrences(
        plan,
        zone=around.zone,
        valid_from=valid_from,
        since=now,
        until=now + PREVIEW_SPAN,
        background=background,
    )
    moved = {row.nominal_local: moved_dose(row) for row in await open_moves(session, schedule.id, now)}
    stay = [dose for dose in islice(doses, PREVIEW + len(moved)) if dose.nominal_local not in moved]
    next_doses = sorted([*stay, *moved.values()], key=lambda dose: dose.due_at)[:PREVIEW] if around.active else []
    return ScheduleView(schedule, plan, plan.zone or around.zone, next_doses)
