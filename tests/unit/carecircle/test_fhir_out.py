"""FHIR out: valid by model libraries of R4, R4B and R5 and by FHIR's own rules of Timing; and read back the same."""

from __future__ import annotations

import json
import warnings
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from fhir.resources.bundle import Bundle as R5Bundle
from fhir.resources.R4B.bundle import Bundle as R4BBundle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.carecircle.fhir_plans import plans

from carecircle.domain.as_needed import AsNeededRule, Maximum
from carecircle.domain.calendar_rule import CalendarRule, Cycle, DateUnit, EveryDate, Weekday
from carecircle.domain.fhir.own import in_zone
from carecircle.domain.fhir.reading import read_requests
from carecircle.domain.fhir.resources import FhirAdministration, FhirMedication, FhirPatient, bundle
from carecircle.domain.fhir.terms import OWN_SCHEDULE, Version
from carecircle.domain.interval_rule import Anchor, EveryTime, IntervalRule, TimeUnit
from carecircle.domain.medication import MedicationStatus
from carecircle.domain.routine import When
from carecircle.domain.schedule import Dose, SchedulePlan, ZonePolicy
from carecircle.domain.steps_rule import Step, StepsRule

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fhirclient.models.bundle import Bundle as R4Bundle

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
TODAY = NOW.date()
PATIENT = FhirPatient(UUID(int=1), "Mother", "Europe/Berlin")
TABLET = Dose(Decimal(1), "tablet")
MORNING = datetime.fromisoformat("2026-11-24T08:00").time()
EVENING = datetime.fromisoformat("2026-11-24T20:00").time()
MANY = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
versions = pytest.mark.parametrize("version", Version)


def medication(*found: SchedulePlan, **changes) -> FhirMedication:
    fields = {
        "id": UUID(int=2),
        "name": "Metoprolol",
        "strength": "50 mg",
        "form": "tablet",
        "instructions": "With water.",
        "status": MedicationStatus.ACTIVE,
        "created_at": NOW,
        "plans": tuple((UUID(int=100 + number), plan) for number, plan in enumerate(found)),
    }
    return FhirMedication(**fields | changes)


def plan_of(rule, *, start: date = TODAY, end: date | None = None, dose: Dose = TABLET, **more) -> SchedulePlan:
    return SchedulePlan(rule, start, end, None, ZonePolicy.FOLLOW, dose, **more)


def written(version: Version, *found: SchedulePlan, administrations=(), **changes) -> dict:
    return json.loads(json.dumps(bundle(version, PATIENT, [medication(*found, **changes)], administrations, NOW)))


def of_kind(document: dict, kind: str) -> list[dict]:
    return [one["resource"] for one in document["entry"] if one["resource"]["resourceType"] == kind]


def check_valid(version: Version, document: dict) -> None:
    """By the libraries, and by what they leave out: the invariants of Timing and of references."""
    if version is Version.R5:
        R5Bundle.model_validate(document)
    else:
        R4Bundle(document, strict=True)
        R4BBundle.model_validate(document)
    urls = {entry["fullUrl"] for entry in document["entry"]}
    assert len(urls) == len(document["entry"])
    for entry in document["entry"]:
        for reference in references(entry["resource"]):
            assert reference in urls
    for request in of_kind(document, "MedicationRequest"):
        for dosage in request.get("dosageInstruction", []):
            check_repeat(dosage["timing"]["repeat"])
            assert dosage["text"]


def references(value) -> list[str]:
    if isinstance(value, dict):
        own = [value["reference"]] if isinstance(value.get("reference"), str) else []
        return own + [one for item in value.values() for one in references(item)]
    return [one for item in value for one in references(item)] if isinstance(value, list) else []


def check_repeat(repeat: dict) -> None:
    assert not ("timeOfDay" in repeat and "when" in repeat)  # tim-10
    assert "offset" not in repeat or "when" in repeat  # tim-9
    assert ("period" in repeat) == ("periodUnit" in repeat)  # tim-2
    assert repeat.get("period", 1) > 0  # tim-5
    assert "countMax" not in repeat or "count" in repeat  # tim-7
    assert len(set(repeat.get("timeOfDay", []))) == len(repeat.get("timeOfDay", []))


def read_back(document: dict, zone: str | None = None) -> list[SchedulePlan]:
    reading = read_requests(document, patient_zone=zone, today=TODAY)
    return [plan for one in reading.medications for _, plan in one.plans]


@versions
@given(found=plans())
@MANY
def test_every_schedule_is_valid_fhir_and_comes_back_the_same(version: Version, found: SchedulePlan):
    document = written(version, found)
    check_valid(version, document)
    meant = in_zone(found, PATIENT.zone)
    if meant is not None:
        assert read_back(document) == [meant]


@versions
@given(found=st.lists(plans(), min_size=2, max_size=4))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_several_schedules_of_one_medication_stay_together(version: Version, found: list[SchedulePlan]):
    document = written(version, *found)
    check_valid(version, document)
    reading = read_requests(document, patient_zone=None, today=TODAY)
    [one] = reading.medications
    assert (one.name, one.strength, one.form, one.instructions) == ("Metoprolol", "50 mg", "tablet", "With water.")
    assert [plan for _, plan in one.plans] == [in_zone(plan, PATIENT.zone) for plan in found]


