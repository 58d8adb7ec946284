"""A patient's archive as JSON: one document that leaves by an export and comes back by an import."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue, SkipValidation

from carecircle.domain.archive import (
    Archive,
    ArchivedMedication,
    ArchivedSchedule,
    Fault,
)
from carecircle.domain.errors import Invalid
from carecircle.domain.interval_rule import IntervalRule
from carecircle.domain.medication import MedicationStatus, Severity
from carecircle.domain.routine import Routine
from carecircle.domain.schedule import SchedulePlan
from carecircle.usecases.archiving import Imported
from carecircle_api.schemas.archived_doses import ArchivedDoseBody, Revision
from carecircle_api.schemas.schedule_bodies import body_of
from carecircle_api.schemas.schedule_kinds import NewScheduleBody
from carecircle_api.schemas.values import (
    Answer,
    Body,
    Id,
    Instant,
    Instructions,
    Name,
    ShortText,
    WallTime,
    Whole,
    ZoneName,
)

FORMAT = "carecircle-patient"
VERSION = 1
MOST_DOSES = 100_000
MOST_MEDICATIONS = 2000
MOST_SCHEDULES = 500


EXAMPLE: JsonValue = {
    "format": FORMAT,
    "version": VERSION,
    "patient": {"display_name": "Mum", "zone": "Europe/Berlin"},
    "medications": [
        {
            "id": "019aa000-0000-7000-8000-000000000001",
            "name": "Metoprolol",
            "strength": "50 mg",
            "schedules": [
                {
                    "id": "019aa000-0000-7000-8000-000000000002",
                    "body": {
                        "kind": "calendar",
                        "times": ["08:00"],
                        "start_date": "2026-01-01",
                        "dose": {"quantity": 1, "unit": "tablet"},
                    },
                }
            ],
        }
    ],
    "doses": [
        {
            "id": "019aa000-0000-7000-8000-000000000003",
            "schedule_id": "019aa000-0000-7000-8000-000000000002",
            "nominal_local_time": "2026-01-02T08:00",
            "zone": "Europe/Berlin",
            "due_at": "2026-01-02T07:00:00Z",
            "missed_at": "2026-01-02T19:00:00Z",
            "dose": {"quantity": 1, "unit": "tablet"},
            "state": "taken",
            "answers": [
                {
                    "status": "taken",
                    "at": "2026-01-02T07:05:00Z",
                    "dose": {"quantity": 1, "unit": "tablet"},
                    "recorded_by": "Anna",
                    "recorded_at": "2026-01-02T07:05:30Z",
                }
            ],
        }
    ],
}


class ArchivedRoutine(Body):
    """All of it, or none: as usual."""

    wake_up: WallTime
    breakfast: WallTime
    lunch: WallTime
    dinner: WallTime
    bedtime: WallTime


class ArchivedPatientBody(Body):
    display_name: Name
    zone: ZoneName
    routine: ArchivedRoutine | None = None


class ArchivedScheduleBody(Body):
    id: Id
    body: NewScheduleBody = Field(description="As for `POST /v1/medications/{medication_id}/schedules`.")
    start_zone: ZoneName | None = Field(default=None, description="Where `start` of an elapsed interval was meant.")
    revision: Revision = 1
    created_at: Instant | None = Field(default=None, description="A `count` of doses is counted from here.")
    valid_from: Instant | None = Field(default=None, description="Doses up to here do not exist. null: `created_at`.")
    planned_until: Instant | None = Field(
        default=None, description="The doses due before it are in `doses`; what is to come is planned from there on."
    )
    deleted_at: Instant | None = None

    @classmethod
    def of(cls, schedule: ArchivedSchedule) -> Self:
        rule = schedule.plan.rule
        return cls(
            id=schedule.id,
            body=NewScheduleBody.model_validate(body_of(schedule.plan)),
            start_zone=rule.start_zone if isinstance(rule, IntervalRule) else None,
            revision=schedule.revision,
            created_at=schedule.created_at,
            valid_from=schedule.valid_from,
            planned_until=schedule.planned_until,
            deleted_at=schedule.deleted_at,
        )

    def archived(self, now: datetime) -> ArchivedSchedule:
        created_at = self.created_at or now
        return ArchivedSchedule(
            id=self.id,
            plan=self._plan(now.date()),
            revision=self.revision,
            created_at=created_at,
            valid_from=self.valid_from or created_at,
            planned_until=self.planned_until or now,
            deleted_at=self.deleted_at,
        )

    def _plan(self, today: date) -> SchedulePlan:
        try:
            plan = self.body.plan(today)
        except Invalid as refused:
            raise Invalid(refused.message, field=f"body.{refused.field}") from None
        if self.start_zone is None:
            return plan
        if not isinstance(plan.rule, IntervalRule):
            raise Invalid("Only an interval has a start.", field="start_zone")
        try:
            return replace(plan, rule=replace(plan.rule, start_zone=self.start_zone))
        except Invalid as refused:
            raise Invalid(refused.message, field="start_zone") from None


class ArchivedMedicationBody(Body):
    id: Id
    name: Name
    strength: ShortText | None = None
    form: ShortText | None = None
    instructions: Instructions | None = None
    status: MedicationStatus = MedicationStatus.ACTIVE
    severity: Severity = Severity.NORMAL
    created_at: Instant | None = None
    deleted_at: Instant | None = None
    schedules: Annotated[list[ArchivedScheduleBody], Field(max_length=MOST_SCHEDULES)] = Field(
        default_factory=list[ArchivedScheduleBody]
    )

    @classmethod
    def of(cls, medication: ArchivedMedication) -> Self:
        return cls(
            id=medication.id,
            name=medication.name,
            strength=medication.strength,
            form=medication.form,
            instructions=medication.instructions,
            status=medication.status,
            severity=medication.severity,
            created_at=medication.created_at,
            deleted_at=medication.deleted_at,
            schedules=[ArchivedScheduleBody.of(schedule) for schedule in medication.schedules],
        )

    def archived(self, now: datetime, place: str, faults: list[Fault]) -> ArchivedMedication:
        schedules: list[ArchivedSchedule] = []
        for n, schedule in enumerate(self.schedules):
            with noting(faults, f"{place}.schedules.{n}"):
                schedules.append(schedule.archived(now))
        return ArchivedMedication(
            id=self.id,
            name=self.name,
            strength=self.strength,
            form=self.form,
            instructions=self.instructions,
            status=self.status,
            severity=self.severity,
            created_at=self.created_at or now,
            deleted_at=self.deleted_at,
            schedules=tuple(schedules),
        )


class ArchiveBody(Body):
    """What `GET /v1/patients/{patient_id}/export` gives. Ids only say what belongs together."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    format: Literal["carecircle-patient"]
    version: Whole = Field(description="1. A document of another version is refused.")
    exported_at: Instant | None = None
    patient: ArchivedPatientBody
    medications: Annotated[list[ArchivedMedicationBody], Field(max_length=MOST_MEDICATIONS)] = Field(
        default_factory=list[ArchivedMedicationBody]
    )
    # Looked at in portions, so that years of them do not keep others waiting.
    doses: Annotated[list[SkipValidation[ArchivedDoseBody]], Field(max_length=MOST_DOSES)] = Field(
        default_factory=list[ArchivedDoseBody]
    )

    def plan(self, now: datetime, faults: list[Fault]) -> Archive:
        """The archive without its doses; what is wrong with single parts is added to `faults`."""
        routine: Routine | None = None
        with noting(faults, "patient"):
            given = self.patient.routine
            routine = None if given is None else Routine.from_json(given.model_dump())
        return Archive(
            display_name=self.patient.display_name,
            zone=self.patient.zone,
            routine=routine,
            medications=tuple(
                medication.archived(now, f"medications.{n}", faults) for n, medication in enumerate(self.medications)
            ),
            doses=(),
        )


class DosesOfAnImport(Answer):
    kept: int = Field(description="Doses with all that became of them.")
    answers: int
    closed: int = Field(
        description="Doses that were due and open: now missed or unknown, not asked for, still to be answered."
    )
    planned: int = Field(description="Doses to come that are open.")


class ImportedPatientBody(Answer):
    dry_run: bool
    patient_id: UUID | None = Field(description="The new patient; null after a dry run.")
    medications: int
    schedules: int
    doses: DosesOfAnImport

    @classmethod
    def of(cls, done: Imported) -> Self:
        return cls(
            dry_run=done.patient_id is None,
            patient_id=done.patient_id,
            medications=done.medications,
            schedules=done.schedules,
            doses=DosesOfAnImport(kept=done.doses, answers=done.answers, closed=done.closed, planned=done.planned),
        )


@contextmanager
def noting(faults: list[Fault], place: str) -> Generator[None]:
    """A refusal inside is noted with its place, and reading goes on."""
    try:
        yield
    except Invalid as refused:
        faults.append(Fault(f"{place}.{refused.field}" if refused.field else place, refused.message))
