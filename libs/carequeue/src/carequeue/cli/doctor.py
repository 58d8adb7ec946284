"""`carequeue doctor`: whether a server is fit for queues, and one queue is well. Each finding says what to do."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Any, Literal, cast

from redis.exceptions import RedisError

from carequeue.errors import CarequeueError
from carequeue.inspect import Inspector
from carequeue.store.connection import redis_errors
from carequeue.store.server import OLDEST, PRODUCER, WORKER, Rights, version_of

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import AsyncIterator, Mapping

    from carequeue.cli.output import Output
    from carequeue.store.client import LinkedRedis

Verdict = Literal["ok", "hint", "problem"]

ROUND_TRIPS = 20
SLOW_MS = 5.0
SKEW = timedelta(milliseconds=500)
NEARLY_FULL = 0.8
LATE = timedelta(seconds=30)
SAMPLE = 50
"""Jobs whose memory is looked at, and active jobs whose locks are."""
KEY_BYTES, VALUE_BYTES = 40, 2
"""About what a key with a compact hash, and each text in it, take besides the texts."""
LONGEST_HINT = 4096
NODE = ("ioredis", "node-redis")


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is, and what to do if it should be otherwise."""

    about: str
    verdict: Verdict
    found: str
    advice: str = ""


async def doctor(asked: Namespace, output: Output) -> int:
    """Look at the server, and at a queue if one is named; 1 if there is a problem."""
    inspector = Inspector(asked.queue or "doctor", asked.url, prefix=asked.prefix)
    problems = 0
    try:
        async for finding in _findings(inspector, with_queue=asked.queue is not None):
            problems += finding.verdict == "problem"
            values = {
                "about": finding.about, "verdict": finding.verdict, "found": finding.found, "advice": finding.advice,
            }  # fmt: skip
            advice = [f"{'':9}{finding.advice}"] if finding.advice else []
            output.line(values, f"{finding.verdict:8} {finding.about}: {finding.found}", *advice)
    finally:
        await inspector.close()
    return 1 if problems else 0


async def _findings(inspector: Inspector, *, with_queue: bool) -> AsyncIterator[Finding]:
    client = inspector.client
    await inspector.ping()
    info = await _said(client)
    for finding in (
        *_version(info), *_eviction(info), *_memory(info), *_persistence(info),
        await _speed(inspector), await _clock(client), await _rights(inspector),
    ):  # fmt: skip
        yield finding
    if with_queue:
        yield await _work(inspector)
        for finding in await _workers(inspector):
            yield finding
        yield await _delayed(inspector)
        yield await _active(inspector)
        yield await _schedulers(inspector)
        yield await _size(inspector)


# The server


async def _said(client: LinkedRedis) -> Mapping[str, Any]:
    try:
        return cast("Mapping[str, Any]", await cast("Any", client).info())
    except RedisError:
        return {}


def _version(info: Mapping[str, Any]) -> list[Finding]:
    version = str(info.get("redis_version", ""))
    if not version:
        return [
            Finding("version", "hint", "the server does not tell", "this user may not run INFO: little can be seen")
        ]
    name = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {version}"
    if version_of(version) < OLDEST:
        return [Finding("version", "problem", name, "the scripts need Redis 6.2 or newer, or Valkey")]
    return [Finding("version", "ok", name)]


def _eviction(info: Mapping[str, Any]) -> list[Finding]:
    policy = info.get("maxmemory_policy")
    if policy is None:
        return []
    if policy == "noeviction":
        return [Finding("eviction", "ok", "noeviction: no job is deleted when memory is full")]
    advice = "set maxmemory-policy to noeviction: as it is, jobs are deleted when memory is full"
    return [Finding("eviction", "problem", str(policy), advice)]


def _memory(info: Mapping[str, Any]) -> list[Finding]:
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if not used:
        return []
    if most and used > most * NEARLY_FULL:
        advice = "give it more, or clean finished jobs: when it is full nothing can be added"
        return [Finding("memory", "problem", f"{used / most:.0%} of {_bytes(most)} are used", advice)]
    return [Finding("memory", "ok", f"{_bytes(used)} are used{f' of {_bytes(most)}' if most else ''}")]


def _persistence(info: Mapping[str, Any]) -> list[Finding]:
    if "aof_enabled" not in info:
        return []
    found: list[Finding] = []
    failing = [name for name in ("rdb_last_bgsave_status", "aof_last_write_status") if info.get(name, "ok") != "ok"]
    if failing:
        advice = "look at the server's log and disk: nothing is written there, and soon nothing may be added"
        found.append(Finding("persistence", "problem", f"{', '.join(failing)}: failed", advice))
    if int(info["aof_enabled"]):
        found.append(Finding("persistence", "ok", "an append-only file"))
    else:
        advice = "appendonly yes: without it a crash loses all jobs since the last snapshot"
        found.append(Finding("persistence", "hint", "no append-only file", advice))
    return found


async def _speed(inspector: Inspector) -> Finding:
    times: list[float] = []
    for _ in range(ROUND_TRIPS):
        began = time.perf_counter()
        await inspector.ping()
        times.append((time.perf_counter() - began) * 1000)
    found = f"{median(times):.1f} ms"
    if median(times) > SLOW_MS:
        return Finding(
            "round trip", "hint", found, "workers near the server are faster: a job starts two trips after it is added"
        )
    return Finding("round trip", "ok", found)


