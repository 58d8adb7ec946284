"""Doses: seen, answered once, taken back, asked for later."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest


@pytest.fixture
async def doses(circle) -> list[dict]:
    await circle.schedule()
    return await circle.occurrences()


@pytest.fixture
def dose(doses) -> str:
    """The path of the next dose."""
    return f"/v1/occurrences/{doses[0]['id']}"


async def test_doses_come_in_the_order_they_are_due(doses):
    due = [dose["due_at"] for dose in doses]
    assert due == sorted(due)
    assert len(due) >= 7
    assert {dose["zone"] for dose in doses} == {"Europe/Berlin"}


async def test_a_period_is_closed_at_its_start_and_open_at_its_end(doses, circle, anna):
    first, second = doses[0]["due_at"], doses[1]["due_at"]
    answer = await anna.get(f"{circle.path}/occurrences", params={"since": first, "until": second})
    assert [dose["id"] for dose in answer.json()["items"]] == [doses[0]["id"]]
    answer = await anna.get(f"{circle.path}/occurrences", params={"until": second})
    assert [dose["id"] for dose in answer.json()["items"]] == [doses[0]["id"]]


async def test_a_dose_is_answered_and_shows_by_whom(dose, anna, hints):
    at = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    answer = await anna.post(f"{dose}/administrations", {"status": "taken", "at": at})
    assert answer.status_code == 201
    given = answer.json()
    assert answer.headers["location"] == f"{dose}/administrations/{given['id']}"
    assert given["recorded_by"] == {"account_id": anna.account["id"], "display_name": "Anna"}

    shown = (await anna.get(dose)).json()
    assert shown["state"] == "taken"
    assert shown["administration"] == given


async def test_a_skip_has_its_reason(dose, anna):
    given = await anna.made(f"{dose}/administrations", {"status": "skipped", "reason": "Felt sick"})
    shown = (await anna.get(dose)).json()
    assert shown["state"] == "skipped"
    assert shown["administration"] == given
    assert given["reason"] == "Felt sick"


async def test_the_second_answer_learns_of_the_first(dose, circle, anna, person, refused):
    ben = await person("ben")
    await circle.invite(ben, "carer")
    given = await anna.made(f"{dose}/administrations", {"status": "taken"})
    problem = refused(await ben.post(f"{dose}/administrations", {"status": "skipped"}), 409, "already_recorded")
    assert problem["administration"] == {"status": "taken", "at": given["at"], "recorded_by": "Anna"}
    assert (await anna.get(dose)).json()["state"] == "taken"


async def test_of_two_people_who_answer_at_once_one_is_recorded(dose, circle, anna, person):
    ben = await person("ben")
    await circle.invite(ben, "carer")
    answers = await asyncio.gather(
        *(person.post(f"{dose}/administrations", {"status": "taken"}) for person in (anna, ben, anna, ben))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


BAD_ANSWERS = [
    ({}, "status"),
    ({"status": "missed"}, "status"),
    ({"status": None}, "status"),
    ({"status": "taken", "at": "now"}, "at"),
    ({"status": "taken", "at": 1_700_000_000}, "at"),
    ({"status": "taken", "at": "2026-01-01T08:00:00"}, "at"),
    ({"status": "taken", "at": "2150-01-01T08:00:00Z"}, "at"),
    ({"status": "taken", "at": "2001-01-01T08:00:00Z"}, "at"),
    ({"status": "taken", "reason": "x" * 501}, "reason"),
    ({"status": "taken", "by": "Ben"}, "by"),
    ({"status": "taken", "reason_code": "asleep"}, "reason_code"),
    ({"status": "skipped", "reason_code": "lazy"}, "reason_code"),
    ({"status": "skipped", "dose": {"quantity": 1, "unit": "tablet"}}, "dose"),
    ({"status": "taken", "dose": {"quantity": 0, "unit": "tablet"}}, "dose.quantity"),
    ({"status": "taken", "dose": {"quantity": -1, "unit": "tablet"}}, "dose.quantity"),
    ({"status": "taken", "dose": {"quantity": 5, "unit": "mg"}}, "dose.unit"),
]


async def test_bad_answers_name_the_field(dose, anna, refused, subtests):
    for body, field in BAD_ANSWERS:
        with subtests.test(str(body)[:60]):
            refused(await anna.post(f"{dose}/administrations", body), 422, "invalid", field=field)


async def test_an_answer_can_be_taken_back_and_given_again(dose, anna, refused):
    given = await anna.made(f"{dose}/administrations", {"status": "taken"})
    undone = await anna.delete(f"{dose}/administrations/{given['id']}")
    assert undone.status_code == 200
    assert undone.json()["state"] == "planned"
    assert undone.json()["administration"] is None
    assert (await anna.delete(f"{dose}/administrations/{given['id']}")).status_code == 200

    again = await anna.made(f"{dose}/administrations", {"status": "skipped"})
    assert again["id"] != given["id"]
    refused(await anna.delete(f"{dose}/administrations/{again['id'][:-1]}x"), 422, "invalid")


async def test_a_dose_is_asked_for_later(dose, anna, doses, hints):
    answer = await anna.post(f"{dose}/snooze", {"minutes": 10})
    assert answer.status_code == 200
    assert answer.json()["remind_at"] > doses[0]["remind_at"]
    assert hints.patients


BAD_SNOOZES = [0, -5, 241, 10.5, "10", True, None, 10**40]


async def test_bad_snoozes_name_the_field(dose, anna, refused, subtests):
    for minutes in BAD_SNOOZES:
        with subtests.test(str(minutes)):
            refused(await anna.post(f"{dose}/snooze", {"minutes": minutes}), 422, "invalid", field="minutes")


async def test_a_dose_is_asked_for_at_a_time(dose, anna, doses):
    until = (datetime.fromisoformat(doses[0]["due_at"]) + timedelta(minutes=25)).isoformat()
    answer = await anna.post(f"{dose}/snooze", {"until": until})
    assert answer.status_code == 200
    assert datetime.fromisoformat(answer.json()["remind_at"]) == datetime.fromisoformat(until)


async def test_a_time_to_ask_again_lies_between_the_dose_and_the_end_of_its_window(dose, anna, doses, refused):
    due, missed = doses[0]["due_at"], doses[0]["missed_at"]
    for until in (due, missed, "2001-01-01T00:00:00Z"):
        refused(await anna.post(f"{dose}/snooze", {"until": until}), 422, "invalid", field="until")
    assert (await anna.get(dose)).json()["remind_at"] == due


async def test_one_of_minutes_and_until_is_given(dose, anna, doses, refused):
    refused(await anna.post(f"{dose}/snooze", {}), 422, "invalid", field="minutes")
    both = {"minutes": 10, "until": doses[0]["missed_at"]}
    refused(await anna.post(f"{dose}/snooze", both), 422, "invalid", field="until")


async def test_a_skip_says_why_in_a_code_and_in_words(dose, anna):
    given = await anna.made(f"{dose}/administrations", {"status": "skipped", "reason_code": "asleep"})
    assert (given["reason_code"], given["reason"], given["timing"]) == ("asleep", None, None)
    assert (await anna.get(dose)).json()["reason"] == "asleep"


async def test_another_amount_is_kept_and_marked(dose, anna):
    half = {"quantity": 0.5, "unit": "tablet"}
    given = await anna.made(f"{dose}/administrations", {"status": "taken", "dose": half})
    shown = (await anna.get(dose)).json()
    assert (given["dose"], given["dose_changed"]) == (half, True)
    assert shown["dose"] == {"quantity": 1, "unit": "tablet"}
    assert shown["administration"] == given


async def test_the_planned_amount_is_no_change(dose, anna):
    given = await anna.made(f"{dose}/administrations", {"status": "taken", "dose": {"quantity": 1.0, "unit": "tablet"}})
    assert (given["dose"], given["dose_changed"]) == ({"quantity": 1, "unit": "tablet"}, False)


async def test_an_answered_dose_cannot_be_asked_for_later(dose, anna, refused):
    await anna.made(f"{dose}/administrations", {"status": "taken"})
    refused(await anna.post(f"{dose}/snooze", {"minutes": 10}), 409, "window_over")


async def test_a_dose_on_hold_cannot_be_answered(dose, anna, circle, refused):
    await anna.patch(f"/v1/medications/{circle.medication['id']}", {"status": "on_hold"})
    refused(await anna.post(f"{dose}/administrations", {"status": "taken"}), 409, "not_answerable")
