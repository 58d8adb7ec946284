"""Problem details as OpenAPI sees them. Written by `problems.py`; here for the description and for readers."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from carecircle_api.problems import MEDIA_TYPE, TYPE_PREFIX


class FieldErrorBody(BaseModel):
    field: str
    message: str


class ProblemBody(BaseModel):
    """RFC 9457. `code` is stable and meant for programs; `detail` is for people."""

    model_config = ConfigDict(
        extra="allow",
        title="Problem",
        json_schema_extra={
            "examples": [
                {
                    "type": f"{TYPE_PREFIX}invalid",
                    "title": "Unprocessable Entity",
                    "status": 422,
                    "detail": "The input does not make sense; `errors` says where.",
                    "code": "invalid",
                    "errors": [{"field": "times.1", "message": "08:00 is there twice."}],
                    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
                }
            ]
        },
    )

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldErrorBody]
    trace_id: str


MEANINGS = {
    400: "The body cannot be read as JSON.",
    401: "No access token, or one that does not count (any more).",
    403: "Your role in this care circle does not allow this.",
    404: "There is nothing with this id in your care circles.",
    408: "The body did not arrive in time.",
    409: "What is stored stands in the way; `code` says what.",
    412: "Somebody else changed it since you read it.",
    413: "The body is too large.",
    422: "The input does not make sense; `errors` names the fields.",
    429: "Too many attempts; `Retry-After` says when to try again.",
    500: "A fault on our side, logged under `trace_id`.",
    503: "The database cannot answer at the moment; nothing was changed.",
}
ALWAYS = (400, 408, 413, 422, 500, 503)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: these statuses beside those that every route may answer."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": MEANINGS[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in sorted({*statuses, *ALWAYS})
    }


SIGNED_IN = (401,)
IN_A_CIRCLE = (401, 403, 404)
