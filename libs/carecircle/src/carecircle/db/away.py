"""Telling "PostgreSQL cannot be asked right now" from a mistake of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

if TYPE_CHECKING:
    from carecircle.db.session import Database


def away(error: BaseException) -> bool:
    """Whether the same transaction may work a little later: no connection, a time limit, a deadlock, read-only."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(error, OperationalError | InterfaceError | InternalError | NoFreeConnection)


async def answers(database: Database) -> bool:
    """For readiness checks: raises or says True."""
    async with database.transaction() as session:
        await session.execute(text("SELECT 1"))
    return True
