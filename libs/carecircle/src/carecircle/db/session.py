"""The engine and the one commit. Every use case gets a session from here and leaves committing to it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

STATEMENT_TIMEOUT_MS = 5_000
LOCK_TIMEOUT_MS = 2_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000


class Database:
    """PostgreSQL behind one pool. `async with database.transaction() as session` is a transaction."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._sessions = async_sessionmaker(engine, expire_on_commit=False)

    @classmethod
    def connect(
        cls, url: str, *, pool_size: int = 5, max_overflow: int | None = None, **engine_options: Any
    ) -> Database:
        """A database that opens its connections when first used. `url` starts with `postgresql://`.

        `max_overflow`: for bursts, as many again if not said. One that is always busy has none of them, as each is
        closed after its use.
        """
        options = (
            f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c lock_timeout={LOCK_TIMEOUT_MS} "
            f"-c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_TIMEOUT_MS} -c timezone=UTC"
        )
        engine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=pool_size if max_overflow is None else max_overflow,
            pool_timeout=5,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={"options": options, "connect_timeout": 5},
            **engine_options,
        )
        return cls(engine)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncSession]:
        """One transaction: committed when the block ends, rolled back when it raises. No network call inside."""
        async with self._sessions() as session, session.begin():
            yield session

    @asynccontextmanager
    async def snapshot(self) -> AsyncGenerator[AsyncSession]:
        """A transaction whose statements all see the database as it was at the first one: for reading in pages."""
        async with self._sessions() as session, session.begin():
            await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            yield session

    async def close(self) -> None:
        await self.engine.dispose()


async def database_now(session: AsyncSession) -> datetime:
    """PostgreSQL's clock (`clock_timestamp()`): the one that decides what is due."""
    return (await session.execute(select(func.clock_timestamp()))).scalar_one()
