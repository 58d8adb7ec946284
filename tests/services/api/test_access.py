"""Who may do what, on every route: the owner, a carer, a viewer, the patient's own login, a stranger, and nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

MAY, NO, HIDDEN = "may", 403, 404
OWN_ENDPOINT = "http://127.0.0.1:8099/push/one"


@dataclass(frozen=True)
class Wish:
    """One request, and what each role gets: MAY is any success."""

    method: str
    path: str
    body: Any = None
    owner: Any = MAY
    carer: Any = MAY
    viewer: Any = MAY
    patient: Any = MAY
    stranger: Any = HIDDEN

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


READ = {"viewer": MAY, "carer": MAY, "patient": MAY}
EDIT = {"viewer": NO, "carer": MAY, "patient": MAY}
MANAGE = {"viewer": NO, "carer": NO, "patient": NO}
SCHEDULE = {
    "kind": "calendar",
    "times": ["09:30"],
    "start_date": "2026-01-01",
    "dose": {"quantity": 2, "unit": "tablet"},
}
AS_NEEDED = {"kind": "as_needed", "dose": {"quantity": 1, "unit": "tablet"}}
# Every route that names a circle. Order matters where one wish undoes what the next needs.
MATRIX = [
    Wish("GET", "{circle}", **READ),
    Wish("PATCH", "{circle}", {"display_name": "Mum"}, **MANAGE),
    Wish("GET", "{circle}/export", **READ),
    Wish("GET", "{circle}/report.pdf", **READ),
    Wish("GET", "{circle}/members", **READ),
    Wish("POST", "{circle}/members", {"email": "new@example.org", "role": "viewer"}, **MANAGE),
    Wish("PATCH", "{circle}/members/{other}", {"role": "carer"}, **MANAGE),
    Wish("DELETE", "{circle}/members/{other}", **MANAGE),
    Wish("GET", "{circle}/medications", **READ),
    Wish("POST", "{circle}/medications", {"name": "Other"}, **EDIT),
    Wish("GET", "{medication}", **READ),
    Wish("PATCH", "{medication}", {"strength": "5 mg"}, **EDIT),
    Wish("DELETE", "{medication}", **EDIT),
    Wish("GET", "{medication}/schedules", **READ),
    Wish("POST", "{medication}/schedules", SCHEDULE, **EDIT),
    Wish("GET", "{schedule}", **READ),
    Wish("PUT", "{schedule}", SCHEDULE, **EDIT),
    Wish("DELETE", "{schedule}", **EDIT),
    Wish("GET", "{schedule}/preview", **READ),
    Wish("GET", "{as_needed}/allowance", **READ),
    Wish("POST", "{as_needed}/administrations", {"even_if_early": True}, **EDIT),
    Wish("GET", "{circle}/occurrences", **READ),
    Wish("GET", "{occurrence}", **READ),
    Wish("GET", "{occurrence}/explain", **READ),
    Wish("POST", "{occurrence}/administrations", {"status": "taken"}, **EDIT),
    Wish("DELETE", "{answered}/administrations/{administration}", **EDIT),
    Wish("POST", "{occurrence}/reschedule", {"to": "{due_at}"}, **EDIT),
    Wish("DELETE", "{occurrence}/reschedule", **EDIT),
    Wish("POST", "{occurrence}/snooze", {"minutes": 5}, **EDIT),
    Wish("POST", "{occurrence}/acknowledgement", {}, **EDIT),
    Wish("DELETE", "{occurrence}/acknowledgement", **EDIT),
    Wish("POST", "{medication}/administrations", {"status": "taken"}, **EDIT),
    Wish("POST", "{circle}/answers", {"status": "taken", "due_at": "2026-11-24T07:00:00Z"}, **EDIT),
    Wish("POST", "{circle}/answers/offline", {"items": [{"kind": "undo"}]}, **EDIT),
    Wish("GET", "{circle}/adherence", **READ),
    Wish("GET", "{circle}/adherence/weeks", **READ),
    Wish("GET", "{circle}/as-needed-use", **READ),
    Wish("POST", "{circle}/calendar-feeds", {"name": "Doses"}, **READ),
    Wish("GET", "{circle}/calendar-feeds", **READ),
    Wish("DELETE", "{circle}/calendar-feeds/{feed}", **MANAGE),  # one's own may go, this one is the owner's
    Wish("GET", "{circle}/fhir", **READ),
    Wish("GET", "{circle}/deliveries", **READ),
    Wish("GET", "{circle}/doses.csv", **READ),
    Wish("POST", "{uncounted}/supply", {"unit": "tablet", "stock": 5}, **EDIT),
    Wish("GET", "{medication}/supply", **READ),
    Wish("PATCH", "{medication}/supply", {"warn_days": 3}, **EDIT),
    Wish("DELETE", "{medication}/supply", **EDIT),
    Wish("GET", "{medication}/supply/ledger", **READ),
    Wish("POST", "{medication}/refills", {"quantity": 30}, **EDIT),
    Wish("DELETE", "{refill}", **EDIT),
    Wish("POST", "{medication}/counts", {"stock": 14}, **EDIT),
    Wish("POST", "{medication}/losses", {"quantity": 1}, **EDIT),
]
# Routes that name no circle: everybody has their own, or no login is needed.
ELSEWHERE = {
    ("post", "/v1/auth/register"),
    ("post", "/v1/auth/token"),
    ("post", "/v1/auth/refresh"),
    ("get", "/v1/me"),
    ("patch", "/v1/me"),
    ("post", "/v1/patients"),
    ("get", "/v1/patients"),
    ("post", "/v1/patients/import"),
    ("post", "/v1/invitations/{token}/accept"),
    ("post", "/v1/schedules/preview"),
    ("post", "/v1/schedules/import"),
    ("post", "/v1/fhir/medication-requests/preview"),
    ("get", "/v1/calendar/{token}.ics"),
    ("get", "/v1/push-subscriptions"),
    ("post", "/v1/push-subscriptions"),
    ("delete", "/v1/push-subscriptions/{subscription_id}"),
    ("get", "/v1/push/vapid-public-key"),
}
TEMPLATES = {
    "{circle}": "/v1/patients/{patient_id}",
    "{other}": "{member_id}",
    "{medication}": "/v1/medications/{medication_id}",
    "{uncounted}": "/v1/medications/{medication_id}",
    "{refill}": "/v1/refills/{refill_id}",
    "{schedule}": "/v1/schedules/{schedule_id}",
    "{as_needed}": "/v1/schedules/{schedule_id}",
    "{occurrence}": "/v1/occurrences/{occurrence_id}",
    "{answered}": "/v1/occurrences/{occurrence_id}",
    "{administration}": "{administration_id}",
    "{feed}": "{feed_id}",
}


def body_of(wish: Wish, place: dict[str, str]):
    """With the time of the dose where a body names it."""
    if not isinstance(wish.body, dict):
        return wish.body
    return {name: place["due_at"] if text == "{due_at}" else text for name, text in wish.body.items()}


def template(path: str) -> str:
    for short, full in TEMPLATES.items():
        path = path.replace(short, full)
    return path


async def places(circle, other) -> dict[str, str]:
    """Ids for the paths of the matrix, of a medication that no other wish has touched."""
    circle.medication = await circle.owner.made(f"{circle.path}/medications", {"name": "Fresh"})
    schedule = await circle.schedule(on_time="PT6H")  # some dose is always in its window
    as_needed = await circle.owner.made(f"/v1/medications/{circle.medication['id']}/schedules", AS_NEEDED)
    doses = [dose for dose in await circle.occurrences() if dose["schedule_id"] == schedule["id"]]
    open_one, answered = doses[0], doses[1]
    given = await circle.owner.made(f"/v1/occurrences/{answered['id']}/administrations", {"status": "taken"})
    medication = f"/v1/medications/{circle.medication['id']}"
    uncounted = await circle.owner.made(f"{circle.path}/medications", {"name": "Uncounted"})
    await circle.owner.made(f"{medication}/supply", {"unit": "tablet", "stock": 14})
    refill = await circle.owner.made(f"{medication}/refills", {"quantity": 30})
    feeds = f"{circle.path}/calendar-feeds"
    kept = (await circle.owner.get(feeds)).json()["items"]  # so many a person may have
    feed = kept[0] if kept else await circle.owner.made(feeds, {"name": "Doses"})
    return {
        "circle": circle.path,
        "feed": feed["id"],
        "other": await circle.member_id(other),
        "medication": medication,
        "uncounted": f"/v1/medications/{uncounted['id']}",
        "refill": f"/v1/refills/{refill['id']}",
        "schedule": f"/v1/schedules/{schedule['id']}",
        "as_needed": f"/v1/schedules/{as_needed['id']}",
        "occurrence": f"/v1/occurrences/{open_one['id']}",
        "due_at": open_one["due_at"],
        "answered": f"/v1/occurrences/{answered['id']}",
        "administration": given["id"],
    }


async def test_the_matrix_names_every_route(client):
    described = (await client.get("/openapi.json")).json()["paths"]
    routes = {(method, path) for path, item in described.items() for method in item}
    tested = {(wish.method.lower(), template(wish.path)) for wish in MATRIX}
    assert routes == tested | ELSEWHERE


@pytest.mark.parametrize("role", ["owner", "carer", "viewer", "patient", "stranger"])
async def test_each_role_may_what_it_may(role, circle, person, new_circle, refused):
    other = await person("other")
    await circle.invite(other, "viewer")
    asking = circle.owner if role == "owner" else await person("asking")
    if role in {"carer", "viewer"}:
        await circle.invite(asking, role)
    if role == "patient":
        await circle.invite(asking, "viewer", is_patient=True)
    if role == "stranger":
        await new_circle(asking)

    for wish in MATRIX:
        place = await places(circle, other)
        expected = getattr(wish, role)
        answer = await asking.client.request(wish.method, wish.path.format(**place), json=body_of(wish, place))
        if expected is MAY:
            assert answer.is_success, f"{role} {wish.name}: {answer.status_code} {answer.text}"
        else:
            refused(answer, expected, {NO: "not_allowed", HIDDEN: "not_found"}[expected])
        if expected is MAY and wish.name == "DELETE {circle}/members/{other}":
            await circle.invite(other, "viewer")


async def test_without_a_login_nothing_is_said(circle, person, client, refused):
    other = await person("other")
    await circle.invite(other, "viewer")
    place = await places(circle, other)
    for wish in MATRIX:
        answer = await client.request(wish.method, wish.path.format(**place), json=body_of(wish, place))
        refused(answer, 401, "unauthenticated")
    for method, path in [("GET", "/v1/me"), ("GET", "/v1/patients"), ("GET", "/v1/push-subscriptions")]:
        refused(await client.request(method, path), 401, "unauthenticated")


async def test_anothers_id_and_no_id_look_the_same(circle, person, refused):
    other = await person("other")
    await circle.invite(other, "viewer")
    stranger = await person("stranger")
    place = await places(circle, other)
    nothing = {name: value[: value.rfind("/") + 1] + str(uuid4()) for name, value in place.items()}
    for wish in MATRIX:
        hidden = await stranger.client.request(wish.method, wish.path.format(**place), json=body_of(wish, place))
        missing = await stranger.client.request(wish.method, wish.path.format(**nothing), json=body_of(wish, place))
        assert hidden.status_code == missing.status_code == 404
        assert {**hidden.json(), "trace_id": ""} == {**missing.json(), "trace_id": ""}


async def test_ids_of_two_own_circles_do_not_mix(anna, circle, new_circle, refused, person):
    """A member's id counts in its own circle only, even for somebody who owns both."""
    second = await new_circle(anna)
    ben = await person("ben")
    await second.invite(ben, "viewer")
    foreign = await second.member_id(ben)
    refused(await anna.patch(f"{circle.path}/members/{foreign}", {"role": "owner"}), 404, "not_found")
    refused(await anna.delete(f"{circle.path}/members/{foreign}"), 404, "not_found")

    await circle.schedule()
    await second.schedule()
    own = (await circle.occurrences())[0]["id"]
    other = (await second.occurrences())[0]["id"]
    given = await anna.made(f"/v1/occurrences/{other}/administrations", {"status": "taken"})
    refused(await anna.delete(f"/v1/occurrences/{own}/administrations/{given['id']}"), 404, "not_found")


async def test_a_list_shows_only_own_circles(anna, circle, person, new_circle):
    ben = await person("ben")
    other = await new_circle(ben)
    assert [one["id"] for one in (await anna.get("/v1/patients")).json()["items"]] == [circle.patient["id"]]
    await other.invite(anna, "viewer")
    listed = {one["id"]: one["role"] for one in (await anna.get("/v1/patients")).json()["items"]}
    assert listed == {circle.patient["id"]: "owner", other.patient["id"]: "viewer"}
