"""A dose of a patient's archive as JSON, with its answers."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from carecircle.domain.answer import NotDoneReason, Timing
from carecircle.domain.archive import ArchivedAnswer, ArchivedDose
from carecircle.domain.dose import Dose
from carecircle.domain.occurrence import AdministrationStatus, OccurrenceState
from carecircle_api.schemas.schedule_kinds import DoseBody
from carecircle_api.schemas.values import (
    FIRST_YEAR,
    LAST_YEAR,
    Body,
    Flag,
    Id,
    Instant,
    Name,
    Reason,
    ShortText,
    Whole,
    ZoneName,
)

MOST_ANSWERS = 100
LOCAL = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?", re.ASCII)
HIGHEST = 1_000_000


def _nominal(value: object) -> object:
    """A naive wall-clock time. Doses that were only logged have seconds and less."""
    if isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str) and LOCAL.fullmatch(value):
            local = datetime.fromisoformat(value)
            if FIRST_YEAR <= local.year <= LAST_YEAR:
                return local
    except ValueError:
        pass
    raise ValueError('Give a local date and time as "2026-03-07T22:00", without a zone.')


def _nominal_text(local: datetime) -> str:
    whole = local.second == 0 and local.microsecond == 0
    return local.isoformat(timespec="minutes") if whole else local.isoformat()


NominalTime = Annotated[
    datetime,
    BeforeValidator(_nominal),
    PlainSerializer(_nominal_text, return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}.*$"}),
]
Revision = Annotated[Whole, Field(ge=1, le=HIGHEST)]
Step = Annotated[Whole, Field(ge=0, le=HIGHEST)]
OurWord = Annotated[ShortText, Field(max_length=16)]


class ArchivedAnswerBody(Body):
    status: AdministrationStatus
    at: Instant
    reason: Reason | None = None
    dose: DoseBody
    recorded_by: Name = Field(description="The person's name.")
    recorded_at: Instant
    entered_in_error_at: Instant | None = Field(default=None, description="When it was taken back; null: it stands.")
    entered_in_error_by: Name | None = None
    reason_code: NotDoneReason | None = None
    timing: Timing | None = Field(default=None, description="By the window that held when it was recorded.")
    dose_changed: Flag = Field(default=False, description="`dose` is not what was planned.")

    @classmethod
    def of(cls, answer: ArchivedAnswer) -> Self:
        return cls(
            status=answer.status,
            at=answer.at,
            reason=answer.reason,
            dose=dose_body(answer.dose),
            recorded_by=answer.recorded_by,
            recorded_at=answer.recorded_at,
            entered_in_error_at=answer.entered_in_error_at,
            entered_in_error_by=answer.entered_in_error_by,
            reason_code=answer.reason_code,
            timing=answer.timing,
            dose_changed=answer.dose_changed,
        )

    def archived(self) -> ArchivedAnswer:
        return ArchivedAnswer(
            status=self.status,
            at=self.at,
            reason=self.reason,
            dose=self.dose.dose(),
            recorded_by=self.recorded_by,
            recorded_at=self.recorded_at,
            entered_in_error_at=self.entered_in_error_at,
            entered_in_error_by=self.entered_in_error_by,
            reason_code=self.reason_code,
            timing=self.timing,
            dose_changed=self.dose_changed,
        )


class ArchivedDoseBody(Body):
    id: Id
    schedule_id: Id
    revision: Revision = 1
    nominal_local_time: NominalTime = Field(
        description="Wall-clock time in `zone`; a microsecond marks the second round of a clock set back."
    )
    zone: ZoneName
    due_at: Instant
    missed_at: Instant
    note: OurWord | None = None
    dose: DoseBody
    state: OccurrenceState
    reason: Annotated[Reason, Field(max_length=200)] | None = None
    remind_at: Instant | None = Field(default=None, description="null: `due_at`.")
    reminder_step: Step = 0
    reminded_step: Step | None = Field(default=None, description="null: nobody was reminded.")
    created_at: Instant | None = None
    updated_at: Instant | None = None
    moved_from: Instant | None = Field(default=None, description="Where `due_at` was before a person moved this dose.")
    moved_at: Instant | None = None
    answers: Annotated[list[ArchivedAnswerBody], Field(max_length=MOST_ANSWERS)] = Field(
        default_factory=list[ArchivedAnswerBody]
    )

    @classmethod
    def of(cls, dose: ArchivedDose) -> Self:
        return cls(
            id=dose.id,
            schedule_id=dose.schedule_id,
            revision=dose.revision,
            nominal_local_time=dose.nominal_local,
            zone=dose.zone,
            due_at=dose.due_at,
            missed_at=dose.missed_at,
            note=dose.note,
            dose=dose_body(dose.dose),
            state=dose.state,
            reason=dose.reason,
            remind_at=dose.remind_at,
            reminder_step=dose.reminder_step,
            reminded_step=dose.reminded_step,
            created_at=dose.created_at,
            updated_at=dose.updated_at,
            moved_from=dose.moved_from,
            moved_at=dose.moved_at,
            answers=[ArchivedAnswerBody.of(answer) for answer in dose.answers],
        )

    def archived(self, now: datetime) -> ArchivedDose:
        created_at = self.created_at or min(self.due_at, now)
        return ArchivedDose(
            id=self.id,
            schedule_id=self.schedule_id,
            revision=self.revision,
            nominal_local=self.nominal_local_time,
            zone=self.zone,
            due_at=self.due_at,
            missed_at=self.missed_at,
            note=self.note,
            dose=self.dose.dose(),
            state=self.state,
            reason=self.reason,
            remind_at=self.remind_at or self.due_at,
            reminder_step=self.reminder_step,
            reminded_step=self.reminded_step,
            created_at=created_at,
            updated_at=self.updated_at or created_at,
            moved_from=self.moved_from,
            moved_at=self.moved_at,
            answers=tuple(answer.archived() for answer in self.answers),
        )


def dose_body(dose: Dose) -> DoseBody:
    return DoseBody(quantity=dose.quantity, unit=dose.unit)
