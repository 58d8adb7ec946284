"""What a schedule would do, and why."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue

from carecircle.domain.as_needed import Allowance
from carecircle.domain.occurrence import OccurrenceState
from carecircle.domain.preview import Foreseen, Preview
from carecircle_api.schemas.as_needed import AllowanceBody
from carecircle_api.schemas.patients import RoutineBody
from carecircle_api.schemas.schedule_kinds import NewScheduleBody
from carecircle_api.schemas.schedules import DoseAnswer, wall_time
from carecircle_api.schemas.values import Answer, Body, Instant, ZoneName

MOST_CHANGES = 50
MOST_TAKEN = 1000
TRAVEL: JsonValue = {
    "schedule": {
        "kind": "calendar",
        "times": ["08:00", "20:00"],
        "start_date": "2026-05-01",
        "dose": {"quantity": 1, "unit": "tablet"},
    },
    "patient_zone": "America/New_York",
    "since": "2026-05-10T00:00:00Z",
    "until": "2026-05-12T00:00:00Z",
    "zone_changes": [{"at": "2026-05-10T15:00:00Z", "zone": "Europe/Paris"}],
}
LAST_TAKEN: JsonValue = {
    "schedule": {
        "kind": "interval",
        "every": {"n": 3, "unit": "day"},
        "anchor": "last_taken",
        "start": "2026-03-23T09:00",
        "dose": {"quantity": 1, "unit": "tablet"},
    },
    "patient_zone": "Europe/Berlin",
    "since": "2026-03-23T00:00:00Z",
    "until": "2026-04-01T00:00:00Z",
    "taken": [{"at": "2026-03-24T09:15:00Z"}],
}
AS_NEEDED: JsonValue = {
    "schedule": {
        "kind": "as_needed",
        "max": {"count": 4, "per": "PT24H"},
        "dose": {"quantity": 1, "unit": "tablet"},
    },
    "patient_zone": "UTC",
    "since": "2026-03-23T00:00:00Z",
    "until": "2026-04-01T00:00:00Z",
    "taken": [{"at": "2026-03-24T12:00:00Z"}, {"at": "2026-03-24T16:00:00Z"}],
}


class ZoneChangeBody(Body):
    at: Instant
    zone: ZoneName


class TakenBody(Body):
    at: Instant


class PreviewRequestBody(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [TRAVEL, LAST_TAKEN, AS_NEEDED]})

    schedule: NewScheduleBody
    patient_zone: ZoneName | None = Field(
        default=None, description="Where the patient lives at `since`; may be left out if the schedule has a zone."
    )
    since: Instant = Field(description="Inclusive.")
    until: Instant = Field(description="Exclusive, at most ten years later.")
    zone_changes: Annotated[list[ZoneChangeBody], Field(max_length=MOST_CHANGES)] = Field(
        default_factory=list[ZoneChangeBody], description="A journey: from `at` on the patient is in `zone`."
    )
    taken: Annotated[list[TakenBody], Field(max_length=MOST_TAKEN)] = Field(
        default_factory=list[TakenBody], description="Doses of this schedule that were taken."
    )
    routine: RoutineBody | None = Field(default=None, description="The patient's own times, for `when`.")


class ForeseenBody(Answer):
    nominal_local: str = Field(examples=["2026-03-08T02:30"], description="Wall-clock time in `zone`.")
    zone: str
    due_at: datetime
    missed_at: datetime
    dose: DoseAnswer
    notes: list[str] = Field(
        description="`gap`: the clocks skip this time. `zone_change`: the first in a new zone. `raised_at_once`: past "
        "there already, and not yet missed. `min_gap`: dropped, too close to the last. `after_taken`: counted from the "
        "last dose taken."
    )

    @classmethod
    def of(cls, one: Foreseen) -> Self:
        return cls(
            nominal_local=wall_time(one.dose.nominal_local),
            zone=one.dose.zone,
            due_at=one.dose.due_at,
            missed_at=one.dose.missed_at,
            dose=DoseAnswer.of(one.dose.dose),
            notes=list(one.notes),
        )


class AllowedAfterBody(AllowanceBody):
    taken_at: datetime

    @classmethod
    def after(cls, at: datetime, allowance: Allowance) -> Self:
        return cls.model_validate({**AllowanceBody.of(allowance, at).model_dump(), "taken_at": at})


class PreviewBody(Answer):
    occurrences: list[ForeseenBody] = Field(description="In the order they are due.")
    dropped: list[ForeseenBody] = Field(description="What a change of zone leaves out.")
    as_needed: list[AllowedAfterBody] = Field(
        description="For a schedule as needed: after each dose taken, when the next is allowed."
    )
    truncated: bool = Field(description="There are more; ask for a shorter period.")

    @classmethod
    def of(cls, found: Preview) -> Self:
        return cls.model_validate(fields(found))


class RecipientBody(Answer):
    account_id: UUID
    display_name: str
    channels: list[str] = Field(description="How this person is reached now; empty: not at all.")


class SavedPreviewBody(PreviewBody):
    recipients: list[RecipientBody] = Field(description="Who is told of each dose, as things are now.")
    paused: bool = Field(description="The medication is not being taken: nothing of this is planned.")


class ExplainedBody(Answer):
    at: datetime
    code: str = Field(description="For programs: `planned`, `gap`, `sent`, `not_sent`, `failed`, `taken`, `missed`, …")
    text: str = Field(description="For people, without the medicine's name.")


class ExplanationBody(Answer):
    occurrence_id: UUID
    state: OccurrenceState
    steps: list[ExplainedBody] = Field(description="In the order they happened; the last one is what holds now.")


def fields(found: Preview) -> dict[str, object]:
    return {
        "occurrences": [ForeseenBody.of(one) for one in found.occurrences],
        "dropped": [ForeseenBody.of(one) for one in found.dropped],
        "as_needed": [AllowedAfterBody.after(at, allowance) for at, allowance in found.as_needed],
        "truncated": found.truncated,
    }
