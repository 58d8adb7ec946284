"""Planned doses, and what became of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field

from carecircle.db.doses import Acknowledged, OccurrenceView
from carecircle.db.occurrences import Administration
from carecircle.domain.answer import Answer as GivenAnswer
from carecircle.domain.answer import NotDoneReason, Timing
from carecircle.domain.errors import Invalid
from carecircle.domain.occurrence import LONGEST_SNOOZE, SHORTEST_SNOOZE, AdministrationStatus, OccurrenceState
from carecircle_api.schemas.schedule_kinds import DoseBody
from carecircle_api.schemas.schedules import DoseAnswer, wall_time
from carecircle_api.schemas.values import Answer, Body, Id, Instant, Reason, Whole


class PersonBody(Answer):
    account_id: UUID
    display_name: str


class AdministrationBody(Answer):
    id: UUID
    occurrence_id: UUID
    status: AdministrationStatus
    at: datetime
    reason: str | None = Field(description="In the person's own words.")
    reason_code: NotDoneReason | None = Field(description="Why it was skipped.")
    dose: DoseAnswer = Field(description="What was really taken.")
    dose_changed: bool = Field(description="`dose` is not the planned amount.")
    timing: Timing | None = Field(
        description="When it was taken, by the window of the dose. null: skipped, taken as needed, or not known."
    )
    recorded_by: PersonBody
    recorded_at: datetime
    entered_in_error_at: datetime | None = Field(description="When it was taken back; null: it stands.")

    @classmethod
    def of(cls, row: Administration, recorded_by: str) -> Self:
        return cls(
            id=row.id,
            occurrence_id=row.occurrence_id,
            status=AdministrationStatus(row.status),
            at=row.at,
            reason=row.reason,
            reason_code=None if row.reason_code is None else NotDoneReason(row.reason_code),
            dose=DoseAnswer(quantity=row.dose_quantity, unit=row.dose_unit),
            dose_changed=row.dose_changed,
            timing=None if row.timing is None else Timing(row.timing),
            recorded_by=PersonBody(account_id=row.recorded_by, display_name=recorded_by),
            recorded_at=row.recorded_at,
            entered_in_error_at=row.entered_in_error_at,
        )


class AcknowledgementBody(Answer):
    """Somebody handles the dose: nobody else is reminded before `until`. It is not an answer."""

    by: PersonBody
    at: datetime
    until: datetime = Field(description="Without an answer by then the dose is asked for again.")


class OccurrenceBody(Answer):
    id: UUID
    patient_id: UUID
    medication_id: UUID
    medication_name: str
    schedule_id: UUID
    nominal_local_time: str = Field(examples=["2026-11-25T08:00"], description="Wall-clock time in `zone`.")
    zone: str
    due_at: datetime
    missed_at: datetime = Field(description="The end of its window.")
    note: str | None
    moved_from: datetime | None = Field(description="When it was due before somebody moved it; null: not moved.")
    dose: DoseAnswer
    state: OccurrenceState
    reason: str | None
    remind_at: datetime = Field(description="When the next reminder goes out.")
    administration: AdministrationBody | None
    acknowledgement: AcknowledgementBody | None = Field(description="Who handles it, while it is open.")

    @classmethod
    def of(cls, view: OccurrenceView) -> Self:
        given, handled = view.administration, view.acknowledged
        return cls(
            id=view.id,
            patient_id=view.patient_id,
            medication_id=view.medication_id,
            medication_name=view.medication_name,
            schedule_id=view.schedule_id,
            nominal_local_time=wall_time(view.nominal_local),
            zone=view.zone,
            due_at=view.due_at,
            missed_at=view.missed_at,
            note=view.note,
            moved_from=view.moved_from,
            dose=DoseAnswer(quantity=view.dose.quantity, unit=view.dose.unit),
            state=view.state,
            reason=view.reason,
            remind_at=view.remind_at,
            administration=None if given is None else AdministrationBody.of(given, view.recorded_by_name or ""),
            acknowledgement=None if handled is None else _acknowledgement(handled),
        )


def _acknowledgement(handled: Acknowledged) -> AcknowledgementBody:
    by = PersonBody(account_id=handled.account_id, display_name=handled.name)
    return AcknowledgementBody(by=by, at=handled.at, until=handled.until)


class NewAdministrationBody(Body):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"status": "taken", "at": "2026-11-24T08:05:00Z"},
                {"status": "taken", "dose": {"quantity": 0.5, "unit": "tablet"}},
                {"status": "skipped", "reason_code": "felt_unwell", "reason": "Felt sick after breakfast"},
            ]
        }
    )

    id: Id | None = Field(
        default=None, description="Your own id of this answer: sent again, it is not stored twice. null: we choose one."
    )
    status: AdministrationStatus
    at: Instant | None = Field(default=None, description="When it happened; null: now.")
    reason: Reason | None = None
    reason_code: NotDoneReason | None = Field(default=None, description="Why it was skipped; only for `skipped`.")
    dose: DoseBody | None = Field(
        default=None, description="What was really taken, in the unit of the planned dose; null: as planned."
    )

    def answer(self, now: datetime) -> GivenAnswer:
        return GivenAnswer(
            status=self.status,
            at=self.at or now,
            reason=self.reason,
            reason_code=self.reason_code,
            dose=None if self.dose is None else self.dose.dose(),
            id=self.id,
        )


class SnoozeBody(Body):
    """Exactly one of the two."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"minutes": 10}]})

    minutes: Annotated[Whole, Field(ge=SHORTEST_SNOOZE, le=LONGEST_SNOOZE)] | None = Field(
        default=None, description="From now, or from when it is due."
    )
    until: Instant | None = Field(default=None, description="Inside the window of the dose: before `missed_at`.")

    def later(self) -> int | datetime:
        """Minutes, or an instant.

        Raises:
            Invalid: none was given, or both.
        """
        match self.minutes, self.until:
            case int(minutes), None:
                return minutes
            case None, datetime() as until:
                return until
            case None, None:
                raise Invalid("Say when: give `minutes` or `until`.", field="minutes")
            case _:
                raise Invalid("Give `minutes` or `until`, not both.", field="until")
