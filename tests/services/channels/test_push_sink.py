"""The push sink itself: what it refuses as real services do, what it shows, and its process."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pywebpush import WebPusher

from carecircle.runtime import vapid
from carecircle_push.signer import VapidSigner
from carecircle_push.testing import PushFault, PushSink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEY = ec.generate_private_key(ec.SECP256R1())
SUBJECT = "mailto:operator@care.example"


@pytest.fixture
async def sink() -> AsyncIterator[PushSink]:
    async with PushSink() as sink:
        yield sink


@pytest.fixture
async def http(sink: PushSink) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(sink.origin) as session:
        yield session


def headers(origin: str, **changes: str | None) -> dict[str, str]:
    usual: dict[str, str | None] = {
        "Authorization": VapidSigner(KEY, SUBJECT).authorization(origin),
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
        "TTL": "60",
    }
    wanted = usual | {name.replace("_", "-"): value for name, value in changes.items()}
    return {name: value for name, value in wanted.items() if value is not None}


def body(subscription: dict[str, Any], text: bytes = b'{"title":"hi","tag":"t1"}') -> bytes:
    return WebPusher(subscription).encode(text)["body"]


async def post(http: aiohttp.ClientSession, subscription: dict[str, Any], data: bytes, sent: dict[str, str]) -> int:
    async with http.post(subscription["endpoint"], data=data, headers=sent) as answer:
        return answer.status


async def test_a_browser_subscribes_over_http_and_decrypts_what_it_gets(
    sink: PushSink, http: aiohttp.ClientSession
) -> None:
    async with http.post("/subscriptions", json={"applicationServerKey": vapid.encode_public(KEY)}) as answer:
        subscription = await answer.json()

    assert set(subscription) == {"endpoint", "expirationTime", "keys"}
    assert await post(http, subscription, body(subscription), headers(sink.origin, Topic="t")) == 201
    async with http.get("/api/messages") as answer:
        [message] = (await answer.json())["messages"]
    assert message["payload"] == {"title": "hi", "tag": "t1"}
    assert message["decrypted"]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Authorization": None}, 401),
        ({"Authorization": "WebPush abc"}, 401),
        ({"Authorization": "vapid t=a.b.c,k=BBBB"}, 403),
        ({"TTL": None}, 400),
        ({"TTL": "soon"}, 400),
        ({"TTL": str(31 * 24 * 3600)}, 400),
        ({"Content_Encoding": "aesgcm"}, 400),
        ({"Content_Type": "text/plain"}, 400),
        ({"Urgency": "urgent"}, 400),
        ({"Topic": "x" * 33}, 400),
        ({"Topic": "not+url/safe"}, 400),
    ],
)
async def test_it_refuses_headers_that_real_services_refuse(
    sink: PushSink, http: aiohttp.ClientSession, changes: dict[str, str | None], status: int
) -> None:
    subscription = await sink.subscribe()

    assert await post(http, subscription, body(subscription), headers(sink.origin, **changes)) == status
    assert sink.messages == ()
    assert [refusal.status for refusal in sink.refusals] == [status]


async def test_it_refuses_tokens_for_others_old_ones_and_forged_ones(
    sink: PushSink, http: aiohttp.ClientSession
) -> None:
    subscription = await sink.subscribe()
    other = VapidSigner(KEY, SUBJECT).authorization("https://other.example")
    old = VapidSigner(KEY, SUBJECT, clock=lambda: time.time() - 13 * 3600).authorization(sink.origin)
    far = VapidSigner(KEY, SUBJECT, clock=lambda: time.time() + 13 * 3600).authorization(sink.origin)
    good = VapidSigner(KEY, SUBJECT).authorization(sink.origin)
    stranger = vapid.encode_public(ec.generate_private_key(ec.SECP256R1()))
    forged = good.rsplit("k=", 1)[0] + f"k={stranger}"

    for token in (other, old, far, forged):
        sent = headers(sink.origin, Authorization=token)
        assert await post(http, subscription, body(subscription), sent) == 403
    reasons = " ".join(refusal.reason for refusal in sink.refusals)
    assert all(word in reasons for word in ("aud", "exp", "signature"))


async def test_it_refuses_too_much_unknown_and_ended_subscriptions(sink: PushSink, http: aiohttp.ClientSession) -> None:
    subscription = await sink.subscribe()
    sent = headers(sink.origin)

    assert await post(http, subscription, b"x" * 4097, sent) == 413
    assert await post(http, {"endpoint": f"{sink.origin}/push/unknown"}, b"x", sent) == 404
    sink.end(subscription["endpoint"])
    assert await post(http, subscription, body(subscription), sent) == 410


async def test_what_no_browser_can_read_is_taken_and_shown_as_such(sink: PushSink, http: aiohttp.ClientSession) -> None:
    subscription, other = await sink.subscribe(), await sink.subscribe()

    assert await post(http, subscription, body(other), headers(sink.origin)) == 201
    assert sink.messages[0].plaintext is None
    async with http.get("/") as answer:
        assert "Could not be decrypted" in await answer.text()


async def test_a_later_message_with_the_same_tag_replaces_the_shown_one(
    sink: PushSink, http: aiohttp.ClientSession
) -> None:
    subscription = await sink.subscribe()
    for text in (b'{"title":"first","tag":"a"}', b'{"title":"other","tag":"b"}', b'{"title":"second","tag":"a"}'):
        await post(http, subscription, body(subscription, text), headers(sink.origin))

    assert [message.json["title"] for message in sink.shown()] == ["other", "second"]
    async with http.get("/api/messages") as answer:
        assert [one["shown"] for one in (await answer.json())["messages"]] == [False, True, True]


async def test_the_page_escapes_what_it_shows(sink: PushSink, http: aiohttp.ClientSession) -> None:
    subscription = await sink.subscribe()
    text = b'{"title":"<script>x</script>","body":"<img src=x>"}'
    await post(http, subscription, body(subscription, text), headers(sink.origin))
    async with http.get("/") as answer:
        page = await answer.text()

    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "<img" not in page


async def test_faults_can_be_ordered_over_http_for_one_subscription(
    sink: PushSink, http: aiohttp.ClientSession
) -> None:
    one, other = await sink.subscribe(), await sink.subscribe()
    order = {"status": 429, "headers": {"Retry-After": "30"}, "times": 1, "endpoint": one["endpoint"]}
    async with http.post("/api/faults", json=order) as answer:
        assert answer.status == 201

    sent = headers(sink.origin)
    assert await post(http, other, body(other), sent) == 201
    assert await post(http, one, body(one), sent) == 429
    assert await post(http, one, body(one), sent) == 201


@pytest.mark.parametrize(
    "order",
    [{"status": 99}, {"act": "explode"}, {"headers": []}, {"headers": {"A": "b\r\nc"}}, {"x": 1}, [], {"times": 0}],
)
async def test_an_order_that_makes_no_sense_is_refused(http: aiohttp.ClientSession, order: object) -> None:
    async with http.post("/api/faults", json=order) as answer:
        assert answer.status == 422


@pytest.mark.parametrize("data", ["{", "[]", "3"])
async def test_a_subscription_request_that_makes_no_sense_is_refused(http: aiohttp.ClientSession, data: str) -> None:
    async with http.post("/subscriptions", data=data) as answer:
        assert answer.status == 400


async def test_a_healed_sink_takes_messages_again(sink: PushSink, http: aiohttp.ClientSession) -> None:
    subscription = await sink.subscribe()
    sink.fail(PushFault(500, times=None))
    assert await post(http, subscription, body(subscription), headers(sink.origin)) == 500
    sink.heal()
    assert await post(http, subscription, body(subscription), headers(sink.origin)) == 201


async def test_its_process_says_where_it_is_and_ends_on_sigterm() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "carecircle_push.testing", "--port", "0"), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    said = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
    origin = said.split("page at ")[1].strip()
    async with aiohttp.ClientSession(origin) as http, http.post("/subscriptions") as answer:
        assert (await answer.json())["endpoint"].startswith(origin)

    process.send_signal(signal.SIGTERM)

    assert await asyncio.wait_for(process.wait(), 10) == 0
