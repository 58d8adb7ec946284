"""A POST that is sent again with its key is done once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sqlalchemy import update

from carecircle.db.idempotency import IdempotencyKey, hold_key

BODY = {"display_name": "Mum", "zone": "UTC"}


async def keyed(person, path, body, key="key-1"):
    return await person.post(path, body, headers={"Idempotency-Key": key})


async def patients(person) -> int:
    return len((await person.get("/v1/patients")).json()["items"])


async def test_a_repeated_request_gets_the_first_answer(anna):
    first = await keyed(anna, "/v1/patients", BODY)
    again = await keyed(anna, "/v1/patients", BODY)
    assert again.status_code == first.status_code == 201
    assert again.content == first.content
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert await patients(anna) == 1


async def test_another_key_and_no_key_are_another_request(anna):
    await keyed(anna, "/v1/patients", BODY, "a")
    await keyed(anna, "/v1/patients", BODY, "b")
    await anna.post("/v1/patients", BODY)
    await anna.post("/v1/patients", BODY)
    assert await patients(anna) == 4


async def test_keys_are_each_persons_own(anna, person):
    ben = await person("ben")
    first, second = await keyed(anna, "/v1/patients", BODY), await keyed(ben, "/v1/patients", BODY)
    assert first.json()["id"] != second.json()["id"]


async def test_a_key_with_another_request_is_refused(anna, refused):
    await keyed(anna, "/v1/patients", BODY)
    other = await keyed(anna, "/v1/patients", BODY | {"display_name": "Dad"})
    refused(other, 422, "idempotency_key_reused", field="Idempotency-Key")
    refused(await keyed(anna, "/v1/push-subscriptions", BODY), 422, "idempotency_key_reused")
    assert await patients(anna) == 1


async def test_at_once_it_is_done_once(anna):
    answers = await asyncio.gather(*(keyed(anna, "/v1/patients", BODY) for _ in range(6)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert await patients(anna) == 1


async def test_while_the_first_is_running_the_second_is_told_so(anna, database, refused):
    async with database.transaction() as session:
        assert await hold_key(session, anna.account["id"], "key-1")
        refused(await keyed(anna, "/v1/patients", BODY), 409, "idempotency_key_in_use")
    assert (await keyed(anna, "/v1/patients", BODY)).status_code == 201


async def test_a_refusal_is_not_kept(anna, refused):
    refused(await keyed(anna, "/v1/patients", BODY | {"zone": "Nowhere"}), 422, "invalid")
    assert (await keyed(anna, "/v1/patients", BODY)).status_code == 201


async def test_a_repeated_answer_to_a_dose_is_no_conflict(circle, anna):
    await circle.schedule()
    path = f"/v1/occurrences/{(await circle.occurrences())[0]['id']}/administrations"
    first = await keyed(anna, path, {"status": "taken"})
    again = await keyed(anna, path, {"status": "taken"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()


async def test_answers_are_kept_for_a_day(anna, database):
    await keyed(anna, "/v1/patients", BODY)
    async with database.transaction() as session:
        earlier = IdempotencyKey.created_at - timedelta(hours=25)
        await session.execute(update(IdempotencyKey).values(created_at=earlier))
    assert (await keyed(anna, "/v1/patients", BODY)).status_code == 201
    assert await patients(anna) == 2


BAD_KEYS = ["", "with space", "x" * 256, "ä".encode().decode("latin-1")]


async def test_bad_keys_are_refused(anna, refused, subtests):
    for key in BAD_KEYS:
        with subtests.test(key[:20]):
            answer = await anna.client.post(
                "/v1/patients", json=BODY, headers=[(b"Idempotency-Key", key.encode("latin-1"))]
            )
            refused(answer, 422, "invalid", field="Idempotency-Key")
