"""FHIR in and out."""

from __future__ import annotations

from typing import Any, Self

from pydantic import ConfigDict, Field

from carecircle.domain.fhir.reading import Reading, ReadMedication
from carecircle.domain.schedule import SchedulePlan
from carecircle.domain.times import duration_text
from carecircle_api.schemas.medications import NewMedicationBody
from carecircle_api.schemas.schedule_kinds import NewScheduleBody
from carecircle_api.schemas.schedules import rule_fields
from carecircle_api.schemas.values import Answer, Body, Day, ZoneName

REQUEST: dict[str, Any] = {
    "resourceType": "MedicationRequest",
    "status": "active",
    "intent": "order",
    "medicationCodeableConcept": {"text": "Metoprolol 50 mg"},
    "subject": {"reference": "Patient/1"},
    "dosageInstruction": [
        {
            "timing": {
                "repeat": {
                    "boundsPeriod": {"start": "2026-11-24"},
                    "frequency": 2,
                    "period": 1,
                    "periodUnit": "d",
                    "timeOfDay": ["08:00:00", "20:00:00"],
                }
            },
            "route": {"text": "by mouth"},
            "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "tablet"}}],
        }
    ],
}


class FhirImportBody(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"resource": REQUEST, "patient_zone": "Europe/Berlin"}]})

    resource: dict[str, Any] = Field(
        description="A MedicationRequest of FHIR R4 or R5, or a Bundle with up to 200 of them."
    )
    patient_zone: ZoneName | None = Field(
        default=None, description="Where the patient lives; needed where the request names instants."
    )
    start_date: Day | None = Field(default=None, description="When that begins what has no start; null: today.")


class ReadScheduleBody(Answer):
    path: str = Field(description="Where in the resource it was read.")
    schedule: NewScheduleBody = Field(description="Send it to `POST /v1/medications/{medication_id}/schedules`.")


class ReadMedicationBody(Answer):
    medication: NewMedicationBody = Field(description="Send it to `POST /v1/patients/{patient_id}/medications`.")
    schedules: list[ReadScheduleBody]


class UnmappedBody(Answer):
    path: str = Field(examples=["dosageInstruction.0.route"])
    text: str = Field(description="What it says; kept in the medication's instructions, if there is one.")
    why: str


class FhirImportedBody(Answer):
    medications: list[ReadMedicationBody]
    unmapped: list[UnmappedBody] = Field(description="What no schedule or medication here says.")
    notes: list[str] = Field(description="How something was read that could mean something slightly else.")

    @classmethod
    def of(cls, reading: Reading) -> Self:
        return cls(
            medications=[_medication(one) for one in reading.medications],
            unmapped=[UnmappedBody.model_validate(one) for one in reading.unmapped],
            notes=sorted(reading.notes),
        )


def _medication(one: ReadMedication) -> ReadMedicationBody:
    body = NewMedicationBody(
        name=one.name, strength=one.strength, form=one.form, instructions=one.instructions, status=one.status
    )
    schedules = [ReadScheduleBody(path=path, schedule=schedule_request(plan)) for path, plan in one.plans]
    return ReadMedicationBody(medication=body, schedules=schedules)


def schedule_request(plan: SchedulePlan) -> NewScheduleBody:
    """The body that makes this plan."""
    rule = {name: value for name, value in rule_fields(plan.rule.to_json()).items() if value}
    rule.pop("start_zone", None)
    body: dict[str, Any] = {
        **rule,
        "kind": plan.rule.kind,
        "start_date": plan.start_date,
        "end_date": plan.end_date,
        "zone": plan.zone,
        "zone_policy": plan.zone_policy,
        "severity": plan.severity,
        "dose": {"quantity": plan.dose.quantity, "unit": plan.dose.unit},
    }
    if plan.rule.kind in {"calendar", "interval"}:
        body["count"] = plan.count
    for name in ("min_gap", "on_time", "missed_after"):
        length = getattr(plan, name)
        body[name] = None if length is None else duration_text(length)
    if "steps" in body:
        body["steps"] = [{**step, "dose": step["dose"].model_dump()} for step in body["steps"]]
    return NewScheduleBody.model_validate(body)
