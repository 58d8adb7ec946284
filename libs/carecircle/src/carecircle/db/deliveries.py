"""Deliveries: one message to one recipient on one channel. The row is the claim, the log and the proof."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, case, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from carecircle.db.base import CreatedAt, Row, new_id
from carecircle.domain.delivery import DeliveryState, Kind


class Delivery(Row):
    """States and the claim protocol: `domain.delivery`. Every update is fenced by `attempt`."""

    __tablename__ = "delivery"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    occurrence_id: Mapped[UUID | None] = mapped_column(ForeignKey("occurrence.id", ondelete="CASCADE"))
    supply_notice_id: Mapped[UUID | None] = mapped_column(ForeignKey("supply_notice.id", ondelete="CASCADE"))
    """What the message is about: a dose, or for a `refill` a notice about supplies. Always one of both."""
    patient_id: Mapped[UUID] = mapped_column(ForeignKey("patient.id", ondelete="CASCADE"))
    recipient_id: Mapped[UUID] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)
    channel: Mapped[str] = mapped_column(String(32))
    target_id: Mapped[UUID]
    """What is addressed: the account for e-mail, the push subscription for push."""
    kind: Mapped[str] = mapped_column(String(16))
    """`due` (also a snooze's repeat), `answered` (the visible replacement of R13), `not_reminded` (a digest, R11) or
    `refill`.
    """
    step: Mapped[int] = mapped_column(default=0)
    """The occurrence's `reminder_step` this belongs to."""
    severity: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16), default="pending")
    attempt: Mapped[int] = mapped_column(default=0)
    ambiguous: Mapped[int] = mapped_column(default=0)
    """How many attempts ended without anyone knowing whether the provider had taken the message."""
    errors: Mapped[int] = mapped_column(default=0)
    """How many attempts ended in our own code, by a bug or a dying worker, before anything had left."""
    worker: Mapped[str | None] = mapped_column(String(100))
    lease_until: Mapped[datetime | None]
    first_handoff_at: Mapped[datetime | None]
    """The `Date` of the mail: fixed from the first attempt that the provider may have taken."""
    handoff_at: Mapped[datetime | None]
    next_attempt_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(64))
    """A short code without personal data: `sent`, `smtp_550`, `push_410`, `answered`, `superseded`, …"""
    provider_reference: Mapped[str | None] = mapped_column(String(255))
    generation: Mapped[int] = mapped_column(default=0)
    enqueued_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]

    __table_args__ = (
        UniqueConstraint("occurrence_id", "recipient_id", "channel", "kind", "step", "target_id"),
        CheckConstraint("num_nonnulls(occurrence_id, supply_notice_id) = 1", name="about_one_thing"),
        Index(
            "uq_delivery_supply_notice",
            "supply_notice_id",
            "recipient_id",
            "channel",
            "target_id",
            unique=True,
            postgresql_where=text("supply_notice_id IS NOT NULL"),
        ),
        Index("ix_delivery_patient_created", "patient_id", "created_at"),
        Index(
            "ix_delivery_open",
            "channel",
            "next_attempt_at",
            postgresql_where=text("state IN ('pending', 'retry', 'claimed', 'handoff')"),
        ),
        Index(
            "ix_delivery_alerted",
            "expires_at",
            postgresql_where=text("kind = 'due' AND state IN ('sent', 'ambiguous')"),
        ),
    )


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A message that somebody is to get."""

    occurrence_id: UUID | None
    patient_id: UUID
    recipient_id: UUID
    channel: str
    target_id: UUID
    kind: Kind
    step: int
    severity: str
    expires_at: datetime
    next_attempt_at: datetime | None = None
    """Not before then; the reconciler gives it its job."""
    supply_notice_id: UUID | None = None


async def add_deliveries(session: AsyncSession, wanted: Iterable[NewDelivery], now: datetime) -> Sequence[Delivery]:
    """Store those that do not exist yet; those stored.

    What may be sent at once counts as enqueued: the caller adds its jobs.
    """
    new = {"state": DeliveryState.PENDING, "created_at": now, "updated_at": now}
    enqueued = {"generation": 1, "enqueued_at": now}
    later = {"generation": 0, "enqueued_at": None}
    rows = [
        {"id": new_id(), **new, **(later if delivery.next_attempt_at else enqueued), **asdict(delivery)}
        for delivery in wanted
    ]
    if not rows:
        return []
    # The rows as parameters, not as values: a statement that depends on their number is compiled anew each time.
    added = insert(Delivery).on_conflict_do_nothing().returning(Delivery)
    return (await session.scalars(added, rows)).all()


async def cancel_open_deliveries(
    session: AsyncSession, occurrence_ids: Iterable[UUID], outcome: str, *, but_to: UUID | None = None
) -> int:
    """End every reminder of these doses that has not left yet (R13); the number ended.

    One that is with the provider at this moment stays: it cannot be called back, and its end is recorded. One that
    an earlier attempt may have delivered ends `ambiguous`. `outcome` says why: `answered`, `superseded`, `inactive`,
    `acknowledged`.
    `but_to`: an account that keeps its own.
    """
    unsent = (DeliveryState.PENDING, DeliveryState.RETRY, DeliveryState.CLAIMED)
    cancelled = await session.scalars(
        update(Delivery)
        .where(
            Delivery.occurrence_id.in_(list(occurrence_ids)),
            Delivery.kind == Kind.DUE,
            Delivery.state.in_(unsent),
            *([] if but_to is None else [Delivery.recipient_id != but_to]),
        )
        .values(
            state=case((Delivery.ambiguous > 0, DeliveryState.AMBIGUOUS.value), else_=DeliveryState.CANCELLED.value),
            outcome=outcome,
            lease_until=None,
            next_attempt_at=None,
            updated_at=func.clock_timestamp(),
        )
        .returning(Delivery.id)
        .execution_options(synchronize_session=False)
    )
    return len(cancelled.all())


async def expire_deliveries(session: AsyncSession, now: datetime) -> list[tuple[str, str]]:
    """End what nobody sent within its window; (channel, final state) of each.

    One whose worker died during the handoff may have arrived: it ends `ambiguous`.
    """
    was_out = Delivery.state == DeliveryState.HANDOFF
    over = (
        select(Delivery.id)
        .where(
            Delivery.expires_at <= now,
            Delivery.state.in_((DeliveryState.PENDING, DeliveryState.RETRY))
            | (Delivery.state.in_((DeliveryState.CLAIMED, DeliveryState.HANDOFF)) & (Delivery.lease_until < now)),
        )
        .with_for_update(skip_locked=True)  # what somebody works on ends by itself, and nothing waits in a circle
    )
    ended = await session.execute(
        update(Delivery)
        .where(Delivery.id.in_(over))
        .values(
            # An attempt that nobody knows the end of may have arrived, whatever came after it.
            state=case(
                (was_out | (Delivery.ambiguous > 0), DeliveryState.AMBIGUOUS.value), else_=DeliveryState.EXPIRED.value
            ),
            ambiguous=Delivery.ambiguous + case((was_out, 1), else_=0),
            outcome=func.coalesce(Delivery.outcome, "expired"),
            lease_until=None,
            next_attempt_at=None,
            updated_at=func.clock_timestamp(),
        )
        .returning(Delivery.channel, Delivery.state)
        .execution_options(synchronize_session=False)
    )
    return [(channel, state) for channel, state in ended]
