"""Doses at another time, over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest


@pytest.fixture
async def dose(circle) -> dict:
    """The next but one, so that it has neighbours and is some hours ahead: a dose each six hours, UTC."""
    await circle.schedule(zone="UTC")
    return (await circle.occurrences())[1]


def moved_by(dose: dict, minutes: int) -> str:
    at = datetime.fromisoformat(dose["due_at"]) + timedelta(minutes=minutes)
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_a_dose_is_moved_and_moved_back(dose, anna, hints):
    path = f"/v1/occurrences/{dose['id']}/reschedule"
    answer = await anna.post(path, {"to": moved_by(dose, 60), "from": dose["due_at"]})
    assert answer.status_code == 200, answer.text
    moved = answer.json()
    assert (moved["due_at"], moved["remind_at"]) == (moved_by(dose, 60), moved_by(dose, 60))
    assert moved["moved_from"] == dose["due_at"]
    assert moved["nominal_local_time"] == dose["nominal_local_time"]
    assert hints.patients

    back = (await anna.delete(path)).json()
    assert (back["due_at"], back["missed_at"], back["moved_from"]) == (dose["due_at"], dose["missed_at"], None)


async def test_a_local_time_will_do(dose, anna):
    local = moved_by(dose, 90)[:16]
    moved = (await anna.post(f"/v1/occurrences/{dose['id']}/reschedule", {"to": local})).json()
    assert moved["due_at"] == moved_by(dose, 90)


async def test_a_repeated_request_moves_once(dose, anna):
    path, headers = f"/v1/occurrences/{dose['id']}/reschedule", {"Idempotency-Key": "move-1"}
    first = await anna.post(path, {"to": moved_by(dose, 60), "from": dose["due_at"]}, headers=headers)
    again = await anna.post(path, {"to": moved_by(dose, 60), "from": dose["due_at"]}, headers=headers)
    assert (again.status_code, again.json()) == (200, first.json())


async def test_a_refusal_says_where_there_is_room(dose, anna, refused):
    answer = await anna.post(f"/v1/occurrences/{dose['id']}/reschedule", {"to": moved_by(dose, 300)})
    problem = refused(answer, 409, "too_close")
    assert problem["latest"] == moved_by(dose, 180)


async def test_who_saw_another_time_is_told(dose, anna, refused):
    path = f"/v1/occurrences/{dose['id']}/reschedule"
    await anna.post(path, {"to": moved_by(dose, 60)})
    refused(await anna.post(path, {"to": moved_by(dose, 90), "from": dose["due_at"]}), 409, "moved_meanwhile")


@pytest.mark.parametrize(
    "to", ["2020-01-01T00:00:00Z", "2020-01-01T00:00", "tomorrow", "2026-02-30T10:00", "24:00", 5, None, "2026-11-25"]
)
async def test_bad_times_are_refused_with_their_field(dose, anna, refused, to):
    refused(await anna.post(f"/v1/occurrences/{dose['id']}/reschedule", {"to": to}), 422, "invalid", field="to")


async def test_another_circle_sees_no_dose_and_a_viewer_moves_none(dose, circle, person, refused):
    mallory, vera = await person("mallory"), await person("vera")
    await circle.invite(vera, "viewer")
    for method, body in (("post", [{"to": moved_by(dose, 60)}]), ("delete", [])):
        path = f"/v1/occurrences/{dose['id']}/reschedule"
        refused(await getattr(mallory, method)(path, *body), 404, "not_found")
        refused(await getattr(vera, method)(path, *body), 403, "not_allowed")
