"""Answers by Idempotency-Key: a repeated request gets the first one's answer, written with the change itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, String, delete, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from carecircle.db.base import Row

KEPT_FOR = timedelta(hours=24)
DELETED_AT_ONCE = 100


class IdempotencyKey(Row):
    """One answered request. It commits with what the request did, or not at all."""

    __tablename__ = "idempotency_key"

    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    request_hash: Mapped[str] = mapped_column(String(64))
    """Of method, path and body: the same key with another request is a mistake."""
    status: Mapped[int]
    location: Mapped[str | None] = mapped_column(String(255))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]

    __table_args__ = (Index("ix_idempotency_key_created_at", "created_at"),)


async def hold_key(session: AsyncSession, account_id: UUID, key: str) -> bool:
    """Hold the key until the transaction ends. False: another request with it is running."""
    name = func.hashtextextended(f"{account_id}:{key}", 0)
    return bool((await session.execute(select(func.pg_try_advisory_xact_lock(name)))).scalar_one())


async def answer_of(session: AsyncSession, account_id: UUID, key: str, now: datetime) -> IdempotencyKey | None:
    """The kept answer, if it is not too old. Old ones, of whomever, are deleted on the way."""
    old = (
        select(IdempotencyKey.account_id, IdempotencyKey.key)
        .where(IdempotencyKey.created_at <= now - KEPT_FOR)
        .limit(DELETED_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    place = tuple_(IdempotencyKey.account_id, IdempotencyKey.key)
    await session.execute(delete(IdempotencyKey).where(place.in_(old)))
    kept = await session.get(IdempotencyKey, (account_id, key), populate_existing=True)
    if kept is not None and kept.created_at <= now - KEPT_FOR:  # the limit left it behind
        await session.delete(kept)
        await session.flush()
        return None
    return kept
