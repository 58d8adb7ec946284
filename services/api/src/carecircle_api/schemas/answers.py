"""Many answers at once, and those of a phone that was offline."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal, Self, cast
from uuid import UUID

from pydantic import ConfigDict, Field, ValidationError

from carecircle.domain.answer import Answer as GivenAnswer
from carecircle.domain.answer import NotDoneReason
from carecircle.domain.errors import Invalid
from carecircle.domain.occurrence import AdministrationStatus, AlreadyRecorded
from carecircle.usecases.many_answers import MOST_AT_ONCE, Give, Outcome, Result, TakeBack, Wish
from carecircle_api.errors import field_errors
from carecircle_api.problems import FieldError
from carecircle_api.schemas.occurrences import AdministrationBody
from carecircle_api.schemas.problem import FieldErrorBody
from carecircle_api.schemas.schedule_kinds import DoseBody
from carecircle_api.schemas.values import Answer, Body, Id, Instant, LocalDateTime, Reason


class NewAnswersBody(Body):
    """One answer to many doses: those named, or all that are due at one time. Exactly one of the three says which."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"status": "taken", "nominal_local_time": "2026-11-24T08:00"},
                {"status": "taken", "due_at": "2026-11-24T07:00:00Z"},
                {
                    "status": "skipped",
                    "reason_code": "felt_unwell",
                    "occurrence_ids": ["01890a5d-ac96-774b-bcce-b302099a8057"],
                },
            ]
        }
    )

    status: AdministrationStatus
    at: Instant | None = Field(default=None, description="When it happened; null: now.")
    reason: Reason | None = None
    reason_code: NotDoneReason | None = Field(default=None, description="Why they were skipped; only for `skipped`.")
    occurrence_ids: Annotated[list[Id], Field(min_length=1, max_length=MOST_AT_ONCE)] | None = None
    due_at: Instant | None = Field(default=None, description="All planned doses due at this instant.")
    nominal_local_time: LocalDateTime | None = Field(
        default=None, description="All planned doses of this time on the wall, whatever their zone."
    )

    def answer(self, now: datetime) -> GivenAnswer:
        return GivenAnswer(self.status, self.at or now, self.reason, self.reason_code)

    def which(self) -> list[UUID] | datetime:
        """The ids of the doses; or their time, naive if it is one on the wall.

        Raises:
            Invalid: none of the three was given, or more than one.
        """
        given = [one for one in (self.occurrence_ids, self.due_at, self.nominal_local_time) if one is not None]
        if len(given) != 1:
            raise Invalid(
                "Give exactly one of `occurrence_ids`, `due_at` and `nominal_local_time`.", field="occurrence_ids"
            )
        return list(dict.fromkeys(given[0])) if isinstance(given[0], list) else given[0]


class OfflineAnswerBody(Body):
    """An answer given while there was no connection. Name the dose, or the medication: then it is for the dose that is
    nearest to `at`.
    """

    kind: Literal["answer"]
    id: Id = Field(description="Your own id of this answer, a new one for each.")
    occurrence_id: Id | None = None
    medication_id: Id | None = None
    status: AdministrationStatus
    at: Instant = Field(description="When it happened, at most 31 days ago.")
    reason: Reason | None = None
    reason_code: NotDoneReason | None = None
    dose: DoseBody | None = None

    def wish(self) -> Give:
        """
        Raises:
            Invalid: neither a dose nor a medication was given, or both.
        """
        if (self.occurrence_id is None) == (self.medication_id is None):
            raise Invalid("Give `occurrence_id` or `medication_id`, one of the two.", field="occurrence_id")
        dose = None if self.dose is None else self.dose.dose()
        answer = GivenAnswer(self.status, self.at, self.reason, self.reason_code, dose, self.id)
        return Give(answer, self.occurrence_id, self.medication_id)


class OfflineUndoBody(Body):
    """An answer taken back while there was no connection."""

    kind: Literal["undo"]
    administration_id: Id = Field(description="Of an answer in this call, or of any that was recorded before.")

    def wish(self) -> TakeBack:
        return TakeBack(self.administration_id)


OfflineItem = Annotated[OfflineAnswerBody | OfflineUndoBody | Any, Field(union_mode="left_to_right")]
"""`Any` keeps what fits neither for its own refusal."""


class OfflineAnswersBody(Body):
    """What was done while there was no connection, in the order in which it was done.

    Each item is checked by itself: one that is not understood gets `refused` and takes nothing from the others.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "kind": "answer",
                            "id": "0192f0c1-7a31-7c52-9b1e-6f2d3a4b5c6d",
                            "occurrence_id": "01890a5d-ac96-774b-bcce-b302099a8057",
                            "status": "taken",
                            "at": "2026-11-24T08:05:00Z",
                        },
                        {"kind": "undo", "administration_id": "0192f0c1-7a31-7c52-9b1e-6f2d3a4b5c6d"},
                    ]
                }
            ]
        }
    )

    items: Annotated[list[OfflineItem], Field(min_length=1, max_length=MOST_AT_ONCE)]

    def wishes(self) -> Iterator[Wish | list[FieldError]]:
        """Each item, or what is wrong with it."""
        for item in self.items:
            try:
                yield _read(item).wish()
            except ValidationError as error:
                yield field_errors(error.errors())
            except Invalid as refused:
                yield [FieldError(refused.field or "", refused.message)]


def _read(item: Any) -> OfflineAnswerBody | OfflineUndoBody:
    """An item that fitted neither kind says why it does not fit the one that it names."""
    if isinstance(item, OfflineAnswerBody | OfflineUndoBody):
        return item
    undo = isinstance(item, dict) and cast("dict[str, Any]", item).get("kind") == "undo"
    return (OfflineUndoBody if undo else OfflineAnswerBody).model_validate(item)


class StandingBody(Answer):
    """The answer that stands."""

    status: AdministrationStatus
    at: datetime
    recorded_by: str = Field(description="A display name.")

    @classmethod
    def of(cls, first: AlreadyRecorded) -> Self:
        return cls(status=AdministrationStatus(first.status), at=first.at, recorded_by=first.by)


class AnswerResultBody(Answer):
    """What became of one of many."""

    outcome: Outcome = Field(
        description="`recorded` also says that the same answer was recorded before. `not_answerable`: the dose is on "
        "hold or was cancelled, or no dose of the medication is open at that time."
    )
    occurrence_id: UUID | None = Field(description="The dose; null: none was found.")
    administration: AdministrationBody | None = Field(description="Of `recorded`.")
    stands: StandingBody | None = Field(description="Of `already_recorded`: who was first, when, and how.")
    errors: list[FieldErrorBody] = Field(description="Of `refused`.")

    @classmethod
    def of(cls, result: Result, recorded_by: str) -> Self:
        given, first, refusal = result.administration, result.stands, result.refusal
        errors = [] if refusal is None else [FieldError(refusal.field or "", refusal.message)]
        return cls(
            outcome=result.outcome,
            occurrence_id=result.occurrence_id,
            administration=None if given is None else AdministrationBody.of(given, recorded_by),
            stands=None if first is None else StandingBody.of(first),
            errors=[FieldErrorBody(field=one.field, message=one.message) for one in errors],
        )

    @classmethod
    def refused(cls, errors: list[FieldError]) -> Self:
        return cls(
            outcome=Outcome.REFUSED,
            occurrence_id=None,
            administration=None,
            stands=None,
            errors=[FieldErrorBody(field=one.field, message=one.message) for one in errors],
        )


class AnswerResultsBody(Answer):
    """A result for each, in the order in which they were sent; of a time, by the doses' ids."""

    items: list[AnswerResultBody]
