"""Signs for the push services (RFC 8292): one token an origin, used again until shortly before it ends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from py_vapid import Vapid02  # pyright: ignore[reportMissingTypeStubs] - it has none

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric import ec

LIFETIME = 12 * 3600
"""Seconds; services accept up to 24 hours, and clocks differ."""
RENEW_BEFORE = 5 * 60
MAX_CACHED = 500


class VapidSigner:
    """The `Authorization` header for each push service."""

    def __init__(
        self, key: ec.EllipticCurvePrivateKey, subject: str, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._vapid = Vapid02(key)
        self._subject = subject
        self._clock = clock
        self._cached: dict[str, tuple[str, float]] = {}

    def authorization(self, origin: str) -> str:
        """The header for this origin, signed anew when the cached one is about to end."""
        now = self._clock()
        header, renew_at = self._cached.get(origin, ("", 0.0))
        if now >= renew_at:
            header = self._sign(origin, now)
            if len(self._cached) >= MAX_CACHED:
                self._cached.clear()
            self._cached[origin] = (header, now + LIFETIME - RENEW_BEFORE)
        return header

    def _sign(self, origin: str, now: float) -> str:
        # A fresh dict for every origin: a shared one keeps the first origin's `aud`, and all others answer 403.
        claims = {"sub": self._subject, "aud": origin, "exp": int(now) + LIFETIME}
        signed: dict[str, str] = self._vapid.sign(claims)  # pyright: ignore[reportUnknownMemberType] - no stubs
        return signed["Authorization"]
