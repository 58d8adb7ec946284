"""Where a push message may be sent: the guard against being pointed into our own network."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from carecircle.domain.errors import Invalid
from carecircle.domain.push_endpoint import check_endpoint, origin
from carecircle.domain.push_keys import check_auth_secret, check_public_key

SINK = "http://127.0.0.1:8099"


@pytest.mark.parametrize(
    "url",
    [
        "https://fcm.googleapis.com/fcm/send/abc:def",
        "https://FCM.googleapis.com/fcm/send/abc",
        "https://android.googleapis.com/gcm/send/abc",
        "https://updates.push.services.mozilla.com/wpush/v2/abc",
        "https://eu.updates.push.services.mozilla.com/wpush/v2/abc",
        "https://web.push.apple.com/QOabc",
        "https://db5p.notify.windows.com/w/?token=abc",
        "https://fcm.googleapis.com:443/fcm/send/abc",
    ],
)
def test_public_push_services_are_endpoints(url):
    check_endpoint(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "fcm.googleapis.com",
        "http://fcm.googleapis.com/x",
        "ftp://fcm.googleapis.com/x",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "//fcm.googleapis.com/x",
        "https://",
        "https:///x",
        "https://fcm.googleapis.com:8443/x",
        "https://fcm.googleapis.com:99999/x",
        "https://fcm.googleapis.com:x/x",
        "https://user@fcm.googleapis.com/x",
        "https://:secret@fcm.googleapis.com/x",
        "https://fcm.googleapis.com@evil.example.org/x",
        "https://evil.example.org/x?https://fcm.googleapis.com",
        "https://evil.example.org#.push.apple.com",
        "https://fcm.googleapis.com/x#fragment",
        "https://fcm.googleapis.com.evil.example.org/x",
        "https://evilfcm.googleapis.com/x",
        "https://evilpush.apple.com/x",
        "https://.push.apple.com.evil.example.org/x",
        "https://fcm.googleapis.com./x",
        "https://localhost/x",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://[fe80::1%25eth0]/x",
        "https://0x7f.1/x",
        "https://2130706433/x",
        "https://127.1/x",
        "https://169.254.169.254/latest/meta-data",
        "https://fcm.googleapis.com\\@evil.example.org/x",
        "https://fcm.googleapis.com\t.evil.example.org/x",
        "https://fcm.googleapis.com/x\r\nHost: evil",
        "https://fcm.googleapis.com/x y",
        "https://fcm.googleapis.com/\u0000",
        "https://ｆcm.googleapis.com/x",  # noqa: RUF001 - a full-width letter is the point
        "https://fcm.googleapis.com/" + "x" * 2048,
        "http://127.0.0.1:8099/x",
    ],
)
def test_everything_else_is_refused(url):
    with pytest.raises(Invalid) as refusal:
        check_endpoint(url)
    assert refusal.value.field == "endpoint"


@pytest.mark.parametrize(
    ("url", "trusted"),
    [
        ("http://127.0.0.1:8099/push/one", True),
        ("http://127.0.0.1:8098/push/one", False),
        ("https://127.0.0.1:8099/push/one", False),
        ("http://127.0.0.1:80990/push/one", False),
        ("http://user@127.0.0.1:8099/push/one", False),
        ("http://127.0.0.1/push/one", False),
        ("https://push.example.org/one", True),
        ("https://push.example.org:443/one", True),
        ("https://push.example.org:444/one", False),
        ("https://sub.push.example.org/one", False),
    ],
)
def test_an_operators_own_push_service_is_trusted_by_its_exact_origin(url, trusted):
    origins = [SINK, "https://push.example.org/"]
    if trusted:
        check_endpoint(url, origins)
    else:
        with pytest.raises(Invalid):
            check_endpoint(url, origins)


@given(st.text(max_size=200))
def test_any_text_is_allowed_or_refused_and_nothing_else(text):
    for url in (text, f"https://{text}", f"https://fcm.googleapis.com{text}"):
        try:
            check_endpoint(url, [SINK])
        except Invalid:
            continue
        assert origin(url) in {SINK, "https://fcm.googleapis.com"} or origin(url).endswith(
            (".push.services.mozilla.com", ".push.apple.com", ".notify.windows.com", ".googleapis.com")
        )


def test_an_origin_is_scheme_host_and_an_unusual_port():
    assert origin("https://Web.Push.Apple.com/QO?x=1") == "https://web.push.apple.com"
    assert origin("https://web.push.apple.com:443/QO") == "https://web.push.apple.com"
    assert origin("http://127.0.0.1:8099/x") == SINK
    assert origin("http://[::1]:8099/x") == "http://[::1]:8099"


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def public_key(curve: ec.EllipticCurve) -> bytes:
    return (
        ec.generate_private_key(curve)
        .public_key()
        .public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    )


def test_a_browsers_keys_are_accepted_with_and_without_padding():
    point = public_key(ec.SECP256R1())
    assert check_public_key(b64(point)) == b64(point)
    assert check_public_key(b64(point) + "=") == b64(point)
    assert check_auth_secret(b64(b"x" * 16) + "==") == b64(b"x" * 16)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x04" + bytes(64),
        b"\x04" + b"\xff" * 64,
        public_key(ec.SECP256K1()),
        public_key(ec.SECP384R1()),
        public_key(ec.SECP256R1())[:-1],
        b"\x02" + public_key(ec.SECP256R1())[1:],
        public_key(ec.SECP256R1())[:33] + bytes(32),
    ],
    ids=["empty", "zeros", "ones", "other curve", "longer curve", "cut", "wrong form", "off the curve"],
)
def test_what_is_no_point_on_the_curve_is_refused(raw):
    with pytest.raises(Invalid) as refusal:
        check_public_key(b64(raw))
    assert refusal.value.field == "keys.p256dh"


@given(st.text(max_size=120))
def test_any_key_text_is_allowed_or_refused_and_nothing_else(text):
    for check in (check_public_key, check_auth_secret):
        try:
            check(text)
        except Invalid:
            continue
