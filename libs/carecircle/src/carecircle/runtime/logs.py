"""Logs: events with a fixed set of keys, as JSON for machines or as lines for people.

Only keys on the list below are written. A name, an address or a medicine has no key, so it cannot be logged by
mistake; and an exception is written as its type and its lines of code, without the message that may quote a value.
"""

from __future__ import annotations

import logging
import sys
import traceback
from typing import TYPE_CHECKING, Any, Literal, TextIO, cast

import structlog

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from types import TracebackType

    from structlog.typing import Processor

    Event = MutableMapping[str, Any]

ALLOWED = frozenset(
    {
        # what structlog adds
        *("event", "level", "logger", "timestamp", "service", "exception"),
        # which row, job or queue
        *("account_id", "delivery_id", "medication_id", "occurrence_id", "patient_id", "request_id", "schedule_id"),
        *("subscription_id", "target_id", "job", "job_id", "queue", "scheduler_id", "generation", "attempt", "step"),
        # what happened
        *("action", "channel", "code", "error", "kind", "method", "outcome", "reason", "route", "severity", "state"),
        *("signal", "status", "status_code", "version"),
        # how much, how long, where
        *("answered", "cancelled", "count", "counts", "enqueued", "expired", "healed", "missed", "planned", "unknown"),
        *("duration_ms", "lag_seconds", "late", "seconds", "skew_seconds", "until", "host", "port"),
    }
)
OUR_ERRORS = ("carequeue.", "carecircle.domain.errors.", "carecircle.runtime.")
"""Modules whose error messages hold no personal data and help whoever reads the log."""
QUIET = ("aiosmtplib", "alembic", "asyncio", "httpcore", "httpx", "sqlalchemy", "urllib3", "uvicorn")
"""Libraries that may quote what they send: only their warnings are written, without the arguments."""


def configure(
    level: str = "INFO",
    style: Literal["json", "console"] = "json",
    *,
    service: str | None = None,
    stream: TextIO | None = None,
) -> None:
    """Set up logging for the process, for structlog and for the standard library's loggers alike."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        scrub_exception,
        allow_listed,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), foreign_event, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(style)],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    if service:
        structlog.contextvars.bind_contextvars(service=service)


def allow_listed(_logger: object, _method: str, event: Event) -> Event:
    """Drop every key that is not on the list."""
    for key in [key for key in event if key not in ALLOWED and not key.startswith("_")]:
        del event[key]
    return event


def scrub_exception(_logger: object, _method: str, event: Event) -> Event:
    """Write an exception as types and places, without values."""
    given = event.pop("exc_info", None)
    error = _error(given)
    if error is not None:
        event["exception"] = describe(error)
    return event


def foreign_event(_logger: object, _method: str, event: Event) -> Event:
    """What a library logs: its message without the arguments, which may be anything."""
    record = event.get("_record")
    if isinstance(record, logging.LogRecord):
        event["event"] = str(record.msg)
        event["exc_info"] = record.exc_info
    return event


def describe(error: BaseException) -> str:
    """`Type (message if it is one of ours) at file:line function ← …`, the innermost place first, with its causes."""
    kind = type(error)
    name = f"{kind.__module__}.{kind.__qualname__}"
    # A plain OSError names a file or a host; libraries put replies of servers into their subclasses of it.
    plain = isinstance(error, OSError) and kind.__module__ in {"builtins", "socket"}
    message = f": {error}" if plain or name.startswith(OUR_ERRORS) else ""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    because = f" because {describe(cause)}" if cause is not None else ""
    # A task group's own error says nothing; what went wrong is inside.
    parts: tuple[BaseException, ...] = getattr(error, "exceptions", ())
    inside = f" of ({'; '.join(describe(part) for part in parts)})" if parts else ""
    return f"{name}{message}{_places(error.__traceback__)}{inside}{because}"


def _error(given: object) -> BaseException | None:
    """The exception in what a logging call was given as `exc_info`: True, an exception, or the triple of it."""
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple):
        return _error(cast("tuple[object, ...]", given)[1])
    return sys.exc_info()[1] if given else None


def _places(trace: TracebackType | None, limit: int = 8) -> str:
    frames = traceback.extract_tb(trace)[-limit:]
    places = (f"{frame.filename.rsplit('/site-packages/')[-1]}:{frame.lineno} {frame.name}" for frame in frames[::-1])
    return " at " + " ← ".join(places) if frames else ""


def _renderer(style: Literal["json", "console"]) -> Processor:
    if style == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    return structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())
