"""What must be true of a queue as it is stored, whatever has happened to it, its workers and its server."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from carequeue.wire.keys import QueueKeys

LISTS = ("wait", "active", "paused")
RANKED = ("prioritized", "delayed", "completed", "failed", "waiting-children", "groups:waiting")
UNFINISHED = ("wait", "active", "paused", "prioritized", "delayed", "waiting-children", "groups:waiting")


class QueueState:
    """All of one queue, read at a moment when nobody changes it."""

    def __init__(self, keys: QueueKeys) -> None:
        self.keys = keys
        self.jobs: dict[str, dict[str, str]] = {}
        self.places: dict[str, list[str]] = {}
        """By the id of what lies there, in which lists and sets it lies."""
        self.locks: set[str] = set()
        self.pending: dict[str, set[str]] = {}
        """The keys of the children that a job waits for."""
        self.meta: dict[str, str] = {}
        self.markers: list[str] = []
        self.schedulers: dict[str, int] = {}
        self.ranks: dict[str, float] = {}
        self.completions: Counter[str] = Counter()
        """How many events say that a job completed."""

    @classmethod
    async def read(cls, redis: Redis, keys: QueueKeys) -> QueueState:
        state = cls(keys)
        for place in LISTS:
            await state._lie(place, await _list(redis, f"{keys.base}:{place}"))
        for place in RANKED:
            await state._lie(place, await redis.zrange(f"{keys.base}:{place}", 0, -1))
        async for key in redis.scan_iter(f"{keys.base}:*", count=1000):
            await state._note(redis, key)
        state.meta = await _hash(redis, keys.meta)
        state.markers = await redis.zrange(keys.marker, 0, -1)
        state.schedulers = {
            each: int(due) for each, due in await redis.zrange(f"{keys.base}:repeat", 0, -1, withscores=True)
        }
        state.ranks = dict(await redis.zrange(keys.prioritized, 0, -1, withscores=True))
        for _, fields in await redis.xrange(keys.events):
            if fields["event"] == "completed":
                state.completions[fields["jobId"]] += 1
        return state

    async def _lie(self, place: str, members: list[str]) -> None:
        for member in members:
            self.places.setdefault(member, []).append(place)

    async def _note(self, redis: Redis, key: str) -> None:
        name = key.removeprefix(f"{self.keys.base}:")
        kind = await redis.type(key)
        if kind == "hash" and name != "meta":
            fields = await _hash(redis, key)
            if "timestamp" in fields:
                self.jobs[name] = fields
        elif kind == "string" and name.endswith(":lock"):
            self.locks.add(name.removesuffix(":lock"))
        elif kind == "set" and name.endswith(":dependencies"):
            self.pending[name.removesuffix(":dependencies")] = await redis.smembers(key)  # type: ignore[misc]

    # What must be true

    def check(self) -> None:
        """At any moment."""
        for job_id, places in self.places.items():
            assert len(places) == 1, f"job {job_id} is in {places}"
        assert set(self.places) == set(self.jobs), "what lies somewhere is a job, and every job lies somewhere"
        active = self.of("active")
        assert self.locks <= active, f"only active jobs are locked: {self.locks - active}"
        for job_id in active:
            assert {"processedOn", "ats"} <= self.jobs[job_id].keys(), f"{job_id} is active and was started"
        for job_id, rank in self.ranks.items():
            assert rank // 2**32 == int(self.jobs[job_id]["priority"]) > 0, "the rank is that of the priority"
        self._check_families()
        free = "paused" not in self.meta and len(active) < int(self.meta.get("concurrency", 1000))
        if free and (self.of("wait") or self.of("prioritized")):
            assert "0" in self.markers, "work that may be taken wakes somebody"

    def check_at_rest(self) -> None:
        """When workers had all the time they wanted: nothing is left, and nothing completed twice."""
        self.check()
        stuck = {job_id: places for job_id, places in self.places.items() if places[0] in UNFINISHED}
        runs = {f"repeat:{scheduler_id}:{due}" for scheduler_id, due in self.schedulers.items()}
        assert not stuck.keys() - runs, f"stuck: {stuck}"
        assert runs <= stuck.keys(), "every scheduler has its next run"
        self.check_once()

    def check_once(self) -> None:
        twice = {job_id: count for job_id, count in self.completions.items() if count > 1}
        assert not twice, f"completed more than once: {twice}"

    def of(self, place: str) -> set[str]:
        return {job_id for job_id, places in self.places.items() if place in places}

    def _check_families(self) -> None:
        for parent in self.of("waiting-children"):
            pending = self.pending.get(parent, set())
            assert pending, f"{parent} waits for children, and none is pending"
            for key in pending:
                base, _, child = key.rpartition(":")
                if base == self.keys.base:
                    assert self.places.get(child, ["gone"])[0] in UNFINISHED, f"{parent} waits for {child}, which ended"


async def check_at_rest(redis: Redis, *queues: Any) -> None:
    for queue in queues:
        (await QueueState.read(redis, queue.keys)).check_at_rest()


async def _list(redis: Redis, key: str) -> list[str]:
    return await redis.lrange(key, 0, -1)  # type: ignore[no-any-return,misc]


async def _hash(redis: Redis, key: str) -> dict[str, str]:
    return await redis.hgetall(key)  # type: ignore[no-any-return,misc]
