"""The mobile app of one person: everything it does goes over REST."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

import httpx2

if TYPE_CHECKING:
    from types import TracebackType

ZONE = "Europe/Berlin"


class App:
    """`async with App(api_url) as anna:` registers a new account and logs in."""

    def __init__(self, api_url: str) -> None:
        self.email = f"{secrets.token_hex(6)}@example.org"
        self._password = secrets.token_urlsafe(12)
        self._client = httpx2.AsyncClient(base_url=api_url, timeout=15)

    async def __aenter__(self) -> Self:
        account = {"email": self.email, "password": self._password, "display_name": "Anna", "zone": ZONE}
        await self.post("/auth/register", account)
        form = {"username": self.email, "password": self._password}
        answer = await self._client.post("/v1/auth/token", data=form)
        answer.raise_for_status()
        self._client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def get(self, path: str) -> Any:
        return await self._call("GET", path)

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        return await self._call("POST", path, body)

    async def patch(self, path: str, body: dict[str, Any]) -> Any:
        return await self._call("PATCH", path, body)

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = await self._client.request(method, f"/v1{path}", json=body)
        assert answer.is_success, f"{method} {path} → {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None


class Story:
    """One circle around one dose: a patient, a medication, and a schedule with a single time today."""

    def __init__(self, app: App, patient: dict[str, Any], medication: dict[str, Any]) -> None:
        self.app = app
        self.patient = patient
        self.medication = medication
        self.endpoint = ""

    @classmethod
    async def begin(cls, app: App, *, severity: str = "normal") -> Story:
        patient = await app.post("/patients", {"display_name": "Mother", "zone": "UTC"})
        body = {"name": "Secretamol", "strength": "500 mg", "severity": severity}
        return cls(app, patient, await app.post(f"/patients/{patient['id']}/medications", body))

    async def subscribe(self, subscription: dict[str, Any]) -> None:
        """Register a browser's push subscription, as it gives it."""
        self.endpoint = str(subscription["endpoint"])
        await self.app.post("/push-subscriptions", subscription)

    async def schedule(self, due_at: datetime) -> None:
        body = {
            "kind": "calendar",
            "times": [due_at.strftime("%H:%M")],
            "days_of_week": None,
            "start_date": due_at.date().isoformat(),
            "end_date": due_at.date().isoformat(),
            "dose": {"quantity": 1, "unit": "tablet"},
            "zone": None,
            "zone_policy": "follow",
        }
        await self.app.post(f"/medications/{self.medication['id']}/schedules", body)

    async def occurrence(self) -> dict[str, Any]:
        found = await self.app.get(f"/patients/{self.patient['id']}/occurrences")
        (one,) = found["items"] if isinstance(found, dict) else found
        return one

    async def deliveries(self) -> list[dict[str, Any]]:
        found = await self.app.get(f"/patients/{self.patient['id']}/deliveries")
        return list(found["items"])

    async def states(self) -> dict[str, str]:
        """The state of the one delivery of each channel."""
        rows = await self.deliveries()
        states = {row["channel"]: row["state"] for row in rows}
        assert len(states) == len(rows), f"more than one delivery on a channel: {rows}"
        return states


def next_minute(*, after_seconds: float) -> datetime:
    """The first full minute that is at least so far ahead."""
    earliest = datetime.now(UTC) + timedelta(seconds=after_seconds)
    return earliest.replace(second=0, microsecond=0) + timedelta(minutes=1)
