"""RFC 9457 problem details: the one shape of everything that is not a success."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:carecircle:problem:"
MAX_ERRORS = 20
MAX_FIELD_LENGTH = 100
MAX_MESSAGE_LENGTH = 500


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one part of the input."""

    field: str
    """Dotted: `times.1`, `dose.unit`, `since`; `body` for the body as a whole."""
    message: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One refusal, before it is written."""

    status: int
    code: str
    detail: str
    errors: Sequence[FieldError] = ()
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Members that only this code has."""

    @property
    def title(self) -> str:
        return HTTPStatus(self.status).phrase

    def body(self, trace_id: str) -> bytes:
        content = {
            "type": TYPE_PREFIX + self.code,
            "title": self.title,
            "status": self.status,
            "detail": printable(self.detail, MAX_MESSAGE_LENGTH),
            "code": self.code,
            "errors": [
                {
                    "field": printable(error.field, MAX_FIELD_LENGTH),
                    "message": printable(error.message, MAX_MESSAGE_LENGTH),
                }
                for error in self.errors[:MAX_ERRORS]
            ],
            "trace_id": trace_id,
            **self.extra,
        }
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()

    def response(self, trace_id: str) -> Response:
        return Response(self.body(trace_id), status_code=self.status, headers=dict(self.headers), media_type=MEDIA_TYPE)


def printable(text: str, limit: int) -> str:
    """Input comes back in messages (an unknown field's name): nothing of it may break the answer or a terminal."""
    shown = text[:limit].encode("utf-8", "backslashreplace").decode("utf-8")
    clean = "".join(character if character.isprintable() else f"\\u{ord(character):04x}" for character in shown)
    return clean if len(text) <= limit else clean + "…"
