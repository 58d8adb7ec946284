"""Answers to the nearest dose, to many doses at once, and of a phone that was offline."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest


@pytest.fixture
async def doses(circle) -> list[dict]:
    """Their window of being on time is so wide that one of them is always in it."""
    await circle.schedule(on_time="PT6H")
    return await circle.occurrences()


@pytest.fixture
async def ben(circle, person):
    ben = await person("ben")
    await circle.invite(ben, "carer")
    return ben


def ago(**length) -> str:
    return (datetime.now(UTC) - timedelta(**length)).isoformat()


def taken(planned: dict, **more) -> dict:
    return {
        "kind": "answer",
        "id": str(uuid4()),
        "occurrence_id": planned["id"],
        "status": "taken",
        "at": ago(minutes=5),
    } | more


async def outcomes(answer) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["outcome"] for one in answer.json()["items"]]


async def test_an_answer_without_a_dose_is_for_the_nearest(doses, circle, anna, ben, hints, refused):
    path = f"/v1/medications/{circle.medication['id']}/administrations"
    answer = await anna.post(path, {"status": "taken"})
    assert answer.status_code == 201, answer.text
    given = answer.json()
    assert given["occurrence_id"] == doses[0]["id"]
    assert answer.headers["location"] == f"/v1/occurrences/{doses[0]['id']}/administrations/{given['id']}"
    assert hints.patients

    problem = refused(await ben.post(path, {"status": "taken"}), 409, "already_recorded")
    assert problem["administration"]["recorded_by"] == "Anna"


async def test_outside_of_every_window_the_candidates_are_named(circle, anna, refused):
    await circle.schedule(on_time="PT1M")
    doses = await circle.occurrences()
    path = f"/v1/medications/{circle.medication['id']}/administrations"
    at = (datetime.fromisoformat(doses[0]["due_at"]) - timedelta(hours=23)).isoformat()
    problem = refused(await anna.post(path, {"status": "taken", "at": at}), 409, "no_dose_in_window")
    first = problem["candidates"][0]
    assert {name: first[name] for name in ("occurrence_id", "due_at", "state")} == {
        "occurrence_id": doses[0]["id"],
        "due_at": doses[0]["due_at"],
        "state": "planned",
    }


async def test_all_doses_of_one_time_are_taken_in_one_call(doses, circle, anna, ben):
    other = await anna.made(f"{circle.path}/medications", {"name": "Other"})
    body = {
        "kind": "calendar",
        "times": ["00:00", "06:00", "12:00", "18:00"],
        "start_date": "2026-01-01",
        "dose": {"quantity": 2, "unit": "drop"},
    }
    await anna.made(f"/v1/medications/{other['id']}/schedules", body)
    due = doses[0]["due_at"]
    given = await anna.made(f"/v1/occurrences/{doses[0]['id']}/administrations", {"status": "skipped"})

    answer = await ben.post(f"{circle.path}/answers", {"status": "taken", "due_at": due})
    assert sorted(await outcomes(answer)) == ["already_recorded", "recorded"]
    [second] = [one for one in answer.json()["items"] if one["outcome"] == "already_recorded"]
    assert second["stands"] == {"status": "skipped", "at": given["at"], "recorded_by": "Anna"}
    assert second["administration"] is None

    wall = {"status": "taken", "nominal_local_time": doses[1]["nominal_local_time"]}
    assert await outcomes(await ben.post(f"{circle.path}/answers", wall)) == ["recorded", "recorded"]


async def test_an_idempotency_key_repeats_the_answer(doses, circle, anna):
    body = {"status": "taken", "occurrence_ids": [doses[0]["id"], str(uuid4()), doses[0]["id"]]}
    key = {"Idempotency-Key": "all-of-eight"}
    first = await anna.post(f"{circle.path}/answers", body, headers=key)
    assert await outcomes(first) == ["recorded", "not_found"]
    assert (await anna.post(f"{circle.path}/answers", body, headers=key)).json() == first.json()


BAD_MANY = [
    ({"status": "taken"}, "occurrence_ids"),
    ({"status": "taken", "occurrence_ids": []}, "occurrence_ids"),
    ({"status": "taken", "occurrence_ids": [str(uuid4())] * 101}, "occurrence_ids"),
    ({"status": "taken", "occurrence_ids": ["x"]}, "occurrence_ids.0"),
    ({"status": "taken", "due_at": "08:00"}, "due_at"),
    ({"status": "taken", "due_at": "2026-11-24T07:00:00Z", "nominal_local_time": "2026-11-24T08:00"}, "occurrence_ids"),
    ({"due_at": "2026-11-24T07:00:00Z"}, "status"),
]


async def test_bad_bodies_name_the_field(circle, anna, refused, subtests):
    for body, field in BAD_MANY:
        with subtests.test(str(body)[:80]):
            refused(await anna.post(f"{circle.path}/answers", body), 422, "invalid", field=field)


async def test_a_phone_that_was_offline_sends_what_it_has_as_often_as_it_likes(doses, circle, anna, ben):
    await ben.post(f"/v1/occurrences/{doses[2]['id']}/administrations", {"status": "skipped", "reason_code": "asleep"})
    undone = taken(doses[1], dose={"quantity": 2, "unit": "tablet"})
    items = [
        taken(doses[0]),
        undone,
        {"kind": "undo", "administration_id": undone["id"]},
        taken(doses[2]),
        taken({"id": str(uuid4())}),
    ]

    first = await anna.post(f"{circle.path}/answers/offline", {"items": items})
    assert await outcomes(first) == ["recorded", "recorded", "undone", "already_recorded", "not_found"]
    second = await anna.post(f"{circle.path}/answers/offline", {"items": items})
    assert second.json() == first.json()

    given = first.json()["items"][0]["administration"]
    assert (given["id"], given["recorded_by"]["display_name"]) == (items[0]["id"], "Anna")
    assert datetime.fromisoformat(given["at"]) == datetime.fromisoformat(items[0]["at"])
    taken_back = first.json()["items"][1]["administration"]
    assert taken_back["dose_changed"]
    assert taken_back["entered_in_error_at"] is not None
    states = [dose["state"] for dose in await circle.occurrences()][:3]
    assert states == ["taken", "planned", "skipped"]


async def test_an_item_may_name_the_medication(doses, circle, anna):
    item = taken(doses[0], medication_id=circle.medication["id"])
    del item["occurrence_id"]
    for _ in range(2):
        answer = await anna.post(f"{circle.path}/answers/offline", {"items": [item]})
        assert await outcomes(answer) == ["recorded"]
        assert answer.json()["items"][0]["occurrence_id"] == doses[0]["id"]


async def test_each_bad_item_is_refused_by_itself(doses, circle, anna):
    bad = [
        (7, ""),
        ({}, "kind"),
        ({"kind": "undo"}, "administration_id"),
        ({"kind": "dance"}, "kind"),
        (taken(doses[1], id="1"), "id"),
        (taken(doses[1], at=ago(days=32)), "at"),
        (taken(doses[1], at=ago(days=-1)), "at"),
        (taken(doses[1], medication_id=circle.medication["id"]), "occurrence_id"),
        (taken(doses[1], dose={"quantity": 5, "unit": "mg"}), "dose.unit"),
        (taken(doses[1], dose={"quantity": 0, "unit": "tablet"}), "dose.quantity"),
        (taken(doses[1], reason_code="asleep"), "reason_code"),
    ]
    answer = await anna.post(f"{circle.path}/answers/offline", {"items": [*(item for item, _ in bad), taken(doses[0])]})
    assert await outcomes(answer) == ["refused"] * len(bad) + ["recorded"]
    for (item, field), result in zip(bad, answer.json()["items"], strict=False):
        assert field in [error["field"] for error in result["errors"]], (item, result)


async def test_a_call_has_one_to_a_hundred_items(doses, circle, anna, refused):
    for items in ([], [taken(doses[0])] * 101):
        answer = await anna.post(f"{circle.path}/answers/offline", {"items": items})
        refused(answer, 422, "invalid", field="items")


async def test_an_own_id_is_stored_once_and_is_nobody_elses(doses, circle, anna, ben, refused):
    body = {"id": str(uuid4()), "status": "taken"}
    path = f"/v1/occurrences/{doses[0]['id']}/administrations"
    given = await anna.made(path, body)
    assert given["id"] == body["id"]
    assert await anna.made(path, body) == given
    refused(await ben.post(path, body), 422, "id_taken", field="id")
    refused(await anna.post(f"/v1/occurrences/{doses[1]['id']}/administrations", body), 422, "id_taken", field="id")
