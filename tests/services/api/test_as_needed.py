"""Medicines taken as needed, over HTTP: what is logged, and when the next dose is allowed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

TABLET = {"quantity": 1, "unit": "tablet"}


def ago(**length: float) -> str:
    return (datetime.now(UTC) - timedelta(**length)).isoformat()


@pytest.fixture
async def ben(person):
    return await person("ben")


@pytest.fixture
async def path(anna, circle) -> str:
    body = {"kind": "as_needed", "min_interval": "PT4H", "max": {"count": 3, "per": "PT24H"}, "dose": TABLET}
    made = await anna.made(f"/v1/medications/{circle.medication['id']}/schedules", body)
    assert made["next_occurrences"] == []
    return f"/v1/schedules/{made['id']}"


async def test_nothing_is_planned_and_everything_is_allowed_at_first(anna, circle, path):
    assert await circle.occurrences() == []
    assert (await anna.get(f"{path}/allowance")).json() == {
        "allowed": True,
        "next_allowed_at": None,
        "taken_in_period": 0,
        "left_in_period": 3,
        "warning": None,
    }


async def test_a_dose_is_logged_and_says_when_the_next_is_allowed(anna, circle, path):
    at = ago(hours=1)
    given = await anna.made(f"{path}/administrations", {"at": at, "reason": "Headache", "dose": TABLET})
    assert given["recorded_by"]["account_id"] == anna.account["id"]
    assert given["reason"] == "Headache"
    after = given["after"]
    assert datetime.fromisoformat(after["next_allowed_at"]) == datetime.fromisoformat(at) + timedelta(hours=4)
    assert (after["allowed"], after["left_in_period"]) == (False, 2)
    [dose] = await circle.occurrences()
    assert (dose["state"], dose["note"], dose["administration"]["id"]) == ("taken", "as_needed", given["id"])


async def test_a_dose_too_early_is_refused_unless_it_was_taken_all_the_same(anna, path, refused):
    await anna.made(f"{path}/administrations", {"at": ago(hours=1)})
    problem = refused(await anna.post(f"{path}/administrations", {}), 409, "too_early")
    assert problem["next_allowed_at"] == (await anna.get(f"{path}/allowance")).json()["next_allowed_at"]
    assert (await anna.post(f"{path}/administrations", {"even_if_early": True})).status_code == 201


async def test_the_last_dose_before_the_maximum_is_warned_of(anna, path):
    warnings = []
    for hours in (20, 15, 10):
        given = await anna.made(f"{path}/administrations", {"at": ago(hours=hours)})
        warnings.append(given["after"]["warning"])
    assert warnings == [None, "last_before_max", "max_reached"]
    allowance = (await anna.get(f"{path}/allowance")).json()
    assert allowance["allowed"] is False
    wait = datetime.fromisoformat(allowance["next_allowed_at"]) - datetime.now(UTC)
    assert timedelta(hours=3, minutes=55) < wait <= timedelta(hours=4)


async def test_of_two_people_at_once_one_gives(anna, ben, circle, path):
    await circle.invite(ben, "carer")
    answers = await asyncio.gather(*(one.post(f"{path}/administrations", {}) for one in (anna, ben)))
    assert sorted(answer.status_code for answer in answers) == [201, 409]


async def test_the_same_dose_twice_is_one(anna, ben, circle, path, refused):
    await circle.invite(ben, "carer")
    at = {"at": ago(hours=5), "even_if_early": True}
    await anna.made(f"{path}/administrations", at)
    problem = refused(await ben.post(f"{path}/administrations", at), 409, "already_recorded")
    assert problem["administration"]["recorded_by"] == anna.account["display_name"]


async def test_a_dose_that_was_taken_back_never_was(anna, circle, path):
    at = {"at": ago(hours=1)}
    answer = await anna.post(f"{path}/administrations", at)
    undone = await anna.delete(answer.headers["location"])
    assert (undone.json()["state"], undone.json()["reason"]) == ("cancelled", "entered_in_error")
    assert (await anna.get(f"{path}/allowance")).json()["next_allowed_at"] is None
    assert await circle.occurrences() == []
    assert (await anna.post(f"{path}/administrations", at)).status_code == 201
    assert len(await circle.occurrences()) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"at": "2199-01-01T00:00:00Z"}, "at"),
        ({"at": "2001-01-01T00:00:00Z"}, "at"),
        ({"dose": {"quantity": 0, "unit": "tablet"}}, "dose.quantity"),
        ({"even_if_early": "yes"}, "even_if_early"),
    ],
)
async def test_bad_answers_name_the_field(anna, path, refused, body, field):
    refused(await anna.post(f"{path}/administrations", body), 422, "invalid", field=field)


async def test_planned_schedules_are_answered_dose_by_dose(anna, circle, refused):
    planned = await circle.schedule()
    refused(await anna.post(f"/v1/schedules/{planned['id']}/administrations", {}), 409, "not_as_needed")
    refused(await anna.get(f"/v1/schedules/{planned['id']}/allowance"), 409, "not_as_needed")


async def test_a_medicine_on_hold_is_not_given(anna, circle, path, refused):
    await anna.patch(f"/v1/medications/{circle.medication['id']}", {"status": "on_hold"})
    refused(await anna.post(f"{path}/administrations", {}), 409, "not_answerable")


async def test_it_is_for_those_who_may_answer(circle, person, path, refused):
    stranger, viewer = await person("stranger"), await person("viewer")
    await circle.invite(viewer, "viewer")
    refused(await stranger.post(f"{path}/administrations", {}), 404, "not_found")
    refused(await viewer.post(f"{path}/administrations", {}), 403, "not_allowed")
    assert (await viewer.get(f"{path}/allowance")).status_code == 200
