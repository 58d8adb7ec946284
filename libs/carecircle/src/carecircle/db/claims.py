"""Who may send a delivery, and what came of it: claim, handoff, renewal and outcome, each one statement.

Every write is fenced by the attempt number. A worker that was stopped for longer than its lease finds that its
statements match no row.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from carecircle.db.deliveries import Delivery
from carecircle.db.digests import tells_of_a_dose
from carecircle.db.medications import Medication
from carecircle.db.occurrences import OccurrenceRow
from carecircle.db.patients import Membership
from carecircle.db.schedules import ScheduleRow
from carecircle.db.supply_alerts import tells_of_a_supply
from carecircle.domain.delivery import Attempt, Decision, DeliveryState, Kind

EARLY = timedelta(milliseconds=500)
"""A retry may start this much before its time: timers of two machines differ, and nothing depends on it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One worker's right to one attempt at one delivery."""

    delivery_id: UUID
    number: int
    ambiguous: int
    errors: int
    expires_at: datetime
    taken_over_from: DeliveryState
    """What the row was before: `claimed` or `handoff` when its worker died."""
    about_supply: bool = False
    """The message is about supplies, not about a dose."""

    @property
    def attempt(self) -> Attempt:
        return Attempt(self.number, self.ambiguous, self.errors, self.expires_at)


async def claim(
    session: AsyncSession, delivery_id: UUID, *, channel: str, worker: str, lease: timedelta
) -> Claim | None:
    """Take the delivery, or take it over from a worker whose lease ended. None: it is not to be had now."""
    now = func.clock_timestamp()
    waiting = and_(
        Delivery.state.in_((DeliveryState.PENDING, DeliveryState.RETRY)),
        or_(Delivery.next_attempt_at.is_(None), Delivery.next_attempt_at <= now + EARLY),
    )
    abandoned = and_(
        Delivery.state.in_((DeliveryState.CLAIMED, DeliveryState.HANDOFF)),
        Delivery.lease_until < now,
    )
    # PostgreSQL returns only new values: the old state comes from the row as it is locked here.
    before = select(Delivery.id, Delivery.state).where(Delivery.id == delivery_id).with_for_update().subquery()
    taken = await session.execute(
        update(Delivery)
        .where(Delivery.id == before.c.id, Delivery.channel == channel, or_(waiting, abandoned))
        .values(
            state=DeliveryState.CLAIMED,
            attempt=Delivery.attempt + 1,
            # Whoever died after the handoff may have sent it; whoever died before it did not, but something killed it.
            ambiguous=Delivery.ambiguous + case((Delivery.state == DeliveryState.HANDOFF, 1), else_=0),
            errors=Delivery.errors + case((Delivery.state == DeliveryState.CLAIMED, 1), else_=0),
            lease_until=now + lease,
            worker=worker,
            updated_at=now,
        )
        .returning(
            Delivery.id,
            Delivery.attempt,
            Delivery.ambiguous,
            Delivery.errors,
            Delivery.expires_at,
            before.c.state,
            Delivery.supply_notice_id,
        )
        .execution_options(synchronize_session=False)
    )
    row = taken.one_or_none()
    return None if row is None else _claim(*row)


async def hand_off(session: AsyncSession, claim: Claim, *, first_handoff_at: datetime, lease: timedelta) -> bool:
    """The last check and the mark "the provider may have it", in one statement; commit it before any byte leaves.

    False: the claim was lost, or the message is no longer wanted.
    """
    now = func.clock_timestamp()
    wanted = (SUPPLY_WANTED,) if claim.about_supply else (OccurrenceRow.id == Delivery.occurrence_id, WANTED)
    marked = await session.execute(
        update(Delivery)
        .where(
            Delivery.id == claim.delivery_id,
            Delivery.attempt == claim.number,
            Delivery.state == DeliveryState.CLAIMED,
            Delivery.lease_until > now,
            Delivery.expires_at > now,
            *wanted,
        )
        .values(
            state=DeliveryState.HANDOFF,
            handoff_at=now,
            first_handoff_at=first_handoff_at,
            lease_until=now + lease,
            updated_at=now,
        )
        .returning(Delivery.id)
        .execution_options(synchronize_session=False)
    )
    return marked.first() is not None


