"""The API in this process on a real database; people who talk to it over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr

from carecircle.channels import discover
from carecircle_api.app import create_app
from carecircle_api.observe import HttpMetrics
from carecircle_api.passwords import Passwords
from carecircle_api.services import Services
from carecircle_api.settings import ApiSettings
from carecircle_api.throttle import Throttle
from carecircle_api.tokens import AccessTokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from uuid import UUID

    from fastapi import FastAPI

    from carecircle.db.session import Database

SECRET = "a secret key of the tests, long enough to sign with"  # noqa: S105 - of the tests
PASSWORD = "correct horse battery"  # noqa: S105 - of the tests
PUSH_ORIGIN = "http://127.0.0.1:8099"


@dataclass
class HintsSeen:
    """Notes the hints instead of enqueueing; the queue has tests of its own."""

    patients: list[UUID] = field(default_factory=list)

    def due_soon(self, patient_id: UUID) -> None:
        self.patients.append(patient_id)


@dataclass
class Person:
    """An account and its client, logged in."""

    client: httpx2.AsyncClient
    email: str
    account: dict[str, Any]
    tokens: dict[str, Any]

    async def get(self, path: str, **options: Any) -> httpx2.Response:
        return await self.client.get(path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> httpx2.Response:
        return await self.client.post(path, json=body, **options)

    async def patch(self, path: str, body: Any, **options: Any) -> httpx2.Response:
        return await self.client.patch(path, json=body, **options)

    async def put(self, path: str, body: Any, **options: Any) -> httpx2.Response:
        return await self.client.put(path, json=body, **options)

    async def delete(self, path: str, **options: Any) -> httpx2.Response:
        return await self.client.delete(path, **options)

    async def made(self, path: str, body: Any) -> dict[str, Any]:
        """What a successful POST answers."""
        answer = await self.post(path, body)
        assert answer.status_code == 201, answer.text
        return answer.json()


@pytest.fixture
def hints() -> HintsSeen:
    return HintsSeen()


@pytest.fixture
def settings(new_database_url: str) -> ApiSettings:
    return ApiSettings.load(
        database_url=SecretStr(new_database_url),
        secret_key=SecretStr(SECRET),
        public_url="http://reminders.example.org",
        push_allowed_origins=PUSH_ORIGIN,
    )


@pytest.fixture
def services(settings: ApiSettings, database: Database, hints: HintsSeen) -> Services:
    async def ready() -> tuple[int, dict[str, object]]:
        return 200, {"status": "ok"}

    return Services(
        settings=settings,
        database=database,
        hints=hints,
        readiness=ready,
        vapid_public_key="BPublic",
        tokens=AccessTokens(SECRET, settings.public_url, settings.access_lifetime),
        # The real algorithm with the smallest parameters: a test suite logs in often.
        passwords=Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)),
        throttle=Throttle(database),
        channels=discover(),
        metrics=HttpMetrics(),
    )


@pytest.fixture
def app(services: Services) -> FastAPI:
    return create_app(services)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    """Nobody in particular."""
    async with new_client(app) as client:
        yield client


@pytest.fixture
async def person(app: FastAPI) -> AsyncIterator[Callable[..., Awaitable[Person]]]:
    """Registers and logs in: `anna = await person("anna")`."""
    clients: list[httpx2.AsyncClient] = []

    async def join(name: str, *, zone: str = "Europe/Berlin") -> Person:
        client = new_client(app)
        clients.append(client)
        email = f"{name}@example.org"
        body = {"email": email, "password": PASSWORD, "display_name": name.title(), "zone": zone}
        registered = await client.post("/v1/auth/register", json=body)
        assert registered.status_code == 201, registered.text
        tokens = await log_in(client, email)
        client.headers["Authorization"] = f"Bearer {tokens['access_token']}"
        return Person(client, email, registered.json(), tokens)

    yield join
    for client in clients:
        await client.aclose()


@pytest.fixture
async def anna(person: Callable[..., Awaitable[Person]]) -> Person:
    return await person("anna")


Refused = Callable[..., dict[str, Any]]


@pytest.fixture
def refused() -> Refused:
    """Asserts that an answer is this problem and returns it: `refused(answer, 409, "email_taken", field="email")`."""

    def check(answer: httpx2.Response, status: int, code: str, *, field: str | None = None) -> dict[str, Any]:
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["status"] == status
        assert problem["code"] == code, problem
        assert problem["type"] == f"urn:carecircle:problem:{code}"
        assert problem["trace_id"] == answer.headers["x-trace-id"]
        if field is not None:
            assert field in [error["field"] for error in problem["errors"]], problem
        return problem

    return check


class Circle:
    """A patient with one active medication, made by its owner; `await circle.schedule(…)` plans doses."""

    def __init__(self, owner: Person, patient: dict[str, Any], medication: dict[str, Any]) -> None:
        self.owner = owner
        self.patient = patient
        self.medication = medication

    @property
    def path(self) -> str:
        return f"/v1/patients/{self.patient['id']}"

    async def schedule(self, **changes: Any) -> dict[str, Any]:
        return await self.owner.made(f"/v1/medications/{self.medication['id']}/schedules", schedule_body(**changes))

    async def occurrences(self, person: Person | None = None) -> list[dict[str, Any]]:
        answer = await (person or self.owner).get(f"{self.path}/occurrences")
        assert answer.status_code == 200, answer.text
        return answer.json()["items"]

    async def invite(self, person: Person, role: str, *, is_patient: bool = False) -> None:
        """Let this person join."""
        body = {"email": person.email, "role": role, "is_patient": is_patient}
        invitation = await self.owner.made(f"{self.path}/members", body)
        joined = await person.post(f"/v1/invitations/{invitation['token']}/accept")
        assert joined.status_code == 201, joined.text

    async def member_id(self, person: Person) -> str:
        members = (await self.owner.get(f"{self.path}/members")).json()["items"]
        return next(member["id"] for member in members if member["account_id"] == person.account["id"])


@pytest.fixture
def new_circle() -> Callable[..., Awaitable[Circle]]:
    async def make(owner: Person, *, zone: str = "Europe/Berlin") -> Circle:
        patient = await owner.made("/v1/patients", {"display_name": "Mother", "zone": zone})
        medication = await owner.made(f"/v1/patients/{patient['id']}/medications", {"name": "Secretamol"})
        return Circle(owner, patient, medication)

    return make


@pytest.fixture
async def circle(anna: Person, new_circle: Callable[..., Awaitable[Circle]]) -> Circle:
    """Anna's."""
    return await new_circle(anna)


@pytest.fixture
def schedule() -> Callable[..., dict[str, Any]]:
    """The body of a schedule; four times a day unless told otherwise, so that some dose is always ahead."""
    return schedule_body


def schedule_body(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "calendar",
        "times": ["00:00", "06:00", "12:00", "18:00"],
        "days_of_week": None,
        "start_date": "2026-01-01",
        "end_date": None,
        "dose": {"quantity": 1, "unit": "tablet"},
        "zone": None,
        "zone_policy": "follow",
    } | changes


def new_client(app: FastAPI) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app, client=("192.0.2.1", 4711))
    return httpx2.AsyncClient(transport=transport, base_url="http://api.test", timeout=20)


async def log_in(client: httpx2.AsyncClient, email: str, password: str = PASSWORD) -> dict[str, Any]:
    answer = await client.post("/v1/auth/token", data={"username": email, "password": password})
    assert answer.status_code == 200, answer.text
    return answer.json()
