"""FHIR over HTTP: the record out, prescriptions in, and a record that goes out and comes in again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from carecircle.db.audit import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from carecircle.db.session import Database

pytestmark = pytest.mark.postgres

PREVIEW = "/v1/fhir/medication-requests/preview"
TABLET = {"quantity": 1, "unit": "tablet"}
KINDS = {
    "calendar": {
        "kind": "calendar",
        "when": ["before_breakfast"],
        "cycle": {"on": 21, "off": 7},
        "count": 100,
        "severity": "critical",
        "missed_after": "PT2H",
    },
    "months": {
        "kind": "calendar",
        "times": ["09:00"],
        "every": {"n": 1, "unit": "month"},
        "days_of_month": [15, 31],
        "month_end": "skip",
    },
    "interval": {
        "kind": "interval",
        "every": {"n": 3, "unit": "hour"},
        "window": {"from": "09:00", "to": "21:00"},
        "start": "2026-11-24T09:00",
    },
    "elapsed": {"kind": "interval", "every": {"n": 8, "unit": "hour"}, "start": "2026-11-24T22:00"},
    "taken": {
        "kind": "interval",
        "every": {"n": 3, "unit": "day"},
        "anchor": "last_taken",
        "start": "2026-11-24T09:00",
    },
    "steps": {
        "kind": "steps",
        "times": ["08:00"],
        "steps": [
            {"start_date": "2026-11-24", "end_date": "2026-11-30", "dose": {"quantity": 20, "unit": "mg"}},
            {"start_date": "2026-12-01", "end_date": "2026-12-07", "dose": {"quantity": 7.5, "unit": "mg"}},
        ],
    },
    "as_needed": {"kind": "as_needed", "min_interval": "PT4H", "max": {"count": 4, "per": "PT24H"}},
}
OWN = {"id", "medication_id", "patient_id", "revision", "created_at", "next_occurrences", "start_zone"}


def body_of(kind: str) -> dict:
    start = {} if kind in {"interval", "elapsed", "taken", "steps"} else {"start_date": "2026-11-24"}
    return KINDS[kind] | start | ({} if kind == "steps" else {"dose": TABLET})


@pytest.mark.parametrize("version", ["R4", "R5"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_record_goes_out_and_comes_in_again(circle, kind: str, version: str) -> None:
    made = await circle.owner.made(f"/v1/medications/{circle.medication['id']}/schedules", body_of(kind))
    out = await circle.owner.get(f"{circle.path}/fhir", params={"version": version})
    assert out.status_code == 200, out.text
    assert out.headers["content-type"].startswith("application/fhir+json; fhirVersion=")
    assert out.headers["cache-control"] == "no-store"
    read = await circle.owner.post(PREVIEW, {"resource": out.json()})
    assert read.status_code == 200, read.text
    [found] = read.json()["medications"]
    assert found["medication"]["name"] == "Secretamol"
    medication = await circle.owner.made(f"{circle.path}/medications", found["medication"])
    [schedule] = found["schedules"]
    again = await circle.owner.made(f"/v1/medications/{medication['id']}/schedules", schedule["schedule"])
    assert {key: again[key] for key in again if key not in OWN} == {key: made[key] for key in made if key not in OWN}
    assert again["next_occurrences"] == made["next_occurrences"]


async def test_answers_are_in_the_record_also_undone_ones(circle) -> None:
    await circle.schedule()
    first, second = (await circle.occurrences())[:2]
    given = await circle.owner.made(f"/v1/occurrences/{first['id']}/administrations", {"status": "taken"})
    await circle.owner.delete(f"/v1/occurrences/{first['id']}/administrations/{given['id']}")
    await circle.owner.made(
        f"/v1/occurrences/{second['id']}/administrations", {"status": "skipped", "reason": "felt sick"}
    )
    out = (await circle.owner.get(f"{circle.path}/fhir", params={"version": "R5", "until": "2199-01-01T00:00:00Z",
           "since": "2198-06-01T00:00:00Z"})).json()  # fmt: skip
    kinds = [entry["resource"]["resourceType"] for entry in out["entry"]]
    assert "MedicationAdministration" not in kinds
    out = (await circle.owner.get(f"{circle.path}/fhir", params={"until": "2027-06-01T00:00:00Z",
           "since": "2026-08-01T00:00:00Z"})).json()  # fmt: skip
    answers = [
        entry["resource"] for entry in out["entry"] if entry["resource"]["resourceType"] == "MedicationAdministration"
    ]
    assert [one["status"] for one in answers] == ["entered-in-error", "not-done"]
    assert answers[1]["statusReason"][0]["text"] == "felt sick"


async def test_an_export_is_noted_and_only_for_the_circle(
    circle, client, person: Callable[..., Awaitable], refused, database: Database
) -> None:
    ben, mallory = await person("ben"), await person("mallory")
    await circle.invite(ben, "viewer")
    assert (await ben.get(f"{circle.path}/fhir")).status_code == 200
    refused(await mallory.get(f"{circle.path}/fhir"), 404, "not_found")
    refused(await client.get(f"{circle.path}/fhir"), 401, "unauthenticated")
    refused(await client.post(PREVIEW, json={"resource": {}}), 401, "unauthenticated")
    async with database.transaction() as session:
        noted = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "patient.exported"))).all()
    assert [str(entry.actor_id) for entry in noted] == [ben.account["id"]]
    assert noted[0].details["what"] == "fhir R4"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"version": "R6"}, "version"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "until"),
        ({"since": "2024-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "until"),
    ],
)
async def test_bad_questions_are_refused(circle, refused, query: dict, field: str) -> None:
    refused(await circle.owner.get(f"{circle.path}/fhir", params=query), 422, "invalid", field=field)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "resource"),
        ({"resource": []}, "resource"),
        ({"resource": {"resourceType": "Patient"}}, "resource.resourceType"),
        ({"resource": {"resourceType": "MedicationRequest"}}, "resource.status"),
        ({"resource": {"resourceType": "Bundle"}, "patient_zone": "Mars/Base"}, "patient_zone"),
        ({"resource": {"resourceType": "Bundle"}, "start_date": "soon"}, "start_date"),
        ({"resource": {"resourceType": "Bundle"}, "other": 1}, "other"),
    ],
)
async def test_bad_resources_are_refused_by_path(anna, refused, body: dict, field: str) -> None:
    refused(await anna.post(PREVIEW, body), 422, "invalid", field=field)


async def test_the_example_of_the_description_is_read(app, anna) -> None:
    [example] = app.openapi()["components"]["schemas"]["FhirImportBody"]["examples"]
    read = (await anna.post(PREVIEW, example)).json()
    assert [one["path"] for one in read["unmapped"]] == ["dosageInstruction.0.route"]
    [found] = read["medications"]
    assert found["medication"]["instructions"] == "by mouth"
    assert found["schedules"][0]["schedule"]["times"] == ["08:00", "20:00"]


async def test_deep_nesting_does_no_harm(anna) -> None:
    deep: dict = {}
    for _ in range(300):
        deep = {"extension": [deep]}
    resource = {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": "x"},
        "reasonCode": deep,
    }
    read = await anna.post(PREVIEW, {"resource": resource})
    assert read.status_code == 200, read.text
