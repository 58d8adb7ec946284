"""A browser's half of Web Push: a key pair, the subscription it hands to the page, and the decryption."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from typing import Any

import http_ece  # pyright: ignore[reportMissingTypeStubs] - it has none
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


class Undecryptable(Exception):
    """The body was not made for this subscription, or not as RFC 8291 says."""


@dataclass(frozen=True, slots=True)
class Browser:
    """One subscription. `application_server_key` is the VAPID key it was made for, if the page named one."""

    origin: str
    application_server_key: str | None = None
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    _key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1()), repr=False
    )
    _auth: bytes = field(default_factory=lambda: secrets.token_bytes(16), repr=False)

    @property
    def endpoint(self) -> str:
        return f"{self.origin}/push/{self.token}"

    def subscription(self) -> dict[str, Any]:
        """What `PushSubscription.toJSON()` gives to the page."""
        point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return {
            "endpoint": self.endpoint,
            "expirationTime": None,
            "keys": {"p256dh": _base64url(point), "auth": _base64url(self._auth)},
        }

    def decrypt(self, body: bytes) -> bytes:
        """The plaintext of a push body. Raises `Undecryptable`."""
        try:
            return bytes(
                http_ece.decrypt(  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - no stubs
                    body, private_key=self._key, auth_secret=self._auth, version="aes128gcm"
                )
            )
        except Exception as error:  # whatever an arbitrary body makes the library raise
            raise Undecryptable(type(error).__name__) from error


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
