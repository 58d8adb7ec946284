"""The outermost layer: gives each request a trace id, measures and logs it, and answers what nobody foresaw.

Logged and counted by the route's template, never by the path: paths hold ids and, for invitations, tokens.
"""

from __future__ import annotations

import re
import secrets
import time
from typing import TYPE_CHECKING

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.datastructures import Headers, MutableHeaders

from carecircle_api.problems import Problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

TRACE_KEY = "carecircle.trace_id"
TRACE_HEADER = "X-Trace-Id"
TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
UNMATCHED = "(unmatched)"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
QUIET_ROUTES = frozenset({"/livez", "/readyz", "/metrics"})
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
CLIENT_LEFT = 499

log = structlog.stdlib.get_logger(__name__)


class HttpMetrics:
    """The API's own numbers."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        labels = ["method", "route", "status"]
        self.requests = Counter("carecircle_http_requests_total", "Requests answered.", labels, registry=self.registry)
        self.seconds = Histogram(
            "carecircle_http_request_duration_seconds",
            "From the first byte of a request to the last of its answer.",
            ["method", "route"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.running = Gauge("carecircle_http_requests_running", "Requests not answered yet.", registry=self.registry)


class Observe:
    """ASGI middleware; the outermost."""

    def __init__(self, app: ASGIApp, metrics: HttpMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[TRACE_KEY] = trace_id = _trace_id(Headers(scope=scope).get("traceparent"))
        started = time.perf_counter()
        status = CLIENT_LEFT

        async def observed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[TRACE_HEADER] = trace_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=trace_id), self._metrics.running.track_inprogress():
            try:
                await self._app(scope, receive, observed_send)
            except Exception:  # the last resort: whatever slipped through is a bug, and is answered as one
                log.exception("http.crashed", method=_method(scope), route=route_of(scope))
                if status != CLIENT_LEFT:
                    raise
                await _bug().response(trace_id)(scope, receive, observed_send)
            finally:
                self._note(scope, status, time.perf_counter() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        method, route = _method(scope), route_of(scope)
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.seconds.labels(method, route).observe(seconds)
        write = log.debug if route in QUIET_ROUTES else log.info
        write("http.request", method=method, route=route, status_code=status, duration_ms=round(seconds * 1000, 1))


def trace_id_of(scope: Scope) -> str:
    return scope.get(TRACE_KEY, "")


def route_of(scope: Scope) -> str:
    """The template of the route that answered: `/v1/patients/{patient_id}`."""
    return getattr(scope.get("route"), "path", UNMATCHED)


def _method(scope: Scope) -> str:
    # A label takes few values; the method is the client's word.
    return scope["method"] if scope["method"] in METHODS else "OTHER"


def _trace_id(traceparent: str | None) -> str:
    """The caller's trace (W3C Trace Context) if it sent a right one, else a new one."""
    found = TRACEPARENT.fullmatch(traceparent or "")
    return found[1] if found else secrets.token_hex(16)


def _bug() -> Problem:
    return Problem(500, "internal", "Something went wrong here. It was logged under this trace id.")
