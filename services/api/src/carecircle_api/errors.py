"""From refusals to HTTP: the only place that knows which status a domain code means."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from carecircle.domain.acknowledgement import AlreadyAcknowledged
from carecircle.domain.archive import InvalidArchive
from carecircle.domain.as_needed import TooEarly
from carecircle.domain.errors import Conflict, DomainError, Invalid, NotAllowed, NotFound, RevisionMismatch
from carecircle.domain.moving import TooClose
from carecircle.domain.occurrence import AlreadyRecorded
from carecircle.domain.rules import RULES
from carecircle.usecases.binding import NoDoseInWindow
from carecircle_api.observe import trace_id_of
from carecircle_api.problems import FieldError, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

    from carecircle.db.nearby import Nearby

STATUS: dict[type[DomainError], int] = {
    NotFound: 404,
    NotAllowed: 403,
    Conflict: 409,
    RevisionMismatch: 412,
    Invalid: 422,
}
"""By the nearest class: a new kind of conflict is a 409 without being named here."""

CODES: dict[int, tuple[str, str]] = {
    400: ("malformed_body", "The body cannot be read."),
    401: ("unauthenticated", "Log in: this needs a valid access token."),
    404: ("no_such_path", "There is nothing at this path."),
    405: ("method_not_allowed", "This path does not know this method."),
    413: ("body_too_large", "The body is too large."),
    415: ("unsupported_media_type", "Send JSON with Content-Type: application/json."),
}
MISSING_JSON = {"model_attributes_type", "dict_type", "typed_dict_type"}
UNKNOWN_KIND = {"union_tag_invalid", "union_tag_not_found"}
KINDS = {*RULES, "taper"}
BEFORE_A_KIND = {"body", "schedule"}
RETRY_SOON = "2"
# PostgreSQL was asked too much at this moment: lock or statement timeout, deadlock, lost connection, shutting down.
BUSY_SQLSTATES = ("55P03", "57014", "40001", "40P01", "57P01", "57P02", "57P03", "53300")


class Unauthenticated(Exception):
    """No access token, or none that counts any more."""


class BadCredentials(Exception):
    """The e-mail address and the password do not belong together; which of them is wrong is not said."""


class Throttled(Exception):
    """Too many tries; `seconds` until the next may succeed."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(seconds)


def install(app: FastAPI) -> None:
    """Answer every exception that a route may raise. What is left is a bug, and `observe` answers that."""
    app.add_exception_handler(DomainError, _answer)
    app.add_exception_handler(HTTPException, _answer)
    app.add_exception_handler(RequestValidationError, _answer)
    app.add_exception_handler(Unauthenticated, _answer)
    app.add_exception_handler(BadCredentials, _answer)
    app.add_exception_handler(Throttled, _answer)
    app.add_exception_handler(PoolTimeout, _answer)
    app.add_exception_handler(DBAPIError, _answer)


def problem_of(error: Exception) -> Problem | None:
    """What this exception means to a client; None if nobody foresaw it."""
    match error:
        case DomainError():
            return _refusal(error)
        case RequestValidationError():
            return _invalid(error.errors())
        case Unauthenticated():
            code, detail = CODES[401]
            return Problem(401, code, detail, headers={"WWW-Authenticate": "Bearer"})
        case BadCredentials():
            detail = "The e-mail address or the password is not right."
            return Problem(401, "bad_credentials", detail, headers={"WWW-Authenticate": "Bearer"})
        case Throttled():
            headers = {"Retry-After": str(error.seconds)}
            return Problem(429, "too_many_attempts", "Too many attempts; wait and try again.", headers=headers)
        case HTTPException():
            return _http(error)
        case PoolTimeout() | OperationalError():
            return _busy()
        case DBAPIError() if getattr(error.orig, "sqlstate", None) in BUSY_SQLSTATES or error.connection_invalidated:
            return _busy()
        case _:
            return None


