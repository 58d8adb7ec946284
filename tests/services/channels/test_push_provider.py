"""The push provider against a push service that misbehaves: what it says of each, and what browsers decrypted."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import socket
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography.hazmat.primitives.asymmetric import ec

from carecircle.domain.delivery import Ambiguous, Misconfigured, Rejected, Sent, TryLater
from carecircle.runtime import vapid
from carecircle_push.message import PushMessage
from carecircle_push.provider import PushProvider
from carecircle_push.resolver import AddressRefused, PublicResolver, is_public
from carecircle_push.signer import LIFETIME, RENEW_BEFORE, VapidSigner
from carecircle_push.testing import Act, PushFault, PushSink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEY = ec.generate_private_key(ec.SECP256R1())
SUBJECT = "mailto:operator@carecircle.example"


@pytest.fixture
async def sink() -> AsyncIterator[PushSink]:
    async with PushSink() as sink:
        yield sink


@pytest.fixture
async def provider(sink: PushSink) -> AsyncIterator[PushProvider]:
    async with providing(sink) as provider:
        yield provider


@asynccontextmanager
async def providing(
    *sinks: PushSink, key: ec.EllipticCurvePrivateKey = KEY, total_seconds: float = 30
) -> AsyncIterator[PushProvider]:
    """A provider whose patience no slow machine exhausts, unless a test is about its end."""
    signer = VapidSigner(key, SUBJECT)
    origins = [sink.origin for sink in sinks]
    async with PushProvider(signer, allowed_origins=origins, total_seconds=total_seconds) as provider:
        yield provider


async def message(sink: PushSink, **changes: Any) -> PushMessage:
    return addressed(await sink.subscribe(vapid.encode_public(KEY)), **changes)


def addressed(subscription: dict[str, Any], **changes: Any) -> PushMessage:
    keys = subscription["keys"]
    fields: dict[str, Any] = {
        "endpoint": subscription["endpoint"],
        "p256dh": keys["p256dh"],
        "auth": keys["auth"],
        "payload": b'{"title":"08:00 medicine"}',
        "topic": "t" * 32,
        "urgency": "high",
        "window_end": datetime.now(UTC) + timedelta(hours=2),
    }
    return PushMessage(**{**fields, **changes})


async def test_a_taken_message_is_decrypted_by_the_browser_and_carries_its_headers(
    sink: PushSink, provider: PushProvider
) -> None:
    outcome = await provider.send(await message(sink))

    assert outcome == Sent(code="push_201")
    assert sink.refusals == []
    [arrived] = sink.messages
    assert arrived.json == {"title": "08:00 medicine"}
    assert arrived.accepted.topic == "t" * 32
    assert arrived.accepted.urgency == "high"
    assert 7190 <= arrived.accepted.ttl <= 7200
    assert arrived.accepted.claims["aud"] == sink.origin
    assert arrived.accepted.claims["sub"] == SUBJECT


async def test_only_the_browser_can_read_it(sink: PushSink, provider: PushProvider) -> None:
    await provider.send(await message(sink, payload=b"canary"))

    assert b"canary" not in sink.messages[0].body


@pytest.mark.parametrize(("left", "ttl"), [(timedelta(seconds=-5), 1), (timedelta(days=400), 30 * 24 * 3600)])
async def test_time_to_live_is_never_zero_and_never_more_than_services_allow(
    sink: PushSink, provider: PushProvider, left: timedelta, ttl: int
) -> None:
    # pywebpush sends TTL 0 unless told: "drop it when the phone is not online this second".
    await provider.send(await message(sink, window_end=datetime.now(UTC) + left))

    assert sink.messages[0].accepted.ttl == ttl


async def test_a_second_push_service_gets_its_own_audience(sink: PushSink) -> None:
    # pywebpush writes the first service's `aud` into the caller's claims; every other one then answers 403.
    async with PushSink() as other, providing(sink, other) as provider:
        for service in (sink, other, sink):
            assert isinstance(await provider.send(await message(service)), Sent)
        assert [one.accepted.claims["aud"] for one in sink.messages] == [sink.origin] * 2
        assert [one.accepted.claims["aud"] for one in other.messages] == [other.origin]


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (PushFault(404), Rejected("push_404", target_gone=True)),
        (PushFault(410), Rejected("push_410", target_gone=True)),
        (PushFault(400), Rejected("push_400")),
        (PushFault(413), Rejected("push_413")),
        (PushFault(403), Misconfigured("push_403")),
        (PushFault(503), TryLater("push_503")),
        (PushFault(500, headers={"Retry-After": "nonsense"}), TryLater("push_500")),
        (PushFault(429, headers={"Retry-After": "7"}), TryLater("push_429", timedelta(seconds=7))),
        (PushFault(429, headers={"Retry-After": "9" * 50}), TryLater("push_429", timedelta(hours=1))),
    ],
    ids=lambda value: str(value.status) if isinstance(value, PushFault) else "",
)
async def test_a_refusal_is_definite(sink: PushSink, provider: PushProvider, fault: PushFault, outcome: object) -> None:
    sink.fail(fault)

    assert await provider.send(await message(sink)) == outcome
    assert sink.messages == ()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed(sink: PushSink, provider: PushProvider, status: int) -> None:
    target = await message(sink)
    sink.fail(PushFault(status, headers={"Location": target.endpoint}))

    assert await provider.send(target) == TryLater(f"push_{status}")
    assert sink.requests == 1
    assert sink.messages == ()


@pytest.mark.parametrize(
    ("act", "code", "total_seconds"),
    [(Act.HANG, "push_timeout_after_body", 2), (Act.CLOSE, "push_disconnected_after_body", 30)],
)
async def test_silence_after_the_body_is_ambiguous_and_the_message_did_arrive(
    sink: PushSink, act: Act, code: str, total_seconds: float
) -> None:
    sink.fail(PushFault(act=act))

    async with providing(sink, total_seconds=total_seconds) as provider:
        assert await provider.send(await message(sink)) == Ambiguous(code)
    assert len(sink.messages) == 1


async def test_an_endless_reply_is_cut_off_and_its_status_counts(sink: PushSink, provider: PushProvider) -> None:
    sink.fail(PushFault(201, act=Act.FLOOD))

    assert await provider.send(await message(sink)) == Sent(code="push_201")


async def test_nobody_listening_is_a_safe_retry(sink: PushSink, provider: PushProvider) -> None:
    target = await message(sink)
    await sink.close()

    assert await provider.send(target) == TryLater("push_connect")


async def test_a_service_that_never_accepts_the_connection_is_a_safe_retry() -> None:
    # A listening socket whose backlog is full neither accepts nor refuses.
    with socket.socket() as full, socket.socket() as filler:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        filler.connect(full.getsockname())
        origin = f"http://127.0.0.1:{full.getsockname()[1]}"
        signer = VapidSigner(KEY, SUBJECT)
        async with PushProvider(signer, allowed_origins=[origin], total_seconds=0.3) as provider, PushSink() as sink:
            subscription = await sink.subscribe() | {"endpoint": f"{origin}/push/x"}
            outcomes = await asyncio.gather(*(provider.send(addressed(subscription)) for _ in range(3)))

    assert TryLater("push_timeout") in outcomes


async def test_a_service_that_asks_for_a_rest_gets_one_and_others_do_not(sink: PushSink) -> None:
    async with PushSink() as other, providing(sink, other) as provider:
        sink.fail(PushFault(429, headers={"Retry-After": "60"}))
        await provider.send(await message(sink))

        paused = await provider.send(await message(sink))

        assert isinstance(paused, TryLater)
        assert paused.code == "push_service_paused"
        assert paused.not_before is not None
        assert timedelta(seconds=55) < paused.not_before <= timedelta(seconds=60)
        assert sink.requests == 1
        assert isinstance(await provider.send(await message(other)), Sent)


async def test_a_subscription_made_for_another_key_stops_nobody_else(sink: PushSink, provider: PushProvider) -> None:
    foreign = addressed(await sink.subscribe(vapid.encode_public(ec.generate_private_key(ec.SECP256R1()))))
    good = await message(sink)

    assert isinstance(await provider.send(good), Sent)
    assert await provider.send(foreign) == Rejected("push_403")
    assert isinstance(await provider.send(good), Sent)


async def test_a_key_that_the_service_never_accepted_is_an_operators_matter(sink: PushSink) -> None:
    async with providing(sink, key=ec.generate_private_key(ec.SECP256R1())) as provider:
        assert await provider.send(await message(sink)) == Misconfigured("push_403")


@pytest.mark.parametrize(
    ("p256dh", "auth"),
    [("", ""), ("AAAA", "AAAA"), ("B" * 87, "A" * 22), ("!!!", "!!!")],
)
async def test_keys_that_are_none_end_the_subscription(
    sink: PushSink, provider: PushProvider, p256dh: str, auth: str
) -> None:
    # pywebpush raises IndexError, ValueError or its own exception for these.
    outcome = await provider.send(await message(sink, p256dh=p256dh, auth=auth))

    assert outcome == Rejected("push_keys_unusable", target_gone=True)
    assert sink.requests == 0


class TestPrivateNetworks:
    """A push endpoint comes from a client: it must not reach into our network."""

    @pytest.mark.parametrize(
        "endpoint",
        [
            "http://127.0.0.1:1/x",
            "https://127.0.0.1/x",
            "https://[::1]/x",
            "https://2130706433/x",
            "https://0x7f.1/x",
            "https://localhost/x",
            "https://fcm.googleapis.com:8443/x",
            "https://fcm.googleapis.com@localhost/x",
            "http://fcm.googleapis.com/x",
            "file:///etc/passwd",
            "https://evil.example/x",
        ],
    )
    async def test_endpoints_are_checked_again_before_each_send(
        self, sink: PushSink, provider: PushProvider, endpoint: str
    ) -> None:
        outcome = await provider.send(await message(sink, endpoint=endpoint))

        assert outcome == Rejected("push_endpoint_refused")
        assert sink.requests == 0

    async def test_a_push_host_whose_name_leads_inside_is_not_dialled(
        self, monkeypatch: pytest.MonkeyPatch, sink: PushSink, provider: PushProvider
    ) -> None:
        async def inside(*_: object, **__: object) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", sink.port))]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", inside)
        outcome = await provider.send(await message(sink, endpoint="https://fcm.googleapis.com/fcm/send/x"))

        assert outcome == TryLater("push_address_refused")

    async def test_one_private_address_among_public_ones_refuses_the_name(self) -> None:
        resolver = PublicResolver(inner=Fixed("142.250.1.1", "10.0.0.1"))

        with pytest.raises(AddressRefused):
            await resolver.resolve("fcm.googleapis.com", 443)

    async def test_a_trusted_host_may_be_inside_but_only_at_its_port(self) -> None:
        resolver = PublicResolver([("push.internal", 8443)], inner=Fixed("10.0.0.1"))

        assert (await resolver.resolve("push.internal", 8443))[0]["host"] == "10.0.0.1"
        with pytest.raises(AddressRefused):
            await resolver.resolve("push.internal", 443)

    @pytest.mark.parametrize("address", ["142.250.74.10", "2a00:1450:4001:80b::200a", "64:ff9b::8efa:4a0a"])
    def test_public_addresses_pass(self, address: str) -> None:
        assert is_public(address)

    @pytest.mark.parametrize(
        "address",
        [
            *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.1"),
            *("224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1"),
            *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1"),
        ],
    )
    def test_private_addresses_do_not(self, address: str) -> None:
        assert not is_public(address)


class TestSigner:
    """VAPID tokens are made once an origin and renewed before they end."""

    def test_a_token_is_used_again_until_shortly_before_its_end(self) -> None:
        now = 1_800_000_000.0
        signer = VapidSigner(KEY, SUBJECT, clock=lambda: now)
        first = signer.authorization("https://a.example")

        now += LIFETIME - RENEW_BEFORE - 1
        assert signer.authorization("https://a.example") == first
        now += 1
        renewed = signer.authorization("https://a.example")
        assert renewed != first
        assert claims(renewed)["exp"] == now + LIFETIME

    def test_each_origin_has_its_own_token(self) -> None:
        signer = VapidSigner(KEY, SUBJECT)
        tokens = {f"https://{name}.example": signer.authorization(f"https://{name}.example") for name in "abc"}

        assert {origin: claims(token)["aud"] for origin, token in tokens.items()} == {o: o for o in tokens}

    def test_the_cache_is_bounded(self) -> None:
        signer = VapidSigner(KEY, SUBJECT)
        for number in range(1100):
            signer.authorization(f"https://h{number}.notify.windows.com")

        assert len(signer._cached) <= 500


class Fixed(AbstractResolver):
    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=6, flags=0)
            for address in self._addresses
        ]

    async def close(self) -> None:
        pass


def claims(header: str) -> dict[str, Any]:
    middle = header.removeprefix("vapid t=").split(",")[0].split(".")[1]
    return json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))


async def test_the_log_has_the_host_and_never_the_endpoint(
    sink: PushSink,
    provider: PushProvider,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    target = await message(sink)
    sink.fail(PushFault(410))

    await provider.send(target)

    said = "".join(capsys.readouterr()) + caplog.text
    assert "push.refused" in said
    assert target.endpoint.rsplit("/", 1)[-1] not in said
    assert target.auth not in said
    assert target.endpoint.rsplit("/", 1)[-1] not in repr(target)
