"""Handling a dose."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field

from carecircle.domain.acknowledgement import LONGEST_HOLD, SHORTEST_HOLD
from carecircle.domain.errors import Invalid
from carecircle_api.schemas.values import Body, Flag, Instant, Whole


class NewAcknowledgementBody(Body):
    """At most one of `minutes` and `until`; without: half an hour, or less where the window of the dose is short."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}, {"minutes": 20}, {"take_over": True}]})

    minutes: Annotated[Whole, Field(ge=SHORTEST_HOLD, le=LONGEST_HOLD)] | None = Field(
        default=None, description="From now, or from when it is due."
    )
    until: Instant | None = Field(
        default=None, description="Early enough before `missed_at` that others can still be asked."
    )
    take_over: Flag = Field(default=False, description="Handle it although somebody else does.")

    def wish(self) -> int | datetime | None:
        """Minutes, an instant, or as usual.

        Raises:
            Invalid: both were given.
        """
        if self.minutes is not None and self.until is not None:
            raise Invalid("Give `minutes` or `until`, not both.", field="until")
        return self.until if self.minutes is None else self.minutes
