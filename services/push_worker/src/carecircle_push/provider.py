"""One message to one push service: encrypted (RFC 8291), signed (RFC 8292), posted with TTL, Urgency and Topic.

pywebpush encrypts and py-vapid signs; the request is our own, because theirs has no time limit, follows redirects
to any host, and drops the message when the browser is offline.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import urlsplit

import aiohttp
import structlog
from pywebpush import WebPusher, WebPushException  # pyright: ignore[reportMissingTypeStubs] - it has none

from carecircle.domain.delivery import Rejected, Sent, TryLater
from carecircle.domain.errors import Invalid
from carecircle.domain.push_endpoint import check_endpoint, origin
from carecircle.runtime.clock import utc_now
from carecircle_push.outcomes import KEY_REFUSED, Problem, classify, classify_problem
from carecircle_push.resolver import AddressRefused, PublicResolver
from carecircle_push.standing import KeyStanding

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime
    from types import TracebackType

    from carecircle.domain.delivery import Outcome
    from carecircle_push.message import PushMessage
    from carecircle_push.signer import VapidSigner

MAX_TTL = 30 * 24 * 3600
REPLY_LIMIT = 64 * 1024
REPLY_WAIT = 0.5
"""Seconds to read what follows a status, only so that the connection can be used again."""
CONNECTIONS = 100

log = structlog.stdlib.get_logger(__name__)


@dataclass(slots=True)
class Progress:
    """How far one request came."""

    body_written: bool = False


class PushProvider:
    """Posts to push services. `async with PushProvider(...) as provider`."""

    def __init__(
        self,
        signer: VapidSigner,
        *,
        allowed_origins: Collection[str] = (),
        total_seconds: float = 10,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._signer = signer
        self._allowed_origins = frozenset(allowed_origins)
        self._total_seconds = total_seconds
        self._clock = clock
        self._key = KeyStanding()
        self._paused: dict[str, float] = {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=PublicResolver([_host_and_port(one) for one in self._allowed_origins]), limit=CONNECTIONS
            ),
            timeout=aiohttp.ClientTimeout(total=self._total_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trace_configs=[_body_trace()],
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, message: PushMessage) -> Outcome:
        """Encrypt and post the message. Raises only what is a bug of ours."""
        try:
            # Once more: the rules, or the settings, may have changed since the browser subscribed.
            check_endpoint(message.endpoint, self._allowed_origins)
        except Invalid:
            return Rejected("push_endpoint_refused")
        service = origin(message.endpoint)
        if (left := self._paused.get(service, 0) - time.monotonic()) > 0:
            return TryLater("push_service_paused", timedelta(seconds=left))
        try:
            body = await asyncio.to_thread(encrypt, message)
        except (WebPushException, ValueError, IndexError):  # what pywebpush raises for keys that are none
            return Rejected("push_keys_unusable", target_gone=True)
        outcome = await self._post(message, service, body)
        if isinstance(outcome, TryLater) and outcome.not_before:
            # The whole service asked for a rest; without this every other message would be told the same.
            self._paused[service] = time.monotonic() + outcome.not_before.total_seconds()
        return outcome

    async def _post(self, message: PushMessage, service: str, body: bytes) -> Outcome:
        if self._session is None:
            raise RuntimeError("use it as `async with PushProvider(...)`")
        progress = Progress()
        now = self._clock()
        try:
            async with self._session.post(
                message.endpoint,
                data=body,
                headers=self._headers(message, service, now),
                allow_redirects=False,
                trace_request_ctx=progress,
            ) as response:
                outcome = self._outcome(response, message, service, now)
                await _finish(response)
        except (aiohttp.ClientError, OSError) as error:
            outcome = classify_problem(problem_of(error), body_written=progress.body_written)
        if not isinstance(outcome, Sent):
            log.info("push.refused", host=urlsplit(service).hostname, outcome=outcome.code)
        return outcome

    def _outcome(self, response: aiohttp.ClientResponse, message: PushMessage, service: str, now: datetime) -> Outcome:
        only_this_one = response.status in KEY_REFUSED and self._key.refused(service, message.endpoint)
        outcome = classify(
            response.status,
            response.headers.get("Retry-After"),
            now=now,
            window_end=message.window_end,
            only_this_one=only_this_one,
        )
        if isinstance(outcome, Sent):
            self._key.accepted(service)
        return outcome

    def _headers(self, message: PushMessage, service: str, now: datetime) -> dict[str, str]:
        left = int((message.window_end - now).total_seconds())
        return {
            "Authorization": self._signer.authorization(service),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            # Never 0: that means "drop it unless the device is online this second".
            "TTL": str(min(max(left, 1), MAX_TTL)),
            "Urgency": message.urgency,
            "Topic": message.topic,
        }


def encrypt(message: PushMessage) -> bytes:
    """The payload, readable only by this browser (RFC 8291, aes128gcm)."""
    pusher = WebPusher({"endpoint": message.endpoint, "keys": {"p256dh": message.p256dh, "auth": message.auth}})
    return cast("bytes", pusher.encode(message.payload, "aes128gcm")["body"])


def problem_of(error: Exception) -> Problem:
    """What kind of trouble a request without an answer met."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Problem.ADDRESS_REFUSED if isinstance(error.os_error, AddressRefused) else Problem.DNS
    if isinstance(error, aiohttp.ClientSSLError):
        return Problem.TLS
    if isinstance(error, TimeoutError):
        return Problem.TIMEOUT
    if isinstance(error, aiohttp.ClientConnectorError):
        return Problem.CONNECT
    if isinstance(error, aiohttp.ClientConnectionError | ConnectionError):
        return Problem.DISCONNECTED
    return Problem.BAD_REPLY


async def _finish(response: aiohttp.ClientResponse) -> None:
    """Read a short rest, so that the connection can be used again; cut off a long or slow one."""
    size = 0
    try:
        async with asyncio.timeout(REPLY_WAIT):
            async for chunk in response.content.iter_any():
                size += len(chunk)
                if size > REPLY_LIMIT:
                    break
            else:
                return
    except (aiohttp.ClientError, OSError):
        pass  # the status is known, and that is the answer
    response.close()


def _body_trace() -> aiohttp.TraceConfig:
    """Marks the request's `Progress` when its body is written."""

    async def written(_session: aiohttp.ClientSession, context: Any, _chunk: Any) -> None:
        context.trace_request_ctx.body_written = True

    trace = aiohttp.TraceConfig()
    trace.on_request_chunk_sent.append(written)
    return trace


def _host_and_port(trusted_origin: str) -> tuple[str, int]:
    parts = urlsplit(trusted_origin)
    return (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)
