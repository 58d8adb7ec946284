"""The scripts' methods on a queue of the test's own, and a reader of what they left in Redis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from carequeue.store.administration import Administration
from carequeue.store.commands import Commands, Finish, JobRecord, Step, StepReply
from carequeue.store.connection import connect
from carequeue.store.reading import Reading
from carequeue.store.scheduling import Scheduling
from carequeue.wire.keys import QueueKeys

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from redis.asyncio import Redis

NOW = 1_795_500_000_000
"""The instant at which the store's tests happen, ms: scripts take the time from their callers."""


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    client = connect(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
def keys(queue_name: str) -> QueueKeys:
    return QueueKeys("bull", queue_name)


@pytest.fixture
def commands(client: Redis, keys: QueueKeys) -> Commands:
    return Commands(client, keys)


@pytest.fixture
def administration(client: Redis, keys: QueueKeys) -> Administration:
    return Administration(client, keys)


@pytest.fixture
def reading(client: Redis, keys: QueueKeys) -> Reading:
    return Reading(client, keys)


@pytest.fixture
def scheduling(client: Redis, keys: QueueKeys) -> Scheduling:
    return Scheduling(client, keys)


@dataclass(frozen=True, slots=True)
class Hand:
    """What a worker's hand does to the queue of a test, one call at a time, at the instant NOW unless said."""

    commands: Commands

    async def add(self, *job_ids: str, now: int = NOW, **changes: Any) -> list[str]:
        fields: dict[str, Any] = {"name": "paint", "data": "{}", "opts": '{"attempts":0}', "timestamp": now}
        return await self.commands.add([JobRecord(id=job_id, **(fields | changes)) for job_id in job_ids], now)

    async def take(self, count: int = 1, *, now: int = NOW, **changes: Any) -> StepReply:
        return await self.step((), count, now=now, **changes)

    async def step(
        self, finishes: Sequence[Finish], fetch: int = 0, *, now: int = NOW, token: int = 0, **changes: Any
    ) -> StepReply:
        fields: dict[str, Any] = {"token_prefix": "hand", "token_from": token, "lock_ms": 60_000}
        return await self.commands.step(Step(finishes, fetch, now, **(fields | changes)))

    async def complete(self, job_id: str, lock: str = "hand:0", *, now: int = NOW, **changes: Any) -> int:
        reply = await self.step([Finish(job_id, lock, "completed", "null", **changes)], now=now)
        return reply.codes[0]


@pytest.fixture
def hand(commands: Commands) -> Hand:
    return Hand(commands)


@dataclass(frozen=True, slots=True)
class Look:
    """What is stored."""

    redis: Redis
    keys: QueueKeys

    async def events(self, start: str = "-") -> list[dict[str, str]]:
        """The events since `start`, each as its fields."""
        return [fields for _, fields in await self.redis.xrange(self.keys.events, start)]

    async def last_events(self, count: int) -> list[dict[str, str]]:
        return (await self.events())[-count:] if count else []

    async def count_events(self) -> int:
        return int(await self.redis.xlen(self.keys.events))

    async def job(self, job_id: str) -> dict[str, str]:
        return await self.redis.hgetall(self.keys.job(job_id))  # type: ignore[no-any-return]

    async def waiting(self) -> list[str]:
        """In the order in which they will be taken."""
        return list(reversed(await self.redis.lrange(self.keys.wait, 0, -1)))

    async def active(self) -> list[str]:
        return await self.redis.lrange(self.keys.active, 0, -1)  # type: ignore[no-any-return]

    async def ranked(self, key: str) -> list[str]:
        return await self.redis.zrange(key, 0, -1)  # type: ignore[no-any-return]

    async def markers(self) -> dict[str, float]:
        return dict(await self.redis.zrange(self.keys.marker, 0, -1, withscores=True))

    async def places(self, job_id: str) -> list[str]:
        """Every list and set that holds the job: exactly one, or none."""
        found = [name for name in ("wait", "active", "paused") if job_id in await self._list(name)]
        ranked = ("prioritized", "delayed", "completed", "failed", "waiting-children", "groups:waiting")
        return found + [
            name for name in ranked if await self.redis.zscore(f"{self.keys.base}:{name}", job_id) is not None
        ]

    async def _list(self, name: str) -> list[str]:
        return await self.redis.lrange(f"{self.keys.base}:{name}", 0, -1)  # type: ignore[no-any-return]


@pytest.fixture
def look(redis: Redis, keys: QueueKeys) -> Look:
    return Look(redis, keys)
