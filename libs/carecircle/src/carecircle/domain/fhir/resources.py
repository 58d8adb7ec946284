"""A patient's medications, schedules and answers as FHIR resources in one Bundle."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from carecircle.domain.errors import Invalid
from carecircle.domain.fhir.dosage import dosages, quantity, utc
from carecircle.domain.fhir.own import plan_text
from carecircle.domain.fhir.reading import read_requests
from carecircle.domain.fhir.terms import (
    ADHERENCE,
    ADHERENCE_CODE,
    OWN_MEDICATION,
    OWN_REASON,
    OWN_SCHEDULE,
    OWN_ZONE,
    REQUEST_STATUS,
    Json,
    Version,
)
from carecircle.domain.interval_rule import IntervalRule

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from carecircle.domain.dose import Dose
    from carecircle.domain.medication import MedicationStatus
    from carecircle.domain.schedule import SchedulePlan

REASONS = {"missed": "Nobody answered.", "unknown": "Nobody was asked."}


@dataclass(frozen=True, slots=True)
class FhirPatient:
    id: UUID
    name: str
    zone: str


@dataclass(frozen=True, slots=True)
class FhirMedication:
    id: UUID
    name: str
    strength: str | None
    form: str | None
    instructions: str | None
    status: MedicationStatus
    created_at: datetime
    plans: tuple[tuple[UUID, SchedulePlan], ...]
    """Its schedules, each with its id."""

    @property
    def title(self) -> str:
        return self.name if self.strength is None else f"{self.name} {self.strength}"


@dataclass(frozen=True, slots=True)
class FhirAdministration:
    """What became of one dose."""

    id: UUID
    medication_id: UUID
    schedule_id: UUID
    status: str
    """`completed`, `not-done`, `entered-in-error` or `unknown`."""
    at: datetime
    reason: str | None
    reason_code: str | None
    dose: Dose | None


def bundle(
    version: Version,
    patient: FhirPatient,
    medications: Sequence[FhirMedication],
    administrations: Sequence[FhirAdministration],
    now: datetime,
) -> Json:
    """A collection: the patient, then each medication with its requests and statement, then what was taken."""
    live = {schedule_id for medication in medications for schedule_id, _ in medication.plans}
    resources = [_patient(patient)]
    for medication in medications:
        resources.append(_medication(version, medication))
        resources += _requests(version, patient, medication)
        resources.append(_statement(version, patient, medication, now))
    named = {medication.id for medication in medications}
    resources += [_administration(version, patient, one, live) for one in administrations if one.medication_id in named]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": utc(now),
        "entry": [{"fullUrl": f"urn:uuid:{one['id']}", "resource": one} for one in resources],
    }


def _patient(patient: FhirPatient) -> Json:
    zone = [{"url": OWN_ZONE, "valueCode": patient.zone}]
    return {"resourceType": "Patient", "id": str(patient.id), "extension": zone, "name": [{"text": patient.name}]}


def _medication(version: Version, medication: FhirMedication) -> Json:
    resource: Json = {"resourceType": "Medication", "id": str(medication.id), "code": {"text": medication.title}}
    if medication.strength is not None:
        apart = json.dumps({"name": medication.name, "strength": medication.strength})
        resource["extension"] = [{"url": OWN_MEDICATION, "valueString": apart}]
    if medication.form is not None:
        resource["form" if version is Version.R4 else "doseForm"] = {"text": medication.form}
    return resource


def _requests(version: Version, patient: FhirPatient, medication: FhirMedication) -> list[Json]:
    """One request a schedule; a medication without any has one that says what it is."""
    plans = medication.plans or ((uuid5(medication.id, "request"), None),)
    return [_request(version, patient, medication, schedule_id, plan) for schedule_id, plan in plans]


def _request(
    version: Version, patient: FhirPatient, medication: FhirMedication, schedule_id: UUID, plan: SchedulePlan | None
) -> Json:
    request: Json = {
        "resourceType": "MedicationRequest",
        "id": str(schedule_id),
        "groupIdentifier": {"system": "urn:ietf:rfc:3986", "value": _reference(medication.id)},
        "status": REQUEST_STATUS[medication.status],
        "intent": "plan",
        **_of_medication(version, medication.id),
        "subject": {"reference": _reference(patient.id)},
        "authoredOn": utc(medication.created_at),
    }
    if plan is None:
        if medication.instructions is not None:
            request["note"] = [{"text": medication.instructions}]
        return request
    given = dosages(plan, patient.zone, version)
    if not _says_it_all(given, request, plan, patient.zone):
        plan = _tied(plan, patient.zone)
        request["extension"] = [{"url": OWN_SCHEDULE, "valueString": plan_text(plan)}]
        given = dosages(plan, patient.zone, version)
    if medication.instructions is not None:
        given = [{**one, "patientInstruction": medication.instructions} for one in given]
    request["dosageInstruction"] = given
    return request


def _tied(plan: SchedulePlan, zone: str) -> SchedulePlan:
    """With the zone that the start of an interval is meant in: whoever reads it may be elsewhere."""
    rule = plan.rule
    if not isinstance(rule, IntervalRule) or rule.start_zone is not None or plan.zone is not None:
        return plan
    try:
        return replace(plan, rule=replace(rule, start_zone=zone))
    except Invalid:  # it has doses on no day but its only one, by the wall clock of whoever reads it
        return plan


def _says_it_all(given: list[Json], request: Json, plan: SchedulePlan, zone: str) -> bool:
    """Whether FHIR's own elements alone give the plan back: so nothing has to be known of what they can say."""
    bare = {**request, "dosageInstruction": given, "medicationCodeableConcept": {"text": "x"}}
    bare.pop("medicationReference", None)
    bare.pop("medication", None)
    try:
        reading = read_requests(bare, patient_zone=zone, today=plan.start_date)
    except Invalid:
        return False
    found = [found for medication in reading.medications for _, found in medication.plans]
    return found == [plan] and not reading.unmapped


def _statement(version: Version, patient: FhirPatient, medication: FhirMedication, now: datetime) -> Json:
    statement: Json = {
        "resourceType": "MedicationStatement",
        "id": str(uuid5(medication.id, "statement")),
        "status": REQUEST_STATUS[medication.status],
        **_of_medication(version, medication.id),
        "subject": {"reference": _reference(patient.id)},
        "dateAsserted": utc(now),
    }
    if version is Version.R5:
        statement["status"] = "recorded"
        statement["adherence"] = {
            "code": {"coding": [{"system": ADHERENCE, "code": ADHERENCE_CODE[medication.status]}]}
        }
    if medication.plans:
        statement["derivedFrom"] = [{"reference": _reference(schedule_id)} for schedule_id, _ in medication.plans]
        given = [one for _, plan in medication.plans for one in dosages(plan, patient.zone, version)]
        # The sequence of one schedule says nothing of the others'.
        statement["dosage"] = [{name: value for name, value in one.items() if name != "sequence"} for one in given]
    return statement


def _administration(version: Version, patient: FhirPatient, one: FhirAdministration, live: set[UUID]) -> Json:
    resource: Json = {
        "resourceType": "MedicationAdministration",
        "id": str(one.id),
        "status": one.status,
        **_of_medication(version, one.medication_id),
        "subject": {"reference": _reference(patient.id)},
        # R5 spells it with one r; a correct spelling is no element of it.
        ("effectiveDateTime" if version is Version.R4 else "occurenceDateTime"): utc(one.at),
    }
    if one.schedule_id in live:
        resource["request"] = {"reference": _reference(one.schedule_id)}
    if one.reason is not None or one.reason_code is not None:
        reason: Json = {} if one.reason is None else {"text": one.reason}
        if one.reason_code is not None:
            coding = {"system": OWN_REASON, "code": one.reason_code}
            reason["coding"] = [coding]
        resource["statusReason"] = [reason]
    if one.dose is not None:
        resource["dosage"] = {"dose": quantity(one.dose)}
    return resource


def _of_medication(version: Version, medication_id: UUID) -> Json:
    reference = {"reference": _reference(medication_id)}
    return {"medicationReference": reference} if version is Version.R4 else {"medication": {"reference": reference}}


def _reference(one: UUID) -> str:
    return f"urn:uuid:{one}"
