"""Which doses and deliveries need somebody to act on them: to be given a job, a new job, or a worker's hand.

Always in the order in which they matter: by severity, then by the end of their window.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from carecircle.db.deliveries import Delivery
from carecircle.db.medications import Medication
from carecircle.db.occurrences import OccurrenceRow
from carecircle.db.schedules import ScheduleRow
from carecircle.domain.delivery import DeliveryState
from carecircle.domain.medication import PRIORITIES, Severity
from carecircle.domain.occurrence import OPEN


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row that waits for its job, as it was read."""

    row_id: UUID
    channel: str | None
    """None for an occurrence: the dispatcher acts on it."""
    severity: Severity
    generation: int
    at: datetime
    """When its job is to run; for a delivery that a worker holds, when the lease ends."""
    enqueued_at: datetime | None
    held: bool = False
    """A worker had it, and its lease is over."""


async def mark_enqueued(
    session: AsyncSession, *, until: datetime, limit: int, patient_id: UUID | None = None
) -> list[Waiting]:
    """Give a generation to everything that runs before `until` and has no job yet; two callers never get the same."""
    doses = _doses(_reminder_needed(), OccurrenceRow.enqueued_at.is_(None), OccurrenceRow.remind_at <= until)
    sends = _sends(_unsent(), Delivery.enqueued_at.is_(None), _send_at() <= until)
    if patient_id is not None:
        doses = doses.where(OccurrenceRow.patient_id == patient_id)
        sends = sends.where(Delivery.patient_id == patient_id)
    doses = doses.limit(limit).with_for_update(of=OccurrenceRow, skip_locked=True)
    sends = sends.limit(limit).with_for_update(of=Delivery, skip_locked=True)
    found = [_dose(*row) for row in (await session.execute(doses))]
    found += [_send(*row) for row in (await session.execute(sends))]
    return await raise_generations(session, found)


async def enqueued_before(session: AsyncSession, *, soon: datetime, now: datetime, limit: int) -> list[Waiting]:
    """What was given a job and should be handled by `soon`, or lost its worker: is that job still there?"""
    doses = _doses(_reminder_needed(), OccurrenceRow.enqueued_at.is_not(None), OccurrenceRow.remind_at <= soon)
    sends = _sends(Delivery.enqueued_at.is_not(None), or_(and_(_unsent(), _send_at() <= soon), _abandoned(now)))
    found = [_dose(*row) for row in (await session.execute(doses.limit(limit)))]
    return found + [_send(*row) for row in (await session.execute(sends.limit(limit)))]


async def raise_generations(session: AsyncSession, waiting: Iterable[Waiting]) -> list[Waiting]:
    """Raise the generation of each that still waits and has the job it was read with; those, as they are now, in order.

    Whoever reads rows and then asks Redis finds jobs gone that have done their work in between.
    """
    order = {one.row_id: (place, one) for place, one in enumerate(waiting)}
    rows = [one for _, one in order.values()]
    raised: list[tuple[UUID, int, datetime]] = []
    for table, of_table in (
        (OccurrenceRow, [one for one in rows if one.channel is None]),
        (Delivery, [one for one in rows if one.channel is not None]),
    ):
        if of_table:
            raised += await _raise(session, table, of_table)
    new = [
        (place, replace(one, generation=generation, enqueued_at=at))
        for (place, one), generation, at in ((order[row_id], generation, at) for row_id, generation, at in raised)
    ]
    return [one for _, one in sorted(new, key=lambda item: item[0])]


async def due_occurrences(session: AsyncSession, *, now: datetime, limit: int) -> list[UUID]:
    """Doses to remind of now, for a dispatcher that cannot ask Redis."""
    due = _doses(_reminder_needed(), OccurrenceRow.remind_at <= now).limit(limit)
    rows = await session.execute(due.with_for_update(of=OccurrenceRow, skip_locked=True))
    return [row[0] for row in rows]


async def due_deliveries(session: AsyncSession, channel: str, *, now: datetime, limit: int) -> list[UUID]:
    """Deliveries to send now, for a channel worker that cannot ask Redis."""
    due = _sends(Delivery.channel == channel, or_(and_(_unsent(), _send_at() <= now), _abandoned(now))).limit(limit)
    rows = await session.execute(due.with_for_update(of=Delivery, skip_locked=True))
    return [row[0] for row in rows]


