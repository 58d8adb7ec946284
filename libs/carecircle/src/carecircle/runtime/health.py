"""The health endpoints of a worker process: /livez, /readyz, /metrics on a tiny HTTP server of its own."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import structlog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from types import TracebackType

    from carecircle.runtime.metrics import Metrics

REQUEST_LIMIT = 8 * 1024
REQUEST_TIMEOUT = 5.0
CHECK_TIMEOUT = 3.0
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that the process leans on. A failing `needed` one makes it not ready, any other one degraded."""

    probe: Callable[[], Awaitable[bool]]
    needed: bool = False


class Health:
    """`async with Health(…)` serves until the block ends. Port 0 takes a free one; see `port`."""

    def __init__(self, host: str, port: int, metrics: Metrics, checks: Mapping[str, Check]) -> None:
        self.host = host
        self.port = port
        self._metrics = metrics
        self._checks = checks
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self.host, self.port, limit=REQUEST_LIMIT)
        self.port = self._server.sockets[0].getsockname()[1]
        log.info("health.listening", host=self.host, port=self.port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def readiness(self) -> tuple[int, Mapping[str, object]]:
        """The status and body of /readyz: `ok`, `degraded` (200: it works, with less) or `unavailable` (503)."""
        passed = dict(zip(self._checks, await asyncio.gather(*map(_passes, self._checks.values())), strict=True))
        broken = [name for name, passes in passed.items() if not passes]
        unusable = any(self._checks[name].needed for name in broken)
        status = "unavailable" if unusable else "degraded" if broken else "ok"
        body = {"status": status, "checks": {name: "ok" if passes else "failing" for name, passes in passed.items()}}
        return (503 if unusable else 200), body

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(REQUEST_TIMEOUT):
                head = await reader.readuntil(b"\r\n\r\n")
                status, kind, body = await self._answer(head)
                writer.write(_response(status, kind, body))
                await writer.drain()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def _answer(self, head: bytes) -> tuple[int, str, bytes]:
        parts = head.split(b"\r\n", 1)[0].split(b" ")
        if len(parts) != 3:
            return 400, "text/plain", b"bad request\n"
        if parts[0] not in (b"GET", b"HEAD"):
            return 405, "text/plain", b"GET only\n"
        match parts[1].split(b"?", 1)[0]:
            case b"/livez":
                return 200, "text/plain", b"ok\n"
            case b"/readyz":
                status, body = await self.readiness()
                return status, "application/json", json.dumps(body).encode()
            case b"/metrics":
                return 200, "text/plain; version=0.0.4; charset=utf-8", self._metrics.render()
            case _:
                return 404, "text/plain", b"not found\n"


async def _passes(check: Check) -> bool:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT):
            return await check.probe()
    except Exception:  # noqa: BLE001 - whatever a probe raises is its answer: it does not work
        return False


def _response(status: int, kind: str, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
