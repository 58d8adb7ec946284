"""Keyset paging: a page continues after the last row seen, so rows that come and go never repeat or hide others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar, TypeVarTuple
from uuid import UUID

from sqlalchemy import Select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

R = TypeVar("R")
Columns = TypeVarTuple("Columns")


@dataclass(frozen=True, slots=True)
class Mark:
    """The place of a row in a list that is ordered by an instant and then by id."""

    at: datetime
    id: UUID


@dataclass(frozen=True, slots=True)
class PageRequest:
    limit: int = 50
    after: Mark | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    rows: list[R]
    next: Mark | None
    """Where the next page starts; None on the last one."""


async def page_of(
    session: AsyncSession,
    query: Select[*Columns],
    request: PageRequest,
    at: InstrumentedAttribute[datetime],
    key: InstrumentedAttribute[UUID],
    *,
    newest_first: bool = False,
) -> Page[tuple[*Columns]]:
    """One page of `query`, ordered by `at` and `key`. Reads one row more than asked to know whether more follow."""
    place = tuple_(at, key)
    if request.after is not None:
        mark = tuple_(request.after.at, request.after.id)
        query = query.where(place < mark if newest_first else place > mark)
    order = (at.desc(), key.desc()) if newest_first else (at, key)
    marked: Select[*tuple[Any, ...]] = query.add_columns(at.label("mark_at"), key.label("mark_id"))
    found = (await session.execute(marked.order_by(*order).limit(request.limit + 1))).all()
    shown = found[: request.limit]
    more = len(found) > request.limit
    rows: list[Any] = [tuple(row)[:-2] for row in shown]
    return Page(rows, Mark(shown[-1].mark_at, shown[-1].mark_id) if more else None)
