"""FHIR in: what others prescribe becomes a schedule that means the same, or is said and kept as text; never a guess."""

from __future__ import annotations

from copy import deepcopy
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from carecircle.domain.as_needed import AsNeededRule, Maximum
from carecircle.domain.calendar_rule import CalendarRule, DateUnit, EveryDate, Weekday
from carecircle.domain.errors import Invalid
from carecircle.domain.fhir.reading import Reading, read_requests
from carecircle.domain.interval_rule import EveryTime, IntervalRule, TimeUnit
from carecircle.domain.medication import MedicationStatus
from carecircle.domain.routine import When
from carecircle.domain.schedule import Dose
from carecircle.domain.steps_rule import StepsRule

TODAY = date(2026, 11, 24)
DAILY = {"frequency": 1, "period": 1, "periodUnit": "d", "timeOfDay": ["08:00:00"]}
SINCE = {"boundsPeriod": {"start": "2026-11-24"}}


def dosage(repeat: dict | None = None, **more: Any) -> dict:
    timing = {} if repeat is None else {"timing": {"repeat": repeat}}
    return timing | {"doseAndRate": [{"doseQuantity": {"value": 1, "unit": "tablet"}}]} | more


def request(*dosages: dict, **more: Any) -> dict:
    return {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": "Metoprolol 50 mg"},
        "subject": {"reference": "Patient/1"},
        "dosageInstruction": list(dosages),
    } | more


def read(resource: dict, zone: str | None = "Europe/Berlin") -> Reading:
    return read_requests(deepcopy(resource), patient_zone=zone, today=TODAY)


def only_plan(reading: Reading):
    [one] = reading.medications
    [(_, plan)] = one.plans
    return plan


@pytest.mark.parametrize(
    ("repeat", "rule"),
    [
        (DAILY | SINCE, CalendarRule((time(8),))),
        ({"timeOfDay": ["08:00:00", "20:00:00"]}, CalendarRule((time(8), time(20)))),
        (DAILY | {"dayOfWeek": ["mon"]}, CalendarRule((time(8),), frozenset({Weekday.MON}))),
        (
            DAILY | SINCE | {"periodUnit": "wk", "period": 2, "dayOfWeek": ["tue"]},
            CalendarRule((time(8),), frozenset({Weekday.TUE}), EveryDate(2, DateUnit.WEEK)),
        ),
        (DAILY | SINCE | {"periodUnit": "a"}, CalendarRule((time(8),), every=EveryDate(12, DateUnit.MONTH))),
        (
            {"frequency": 3, "period": 1, "periodUnit": "d", "when": ["AC"], "offset": 30},
            CalendarRule(when=(When.BEFORE_BREAKFAST, When.BEFORE_LUNCH, When.BEFORE_DINNER)),
        ),
        (
            {"period": 6, "periodUnit": "h", "boundsPeriod": {"start": "2026-11-24T21:00:00Z"}},
            IntervalRule(EveryTime(6, TimeUnit.HOUR), datetime.combine(TODAY, time(22))),
        ),
    ],
)
def test_what_means_the_same_becomes_a_schedule(repeat: dict, rule):
    reading = read(request(dosage(repeat)))
    assert only_plan(reading).rule == rule
    assert reading.unmapped == []


