"""A person says that they handle a dose: shown to the others, taken over, given back."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest


@pytest.fixture
async def dose(circle) -> str:
    await circle.schedule()
    return f"/v1/occurrences/{(await circle.occurrences())[0]['id']}"


@pytest.fixture
async def ben(circle, person):
    ben = await person("ben")
    await circle.invite(ben, "carer")
    return ben


async def test_the_others_see_who_handles_a_dose_and_until_when(dose, anna, ben):
    answer = await ben.post(f"{dose}/acknowledgement", {})
    assert answer.status_code == 200, answer.text
    shown = (await anna.get(dose)).json()
    assert shown == answer.json()
    assert shown["state"] == "planned"
    handled = shown["acknowledgement"]
    assert handled["by"] == {"account_id": ben.account["id"], "display_name": "Ben"}
    due, until = datetime.fromisoformat(shown["due_at"]), datetime.fromisoformat(handled["until"])
    assert until - due == timedelta(minutes=30)


async def test_the_second_one_hears_of_the_first_and_may_take_over(dose, anna, ben, refused):
    handled = (await ben.post(f"{dose}/acknowledgement", {"minutes": 20})).json()["acknowledgement"]
    problem = refused(await anna.post(f"{dose}/acknowledgement", {}), 409, "already_acknowledged")
    assert problem["acknowledgement"] == {"by": "Ben", "at": handled["at"], "until": handled["until"]}
    refused(await anna.delete(f"{dose}/acknowledgement"), 409, "already_acknowledged")

    taken_over = await anna.post(f"{dose}/acknowledgement", {"take_over": True})
    assert taken_over.json()["acknowledgement"]["by"]["display_name"] == "Anna"


async def test_it_is_given_back_as_often_as_asked(dose, anna, ben, hints):
    await ben.post(f"{dose}/acknowledgement", {})
    for _ in range(2):
        answer = await ben.delete(f"{dose}/acknowledgement")
        assert answer.status_code == 200
        assert answer.json()["acknowledgement"] is None
    assert hints.patients


async def test_an_answer_ends_it(dose, anna, ben, refused):
    await ben.post(f"{dose}/acknowledgement", {})
    await anna.made(f"{dose}/administrations", {"status": "taken"})
    assert (await ben.get(dose)).json()["acknowledgement"] is None
    problem = refused(await ben.post(f"{dose}/acknowledgement", {}), 409, "already_recorded")
    assert problem["administration"]["recorded_by"] == "Anna"


BAD_WISHES = [
    ({"minutes": 4}, "minutes"),
    ({"minutes": 241}, "minutes"),
    ({"minutes": "20"}, "minutes"),
    ({"until": "2001-01-01T00:00:00Z"}, "until"),
    ({"until": "soon"}, "until"),
    ({"minutes": 20, "until": "2100-01-01T00:00:00Z"}, "until"),
    ({"take_over": "yes"}, "take_over"),
]


async def test_bad_wishes_name_the_field(dose, anna, refused, subtests):
    for body, field in BAD_WISHES:
        with subtests.test(str(body)):
            refused(await anna.post(f"{dose}/acknowledgement", body), 422, "invalid", field=field)
    assert (await anna.get(dose)).json()["acknowledgement"] is None


async def test_the_explanation_says_that_somebody_handles_it(dose, anna):
    await anna.post(f"{dose}/acknowledgement", {})
    steps = (await anna.get(f"{dose}/explain")).json()["steps"]
    assert steps[-1]["code"] == "acknowledged"
