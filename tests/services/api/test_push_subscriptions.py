"""Browsers: what may be subscribed, whose it is, and that nobody learns an endpoint back."""

from __future__ import annotations

import asyncio
import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select

from carecircle.db.push_subscriptions import PushSubscription

PATH = "/v1/push-subscriptions"
ENDPOINT = "https://updates.push.services.mozilla.com/wpush/v2/gAAAAABk"


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def browser(endpoint: str = ENDPOINT, **keys: str) -> dict:
    """What `PushSubscription.toJSON()` gives."""
    point = (
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    )
    return {
        "endpoint": endpoint,
        "expirationTime": None,
        "keys": {"p256dh": b64(point), "auth": b64(b"0123456789abcdef")} | keys,
    }


async def rows(database) -> list[PushSubscription]:
    async with database.transaction() as session:
        return list(await session.scalars(select(PushSubscription).order_by(PushSubscription.id)))


async def test_a_browser_is_subscribed_and_its_secrets_stay_here(anna):
    answer = await anna.post(PATH, browser())
    assert answer.status_code == 201
    made = answer.json()
    assert set(made) == {"id", "push_service", "created_at"}
    assert made["push_service"] == "https://updates.push.services.mozilla.com"
    listed = await anna.get(PATH)
    assert listed.json() == {"items": [made], "next": None}
    assert "gAAAAABk" not in listed.text


async def test_the_same_browser_is_the_same_subscription_with_its_newest_keys(anna, database):
    first = await anna.post(PATH, browser())
    renewed = browser()
    again = await anna.post(PATH, renewed)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    (row,) = await rows(database)
    assert row.p256dh == renewed["keys"]["p256dh"]


async def test_the_same_browser_at_once_is_one_subscription(anna, database):
    body = browser()
    answers = await asyncio.gather(*(anna.post(PATH, body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
    assert len(await rows(database)) == 1


async def test_a_browser_that_changes_hands_shows_the_new_persons_reminders_only(anna, person, database):
    ben = await person("ben")
    body = browser()
    before = await anna.made(PATH, body)
    after = await ben.made(PATH, body)
    assert before["id"] != after["id"]
    assert (await anna.get(PATH)).json()["items"] == []
    old, new = await rows(database)
    assert old.gone_at is not None
    assert new.gone_at is None


async def test_a_browser_is_unsubscribed_by_its_owner_only(anna, person, refused):
    ben = await person("ben")
    made = await anna.made(PATH, browser())
    refused(await ben.delete(f"{PATH}/{made['id']}"), 404, "not_found")
    assert (await anna.delete(f"{PATH}/{made['id']}")).status_code == 204
    refused(await anna.delete(f"{PATH}/{made['id']}"), 404, "not_found")
    assert (await anna.get(PATH)).json()["items"] == []
    assert (await anna.post(PATH, browser())).status_code == 201


ENDPOINTS = [
    ("http://127.0.0.1:8099/push/one", True),
    ("http://127.0.0.1:8098/push/one", False),
    ("https://127.0.0.1/push", False),
    ("http://updates.push.services.mozilla.com/x", False),
    ("https://evil.example.org/x", False),
    ("https://user@fcm.googleapis.com/x", False),
    ("javascript:alert(1)", False),
]


async def test_only_push_services_are_endpoints(anna, refused, subtests):
    for endpoint, allowed in ENDPOINTS:
        with subtests.test(endpoint):
            answer = await anna.post(PATH, browser(endpoint))
            if allowed:
                assert answer.status_code == 201
            else:
                refused(answer, 422, "invalid", field="endpoint")


BAD_KEYS = [
    ({"p256dh": "not base64!"}, "keys.p256dh"),
    ({"p256dh": b64(b"\x04" + b"\x01" * 64)}, "keys.p256dh"),
    ({"p256dh": b64(b"\x02" + b"\x01" * 32)}, "keys.p256dh"),
    ({"p256dh": ""}, "keys.p256dh"),
    ({"p256dh": "ä" * 87}, "keys.p256dh"),
    ({"auth": b64(b"short")}, "keys.auth"),
    ({"auth": b64(b"x" * 17)}, "keys.auth"),
    ({"auth": "="}, "keys.auth"),
    ({"extra": "x"}, "keys.extra"),
]


async def test_keys_that_could_not_encrypt_are_refused(anna, refused, subtests):
    for keys, field in BAD_KEYS:
        with subtests.test(str(keys)[:60]):
            refused(await anna.post(PATH, browser(**keys)), 422, "invalid", field=field)


@pytest.mark.parametrize("value", [float("1e400"), "soon", True, -1])
async def test_an_expiration_time_is_a_number_or_null(anna, refused, value):
    import json

    body = json.dumps(browser() | {"expirationTime": value}).encode()
    answer = await anna.client.post(PATH, content=body, headers={"Content-Type": "application/json"})
    if value is True:
        assert answer.status_code in {201, 422}
    else:
        refused(answer, 422, "invalid", field="expirationTime")


async def test_there_are_only_so_many_browsers(anna, refused):
    for number in range(20):
        assert (await anna.post(PATH, browser(f"{ENDPOINT}{number}"))).status_code == 201
    refused(await anna.post(PATH, browser(f"{ENDPOINT}x")), 409, "limit_reached")
    assert (await anna.post(PATH, browser(f"{ENDPOINT}3"))).status_code == 200


async def test_the_public_key_needs_no_login(client):
    assert (await client.get("/v1/push/vapid-public-key")).json() == {"public_key": "BPublic"}