def respond(request: Request, error: Exception) -> Response:
    """The answer to a refusal. For a route whose transaction has to commit although it refuses."""
    problem = problem_of(error)
    if problem is None:
        raise error
    return problem.response(trace_id_of(request.scope))


async def _answer(request: Request, error: Exception) -> Response:
    return respond(request, error)


def _refusal(error: DomainError) -> Problem:
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    errors = [FieldError(error.field, error.message)] if error.field else []
    if isinstance(error, InvalidArchive):
        errors = [FieldError(fault.field, fault.message) for fault in error.faults]
    extra: dict[str, Any] = {}
    if isinstance(error, AlreadyRecorded):
        extra = {"administration": {"status": error.status, "at": _utc(error.at), "recorded_by": error.by}}
    if isinstance(error, AlreadyAcknowledged):
        extra = {"acknowledgement": {"by": error.by, "at": _utc(error.at), "until": _utc(error.until)}}
    if isinstance(error, NoDoseInWindow):
        extra = {"candidates": [_candidate(one) for one in error.candidates]}
    if isinstance(error, TooEarly) and error.allowance.next_allowed_at is not None:
        extra = {"next_allowed_at": _utc(error.allowance.next_allowed_at)}
        extra = {"next_allowed_at": error.allowance.next_allowed_at.isoformat().replace("+00:00", "Z")}
    if isinstance(error, TooClose):
        ends = {"earliest": error.room.earliest, "latest": error.room.latest}
        extra = {name: at.isoformat().replace("+00:00", "Z") for name, at in ends.items() if at is not None}
    return Problem(status, error.code, error.message, errors, extra=extra)


def _candidate(dose: Nearby) -> dict[str, str]:
    return {
        "occurrence_id": str(dose.occurrence_id),
        "nominal_local_time": dose.nominal_local.isoformat(timespec="minutes"),
        "zone": dose.zone,
        "due_at": _utc(dose.due_at),
        "missed_at": _utc(dose.missed_at),
        "state": dose.state,
    }


def _utc(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _invalid(found: Sequence[Any]) -> Problem:
    if any(item["type"] == "json_invalid" for item in found):
        return Problem(400, *CODES[400], [FieldError("body", "This is not JSON.")])
    errors = field_errors(found)
    return Problem(422, "invalid", "The input does not make sense; `errors` says where.", errors)


def field_errors(found: Sequence[Any]) -> list[FieldError]:
    """What pydantic found wrong, as clients read it."""
    return [FieldError(_field(item), _message(item)) for item in found]


def _field(item: dict[str, Any]) -> str:
    location: Sequence[str | int] = item["loc"]
    inner = [
        str(part)
        for before, part in pairwise(location)
        # Which kind of schedule was meant is no part of the input's path.
        if part != "[key]" and not (before in BEFORE_A_KIND and part in KINDS)
    ]
    if item["type"] in UNKNOWN_KIND:
        inner.append("kind")
    return ".".join(inner) or (str(location[0]) if location else "")


def _message(item: dict[str, Any]) -> str:
    if item["type"] in MISSING_JSON and len(item["loc"]) > 1:
        return "Give an object."
    if item["type"] in MISSING_JSON:
        return "Send a JSON object with Content-Type: application/json."
    if item["type"] == "extra_forbidden":
        return "There is no such field."
    return str(item["msg"]).removeprefix("Value error, ")


def _http(error: HTTPException) -> Problem:
    code, detail = CODES.get(error.status_code, (f"http_{error.status_code}", str(error.detail)))
    errors = [FieldError("body", detail)] if error.status_code in {400, 413} else []
    return Problem(error.status_code, code, detail, errors, headers=error.headers or {})


def _busy() -> Problem:
    detail = "The database cannot answer at the moment; nothing was changed. Try again."
    return Problem(503, "try_again", detail, headers={"Retry-After": RETRY_SOON})
