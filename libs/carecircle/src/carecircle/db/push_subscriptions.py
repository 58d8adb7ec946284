"""Push subscriptions: one browser of one account (RFC 8030 endpoint, RFC 8291 keys)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from carecircle.db.base import CreatedAt, Row, new_id


class PushSubscription(Row):
    __tablename__ = "push_subscription"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)
    endpoint: Mapped[str] = mapped_column(Text)
    p256dh: Mapped[str] = mapped_column(String(128))
    auth: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[CreatedAt]
    gone_at: Mapped[datetime | None]
    """Set when the push service answered 404 or 410, or the person removed it."""

    __table_args__ = (
        Index("uq_push_subscription_endpoint", "endpoint", unique=True, postgresql_where=text("gone_at IS NULL")),
    )


async def live_subscription_at(session: AsyncSession, endpoint: str) -> PushSubscription | None:
    return await session.scalar(
        select(PushSubscription)
        .where(PushSubscription.endpoint == endpoint, PushSubscription.gone_at.is_(None))
        .with_for_update()
    )


async def live_subscriptions(session: AsyncSession, account_id: UUID) -> list[PushSubscription]:
    query = (
        select(PushSubscription)
        .where(PushSubscription.account_id == account_id, PushSubscription.gone_at.is_(None))
        .order_by(PushSubscription.created_at, PushSubscription.id)
    )
    return list(await session.scalars(query))


async def own_subscription(session: AsyncSession, account_id: UUID, subscription_id: UUID) -> PushSubscription | None:
    return await session.scalar(
        select(PushSubscription).where(
            PushSubscription.id == subscription_id,
            PushSubscription.account_id == account_id,
            PushSubscription.gone_at.is_(None),
        )
    )
