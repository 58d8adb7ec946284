"""Other times for doses: one dose, or a whole series."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from carecircle_api.schemas.values import Body, Instant, Moment


class RescheduleBody(Body):
    """When one dose is to be due, this once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"to": "2026-11-25T10:30"},
                {"to": "2026-11-25T09:30:00Z", "from": "2026-11-25T07:00:00Z"},
            ]
        }
    )

    to: Moment = Field(description="An instant, or a local time in the zone of the dose.")
    seen: Instant | None = Field(
        default=None,
        alias="from",
        description="The `due_at` that you saw: if somebody moved the dose since, 409 `moved_meanwhile`. Optional.",
    )
