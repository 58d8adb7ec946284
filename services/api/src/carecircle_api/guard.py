"""Two small ASGI layers around the routes: the body gate and the security headers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from starlette.datastructures import Headers, MutableHeaders

from carecircle_api.observe import trace_id_of
from carecircle_api.problems import FieldError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
HSTS = "max-age=31536000"
MOST_LARGE = 2
"""So many large bodies are in memory at once."""


class SecurityHeaders:
    """Sets what is missing on every answer; a route that sets its own (the docs page) keeps it."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app = app
        self._headers = HEADERS | ({"Strict-Transport-Security": HSTS} if https else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, guarded_send)


class BodyGate:
    """Reads the whole body before the application sees the request: at most so many bytes, in at most so long.

    Counted as the bytes come, because Content-Length may be missing or untrue. Some paths take large bodies: few at
    once, as anybody can send one.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, timeout: float, large: Mapping[str, int] | None = None) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._large = large or {}
        self.large_running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with _Place(self) as place:
            body = await self._read(scope, receive, place)
            if isinstance(body, Problem):
                await body.response(trace_id_of(scope))(scope, receive, send)
            elif body is not None:
                await self._app(scope, _replay(body, receive), send)

    async def _read(self, scope: Scope, receive: Receive, place: _Place) -> bytes | Problem | None:
        """The body, or why not; None when the client has left."""
        limit = max(self._max_bytes, self._large.get(scope.get("path", ""), 0))
        if _announced(scope) > limit:
            return _too_large(limit)
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._timeout):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    chunks.append(message.get("body", b""))
                    size += len(chunks[-1])
                    if size > limit:
                        return _too_large(limit)
                    if size > self._max_bytes and not place.take():
                        detail = "Other large bodies are being read; send this one again in a moment."
                        return Problem(503, "try_again", detail, headers={"Retry-After": "5", "Connection": "close"})
                    if not message.get("more_body", False):
                        return b"".join(chunks)
        except TimeoutError:
            return Problem(408, "too_slow", "The body did not arrive in time.", headers={"Connection": "close"})


class _Place:
    """One of the few places for large bodies, kept until the request is answered."""

    def __init__(self, gate: BodyGate) -> None:
        self._gate = gate
        self._taken = False

    def __enter__(self) -> Self:
        return self

    def take(self) -> bool:
        """Whether there was one, or it is held already."""
        if not self._taken and self._gate.large_running < MOST_LARGE:
            self._gate.large_running += 1
            self._taken = True
        return self._taken

    def __exit__(self, *_: object) -> None:
        if self._taken:
            self._gate.large_running -= 1


def _too_large(limit: int) -> Problem:
    detail = f"The body is too large: at most {limit} bytes."
    return Problem(413, "body_too_large", detail, [FieldError("body", detail)], headers={"Connection": "close"})


def _announced(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else 0


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body once and then whatever the server says next (that the client left)."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed
