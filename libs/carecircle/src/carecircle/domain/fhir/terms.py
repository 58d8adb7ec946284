"""What FHIR calls things (R4 4.0.1, R5 5.0.0), and our own extensions."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeAlias

from carecircle.domain.calendar_rule import DateUnit
from carecircle.domain.interval_rule import TimeUnit
from carecircle.domain.medication import MedicationStatus
from carecircle.domain.routine import When

Json: TypeAlias = dict[str, Any]


class Version(StrEnum):
    R4 = "R4"
    R5 = "R5"


DAYS_OF_CYCLE = "http://hl7.org/fhir/StructureDefinition/timing-daysOfCycle"
OWN_SCHEDULE = "urn:carecircle:fhir:schedule"
"""On a MedicationRequest, `valueString`: the schedule as JSON, where FHIR's own elements do not say all of it."""
OWN_MEDICATION = "urn:carecircle:fhir:medication"
"""On a Medication, `valueString`: name and strength apart, as JSON."""
OWN_ZONE = "urn:carecircle:fhir:zone"
"""On a Patient, `valueCode`: the IANA time zone that the times of day are meant in."""
OWN_REASON = "urn:carecircle:fhir:reason"
"""Code system of why a dose has no answer: `missed`, `unknown`."""
ADHERENCE = "http://hl7.org/fhir/CodeSystem/medication-statement-adherence"

WHEN: dict[When, str] = {
    When.WAKE_UP: "WAKE",
    When.BEFORE_BREAKFAST: "ACM",
    When.BREAKFAST: "CM",
    When.AFTER_BREAKFAST: "PCM",
    When.BEFORE_LUNCH: "ACD",
    When.LUNCH: "CD",
    When.AFTER_LUNCH: "PCD",
    When.BEFORE_DINNER: "ACV",
    When.DINNER: "CV",
    When.AFTER_DINNER: "PCV",
    When.BEDTIME: "HS",
}
"""FHIR's D is dies, midday; its V is vesper."""
POINTS = {code: point for point, code in WHEN.items()}
DATE_UNITS: dict[DateUnit, str] = {DateUnit.DAY: "d", DateUnit.WEEK: "wk", DateUnit.MONTH: "mo"}
TIME_UNITS: dict[TimeUnit, str] = {TimeUnit.MINUTE: "min", TimeUnit.HOUR: "h", TimeUnit.DAY: "d"}
MINUTES_OF = {"min": 1, "h": 60, "d": 1440, "wk": 10080}
PERIOD_UNITS = ("s", "min", "h", "d", "wk", "mo", "a")

REQUEST_STATUS: dict[MedicationStatus, str] = {
    MedicationStatus.ACTIVE: "active",
    MedicationStatus.ON_HOLD: "on-hold",
    MedicationStatus.STOPPED: "stopped",
    MedicationStatus.COMPLETED: "completed",
}
STATUS_OF_REQUEST: dict[str, MedicationStatus] = {
    "active": MedicationStatus.ACTIVE,
    "on-hold": MedicationStatus.ON_HOLD,
    "stopped": MedicationStatus.STOPPED,
    "cancelled": MedicationStatus.STOPPED,
    "ended": MedicationStatus.STOPPED,
    "completed": MedicationStatus.COMPLETED,
}
ADHERENCE_CODE: dict[MedicationStatus, str] = {
    MedicationStatus.ACTIVE: "taking",
    MedicationStatus.ON_HOLD: "on-hold",
    MedicationStatus.STOPPED: "stopped",
    MedicationStatus.COMPLETED: "not-taking",
}
"""R5: whether it is being taken is no status of the statement any more."""