async def _clock(client: LinkedRedis) -> Finding:
    before = time.time()
    try:
        seconds, microseconds = cast("tuple[int, int]", await cast("Any", client).time())
    except RedisError:
        return Finding("clock", "hint", "the server does not tell", "this user may not run TIME")
    skew = timedelta(seconds=int(seconds) + int(microseconds) / 1e6 - (before + time.time()) / 2)
    if abs(skew) > SKEW:
        advice = "keep the clocks together (NTP): delayed jobs go by the clocks of those who add and run them"
        return Finding("clock", "problem", f"the server's is {skew.total_seconds():+.1f} s from this machine's", advice)
    return Finding("clock", "ok", f"{skew.total_seconds() * 1000:+.0f} ms from this machine's")


async def _rights(inspector: Inspector) -> Finding:
    try:
        await Rights(inspector.client, inspector.keys).check(*PRODUCER, *WORKER)
    except CarequeueError as error:
        return Finding("rights", "problem", str(error))
    return Finding("rights", "ok", "this user may add and run jobs, as far as the server tells")


# A queue


async def _work(inspector: Inspector) -> Finding:
    counts, libraries = await asyncio.gather(inspector.counts(), _libraries(inspector))
    waiting = counts.waiting + counts.prioritized
    connected = "who works is not known" if libraries is None else f"{len(libraries)} workers are connected"
    found = f"{waiting} jobs wait, {counts.active} are active, {connected}"
    if counts.paused:
        return Finding("work", "hint", f"paused; {found}", "`carequeue resume` lets workers take jobs")
    if waiting and libraries == []:
        return Finding("work", "problem", found, "start a worker, or see whether its connection names are kept")
    return Finding("work", "ok", found)


async def _workers(inspector: Inspector) -> list[Finding]:
    """Who they are: workers of other kinds serve the same queue, but not all of it."""
    libraries = await _libraries(inspector)
    if libraries is None:
        advice = "this user may not run CLIENT LIST, or the host does not offer it: `workers` shows nobody"
        return [Finding("workers", "hint", "the server does not tell who is connected", advice)]
    if not libraries:
        return []
    found = ", ".join(f"{count} with {library}" for library, count in sorted(Counter(libraries).items()))
    if any(library.startswith(NODE) for library in libraries):
        advice = (
            "those in Node take no jobs of groups, and know no expiry, timeout, dead letter or misfire policy: "
            "if jobs of this queue go by one of these, let only carequeue's workers serve it"
        )
        return [Finding("workers", "hint", found, advice)]
    return [Finding("workers", "ok", found)]


async def _libraries(inspector: Inspector) -> list[str] | None:
    """The Redis client that each connected worker uses, as Redis 7.2 and newer know it; None: nobody tells."""
    try:
        await cast("Any", inspector.client).client_list()
    except RedisError:
        return None
    return [worker.library or "an unknown library" for worker in await inspector.workers()]


async def _delayed(inspector: Inspector) -> Finding:
    late = await inspector.delayed_count(before=datetime.now(UTC) - LATE)
    if late:
        return Finding(
            "delayed jobs", "problem", f"{late} should have started", "no worker takes them: is one running?"
        )
    return Finding("delayed jobs", "ok", f"{await inspector.delayed_count()}, none late")


async def _active(inspector: Inspector) -> Finding:
    jobs = await inspector.jobs("active", end=SAMPLE - 1)
    unlocked = 0
    for job in jobs:
        with redis_errors(inspector.client):
            unlocked += not await cast("Any", inspector.client).exists(f"{inspector.keys.job(job.id)}:lock")
    if unlocked:
        advice = "their workers went away: the stall check of any worker puts them back within a minute"
        return Finding("active jobs", "hint", f"{unlocked} of the newest {len(jobs)} have no lock", advice)
    return Finding("active jobs", "ok", f"the newest {len(jobs)} have their locks")


async def _schedulers(inspector: Inspector) -> Finding:
    schedulers = await inspector.schedulers()
    late = [one.id for one in schedulers if one.next_run < datetime.now(UTC) - LATE]
    if late:
        some = ", ".join(late[:3])
        return Finding(
            "schedulers", "problem", f"{len(late)} of {len(schedulers)} are late: {some}", "is a worker running?"
        )
    return Finding("schedulers", "ok", f"{len(schedulers)}, none late")


async def _size(inspector: Inspector) -> Finding:
    """Redis keeps a hash compact as long as each text in it is short; BullMQ's layout has one long one: the data."""
    client = cast("Any", inspector.client)
    jobs = await inspector.jobs(["delayed", "waiting", "prioritized"], end=SAMPLE - 1)
    loose: list[tuple[int, int, int]] = []
    for job in jobs:
        key = inspector.keys.job(job.id)
        try:
            if await client.object("encoding", key) == "hashtable":
                texts = [text.encode() for pair in job.fields.items() for text in pair]
                compact = KEY_BYTES + len(key) + sum(len(text) + VALUE_BYTES for text in texts)
                loose.append((int(await client.memory_usage(key) or 0), compact, max(map(len, texts))))
        except RedisError as error:
            return Finding(
                "memory of jobs", "hint", f"cannot be seen: {error}", "give this user OBJECT and MEMORY USAGE"
            )
    if not jobs:
        return Finding("memory of jobs", "ok", "no job waits")
    if not loose:
        return Finding("memory of jobs", "ok", f"the {len(jobs)} looked at are kept compact")
    now, then, longest = (round(median(values)) for values in zip(*loose, strict=True))
    found = f"{len(loose)} of {len(jobs)} looked at are not kept compact, about {now} bytes each"
    if longest > LONGEST_HINT:
        return Finding("memory of jobs", "hint", found, "their data is long: keep it elsewhere, and its id in the job")
    limit = 1 << (max(values[2] for values in loose)).bit_length()
    advice = f"CONFIG SET hash-max-listpack-value {limit} (Redis 6: hash-max-ziplist-value): then about {then} each"
    return Finding("memory of jobs", "hint", found, advice)


def _bytes(number: int) -> str:
    return f"{number / 2**20:,.0f} MiB"
