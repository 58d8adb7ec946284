"""What time it is on the server, as near as the network lets one know."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from carequeue.store.connection import redis_errors

if TYPE_CHECKING:
    from carequeue.store.client import LinkedRedis

SAMPLES = 5
"""The quickest of so many answers tells the most: its half way is a guess, wrong by half of its time at the most."""
NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ServerTime:
    """The server's clock showed `server_ns` (since 1970) when this machine's monotonic clock showed `monotonic_ns`."""

    server_ns: int
    monotonic_ns: int

    def now_ms(self) -> int:
        """What it shows now, in ms since 1970."""
        return (self.server_ns + time.monotonic_ns() - self.monotonic_ns) // 1_000_000


async def measure(client: LinkedRedis) -> ServerTime:
    """Ask for the time.

    Raises:
        ConnectionLost: no answer, or this user may not ask.
    """
    answers = [await _ask(client) for _ in range(SAMPLES)]
    return min(answers, key=lambda answer: answer[0])[1]


async def _ask(client: LinkedRedis) -> tuple[int, ServerTime]:
    """One answer, and how long it took."""
    asked = time.monotonic_ns()
    with redis_errors(client):
        seconds, microseconds = cast("tuple[Any, Any]", await client.send("TIME"))
    took = time.monotonic_ns() - asked
    return took, ServerTime(int(seconds) * NANOSECONDS + int(microseconds) * 1000, asked + took // 2)
