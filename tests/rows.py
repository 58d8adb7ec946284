"""Rows that a test makes, changes and reads, each in a transaction of its own, as other processes would see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uuid import UUID

    from carecircle.db.session import Database


@dataclass
class Rows:
    database: Database

    async def add(self, row: Any) -> UUID:
        async with self.database.transaction() as session:
            session.add(row)
            await session.flush()
            return row.id

    async def change(self, table: type[Any], row_id: UUID, **values: Any) -> None:
        async with self.database.transaction() as session:
            row = await session.get_one(table, row_id)
            for name, value in values.items():
                setattr(row, name, value)

    async def get(self, table: type[Any], row_id: UUID) -> Any:
        async with self.database.transaction() as session:
            return await session.get_one(table, row_id)