async def oldest_unsent(session: AsyncSession, *, now: datetime) -> datetime | None:
    """Since when the longest waiting reminder should have been on its way; None when nothing waits."""
    dose = await session.scalar(
        select(func.min(OccurrenceRow.remind_at)).where(
            _reminder_needed(), OccurrenceRow.remind_at <= now, OccurrenceRow.missed_at > now
        )
    )
    send = await session.scalar(
        select(func.min(_send_at())).where(_unsent(), _send_at() <= now, Delivery.expires_at > now)
    )
    return min((at for at in (dose, send) if at is not None), default=None)


def _doses(*conditions: ColumnElement[bool]) -> Select[UUID, int, datetime, datetime | None, str]:
    severity = func.coalesce(ScheduleRow.severity, Medication.severity)
    return (
        select(
            OccurrenceRow.id,
            OccurrenceRow.generation,
            OccurrenceRow.remind_at,
            OccurrenceRow.enqueued_at,
            severity,
        )
        .join(Medication, Medication.id == OccurrenceRow.medication_id)
        .join(ScheduleRow, ScheduleRow.id == OccurrenceRow.schedule_id)
        .where(*conditions)
        .order_by(_rank(severity), OccurrenceRow.missed_at, OccurrenceRow.id)
    )


def _sends(*conditions: ColumnElement[bool]) -> Select[UUID, int, datetime, datetime | None, str, str, bool]:
    held = Delivery.state.in_((DeliveryState.CLAIMED, DeliveryState.HANDOFF))
    return (
        select(
            Delivery.id,
            Delivery.generation,
            case((held, Delivery.lease_until), else_=_send_at()),
            Delivery.enqueued_at,
            Delivery.severity,
            Delivery.channel,
            held,
        )
        .where(*conditions)
        .order_by(_rank(Delivery.severity), Delivery.expires_at, Delivery.id)
    )


def waiting_delivery(delivery: Delivery) -> Waiting:
    """A delivery that has its generation and waits for its first job."""
    severity = Severity(delivery.severity)
    return Waiting(
        delivery.id, delivery.channel, severity, delivery.generation, delivery.created_at, delivery.enqueued_at
    )


def _dose(row_id: UUID, generation: int, at: datetime, enqueued_at: datetime | None, severity: str) -> Waiting:
    return Waiting(row_id, None, Severity(severity), generation, at, enqueued_at)


def _send(
    row_id: UUID, generation: int, at: datetime, enqueued_at: datetime | None, severity: str, channel: str, held: bool
) -> Waiting:
    return Waiting(row_id, channel, Severity(severity), generation, at, enqueued_at, held=held)


async def _raise(
    session: AsyncSession, table: type[OccurrenceRow | Delivery], rows: list[Waiting]
) -> list[tuple[UUID, int, datetime]]:
    seen = [(one.row_id, one.generation) for one in rows]
    waits = _reminder_needed() if table is OccurrenceRow else or_(_unsent(), _abandoned(func.clock_timestamp()))
    as_seen = select(table.id).where(tuple_(table.id, table.generation).in_(seen), waits)
    raised = await session.execute(
        update(table)
        # What somebody else works on is left for the next round, so that nothing waits in a circle.
        .where(table.id.in_(as_seen.with_for_update(skip_locked=True)))
        .values(generation=table.generation + 1, enqueued_at=func.clock_timestamp())
        .returning(table.id, table.generation, table.enqueued_at)
        .execution_options(synchronize_session=False)
    )
    return [(row_id, generation, at) for row_id, generation, at in raised if at is not None]


def _reminder_needed() -> ColumnElement[bool]:
    return and_(
        OccurrenceRow.state.in_(OPEN),
        or_(OccurrenceRow.reminded_step.is_(None), OccurrenceRow.reminded_step < OccurrenceRow.reminder_step),
    )


def _unsent() -> ColumnElement[bool]:
    return Delivery.state.in_((DeliveryState.PENDING, DeliveryState.RETRY))


def _abandoned(now: datetime | ColumnElement[datetime]) -> ColumnElement[bool]:
    return and_(Delivery.state.in_((DeliveryState.CLAIMED, DeliveryState.HANDOFF)), Delivery.lease_until < now)


def _send_at() -> ColumnElement[datetime]:
    return func.coalesce(Delivery.next_attempt_at, Delivery.created_at)


def _rank(severity: Any) -> ColumnElement[int]:
    return case(PRIORITIES_BY_NAME, value=severity, else_=PRIORITIES[Severity.NORMAL])


PRIORITIES_BY_NAME = {severity.value: priority for severity, priority in PRIORITIES.items()}
