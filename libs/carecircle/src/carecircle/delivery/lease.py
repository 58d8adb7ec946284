"""The time during which a worker may act on a delivery, kept alive while the provider takes its own time.

Measured on the monotonic clock from before the statement that set it, so it ends here no later than in PostgreSQL. A
process that was stopped in between finds its lease over, and does not send.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

import structlog

from carecircle.db.away import away
from carecircle.db.claims import Claim, renew

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

    from carecircle.db.session import Database

RENEWALS_PER_LEASE = 3
AGAIN = 1.0
"""Seconds between two tries while PostgreSQL is away."""

T = TypeVar("T")

log = structlog.stdlib.get_logger(__name__)


class Lease:
    def __init__(self, database: Database, claim: Claim, length: timedelta, *, taken_at: float) -> None:
        """`taken_at`: `time.monotonic()` before the claim was made."""
        self.length = length
        self._database = database
        self._claim = claim
        self._ends = taken_at + length.total_seconds()
        self._lost = False

    @property
    def seconds_left(self) -> float:
        return 0.0 if self._lost else max(0.0, self._ends - time.monotonic())

    def restarted(self, taken_at: float) -> None:
        """A statement that began at `taken_at` has set a full lease."""
        self._ends = taken_at + self.length.total_seconds()

    async def insist(self, transaction: Callable[[], Awaitable[T]]) -> T:
        """Run it, again and again while PostgreSQL is away and the lease lasts. Then raises what the last try did."""
        while True:
            try:
                return await transaction()
            except Exception as error:
                if not away(error) or self.seconds_left <= AGAIN:
                    raise
            await asyncio.sleep(AGAIN)

    async def keep(self) -> None:
        """Renew until cancelled. Returns when the lease is over or another worker has the delivery."""
        while left := self.seconds_left:
            await asyncio.sleep(min(left, self.length.total_seconds() / RENEWALS_PER_LEASE))
            await self._renew()
        log.warning("delivery.lease_lost", delivery_id=self._claim.delivery_id, attempt=self._claim.number)

    async def _renew(self) -> None:
        before = time.monotonic()
        try:
            async with self._database.transaction() as session:
                held = await renew(session, self._claim, self.length)
        except Exception as error:
            if not away(error):
                raise
            return  # PostgreSQL may be back before the lease ends
        self._lost = not held
        if held:
            self.restarted(before)
