"""Idempotency-Key: a POST that is sent again gets the answer of the first one, and does nothing a second time.

The answer is kept for a day, in the transaction of what the request did: there is no moment at which only one of the
two exists. Refusals are not kept; the request may be mended and sent again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Request, Response
from fastapi.routing import APIRoute

from carecircle.db.idempotency import IdempotencyKey, answer_of, hold_key
from carecircle.domain.errors import Conflict, Invalid
from carecircle_api.deps import Work, WorkDep

NAME = "Idempotency-Key"
KEY = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)


class KeyInUse(Conflict):
    """A request with this Idempotency-Key is running; wait for its answer."""

    code = "idempotency_key_in_use"


class KeyReused(Invalid):
    """This Idempotency-Key came with another request before; use a new one for each."""

    code = "idempotency_key_reused"


class Replay(Exception):
    """The request was answered before: this is the answer."""

    def __init__(self, kept: IdempotencyKey) -> None:
        # Made while the transaction is open: raising this ends it, and the row with it.
        headers = {"Idempotent-Replayed": "true"} | ({"Location": kept.location} if kept.location else {})
        self.response = Response(kept.body, kept.status, headers, media_type="application/json")
        super().__init__()


def install(app: FastAPI) -> None:
    """Answer a repeated request with what was kept."""
    app.add_exception_handler(Replay, _replayed)


async def _replayed(_: Request, replay: Exception) -> Response:
    assert isinstance(replay, Replay)  # noqa: S101 - registered for it only; the type is for pyright
    return replay.response


@dataclass(frozen=True, slots=True)
class Keyed:
    """A running request whose answer is to be kept."""

    work: Work
    key: str
    request_hash: str


async def creating(
    work: WorkDep,
    request: Request,
    key: Annotated[
        str | None,
        Header(alias=NAME, description="Any unique text. Sent again within a day, the same request is done once."),
    ] = None,
) -> Work:
    """The transaction of a POST; with a key, one that is done once."""
    if key is None:
        return work
    if not KEY.fullmatch(key):
        raise Invalid("Give 1 to 255 visible ASCII characters.", field=NAME)
    account_id = work.actor.account_id
    if not await hold_key(work.session, account_id, key):
        raise KeyInUse
    request_hash = await _hash(request)
    kept = await answer_of(work.session, account_id, key, work.now)
    if kept is not None and kept.request_hash != request_hash:
        raise KeyReused(field=NAME)
    if kept is not None:
        raise Replay(kept)
    request.state.keyed = Keyed(work, key, request_hash)
    return work


CreatingDep = Annotated[Work, Depends(creating)]


class KeepingRoute(APIRoute):
    """A route that keeps its answer when the request had a key. Runs before the transaction commits."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def keeping(request: Request) -> Response:
            response = await handle(request)
            keyed: Keyed | None = getattr(request.state, "keyed", None)
            if keyed is not None:
                await _keep(keyed, response)
            return response

        return keeping


async def _keep(keyed: Keyed, response: Response) -> None:
    row = IdempotencyKey(
        account_id=keyed.work.actor.account_id,
        key=keyed.key,
        request_hash=keyed.request_hash,
        status=response.status_code,
        location=response.headers.get("Location"),
        body=bytes(response.body),
        created_at=keyed.work.now,
    )
    keyed.work.session.add(row)
    await keyed.work.session.flush()


async def _hash(request: Request) -> str:
    head = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    return hashlib.sha256(head + await request.body()).hexdigest()
