"""Lists: `{"items": […], "next": null}`. `next` is what to send as `cursor` for the page that follows."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from carecircle.db.pages import Mark, PageRequest
from carecircle.domain.errors import Invalid

T = TypeVar("T")
DEFAULT_LIMIT, MAX_LIMIT = 50, 200
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MARK_BYTES = 8 + 16


class ListOf(BaseModel, Generic[T]):
    items: list[T]
    next: str | None = Field(default=None, description="The `cursor` of the next page; null on the last one.")


def page_request(
    cursor: Annotated[str | None, Query(max_length=64, description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
) -> PageRequest:
    return PageRequest(limit, None if cursor is None else read_cursor(cursor))


PageDep = Annotated[PageRequest, Depends(page_request)]


def write_cursor(mark: Mark | None) -> str | None:
    if mark is None:
        return None
    microseconds = (mark.at - EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(microseconds.to_bytes(8) + mark.id.bytes).decode()


def read_cursor(text: str) -> Mark:
    try:
        raw = base64.b64decode(text, altchars=b"-_", validate=True)
        if len(raw) != MARK_BYTES:
            raise Invalid("This is not a cursor that we gave out.", field="cursor")
        return Mark(EPOCH + timedelta(microseconds=int.from_bytes(raw[:8])), UUID(bytes=raw[8:]))
    except (binascii.Error, ValueError, OverflowError) as error:
        raise Invalid("This is not a cursor that we gave out.", field="cursor") from error
