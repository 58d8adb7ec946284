"""One typed method for each script, or bundle of plain commands, that only looks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from redis.exceptions import NoPermissionError

from carequeue.store.connection import redis_errors
from carequeue.store.script import Scripts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from carequeue.store.administration import WireState
    from carequeue.store.client import Argument

Fields = dict[str, str]

SCANNED = 1000
"""Keys that one call passes over."""
PRIORITIES = 1000
"""How many one call counts: more would keep other clients waiting."""

GLOB = re.compile(r"[][*?^\\]")
"""What a pattern of keys takes for something else than itself."""
BACKSLASH = r"\\\g<0>"

PLACES = 4096
"""Jobs due in one millisecond that keep their order: a delayed job's score is its due time times this."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed job, as far as its failure goes."""

    job_id: str
    failed_at: int
    """ms"""
    name: str
    reason: str
    stacktrace: str
    """The stack traces of all attempts, as JSON."""


class Reading(Scripts):
    """What is in the queue. All of it may be repeated."""

    async def job(self, job_id: str) -> Fields | None:
        with redis_errors(self.client):
            reply = await self._execute("HGETALL", self.keys.job(job_id))
        return pairs(reply) or None

    async def existing(self, job_ids: Sequence[str]) -> list[str]:
        return cast("list[str]", await self._run("existing", *job_ids))

    async def state(self, job_id: str) -> str | None:
        return cast("str", await self._run("getState", job_id)) or None

    async def states(self, job_ids: Sequence[str]) -> list[str]:
        """In the order of the ids, none of which may be there twice; empty for what is nowhere."""
        return cast("list[str]", await self._run("getStates", *job_ids))

    async def scan(self, head: str, tail: str) -> AsyncIterator[str]:
        """The keys of the server that begin and end so, those that come or go meanwhile perhaps; none is told twice."""
        pattern = f"{GLOB.sub(BACKSLASH, head)}*{tail}"
        cursor, seen = 0, set[str]()
        while True:
            with redis_errors(self.client):
                cursor, keys = await self._execute("SCAN", cursor, "MATCH", pattern, "COUNT", SCANNED)
            for key in keys:
                if key not in seen:
                    seen.add(key)
                    yield key
            if int(cursor) == 0:
                return

    async def counts(self) -> list[int]:
        """waiting, prioritized, delayed, active, completed, failed, waiting-children, 1 if paused."""
        return cast("list[int]", await self._run("getCounts"))

    async def counts_per_priority(self, priorities: Sequence[int]) -> list[int]:
        counts: list[int] = []
        for first in range(0, len(priorities), PRIORITIES):
            counts += await self._run("getCountsPerPriority", *priorities[first : first + PRIORITIES])
        return counts

    async def page(
        self, states: Sequence[WireState], first: int, count: int, *, ascending: bool
    ) -> tuple[int, list[tuple[str, Fields]]]:
        """How many places there are from `first` on, and the jobs on the first `count` of them."""
        places, flat = await self._run("getJobs", first, count, "1" if ascending else "", "", *states)
        return places, jobs(flat)

    async def page_of_ids(
        self, states: Sequence[WireState], first: int, count: int, *, ascending: bool
    ) -> tuple[int, list[str]]:
        """The same with the ids alone, of which nobody has looked whether there are such jobs."""
        places, ids = await self._run("getJobs", first, count, "1" if ascending else "", "1", *states)
        return places, ids

    async def search(
        self, state: WireState, count: int, place: Sequence[str]
    ) -> tuple[list[tuple[str, Fields]], list[str]]:
        """Some jobs, and the place behind them, empty at the end."""
        flat, behind = await self._run("searchJobs", state, count, *place)
        return jobs(flat), behind

    async def failures(self, count: int, before: Sequence[Failure]) -> tuple[int, list[Failure]]:
        """How many failed jobs there are, and a page of them, the newest first; `before` is the page before this."""
        places: list[Argument] = []
        for failure in reversed(before):
            places += (failure.job_id, failure.failed_at)
        total, flat = await self._run("getFailures", count, *places)
        return total, [
            Failure(flat[at], int(float(flat[at + 1])), *(text or "" for text in flat[at + 2]))
            for at in range(0, len(flat), 3)
        ]

    async def logs(self, job_id: str, start: int, end: int) -> list[str]:
        with redis_errors(self.client):
            return cast("list[str]", await self._execute("LRANGE", self.keys.logs(job_id), start, end))

    async def log_count(self, job_id: str) -> int:
        with redis_errors(self.client):
            return cast("int", await self._execute("LLEN", self.keys.logs(job_id)))

    async def meta(self) -> Fields:
        with redis_errors(self.client):
            return pairs(await self._execute("HGETALL", self.keys.meta))

    async def scheduler_count(self) -> int:
        with redis_errors(self.client):
            return cast("int", await self._execute("ZCARD", self.keys.repeat))

    async def scan_hashes(self, cursor: str, count: int) -> tuple[str, list[str]]:
        """Some of the hashes below the queue's base key, by what follows it, and where to go on ("0": at the end)."""
        start = f"{self.keys.base}:"
        with redis_errors(self.client):
            after, found = await self._execute(
                "SCAN", cursor, "MATCH", f"{GLOB.sub(BACKSLASH, start)}*", "COUNT", count, "TYPE", "hash"
            )
        return str(after), [key.removeprefix(start) for key in found]

    async def metrics(self, kind: str, start: int, end: int) -> tuple[list[str | None], list[str], int]:
        """count, time and count at the last change of a minute; the minutes, the newest first; how many there are."""
        counts, minutes, stored = await self._run("getMetrics", kind, start, end)
        return counts, minutes, stored

    async def due_before(self, ms: int) -> int:
        with redis_errors(self.client):
            return cast("int", await self._execute("ZCOUNT", self.keys.delayed, "-inf", f"({ms * PLACES}"))

    async def text(self, key: str) -> str | None:
        with redis_errors(self.client):
            return cast("str | None", await self._execute("GET", key))

    async def is_paused(self) -> bool:
        with redis_errors(self.client):
            return bool(await self._execute("HEXISTS", self.keys.meta, "paused"))

    async def clients(self) -> list[dict[str, str]]:
        """Every connection of the server, as CLIENT LIST tells them; none if this user may not ask."""
        with redis_errors(self.client):
            try:
                return cast("list[dict[str, str]]", await self._execute("CLIENT LIST"))
            except NoPermissionError:
                return []


def jobs(flat: Sequence[Any]) -> list[tuple[str, Fields]]:
    """The jobs in a reply of ids and hashes."""
    return [(flat[at], pairs(flat[at + 1])) for at in range(0, len(flat), 2)]


def pairs(flat: Any) -> Fields:
    """A reply of fields and values as a dict; some protocols and callbacks make one themselves."""
    if isinstance(flat, dict):
        return cast("Fields", flat)
    items = cast("list[str]", flat)
    return dict(zip(items[::2], items[1::2], strict=True))