@pytest.mark.parametrize(
    ("repeat", "path"),
    [
        ({"frequency": 2, "period": 1, "periodUnit": "d"}, "timing.repeat"),
        ({"period": 8, "periodUnit": "h"}, "timing.repeat.boundsPeriod.start"),
        (DAILY | {"frequency": 2}, "timing.repeat.frequency"),
        (DAILY | {"period": 2}, "timing.repeat.boundsPeriod.start"),
        (DAILY | SINCE | {"period": 1.5}, "timing.repeat.period"),
        (DAILY | {"periodUnit": "wk"}, "timing.repeat.dayOfWeek"),
        (
            DAILY | SINCE | {"periodUnit": "wk", "period": 2, "dayOfWeek": ["mon", "wed"], "frequency": 2},
            "timing.repeat.period",
        ),
        (DAILY | {"periodUnit": "mo", "boundsPeriod": {"start": "2026-01-31"}}, "timing.repeat"),
        (DAILY | {"periodMax": 2}, "timing.repeat.periodMax"),
        (DAILY | {"count": 3, "countMax": 5}, "timing.repeat.countMax"),
        (DAILY | {"timeOfDay": ["08:00:30"]}, "timing.repeat.timeOfDay.0"),
        ({"when": ["MORN"], "frequency": 1, "period": 1, "periodUnit": "d"}, "timing.repeat.when"),
        ({"when": ["ACM"], "offset": 60}, "timing.repeat.offset"),
        (DAILY | {"boundsPeriod": {"start": "2026-11"}}, "timing.repeat.boundsPeriod.start"),
        (DAILY | {"boundsPeriod": {"end": "2026-12-01T10:00:00Z"}}, "timing.repeat.boundsPeriod.end"),
        (DAILY | {"boundsDuration": {"value": 1, "code": "mo"}}, "timing.repeat.boundsDuration"),
        ({"period": 3, "periodUnit": "d", **SINCE}, "timing.repeat"),
        ({"period": 2, "periodUnit": "min", "boundsPeriod": {"start": "2026-11-24T21:00:00Z"}}, "timing.repeat"),
    ],
)
def test_what_is_not_clear_is_said_and_stays_as_text(repeat: dict, path: str):
    reading = read(request(dosage(repeat, text="One in the morning, as told.")))
    [one] = reading.medications
    assert one.plans == []
    assert [left.path for left in reading.unmapped] == [f"dosageInstruction.0.{path}"]
    assert one.instructions == "One in the morning, as told."


@pytest.mark.parametrize(
    "change",
    [
        {"doseAndRate": []},
        {"doseAndRate": [{"doseRange": {"low": {"value": 1}}}]},
        {"doseAndRate": [{"rateQuantity": {"value": 1, "unit": "ml/h"}}]},
        {"doseAndRate": [{"doseQuantity": {"value": 0, "unit": "tablet"}}]},
        {"doseAndRate": [{"doseQuantity": {"value": 1, "unit": "tablet", "comparator": "<"}}]},
        {"doseAndRate": [{"doseQuantity": {"value": 1}}]},
        {"modifierExtension": [{"url": "urn:x", "valueBoolean": True}]},
        {"timing": {"event": ["2026-11-24T08:00:00Z"]}},
        {"timing": {"code": {"text": "BID"}}},
        {"asNeeded": True},
    ],
)
def test_no_schedule_without_one_dose_and_its_times(change: dict):
    if change.get("doseAndRate") == []:
        with pytest.raises(Invalid):
            read(request(dosage(DAILY) | change))
        return
    reading = read(request(dosage(DAILY) | change))
    assert [one.plans for one in reading.medications] == [[]]
    assert len(reading.unmapped) == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"doNotPerform": True}, "NOT"),
        ({"status": "entered-in-error"}, "entered-in-error"),
        ({"status": "draft"}, "draft"),
        ({"intent": "proposal"}, "proposal"),
        ({"modifierExtension": [{"url": "urn:x"}]}, "modifierExtension"),
    ],
)
def test_what_is_no_order_to_take_it_becomes_nothing(change: dict, why: str):
    reading = read(request(dosage(DAILY)) | change)
    assert reading.medications == []
    assert why in reading.unmapped[0].why


def test_as_needed_with_its_limits_in_both_versions():
    ratio = {"numerator": {"value": 4, "unit": "tablet"}, "denominator": {"value": 1, "unit": "day"}}
    expected = AsNeededRule(timedelta(hours=6), Maximum(4, timedelta(days=1)))
    repeat = {"frequency": 1, "period": 6, "periodUnit": "h"}
    for more in ({"asNeededBoolean": True, "maxDosePerPeriod": ratio}, {"asNeeded": True, "maxDosePerPeriod": [ratio]}):
        assert only_plan(read(request(dosage(repeat, **more)))).rule == expected
    reading = read(request(dosage(None, asNeededCodeableConcept={"text": "for pain"})))
    assert only_plan(reading).rule == AsNeededRule()
    assert reading.medications[0].instructions == "for pain"