async def renew(session: AsyncSession, claim: Claim, lease: timedelta) -> bool:
    """Hold the delivery for another lease. False: another worker took it over."""
    renewed = await session.execute(
        update(Delivery)
        .where(
            Delivery.id == claim.delivery_id,
            Delivery.attempt == claim.number,
            Delivery.state.in_((DeliveryState.CLAIMED, DeliveryState.HANDOFF)),
        )
        .values(lease_until=func.clock_timestamp() + lease)
        .returning(Delivery.id)
        .execution_options(synchronize_session=False)
    )
    return renewed.first() is not None


async def record(
    session: AsyncSession, claim: Claim, decision: Decision, *, now: datetime, reference: str | None = None
) -> bool:
    """Write how the attempt ended. False: this worker no longer holds it, and what it knows comes too late."""
    recorded = await session.execute(
        update(Delivery)
        .where(
            Delivery.id == claim.delivery_id,
            Delivery.attempt == claim.number,
            Delivery.state.in_((DeliveryState.CLAIMED, DeliveryState.HANDOFF)),
        )
        .values(
            state=decision.state,
            outcome=decision.outcome[:64],
            ambiguous=decision.ambiguous,
            errors=decision.errors,
            next_attempt_at=decision.next_attempt_at,
            sent_at=now if decision.state is DeliveryState.SENT else None,
            provider_reference=reference[:255] if reference else None,
            lease_until=None,
            updated_at=func.clock_timestamp(),
        )
        .returning(Delivery.id)
        .execution_options(synchronize_session=False)
    )
    return recorded.first() is not None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a delivery stands when it could not be claimed."""

    state: DeliveryState
    outcome: str | None
    next_attempt_at: datetime | None
    lease_until: datetime | None
    now: datetime


async def standing(session: AsyncSession, delivery_id: UUID, channel: str) -> Standing | None:
    found = await session.execute(
        select(
            Delivery.state, Delivery.outcome, Delivery.next_attempt_at, Delivery.lease_until, func.clock_timestamp()
        ).where(Delivery.id == delivery_id, Delivery.channel == channel)
    )
    row = found.one_or_none()
    return None if row is None else Standing(DeliveryState(row[0]), *row[1:])


def _claim(
    delivery_id: UUID,
    number: int,
    ambiguous: int,
    errors: int,
    expires_at: datetime,
    before: str,
    supply_notice_id: UUID | None,
) -> Claim:
    about_supply = supply_notice_id is not None
    return Claim(delivery_id, number, ambiguous, errors, expires_at, DeliveryState(before), about_supply)


def _still_due() -> ColumnElement[bool]:
    return and_(
        Delivery.kind == Kind.DUE,
        OccurrenceRow.state == "due",
        OccurrenceRow.reminder_step == Delivery.step,
        _not_handled_by_another(),
        exists().where(
            Medication.id == OccurrenceRow.medication_id,
            Medication.status == "active",
            Medication.deleted_at.is_(None),
        ),
        exists().where(
            ScheduleRow.id == OccurrenceRow.schedule_id,
            ScheduleRow.deleted_at.is_(None),
            ScheduleRow.revision == OccurrenceRow.revision,
        ),
        _in_circle(Membership.reminders.is_(True)),
    )


def _not_handled_by_another() -> ColumnElement[bool]:
    return or_(
        OccurrenceRow.acknowledged_by.is_(None),
        OccurrenceRow.acknowledged_until.is_(None),
        OccurrenceRow.acknowledged_until <= func.clock_timestamp(),
        OccurrenceRow.acknowledged_by == Delivery.recipient_id,
    )


def _answered() -> ColumnElement[bool]:
    return and_(Delivery.kind == Kind.ANSWERED, OccurrenceRow.state.in_(("taken", "skipped")), _in_circle())


def _not_reminded() -> ColumnElement[bool]:
    return and_(Delivery.kind == Kind.NOT_REMINDED, tells_of_a_dose(), _in_circle(Membership.reminders.is_(True)))


def _supply_still_matters() -> ColumnElement[bool]:
    return and_(Delivery.kind == Kind.REFILL, tells_of_a_supply(), _in_circle(Membership.supply_messages.is_(True)))


def _in_circle(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(
        Membership.patient_id == Delivery.patient_id, Membership.account_id == Delivery.recipient_id, *conditions
    )


# Written down once: with its aliases it takes longer to build than to run.
WANTED = or_(_still_due(), _answered(), _not_reminded())
SUPPLY_WANTED = _supply_still_matters()
