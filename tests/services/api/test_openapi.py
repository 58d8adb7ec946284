"""The description is whole, its examples work as written, and /docs shows it without anything from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest


@pytest.fixture
def document(app) -> dict:
    return app.openapi()


def operations(document) -> list[tuple[str, str, dict]]:
    return [(method, path, one) for path, item in document["paths"].items() for method, one in item.items()]


def test_it_is_openapi_3_1_and_names_every_operation_once(document):
    assert document["openapi"].startswith("3.1")
    names = [one["operationId"] for _, _, one in operations(document)]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)+", name) for name in names), names


def test_every_path_is_there(document):
    expected = """
        POST /v1/auth/register
        POST /v1/auth/token
        POST /v1/auth/refresh
        GET /v1/me
        PATCH /v1/me
        POST /v1/patients
        GET /v1/patients
        GET /v1/patients/{patient_id}
        PATCH /v1/patients/{patient_id}
        GET /v1/patients/{patient_id}/export
        GET /v1/patients/{patient_id}/report.pdf
        POST /v1/patients/import
        GET /v1/patients/{patient_id}/members
        POST /v1/patients/{patient_id}/members
        PATCH /v1/patients/{patient_id}/members/{member_id}
        DELETE /v1/patients/{patient_id}/members/{member_id}
        POST /v1/invitations/{token}/accept
        GET /v1/patients/{patient_id}/medications
        POST /v1/patients/{patient_id}/medications
        GET /v1/medications/{medication_id}
        PATCH /v1/medications/{medication_id}
        DELETE /v1/medications/{medication_id}
        GET /v1/medications/{medication_id}/schedules
        POST /v1/medications/{medication_id}/schedules
        GET /v1/schedules/{schedule_id}
        PUT /v1/schedules/{schedule_id}
        DELETE /v1/schedules/{schedule_id}
        POST /v1/schedules/preview
        POST /v1/schedules/import
        GET /v1/schedules/{schedule_id}/preview
        POST /v1/schedules/{schedule_id}/administrations
        GET /v1/schedules/{schedule_id}/allowance
        GET /v1/patients/{patient_id}/occurrences
        GET /v1/occurrences/{occurrence_id}
        GET /v1/occurrences/{occurrence_id}/explain
        POST /v1/occurrences/{occurrence_id}/administrations
        DELETE /v1/occurrences/{occurrence_id}/administrations/{administration_id}
        POST /v1/occurrences/{occurrence_id}/snooze
        POST /v1/medications/{medication_id}/supply
        GET /v1/medications/{medication_id}/supply
        PATCH /v1/medications/{medication_id}/supply
        DELETE /v1/medications/{medication_id}/supply
        GET /v1/medications/{medication_id}/supply/ledger
        POST /v1/medications/{medication_id}/refills
        DELETE /v1/refills/{refill_id}
        POST /v1/medications/{medication_id}/counts
        POST /v1/medications/{medication_id}/losses
        POST /v1/occurrences/{occurrence_id}/acknowledgement
        POST /v1/medications/{medication_id}/administrations
        POST /v1/patients/{patient_id}/answers
        POST /v1/patients/{patient_id}/answers/offline
        DELETE /v1/occurrences/{occurrence_id}/acknowledgement
        POST /v1/occurrences/{occurrence_id}/reschedule
        DELETE /v1/occurrences/{occurrence_id}/reschedule
        GET /v1/patients/{patient_id}/adherence
        GET /v1/patients/{patient_id}/adherence/weeks
        GET /v1/patients/{patient_id}/as-needed-use
        GET /v1/push-subscriptions
        POST /v1/push-subscriptions
        DELETE /v1/push-subscriptions/{subscription_id}
        GET /v1/push/vapid-public-key
        GET /v1/patients/{patient_id}/deliveries
        GET /v1/patients/{patient_id}/doses.csv
        POST /v1/patients/{patient_id}/calendar-feeds
        GET /v1/patients/{patient_id}/calendar-feeds
        DELETE /v1/patients/{patient_id}/calendar-feeds/{feed_id}
        GET /v1/calendar/{token}.ics
        GET /v1/patients/{patient_id}/fhir
        POST /v1/fhir/medication-requests/preview
    """
    described = {f"{method.upper()} {path}" for method, path, _ in operations(document)}
    assert described == {line.strip() for line in expected.strip().splitlines()}


def test_every_refusal_is_described_as_a_problem(document):
    for method, path, one in operations(document):
        for status, answer in one["responses"].items():
            if status.startswith(("2", "3")):
                continue
            assert set(answer["content"]) == {"application/problem+json"}, (method, path, status)
        assert {"422", "413", "500", "503"} <= set(one["responses"])
        if "security" in one:
            assert "401" in one["responses"], (method, path)
        if "{" in path and method == "get":
            assert "404" in one["responses"], (method, path)


def test_every_reference_leads_somewhere(document):
    text = str(document)
    for name in set(re.findall(r"#/components/schemas/([\w.-]+)", text)):
        assert name in document["components"]["schemas"]
    assert "HTTPValidationError" not in text


def test_every_body_has_an_example(document):
    schemas = document["components"]["schemas"]
    for method, path, one in operations(document):
        for content in one.get("requestBody", {}).get("content", {}).values():
            schema = schemas[content["schema"]["$ref"].rsplit("/", 1)[-1]]
            inner = schema.get("properties", {}).values()
            assert schema.get("examples") or any(member.get("examples") for member in inner), (method, path)


def examples(document) -> dict[tuple[str, str], list]:
    schemas = document["components"]["schemas"]
    found: dict[tuple[str, str], list] = {}
    for method, path, one in operations(document):
        content = one.get("requestBody", {}).get("content", {}).get("application/json")
        if content:
            found[method, path] = schemas[content["schema"]["$ref"].rsplit("/", 1)[-1]]["examples"]
    return found


async def test_the_examples_work_as_written(document, person, new_circle, refused):
    anna = await person("owner")
    for (method, path), bodies in examples(document).items():
        if path.startswith("/v1/auth/refresh"):
            continue  # its token is nobody's
        for body in bodies:
            circle = await new_circle(anna)
            schedule = await circle.schedule()
            dose = (await circle.occurrences())[0]
            if path == "/v1/schedules/{schedule_id}/administrations":
                as_needed = {"kind": "as_needed", "dose": {"quantity": 1, "unit": "tablet"}}
                schedule = await anna.made(f"/v1/medications/{circle.medication['id']}/schedules", as_needed)
            supply = f"/v1/medications/{circle.medication['id']}/supply"
            if "/medications/{medication_id}/" in path and path.rsplit("/", 1)[-1] in {"refills", "counts", "losses"}:
                await anna.made(supply, {"unit": "tablet", "stock": 14, "package_size": 30})
            if (method, path) == ("patch", "/v1/medications/{medication_id}/supply"):
                await anna.made(supply, {"unit": "tablet", "stock": 14})
            ids = {
                "patient_id": circle.patient["id"],
                "medication_id": circle.medication["id"],
                "schedule_id": schedule["id"],
                "occurrence_id": dose["id"],
                "member_id": await circle.member_id(anna),
            }
            answer = await anna.client.request(method.upper(), path.format(**ids), json=body)
            if path == "/v1/medications/{medication_id}/administrations" and answer.status_code == 409:
                # Which dose is meant hangs on the time of day at which this test runs.
                assert answer.json()["code"] == "no_dose_in_window"
            elif path.endswith("/administrations") and "at" in body:
                # A dose of the past cannot have been taken in this example; its notation is right.
                assert answer.status_code in {201, 422}, answer.text
                assert all(error["field"] == "at" for error in answer.json().get("errors", []))
            elif path.endswith("/reschedule"):
                # Whether that day has room for the dose, or is past, depends on when the test runs.
                assert answer.status_code in {200, 409, 422}, answer.text
                assert all(error["field"] == "to" for error in answer.json().get("errors", []))
            else:
                assert answer.is_success, f"{method} {path}: {answer.text}"


async def test_docs_show_every_operation_and_load_nothing(client, document):
    answer = await client.get("/docs")
    assert answer.status_code == 200
    page = answer.text
    for _, path, one in operations(document):
        assert f'id="{one["operationId"]}"' in page
        assert path in page
    assert "<script" not in page
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)

    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
