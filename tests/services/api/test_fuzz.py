"""Schemathesis against the running API: what its own description allows, and much that it does not.

Never a fault of ours, and never an answer that the description does not have.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

START_SECONDS = 30
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
NOTHING_TO_NEGATE = {
    "GET /v1/calendar/{token}.ics",  # any text may be an address; a wrong one is unknown
    "GET /v1/me",
    "GET /v1/push-subscriptions",
    "GET /v1/push/vapid-public-key",
}
SCHEDULE = {
    "kind": "calendar",
    "times": ["00:00", "12:00"],
    "start_date": "2026-01-01",
    "dose": {"quantity": 1, "unit": "tablet"},
}


@pytest.fixture
def server(new_database_url: str, redis_url: str) -> Iterator[str]:
    """The URL of an API process. Its log is read all the time, so that it never waits for a reader."""
    environment = os.environ | {
        "DATABASE_URL": new_database_url,
        "REDIS_URL": redis_url,
        "CARECIRCLE_QUEUE_PREFIX": new_database_url.rsplit("/", 1)[-1],
        "CARECIRCLE_API_PORT": "0",
        "CARECIRCLE_SECRET_KEY": "of the tests and long enough to sign with it",
        "CARECIRCLE_LOGIN_ATTEMPTS": "1000",
        "CARECIRCLE_REGISTRATIONS_PER_ADDRESS": "100000",
    }
    port: Future[int] = Future()
    with subprocess.Popen([sys.executable, "-m", "carecircle_api"], env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        reader = Thread(target=read_log, args=(process.stdout, port), daemon=True)
        reader.start()
        yield f"http://127.0.0.1:{port.result(START_SECONDS)}"
        process.terminate()
        reader.join(START_SECONDS)


def read_log(lines: Any, port: Future[int]) -> None:
    for line in lines:
        event = json.loads(line)
        if event["event"] == "api.listening":
            port.set_result(event["port"])


@dataclass(frozen=True)
class Known:
    """A login, and ids that exist for the paths."""

    authorization: str
    ids: dict[str, str]


@pytest.fixture
def known(server: str) -> Known:
    with requests.Session() as anna:
        body = {"email": "anna@example.org", "password": "correct horse battery", "display_name": "Anna"}
        made(anna, f"{server}/v1/auth/register", body)
        form = {"username": body["email"], "password": body["password"]}
        tokens = anna.post(f"{server}/v1/auth/token", data=form, timeout=10).json()
        anna.headers["Authorization"] = f"Bearer {tokens['access_token']}"
        return Known(str(anna.headers["Authorization"]), existing(anna, server))


def existing(anna: requests.Session, server: str) -> dict[str, str]:
    patient = made(anna, f"{server}/v1/patients", {"display_name": "Mum", "zone": "UTC"})
    circle = f"{server}/v1/patients/{patient['id']}"
    medication = made(anna, f"{circle}/medications", {"name": "A"})
    schedule = made(anna, f"{server}/v1/medications/{medication['id']}/schedules", SCHEDULE)
    supply = {"unit": "tablet", "stock": 14, "package_size": 30}
    made(anna, f"{server}/v1/medications/{medication['id']}/supply", supply)
    refill = made(anna, f"{server}/v1/medications/{medication['id']}/refills", {})
    dose = anna.get(f"{circle}/occurrences", timeout=10).json()["items"][0]
    member = anna.get(f"{circle}/members", timeout=10).json()["items"][0]
    return {
        "patient_id": patient["id"],
        "medication_id": medication["id"],
        "schedule_id": schedule["id"],
        "occurrence_id": dose["id"],
        "member_id": member["id"],
        "refill_id": refill["id"],
    }


@pytest.fixture
def description(server: str) -> Any:
    return schemathesis.openapi.from_url(f"{server}/openapi.json")


def made(session: requests.Session, url: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = session.post(url, json=body, timeout=10)
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_whatever_is_sent_gets_an_answer_from_the_description(description, known, subtests, mode, server):
    for found in description.get_all_operations():
        operation = found.ok()
        if mode.is_negative and operation.label in NOTHING_TO_NEGATE:
            continue
        with subtests.test(f"{mode.value} {operation.label}"):
            probe(operation, known, mode)
    if mode.is_positive:  # a lost login or a wrong id would make all this a test of 401 and 404
        assert len(succeeded(server)) >= 18


def succeeded(server: str) -> set[tuple[str, str]]:
    """Method and route of what was answered with success at least once, as the API itself counted."""
    text = requests.get(f"{server}/metrics", timeout=10).text
    pattern = r'carecircle_http_requests_total\{method="(\w+)",route="(/v1/[^"]+)",status="2\d\d"\}'
    return set(re.findall(pattern, text))


def probe(operation: Any, known: Known, mode: GenerationMode) -> None:
    """A dozen requests to one operation, the same ones on each run."""
    strategy = operation.as_strategy(generation_mode=mode)
    # Existing ids, or nothing but 404 would be tested; not where they would be deleted for the rest.
    ids = known.ids if mode.is_positive and operation.method != "delete" else {}

    @settings(
        max_examples=12,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def send(case: Any) -> None:
        for name in set(case.path_parameters or {}) & set(ids):
            case.path_parameters[name] = ids[name]
        case.call_and_validate(checks=CHECKS, headers={"Authorization": known.authorization}, timeout=20)

    send()
