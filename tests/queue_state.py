"""What must be true of a queue as it is stored, whatever has happened to it, its workers and its server."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from carequeue.store.reading import pairs

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from carequeue.wire.keys import QueueKeys

LISTS = ("wait", "active", "paused")
RANKED = ("prioritized", "delayed", "completed", "failed", "waiting-children", "groups:waiting")
UNFINISHED = ("wait", "active", "paused", "prioritized", "delayed", "waiting-children", "groups:waiting")

DUMP = """
local readers = {
  list = {'LRANGE', 0, -1}, zset = {'ZRANGE', 0, -1, 'WITHSCORES'}, hash = {'HGETALL'}, set = {'SMEMBERS'},
  stream = {'XRANGE', '-', '+'}, string = {'GET'},
}
local dump = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. ':*')) do
  local kind = redis.call('TYPE', key).ok
  local reader = readers[kind]
  dump[#dump + 1] = {key, kind, redis.call(reader[1], key, unpack(reader, 2))}
end
return dump
"""


class QueueState:
    """All of one queue at one moment."""

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
        """All in one script: the queue as it is at one moment."""
        state = cls(keys)
        dump: Any = await redis.eval(DUMP, 0, keys.base)  # type: ignore[misc]
        for key, kind, content in dump:
            state._note(key.removeprefix(f"{keys.base}:"), kind, content)
        return state

    def _note(self, name: str, kind: str, content: Any) -> None:
        if name in LISTS or name in RANKED:
            for member in content if kind == "list" else content[::2]:
                self.places.setdefault(member, []).append(name)
        if name == "prioritized":
            self.ranks = {member: float(rank) for member, rank in zip(content[::2], content[1::2], strict=True)}
        elif name == "marker":
            self.markers = content[::2]
        elif name == "repeat":
            self.schedulers = {each: int(due) for each, due in zip(content[::2], content[1::2], strict=True)}
        elif name == "meta":
            self.meta = pairs(content)
        elif name == "events":
            events = [pairs(fields) for _, fields in content]
            self.completions.update(event["jobId"] for event in events if event["event"] == "completed")
        elif kind == "hash" and "timestamp" in pairs(content):
            self.jobs[name] = pairs(content)
        elif name.endswith(":lock"):
            self.locks.add(name.removesuffix(":lock"))
        elif name.endswith(":dependencies"):
            self.pending[name.removesuffix(":dependencies")] = set(content)

    # What must be true

    def check(self, *, wake_ups: bool = True) -> None:
        """At any moment. `wake_ups`: no worker has taken one and not looked yet, nor died meanwhile."""
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
        if wake_ups and free and (self.of("wait") or self.of("prioritized")):
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
