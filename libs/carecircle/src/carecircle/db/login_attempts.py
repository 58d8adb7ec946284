"""How often somebody tried to log in lately, by a hashed key. Rows are of use for one window only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Index, String, case, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from carecircle.db.base import Row


class LoginAttempts(Row):
    __tablename__ = "login_attempts"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    number: Mapped[int]
    window_ends_at: Mapped[datetime]

    __table_args__ = (Index("ix_login_attempts_window_ends_at", "window_ends_at"),)


@dataclass(frozen=True, slots=True)
class Attempts:
    number: int
    """In this window, this one included."""
    window_ends_at: datetime


async def count_attempt(session: AsyncSession, key: str, window: timedelta, now: datetime) -> Attempts:
    """Count one more, in a new window if the last one is over. One statement: no two see the same number."""
    over = LoginAttempts.window_ends_at <= now
    added = insert(LoginAttempts).values(key=key, number=1, window_ends_at=now + window)
    counted = added.on_conflict_do_update(
        index_elements=[LoginAttempts.key],
        set_={
            "number": case((over, 1), else_=LoginAttempts.number + 1),
            "window_ends_at": case((over, now + window), else_=LoginAttempts.window_ends_at),
        },
    ).returning(LoginAttempts.number, LoginAttempts.window_ends_at)
    row = (await session.execute(counted)).one()
    return Attempts(*row)


async def forget_attempts(session: AsyncSession, key: str) -> None:
    await session.execute(delete(LoginAttempts).where(LoginAttempts.key == key))


async def delete_past_windows(session: AsyncSession, now: datetime) -> None:
    """Those that nobody is counting at this moment; the others come next time."""
    past = select(LoginAttempts.key).where(LoginAttempts.window_ends_at <= now).with_for_update(skip_locked=True)
    await session.execute(delete(LoginAttempts).where(LoginAttempts.key.in_(past)))
