"""What a push service checks before it takes a message (RFC 8030, 8188, 8292), and the status it refuses with."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

if TYPE_CHECKING:
    from collections.abc import Mapping

    from carecircle_push.testing.browser import Browser

MAX_BODY = 4096
MAX_LIFETIME = 24 * 3600
MAX_TTL = 30 * 24 * 3600
URGENCIES = ("very-low", "low", "normal", "high")
TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}")
VAPID = re.compile(r"vapid t=(?P<token>[\w.-]+), ?k=(?P<key>[\w-]+)")
SUBJECT = re.compile(r"mailto:[^@\s]+@\S+|https://\S+")


class Refused(Exception):
    """The service does not take the message."""

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the service learns from the headers."""

    ttl: int
    urgency: str
    topic: str | None
    claims: Mapping[str, Any]


def check(headers: Mapping[str, str], body: bytes, browser: Browser, *, now: float) -> Accepted:
    """What the request says, if a real service would take it. Raises `Refused`."""
    claims = _check_vapid(headers.get("Authorization", ""), browser, now)
    if len(body) > MAX_BODY:
        raise Refused(413, f"{len(body)} bytes, at most {MAX_BODY}")
    if headers.get("Content-Encoding") != "aes128gcm":
        raise Refused(400, "Content-Encoding is not aes128gcm")
    if headers.get("Content-Type") != "application/octet-stream":
        raise Refused(400, "Content-Type is not application/octet-stream")
    ttl = headers.get("TTL", "")
    if not ttl.isdecimal() or int(ttl) > MAX_TTL:
        raise Refused(400, "TTL is missing, or not seconds up to 30 days")
    urgency = headers.get("Urgency", "normal")
    if urgency not in URGENCIES:
        raise Refused(400, "Urgency is none of " + ", ".join(URGENCIES))
    topic = headers.get("Topic")
    if topic is not None and not TOPIC.fullmatch(topic):
        raise Refused(400, "Topic is not up to 32 characters of base64url")
    return Accepted(int(ttl), urgency, topic, claims)


def _check_vapid(header: str, browser: Browser, now: float) -> Mapping[str, Any]:
    """The claims of a good token; written without py-vapid, which made the token."""
    found = VAPID.fullmatch(header)
    if found is None:
        raise Refused(401, "Authorization is not `vapid t=…,k=…`")
    if browser.application_server_key not in (None, found["key"]):
        raise Refused(403, "signed with another key than the subscription was made for")
    claims = _verified(found["token"], found["key"])
    if claims.get("aud") != browser.origin:
        raise Refused(403, "the token is for another push service (aud)")
    expires = claims.get("exp")
    if not isinstance(expires, int) or not now < expires <= now + MAX_LIFETIME:
        raise Refused(403, "the token has ended, or lives longer than 24 hours (exp)")
    if not SUBJECT.fullmatch(str(claims.get("sub", ""))):
        raise Refused(403, "the token names nobody to contact (sub)")
    return claims


def _verified(token: str, key: str) -> Mapping[str, Any]:
    try:
        signed, _, signature = token.rpartition(".")
        header, _, claims = signed.partition(".")
        raw = _decoded(signature)
        if len(raw) != 64 or json.loads(_decoded(header)).get("alg") != "ES256":
            raise Refused(403, "the token is not ES256")
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), _decoded(key))
        r, s = (int.from_bytes(half) for half in (raw[:32], raw[32:]))
        point.verify(encode_dss_signature(r, s), signed.encode("ascii"), ec.ECDSA(hashes.SHA256()))
        return cast("dict[str, Any]", json.loads(_decoded(claims)))
    except (InvalidSignature, binascii.Error, ValueError, AttributeError) as error:
        raise Refused(403, "the token's signature is wrong") from error


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