@pytest.mark.parametrize(
    "limit",
    [
        {"numerator": {"value": 3, "unit": "g"}, "denominator": {"value": 1, "unit": "d"}},
        {"numerator": {"value": 2.5, "unit": "tablet"}, "denominator": {"value": 1, "unit": "d"}},
        {"numerator": {"value": 4, "unit": "tablet"}, "denominator": {"value": 1, "unit": "mo"}},
    ],
)
def test_a_maximum_that_cannot_be_kept_makes_no_schedule_without_it(limit: dict):
    reading = read(request(dosage(None, asNeededBoolean=True, maxDosePerPeriod=limit)))
    assert reading.medications[0].plans == []
    assert reading.unmapped[0].path == "dosageInstruction.0.maxDosePerPeriod"


def test_a_taper_by_durations_in_sequence_becomes_steps():
    first = dosage(DAILY | {"boundsPeriod": {"start": "2026-11-24", "end": "2026-11-30"}}, sequence=1)
    second = dosage(DAILY | {"boundsDuration": {"value": 1, "unit": "wk"}}, sequence=2)
    second["doseAndRate"] = [{"doseQuantity": {"value": 0.5, "unit": "tablet"}}]
    plan = only_plan(read(request(first, second)))
    assert isinstance(plan.rule, StepsRule)
    assert [(step.start_date.day, step.end_date.day, step.dose) for step in plan.rule.steps] == [
        (24, 30, Dose(Decimal(1), "tablet")),
        (1, 7, Dose(Decimal("0.5"), "tablet")),
    ]


def test_what_follows_an_unclear_dosage_is_not_moved_to_another_day():
    first = dosage({"frequency": 1, "period": 1, "periodUnit": "d"}, sequence=1)
    reading = read(request(first, dosage(DAILY, sequence=2)))
    assert reading.medications[0].plans == []
    assert len(reading.unmapped) == 2


def test_what_schedules_do_not_have_is_listed_with_its_path():
    reading = read(
        request(
            dosage(DAILY, route={"text": "by mouth"}, additionalInstruction=[{"text": "with food"}]),
            reasonCode=[{"text": "Hypertension"}],
            medicationCodeableConcept={"coding": [{"system": "urn:atc", "code": "C07AB02", "display": "metoprolol"}]},
            note=[{"text": "Ask if dizzy."}],
        )
    )
    assert [one.path for one in reading.unmapped] == [
        "medicationCodeableConcept.coding",
        "reasonCode",
        "dosageInstruction.0.route",
        "dosageInstruction.0.additionalInstruction",
    ]
    [one] = reading.medications
    assert one.name == "metoprolol"
    assert one.instructions == "Ask if dizzy.\nHypertension\nby mouth\nwith food"


def test_a_bundle_with_its_medication_and_patient():
    medication = {"resourceType": "Medication", "id": "m", "code": {"text": "Insulin"}, "doseForm": {"text": "pen"}}
    one = request(dosage(DAILY), status="on-hold")
    del one["medicationCodeableConcept"]
    one["medication"] = {"reference": {"reference": "Medication/m"}}
    other = one | {"dosageInstruction": [dosage(DAILY | {"timeOfDay": ["21:00:00"]})]}
    entries = [medication, one, other, {"resourceType": "Observation"}]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": entry} for entry in entries]}
    reading = read(bundle)
    [found] = reading.medications
    assert (found.name, found.form, found.status) == ("Insulin", "pen", MedicationStatus.ON_HOLD)
    assert [path for path, _ in found.plans] == [
        "entry.1.resource.dosageInstruction.0",
        "entry.2.resource.dosageInstruction.0",
    ]
    assert "Not read: Observation." in reading.notes


