"""Runs operations: what the two sides share, and how Node's BullMQ does each of them."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.interop.dump import Era, dump
from tests.interop.support import NodeError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from redis.asyncio import Redis
    from tests.interop.operations import Case
    from tests.interop.support import Node

REFUSED = "(refused)"
STATES = ("waiting", "active", "delayed", "prioritized", "completed", "failed", "waiting-children")
WORKER = "painter"
UNDEFINED = {"$undefined": True}


class Refused(Exception):
    """The side under test said no; how it says so is its own affair."""


@dataclass(slots=True)
class Outcome:
    """What one side answered to each operation, and what it left in Redis."""

    answers: list[Any] = field(default_factory=list)
    stored: dict[str, Any] = field(default_factory=dict)


async def run(driver: Side, case: Case) -> Outcome:
    """Each verb of `operations.py` is a method of both sides; an answer is made of ids, numbers, texts and lists."""
    era = Era(int(time.time() * 1000), driver.base)
    outcome = Outcome()
    for verb, *arguments in case.operations:
        act = getattr(driver, verb)
        try:
            outcome.answers.append((verb, era.value(await act(*arguments))))
        except Refused:
            outcome.answers.append((verb, REFUSED))
    outcome.stored = await dump(driver.redis, driver.base, era)
    return outcome


class Side(ABC):
    """What a test does by way of Redis: locks run out, are taken over, hashes go; and whatever is active is ended."""

    redis: Redis
    base: str

    @abstractmethod
    async def complete(self, job_id: str, value: Any) -> None: ...
    @abstractmethod
    async def fail(self, job_id: str, message: str) -> None: ...
    @abstractmethod
    async def fail_for_good(self, job_id: str, message: str) -> None: ...
    @abstractmethod
    async def check_stalled(self) -> Any: ...
    @abstractmethod
    async def remove(self, job_id: str) -> Any: ...

    async def complete_the_oldest(self, value: Any) -> None:
        await self._end_the_oldest(self.complete, value)

    async def fail_the_oldest(self, message: str) -> None:
        await self._end_the_oldest(self.fail, message)

    async def fail_for_good_the_oldest(self, message: str) -> None:
        await self._end_the_oldest(self.fail_for_good, message)

    async def _end_the_oldest(self, end: Callable[[str, Any], Awaitable[None]], value: Any) -> None:
        """What a walk ends is known only when it runs: the job that has been active longest."""
        active = await self.redis.lrange(f"{self.base}:active", -1, -1)
        if active:
            await end(active[0], value)

    async def lose_lock(self, job_id: str) -> None:
        await self.redis.delete(f"{self.base}:{job_id}:lock")

    async def steal_lock(self, job_id: str) -> None:
        await self.redis.set(f"{self.base}:{job_id}:lock", "somebody-else:1", px=60_000)

    async def lose_place(self, job_id: str) -> None:
        """Nothing holds the job any more: as BullMQ 5.66 left some behind."""
        await self.redis.lrem(f"{self.base}:wait", 0, job_id)

    async def count_priorities_as_of_old(self) -> None:
        await self.redis.set(f"{self.base}:priority", "1")

    async def erase(self, job_id: str) -> None:
        await self.redis.delete(f"{self.base}:{job_id}")

    async def stall(self, job_id: str) -> None:
        """One check marks what is active; the lock runs out; the next check finds the job marked and unlocked."""
        await self.redis.delete(f"{self.base}:stalled-check")
        await self.check_stalled()
        await self.redis.delete(f"{self.base}:{job_id}:lock", f"{self.base}:stalled-check")
        await self.check_stalled()

    async def early_in_the_minute(self) -> None:
        """Metrics change with the minute: wait for a new one if this one might end within the test."""
        left = 60 - time.time() % 60
        if left < 5:
            await asyncio.sleep(left)

    async def age_metrics(self, kind: str, minutes: int) -> None:
        """As if the minute of the last job that ended was noted so long ago."""
        at = int(time.time() * 1000) - minutes * 60_000
        await self.redis.hset(f"{self.base}:metrics:{kind}", "prevTS", str(at))

    async def remove_scheduled(self, scheduler_id: str) -> Any:
        due = await self.redis.zscore(f"{self.base}:repeat", scheduler_id)
        return await self.remove(f"repeat:{scheduler_id}:{int(due)}")


class NodeDriver(Side):
    """BullMQ in Node: a queue, and a worker that takes and finishes jobs when it is told to."""

    def __init__(self, node: Node, redis: Redis, prefix: str, queue: str) -> None:
        self.node = node
        self.redis = redis
        self.base = f"{prefix}:{queue}"
        self._queue = queue
        self._options = {"prefix": prefix}
        self._tokens: dict[str, str] = {}
        self._taken = 0

    async def start(self) -> None:
        await self.node.make("Queue", "q", self._queue, self._options)
        await self.node.make("Worker", "hand", self._queue, {**self._options, "processor": False, "name": WORKER})

    async def stop(self) -> None:
        await self.node.drop("hand")
        await self.node.drop("q")

    async def call(self, on: str, method: str, *arguments: Any, keep: str | None = None) -> Any:
        try:
            return await self.node.call(on, method, *arguments, keep=keep)
        except NodeError as error:
            raise Refused(str(error)) from error

    async def job(self, job_id: str, method: str, *arguments: Any) -> Any:
        """Call a method of a job as it stands in Redis now."""
        if await self.call("q", "getJob", job_id, keep="job") is None:
            raise Refused(f"no job {job_id}")
        return await self.call("job", method, *arguments)

    async def add(self, name: str, data: Any, options: dict[str, Any]) -> Any:
        return (await self.call("q", "add", name, UNDEFINED if data is None else data, options))["id"]

    async def add_bulk(self, jobs: Sequence[tuple[str, Any, dict[str, Any]]]) -> Any:
        bulk = [
            {"name": name, "opts": options} | ({} if data is None else {"data": data}) for name, data, options in jobs
        ]
        return [job["id"] for job in await self.call("q", "addBulk", bulk)]

    async def take(self, count: int) -> Any:
        ids: list[str] = []
        for _ in range(count):
            self._taken += 1
            token = f"t:{self._taken}"
            job = await self.call("hand", "getNextJob", token, {"block": False}, keep="next")
            if job is None:
                break
            ids.append(job["id"])
            self._tokens[job["id"]] = token
        return ids

    async def complete(self, job_id: str, value: Any) -> None:
        await self._finish(job_id, "moveToCompleted", value)

    async def fail(self, job_id: str, message: str) -> None:
        await self._finish(job_id, "moveToFailed", {"$throw": message})

    async def fail_for_good(self, job_id: str, message: str) -> None:
        await self._finish(job_id, "moveToFailed", {"$unrecoverable": message})

    async def _finish(self, job_id: str, method: str, value: Any) -> None:
        await self.job(job_id, method, value, self._tokens[job_id], False)

    async def move_to_delayed(self, job_id: str, at: Any) -> None:
        await self.job(job_id, "moveToDelayed", moment(at), self._tokens[job_id])

    async def move_to_wait(self, job_id: str) -> None:
        await self.job(job_id, "moveToWait", self._tokens[job_id])

    async def extend_lock(self, job_id: str, duration: int) -> None:
        if not await self.job(job_id, "extendLock", self._tokens[job_id], duration):
            raise Refused(f"{job_id} is not held")

    async def check_stalled(self) -> Any:
        return await self.call("hand", "moveStalledJobsToWait")

    async def work(self, attempts: int, points: int | None = None) -> Any:
        """A real worker until it has reported so many attempts."""
        before = len(self.node.seen("w", "completed")) + len(self.node.seen("w", "failed"))
        counting = {} if points is None else {"metrics": {"maxDataPoints": points}}
        await self.node.make("Worker", "w", self._queue, {**self._options, "name": WORKER, **counting})
        await self.node.wait_until(
            lambda: len(self.node.seen("w", "completed")) + len(self.node.seen("w", "failed")) >= before + attempts
        )
        await self.node.drop("w")

    async def update_data(self, job_id: str, data: Any) -> None:
        await self.job(job_id, "updateData", data)

    async def progress(self, job_id: str, value: Any) -> None:
        await self.call("q", "updateJobProgress", job_id, value)

    async def log(self, job_id: str, row: str, *keep: int) -> Any:
        return await self.call("q", "addJobLog", job_id, row, *keep)

    async def logs(self, job_id: str) -> Any:
        return (await self.call("q", "getJobLogs", job_id))["logs"]

    async def log_count(self, job_id: str) -> Any:
        return (await self.call("q", "getJobLogs", job_id, 0, 0))["count"]

    async def clear_logs(self, job_id: str, *keep: int) -> None:
        await self.job(job_id, "clearLogs", *keep)

    async def promote(self, job_id: str) -> None:
        await self.job(job_id, "promote")

    async def promote_all(self) -> None:
        await self.call("q", "promoteJobs")

    async def retry(self, job_id: str, *state: str) -> None:
        await self.job(job_id, "retry", *state)

    async def retry_all(self, state: str) -> None:
        await self.call("q", "retryJobs", {"state": state})

    async def change_priority(self, job_id: str, priority: int, lifo: bool = False) -> None:
        await self.job(job_id, "changePriority", {"priority": priority, "lifo": lifo})

    async def change_delay(self, job_id: str, delay: int) -> None:
        await self.job(job_id, "changeDelay", delay)

    async def pause(self) -> None:
        await self.call("q", "pause")

    async def resume(self) -> None:
        await self.call("q", "resume")

    async def is_paused(self) -> Any:
        return await self.call("q", "isPaused")

    async def deduplication_job(self, deduplication_id: str) -> Any:
        return await self.call("q", "getDeduplicationJobId", deduplication_id)

    async def remove_deduplication(self, deduplication_id: str) -> Any:
        return bool(await self.call("q", "removeDeduplicationKey", deduplication_id))

    async def remove_own_deduplication(self, job_id: str) -> Any:
        return await self.job(job_id, "removeDeduplicationKey")

    async def metrics(self, kind: str, *places: int) -> Any:
        found = await self.call("q", "getMetrics", kind, *places)
        return [found["meta"]["count"], found["meta"]["prevCount"], found["data"], found["count"]]

    async def delayed_count(self, *before: int) -> Any:
        return await self.call("q", "getDelayedCount", *before)

    async def trim_events(self, most: int) -> Any:
        await self.call("q", "trimEvents", most)

    async def meta(self) -> Any:
        """By BullMQ's words; what is not set is left out."""
        return {"version": await self.call("q", "getVersion"), **await self.call("q", "getMeta")}

    async def remove_orphans(self) -> Any:
        return await self.call("q", "removeOrphanedJobs")

    async def remove_priority_key(self) -> Any:
        return bool(await self.call("q", "removeDeprecatedPriorityKey"))

    async def set_global_concurrency(self, concurrency: int) -> Any:
        await self.call("q", "setGlobalConcurrency", concurrency)

    async def global_concurrency(self) -> Any:
        return await self.call("q", "getGlobalConcurrency")

    async def remove_global_concurrency(self) -> None:
        await self.call("q", "removeGlobalConcurrency")

    async def is_maxed(self) -> Any:
        return await self.call("q", "isMaxed")

    async def set_global_rate_limit(self, most: int, duration: int) -> None:
        await self.call("q", "setGlobalRateLimit", most, duration)

    async def global_rate_limit(self) -> Any:
        return await self.call("q", "getGlobalRateLimit")

    async def remove_global_rate_limit(self) -> None:
        await self.call("q", "removeGlobalRateLimit")

    async def rate_limit(self, duration: int) -> None:
        await self.call("q", "rateLimit", duration)

    async def rate_limit_seconds(self, *most: int) -> Any:
        return round(max(await self.call("q", "getRateLimitTtl", *most), 0) / 1000)

    async def remove_rate_limit(self) -> None:
        await self.call("q", "removeRateLimitKey")

    async def remove(self, job_id: str) -> Any:
        return bool(await self.call("q", "remove", job_id))

    async def drain(self, delayed: bool) -> None:
        await self.call("q", "drain", delayed)

    async def clean(self, grace: int, limit: int, state: str) -> Any:
        return sorted(await self.call("q", "clean", grace, limit, state))

    async def obliterate(self, force: bool) -> None:
        await self.call("q", "obliterate", {"force": force})

    async def schedule(self, scheduler_id: str, repeat: dict[str, Any], template: dict[str, Any]) -> Any:
        said = {name: moment(value) for name, value in repeat.items()}
        return (await self.call("q", "upsertJobScheduler", scheduler_id, said, template))["id"]

    async def unschedule(self, scheduler_id: str) -> Any:
        return await self.call("q", "removeJobScheduler", scheduler_id)

    async def scheduler_count(self) -> Any:
        return await self.call("q", "getJobSchedulersCount")

    async def schedulers(self) -> Any:
        wanted = ("key", "name", "next", "pattern", "every", "tz", "limit", "iterationCount")
        found = await self.call("q", "getJobSchedulers", 0, -1, True)
        return [{name: one[name] for name in wanted if one.get(name) is not None} for one in found]

    async def exists(self, *ids: str) -> Any:
        return [job_id for job_id in ids if await self.call("q", "getJob", job_id) is not None]

    async def counts(self) -> Any:
        return await self.call("q", "getJobCounts", *STATES)

    async def pending(self) -> Any:
        return await self.call("q", "count")

    async def job_ids(self, states: Sequence[str], start: int, end: int, ascending: bool) -> Any:
        return await self.call("q", "getRanges", states, start, end, ascending)

    async def jobs(self, state: str) -> Any:
        return [job["id"] for job in await self.call("q", "getJobs", [state], 0, -1, True)]


def moment(value: Any) -> Any:
    """`"+7200"` is an instant so many seconds from now, in ms; anything else is itself."""
    if isinstance(value, str) and value.startswith("+"):
        return int(time.time() * 1000) + int(value) * 1000
    return value
