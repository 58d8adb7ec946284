"""Attempts at logging in and registering: few for one account from one address, more for either as a whole. And how
often a person may fetch or bring whole files, or a calendar is read.

Counted in PostgreSQL, so that every API process counts the same, and before the password is checked, so that many
attempts at once do not slip through. Without PostgreSQL nobody logs in: it fails closed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from uuid import UUID

from carecircle.db.login_attempts import count_attempt, delete_past_windows, forget_attempts
from carecircle.db.session import Database
from carecircle_api.errors import Throttled

WINDOW = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Throttle:
    """How many attempts there may be in one window."""

    database: Database
    logins: int = 10
    """For one account from one address."""
    logins_per_account: int = 100
    logins_per_address: int = 200
    registrations: int = 100
    """From one address."""
    exports: int = 60
    """Of one account."""
    imports: int = 20
    feed_reads: int = 120
    """Of one calendar feed."""
    unknown_feeds: int = 60
    """Asked for from one address."""

    async def login(self, email: str, address: str, now: datetime) -> None:
        """Count this attempt. Raises `Throttled` if there were too many."""
        await self._count(
            {
                _key("login", email, address): self.logins,
                _key("account", email): self.logins_per_account,
                _key("address", address): self.logins_per_address,
            },
            now,
        )

    async def logged_in(self, email: str, address: str) -> None:
        """The password was right: earlier mistakes are forgiven."""
        async with self.database.transaction() as session:
            await forget_attempts(session, _key("login", email, address))

    async def registration(self, address: str, now: datetime) -> None:
        await self._count({_key("register", address): self.registrations}, now)

    async def export(self, account_id: UUID, now: datetime) -> None:
        await self._count({_key("export", str(account_id)): self.exports}, now)

    async def patient_import(self, account_id: UUID, now: datetime) -> None:
        await self._count({_key("import", str(account_id)): self.imports}, now)

    async def feed(self, token: str, now: datetime) -> None:
        """A calendar feed was found and is to be made."""
        await self._count({_key("feed", token): self.feed_reads}, now)

    async def unknown_feed(self, address: str, now: datetime) -> None:
        await self._count({_key("unknown feed", address): self.unknown_feeds}, now)

    async def _count(self, limits: dict[str, int], now: datetime) -> None:
        waits: list[timedelta] = []
        async with self.database.transaction() as session:
            for key in sorted(limits):  # in one order, so that two attempts never wait for each other in a circle
                attempts = await count_attempt(session, key, WINDOW, now)
                if attempts.number == 1:
                    await delete_past_windows(session, now)
                if attempts.number > limits[key]:
                    waits.append(attempts.window_ends_at - now)
        if waits:
            raise Throttled(max(1, ceil(max(waits).total_seconds())))


def _key(kind: str, *parts: str) -> str:
    # Hashed: the table shall not be a list of addresses that people tried.
    return hashlib.sha256("\0".join((kind, *parts)).encode()).hexdigest()