def test_an_instant_needs_to_know_where_the_patient_lives():
    repeat = {"period": 6, "periodUnit": "h", "boundsPeriod": {"start": "2026-11-24T21:00:00Z"}}
    assert read(request(dosage(repeat)), zone=None).medications[0].plans == []
    # The clock shows 01:30 twice that night: the second one cannot be written down.
    repeat["boundsPeriod"] = {"start": "2026-11-01T06:30:00Z"}
    assert read(request(dosage(repeat)), zone="America/New_York").medications[0].plans == []


@pytest.mark.parametrize(
    ("resource", "field"),
    [
        ({}, "resourceType"),
        ({"resourceType": "Patient"}, "resourceType"),
        ({"resourceType": ["MedicationRequest"]}, "resourceType"),
        ({"resourceType": "Bundle"}, "entry"),
        ({"resourceType": "Bundle", "entry": [1]}, "entry.0"),
        ({"resourceType": "Bundle", "entry": []}, "entry"),
        (request(dosage(DAILY), status="on-the-way"), "status"),
        (request(dosage(DAILY), intent=None), "status"),
        (request(dosage(DAILY), dosageInstruction={}), "dosageInstruction"),
        (request(dosage(DAILY), dosageInstruction=["x"]), "dosageInstruction.0"),
        (request(*[dosage(DAILY)] * 61), "dosageInstruction"),
        (request(dosage({"timeOfDay": ["8:00"]})), "dosageInstruction.0.timing.repeat.timeOfDay.0"),
        (request(dosage({"timeOfDay": ["24:00:00"]})), "dosageInstruction.0.timing.repeat.timeOfDay.0"),
        (request(dosage(DAILY | {"when": ["HS"]})), "dosageInstruction.0.timing.repeat.when"),
        (request(dosage(DAILY | {"offset": 10})), "dosageInstruction.0.timing.repeat.offset"),
        (request(dosage({"period": 1})), "dosageInstruction.0.timing.repeat.periodUnit"),
        (request(dosage({"period": -1, "periodUnit": "d"})), "dosageInstruction.0.timing.repeat.period"),
        (request(dosage({"period": "1", "periodUnit": "d"})), "dosageInstruction.0.timing.repeat.period"),
        (request(dosage(DAILY | {"periodUnit": "year"})), "dosageInstruction.0.timing.repeat.periodUnit"),
        (request(dosage(DAILY | {"countMax": 3})), "dosageInstruction.0.timing.repeat.count"),
        (request(dosage(DAILY | {"dayOfWeek": ["monday"]})), "dosageInstruction.0.timing.repeat.dayOfWeek"),
        (request(dosage({"when": ["TEATIME"]})), "dosageInstruction.0.timing.repeat.when"),
        (request(dosage(DAILY | {"frequency": 0})), "dosageInstruction.0.timing.repeat.frequency"),
        (request(dosage(DAILY | {"frequency": True})), "dosageInstruction.0.timing.repeat.frequency"),
        (request(dosage(DAILY | {"frequency": float("nan")})), "dosageInstruction.0.timing.repeat.frequency"),
        (
            request(dosage(DAILY | {"boundsPeriod": {"start": "2026-02-30"}})),
            "dosageInstruction.0.timing.repeat.boundsPeriod.start",
        ),
        (
            request(dosage(DAILY | SINCE | {"boundsDuration": {"value": 1}})),
            "dosageInstruction.0.timing.repeat.boundsDuration",
        ),
        (request(dosage(DAILY, text="a\u0000b")), "dosageInstruction.0.text"),
        (request(dosage(DAILY, text="\ud800")), "dosageInstruction.0.text"),
        (request(dosage(DAILY, text="x" * 10_001)), "dosageInstruction.0.text"),
        (request(dosage(DAILY, text="\u202etablet")), "dosageInstruction.0.text"),
        (request(dosage(DAILY, asNeededBoolean="yes")), "dosageInstruction.0.asNeededBoolean"),
    ],
)
def test_what_is_no_fhir_is_refused_with_its_path(resource: dict, field: str):
    with pytest.raises(Invalid) as refused:
        read(resource)
    assert refused.value.field == field
