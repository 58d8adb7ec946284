"""Access tokens: short-lived JWTs (RFC 9068 profile) that name an account and the version of its sessions."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import jwt

if TYPE_CHECKING:
    from datetime import datetime

ALGORITHM = "HS256"
AUDIENCE = "carecircle-api"
TYPE = "at+jwt"
LEEWAY = timedelta(seconds=10)
REQUIRED = ["exp", "iat", "iss", "aud", "sub", "jti", "ver"]
MAX_LENGTH = 2048


@dataclass(frozen=True, slots=True)
class Bearer:
    """What a good token says. Whether it still counts, only the account's row knows."""

    account_id: UUID
    version: int


class AccessTokens:
    """Issues and reads access tokens with one key."""

    def __init__(self, secret: str, issuer: str, lifetime: timedelta) -> None:
        # A key of its own for this purpose: nothing else signed with the same secret can pass for a token.
        self._key = hmac.digest(secret.encode(), b"carecircle access token", hashlib.sha256)
        self._issuer = issuer
        self.lifetime = lifetime

    def issue(self, account_id: UUID, version: int, now: datetime) -> str:
        claims = {
            "iss": self._issuer,
            "aud": AUDIENCE,
            "sub": str(account_id),
            "jti": uuid4().hex,
            "iat": int(now.timestamp()),
            "exp": int((now + self.lifetime).timestamp()),
            "ver": version,
        }
        return jwt.encode(claims, self._key, algorithm=ALGORITHM, headers={"typ": TYPE})

    def read(self, token: str) -> Bearer | None:
        """What the token says; None if it is not one of ours, is for something else, or has run out."""
        if len(token) > MAX_LENGTH:
            return None
        try:
            if jwt.get_unverified_header(token).get("typ") != TYPE:
                return None
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],  # a list: PyJWT takes a string for a set of substrings
                audience=AUDIENCE,
                issuer=self._issuer,
                leeway=LEEWAY,
                options={"require": REQUIRED},
            )
            return Bearer(UUID(claims["sub"]), int(claims["ver"]))
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):  # a header of nested lists is input too
            return None