WEEKDAYS = frozenset({Weekday.MON, Weekday.WED})
MONDAY = date(2026, 11, 23)
SAID_BY_FHIR = {
    "daily": plan_of(CalendarRule((MORNING, EVENING)), end=date(2026, 12, 1)),
    "counted": plan_of(CalendarRule((MORNING,)), count=20),
    "weekdays": plan_of(CalendarRule((MORNING,), WEEKDAYS)),
    "points of the routine": plan_of(CalendarRule(when=(When.BEFORE_BREAKFAST, When.BEDTIME))),
    "every third day": plan_of(CalendarRule((MORNING,), every=EveryDate(3, DateUnit.DAY))),
    "every second week": plan_of(CalendarRule((MORNING,), WEEKDAYS, EveryDate(2, DateUnit.WEEK)), start=MONDAY),
    "every month": plan_of(CalendarRule((MORNING,), every=EveryDate(1, DateUnit.MONTH))),
    "21 days on, 7 off": plan_of(CalendarRule((MORNING,), cycle=Cycle(21, 7))),
    "every 8 hours": plan_of(IntervalRule(EveryTime(8, TimeUnit.HOUR), datetime.fromisoformat("2026-11-24T22:00"))),
    "taper": plan_of(
        StepsRule(
            (MORNING,),
            (
                Step(date(2026, 11, 24), date(2026, 11, 30), Dose(Decimal(20), "mg")),
                Step(date(2026, 12, 1), date(2026, 12, 7), Dose(Decimal("7.5"), "mg")),
            ),
        ),
        end=date(2026, 12, 7),
        dose=Dose(Decimal(20), "mg"),
    ),
    "as needed": plan_of(AsNeededRule(timedelta(hours=4), Maximum(4, timedelta(hours=24)))),
}


@versions
@pytest.mark.parametrize("name", SAID_BY_FHIR)
def test_what_fhir_can_say_needs_no_extension_of_ours(version: Version, name: str):
    plan = SAID_BY_FHIR[name]
    document = written(version, plan)
    check_valid(version, document)
    assert OWN_SCHEDULE not in json.dumps(document)
    assert read_back(document) == [plan]


def test_a_taper_is_a_sequence_with_its_periods():
    [request] = of_kind(written(Version.R4, SAID_BY_FHIR["taper"]), "MedicationRequest")
    first, second = request["dosageInstruction"]
    assert (first["sequence"], second["sequence"]) == (1, 2)
    assert second["timing"]["repeat"]["boundsPeriod"] == {"start": "2026-12-01", "end": "2026-12-07"}
    assert second["doseAndRate"] == [{"doseQuantity": {"value": 7.5, "unit": "mg"}}]


def test_what_timing_cannot_say_is_in_words_and_never_roughly():
    rule = IntervalRule(
        EveryTime(72, TimeUnit.HOUR), datetime.fromisoformat("2026-11-24T09:00"), anchor=Anchor.LAST_TAKEN
    )
    [request] = of_kind(written(Version.R4, plan_of(rule)), "MedicationRequest")
    [dosage] = request["dosageInstruction"]
    assert set(dosage["timing"]["repeat"]) == {"boundsPeriod"}
    assert "counted from when the last dose was taken" in dosage["text"]
    assert OWN_SCHEDULE in json.dumps(request["extension"])


def test_our_extension_counts_only_as_long_as_the_dosage_says_the_same():
    plan = plan_of(CalendarRule((MORNING,)), missed_after=timedelta(hours=2))
    document = written(Version.R4, plan)
    assert read_back(document) == [plan]
    [request] = of_kind(document, "MedicationRequest")
    request["dosageInstruction"][0]["timing"]["repeat"]["timeOfDay"] = ["09:00:00"]
    reading = read_requests(document, patient_zone=None, today=TODAY)
    [(_, read)] = reading.medications[0].plans
    assert read.rule == CalendarRule((datetime.fromisoformat("2026-11-24T09:00").time(),))
    assert read.missed_after is None
    assert any("extension" in one.path for one in reading.unmapped)


@versions
def test_answers_are_administrations(version: Version):
    schedule = UUID(int=100)
    answers = [
        FhirAdministration(UUID(int=7), UUID(int=2), schedule, "completed", NOW, None, None, TABLET),
        FhirAdministration(UUID(int=8), UUID(int=2), schedule, "not-done", NOW, "felt sick", "side_effects", None),
        FhirAdministration(UUID(int=9), UUID(int=2), UUID(int=999), "entered-in-error", NOW, None, None, TABLET),
        FhirAdministration(UUID(int=10), UUID(int=2), schedule, "unknown", NOW, "Nobody was asked.", "unknown", None),
    ]
    document = written(version, plan_of(CalendarRule((MORNING,))), administrations=answers)
    check_valid(version, document)
    found = of_kind(document, "MedicationAdministration")
    assert [one["status"] for one in found] == ["completed", "not-done", "entered-in-error", "unknown"]
    instant = "effectiveDateTime" if version is Version.R4 else "occurenceDateTime"
    assert {one[instant] for one in found} == {"2026-11-24T12:00:00Z"}
    assert found[0]["dosage"]["dose"] == {"value": 1, "unit": "tablet"}
    assert found[1]["statusReason"][0]["text"] == "felt sick"
    assert "request" not in found[2]  # its schedule was deleted


@pytest.mark.parametrize("status", MedicationStatus)
@versions
def test_each_status_is_one_of_theirs_and_comes_back(version: Version, status: MedicationStatus):
    document = written(version, plan_of(CalendarRule((MORNING,))), status=status)
    check_valid(version, document)
    [statement] = of_kind(document, "MedicationStatement")
    if version is Version.R5:
        assert statement["status"] == "recorded"
        assert statement["adherence"]["code"]["coding"][0]["code"] in {"taking", "on-hold", "stopped", "not-taking"}
    [one] = read_requests(document, patient_zone=None, today=TODAY).medications
    assert one.status is status


@versions
def test_a_medication_without_schedules_is_there(version: Version):
    document = written(version)
    check_valid(version, document)
    [one] = read_requests(document, patient_zone=None, today=TODAY).medications
    assert (one.name, one.plans, one.instructions) == ("Metoprolol", [], "With water.")
