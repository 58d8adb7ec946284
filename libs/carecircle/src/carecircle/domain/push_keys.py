"""The keys that a browser sends with its push subscription (RFC 8291): checked before they are kept.

A bad key found only when a reminder is encrypted would be a reminder that nobody gets.
"""

from __future__ import annotations

import base64
import binascii

from carecircle.domain.errors import Invalid

AUTH_BYTES = 16
POINT_BYTES = 65
UNCOMPRESSED = 0x04

# P-256 (FIPS 186-4, D.1.2.3): y² = x³ - 3x + b (mod p)
P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B


def check_public_key(text: str, *, field: str = "keys.p256dh") -> str:
    """The key as unpadded base64url, or `Invalid` unless it is a point on P-256."""
    raw = _decode(text, POINT_BYTES, field)
    x, y = int.from_bytes(raw[1:33]), int.from_bytes(raw[33:])
    on_curve = x < P and y < P and (y * y - (x * x * x - 3 * x + B)) % P == 0
    if raw[0] != UNCOMPRESSED or not on_curve:
        raise Invalid("This is not an uncompressed point on the curve P-256.", field=field)
    return _encode(raw)


def check_auth_secret(text: str, *, field: str = "keys.auth") -> str:
    """The secret as unpadded base64url, or `Invalid` unless it has 16 bytes."""
    return _encode(_decode(text, AUTH_BYTES, field))


def _decode(text: str, length: int, field: str) -> bytes:
    bare = text.rstrip("=")
    try:
        raw = base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise Invalid("This is not base64url.", field=field) from error
    if len(raw) != length:
        raise Invalid(f"This has {len(raw)} bytes instead of {length}.", field=field)
    return raw


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
