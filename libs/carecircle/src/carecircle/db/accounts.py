"""Accounts (who can log in, and where they are reached) and their refresh tokens."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from carecircle.db.base import CreatedAt, Row, new_id


class Account(Row):
    __tablename__ = "account"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    email: Mapped[str] = mapped_column(String(254))
    password_hash: Mapped[str] = mapped_column(String(255))
    display_name: Mapped[str] = mapped_column(String(200))
    zone: Mapped[str] = mapped_column(String(64), default="UTC")
    details_in_messages: Mapped[bool] = mapped_column(default=False)
    """Opted in to drug names in mail and push; off by default."""
    email_enabled: Mapped[bool] = mapped_column(default=True)
    push_enabled: Mapped[bool] = mapped_column(default=True)
    email_undeliverable_at: Mapped[datetime | None]
    """Set when the mail server said that this address does not exist; cleared when the address changes."""
    token_version: Mapped[int] = mapped_column(default=1)
    """Rises to end every session at once; access tokens carry it."""
    created_at: Mapped[CreatedAt]

    __table_args__ = (Index("uq_account_email_lower", func.lower(email), unique=True),)


class RefreshToken(Row):
    """One use each: a second use of the same token ends its whole family."""

    __tablename__ = "refresh_token"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)
    family_id: Mapped[UUID] = mapped_column(index=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


async def account_by_email(session: AsyncSession, email: str) -> Account | None:
    return await session.scalar(select(Account).where(func.lower(Account.email) == email.lower()))


async def refresh_token_for_use(session: AsyncSession, token_hash: str) -> RefreshToken | None:
    """Locked: two uses of the same token at once come one after the other, and the second sees the first."""
    return await session.scalar(select(RefreshToken).where(RefreshToken.token_hash == token_hash).with_for_update())


async def revoke_family(session: AsyncSession, family_id: UUID, now: datetime) -> None:
    await session.execute(
        update(RefreshToken)
        .where(RefreshToken.family_id == family_id, RefreshToken.revoked_at.is_(None))
        .values(revoked_at=now)
    )


async def revoke_all(session: AsyncSession, account_id: UUID, now: datetime) -> None:
    await session.execute(
        update(RefreshToken)
        .where(RefreshToken.account_id == account_id, RefreshToken.revoked_at.is_(None))
        .values(revoked_at=now)
    )


async def delete_expired_tokens(session: AsyncSession, account_id: UUID, now: datetime) -> None:
    await session.execute(
        delete(RefreshToken).where(RefreshToken.account_id == account_id, RefreshToken.expires_at <= now)
    )


async def account_and_now(session: AsyncSession, account_id: UUID) -> tuple[Account, datetime] | None:
    """The account, and the database's clock in the same round trip."""
    found = await session.execute(select(Account, func.clock_timestamp()).where(Account.id == account_id))
    row = found.one_or_none()
    return None if row is None else (row[0], row[1])
