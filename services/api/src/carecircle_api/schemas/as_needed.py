"""Doses taken as needed: what is logged, and when the next one is allowed."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self

from pydantic import ConfigDict, Field

from carecircle.domain.as_needed import Allowance
from carecircle.usecases.as_needed import Given
from carecircle_api.schemas.occurrences import AdministrationBody
from carecircle_api.schemas.schedule_kinds import DoseBody
from carecircle_api.schemas.values import Answer, Body, Flag, Instant, Reason


class NewAsNeededDoseBody(Body):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "Headache"}, {"dose": {"quantity": 0.5, "unit": "tablet"}}]}
    )

    at: Instant | None = Field(default=None, description="When it was taken; null: now.")
    dose: DoseBody | None = Field(default=None, description="null: the schedule's.")
    reason: Reason | None = Field(default=None, description="What it was taken for.")
    even_if_early: Flag = Field(
        default=False, description="It was taken all the same: log it although it was not allowed yet."
    )


class AllowanceBody(Answer):
    """When the next dose is allowed. Before a dose is handed over, ask here."""

    allowed: bool = Field(description="At the moment of the answer.")
    next_allowed_at: datetime | None = Field(description="null: at any time.")
    taken_in_period: int = Field(description="Doses that count towards the maximum.")
    left_in_period: int | None = Field(description="null: there is no maximum.")
    warning: Literal["last_before_max", "max_reached"] | None = Field(
        description="`last_before_max`: one more dose and the maximum is reached."
    )

    @classmethod
    def of(cls, allowance: Allowance, now: datetime) -> Self:
        return cls.model_validate(
            {
                "allowed": allowance.allows(now),
                "next_allowed_at": allowance.next_allowed_at,
                "taken_in_period": allowance.taken_in_period,
                "left_in_period": allowance.left_in_period,
                "warning": allowance.warning,
            }
        )


class AsNeededDoseBody(AdministrationBody):
    """`DELETE /v1/occurrences/{occurrence_id}/administrations/{id}` takes it back."""

    after: AllowanceBody = Field(description="What holds after this dose.")

    @classmethod
    def given(cls, given: Given, recorded_by: str, now: datetime) -> Self:
        administration = AdministrationBody.of(given.administration, recorded_by)
        return cls.model_validate({**administration.model_dump(), "after": AllowanceBody.of(given.allowance, now)})
