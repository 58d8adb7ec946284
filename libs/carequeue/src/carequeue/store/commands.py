"""One typed method for each script: the only place that knows their arguments and replies."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, cast

from carequeue.errors import InvalidOption
from carequeue.store.connection import redis_errors
from carequeue.store.script import Call, Scripts
from carequeue.store.step import MAX_STEP, FetchedJob, Finish, Step, StepReply
from carequeue.wire.codec import JobRecord
from carequeue.wire.codes import error_of
from carequeue.wire.json_text import well_formed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from redis.asyncio import Redis

    from carequeue.store.client import Argument, LinkedRedis
    from carequeue.wire.keys import QueueKeys

__all__ = ["Commands", "FetchedJob", "Finish", "JobRecord", "MarkerQueue", "Step", "StepReply"]

VERSION = "bullmq:6.7.0"
"""The data model that we write, in the words in which BullMQ's clients note theirs."""
DEFAULT_MAX_EVENTS = 10_000
ADDED_AT_ONCE = 1000
"""Jobs one call adds: more would keep other clients waiting."""
PARTING = 1.0
"""Seconds for the server to notice that a blocking call is over."""
ADDED_IN_FLIGHT = 250
"""Jobs one call adds where several may be under way."""

FETCHED_FIELDS = (
    "name", "data", "opts", "timestamp", "delay", "priority", "ats", "atm", "stacktrace", "stc", "parentKey", "parent",
    "rjk", "deid", "progress", "tm", "defa",
)  # fmt: skip
"""What `startJob` answers, in its order; it leaves out what is unset at the end."""
FIRST_FIELDS = FETCHED_FIELDS[:4]
"""All that it answers of a first attempt without delay and priority, which leaves the rest to FIRST_ATTEMPT."""
FIRST_ATTEMPT = {"delay": "0", "priority": "0", "ats": "1"}


class Commands(Scripts):
    """What producers and workers do. Every method raises ConnectionLost if no reply came: the script may have run."""

    def __init__(self, client: Redis, keys: QueueKeys, *, max_events: int = DEFAULT_MAX_EVENTS) -> None:
        super().__init__(client, keys)
        self._max_events = max_events

    async def announce(self) -> None:
        """Write what others look for in `meta`, unless it is there. Safe to repeat."""
        with redis_errors(self.client):
            await self._execute("HSETNX", self.keys.meta, "opts.maxLenEvents", self._max_events)
            await self._execute("HSETNX", self.keys.meta, "version", VERSION)

    async def add(self, jobs: Sequence[JobRecord], now: int) -> list[str]:
        """Add jobs and return their ids.

        Jobs with parents go out a thousand in a call, each call whole or not at all; others in smaller calls, so that
        Redis stores some while the next are packed. Safe to repeat after ConnectionLost only if every job has an id.

        Raises:
            ParentNotFound: a parent does not exist; no job of that call was added.
            WrongState: a job exists already and has another living parent.
            JobLocked: a job that is to run again is running; no job of that call was added.
            GroupFull: as many jobs wait in the group of one as may; no job of that call was added.
        """
        size = ADDED_AT_ONCE if any(job.parent_key or job.rerun or job.group for job in jobs) else ADDED_IN_FLIGHT
        under_way: deque[tuple[Sequence[JobRecord], Call]] = deque()
        ids: list[str] = []
        try:
            for first in range(0, len(jobs), size):
                some = jobs[first : first + size]
                under_way.append((some, self._begin("add", *self._arguments(some, now))))
                if len(under_way) > 1:
                    ids += await self._added(under_way)
            while under_way:
                ids += await self._added(under_way)
        finally:
            for _, call in under_way:
                call.forget()
        return ids

    async def _added(self, under_way: deque[tuple[Sequence[JobRecord], Call]]) -> list[str]:
        """The ids that the oldest call answers."""
        jobs, call = under_way.popleft()
        reply = await self._reply(call)
        if reply and isinstance(reply[0], int):
            code, place = cast("tuple[int, int]", reply)
            raise error_of(code, jobs[place - 1].id or jobs[place - 1].name)
        ids = cast("list[str]", reply)
        if call.unknown:
            while under_way:  # these were not known either: they are to come before what is sent next
                ids = ids + await self._added(under_way)
        return ids

    def _arguments(self, jobs: Sequence[JobRecord], now: int) -> list[Argument]:
        arguments: list[Argument] = [now, self._max_events, VERSION]
        before: tuple[object, ...] | None = None
        for job in jobs:
            rest = (job.name, *job[3:])  # all but the id and the data: what jobs that are added together often share
            if rest == before:
                arguments += (job.id, job.data, "")
            else:
                arguments += (job.id, job.data, 1, job.name, job.opts, job.timestamp, job.delay, job.more)
                before = rest
        return arguments

    async def step(self, step: Step) -> StepReply:
        """Report the jobs that ended and take the next ones.

        Never repeat one that fetches: the jobs it took come back by the stall check. One that only reports may be
        repeated; -1, -2 or -3 may then mean that the first call did it.
        """
        if max(len(step.finishes), step.fetch) > MAX_STEP:
            raise InvalidOption(f"a step reports and takes at most {MAX_STEP} jobs")
        arguments: list[Argument] = [
            step.now, step.fetch, step.token_prefix, step.token_from, step.lock_ms, step.worker_name or "",
            "" if step.limit is None else step.limit, "" if step.limit_ms is None else step.limit_ms,
            "" if step.metrics_points is None else step.metrics_points,
        ]  # fmt: skip
        for end in step.finishes:
            arguments += (end.job_id, end.token, end.verdict, well_formed(end.value), end.keep.text, end.more)
        codes, jobs, due, limited_for, drained = await self._run("step", *arguments)
        return StepReply(codes, list(_fetched(jobs, step)), due or None, limited_for, drained == 1)

    async def extend_locks(self, locks: Sequence[tuple[str, str]], duration_ms: int) -> list[str]:
        """Renew the locks (job id, token) and return the ids of those that are lost. Safe to repeat."""
        arguments: list[Argument] = [duration_ms]
        for lock in locks:
            arguments += lock
        return cast("list[str]", await self._run("extendLocks", *arguments))

    async def check_stalled(self, *, max_stalled: int, interval_ms: int, now: int) -> list[str]:
        """Put jobs of workers that went away back and return their ids. One caller an interval does it."""
        return cast("list[str]", await self._run("checkStalled", now, interval_ms, max_stalled))

    async def update_progress(self, job_id: str, progress: str) -> None:
        """Store the progress (JSON) of a job. Safe to repeat.

        Raises:
            JobNotFound: no such job.
        """
        await self._on_job("updateProgress", job_id, job_id, progress)

    async def update_data(self, job_id: str, data: str, token: str) -> None:
        """Replace the data (JSON) of a job that is held by `token`. Safe to repeat.

        Raises:
            JobNotFound: no such job.
            LockLost: another holds it by now, or nobody does.
        """
        await self._on_job("updateData", job_id, job_id, data, token)

    async def add_log(self, job_id: str, row: str, keep: int = 0) -> int:
        """Add a row to the job's log, keep the newest `keep` (0: all), and return how many there are.

        Raises:
            JobNotFound: no such job.
        """
        return await self._on_job("addLog", job_id, job_id, well_formed(row), keep)


class MarkerQueue:
    """The wake-up calls of a queue, taken with a blocking client."""

    def __init__(self, client: LinkedRedis, keys: QueueKeys) -> None:
        self._client = client
        self._key = keys.marker

    async def pop(self, block: float) -> int | None:
        """Wait up to `block` seconds: 0 = there is work, else the ms at which a job is due; None = nothing came.

        Raises:
            ConnectionLost: the server went away; a marker may have been taken.
        """
        with redis_errors(self._client):
            try:
                reply = await self._client.send("BZPOPMIN", self._key, block)
            except asyncio.CancelledError:
                await self._client.part(PARTING)  # else the server would still pop one, for nobody
                raise
        return int(float(reply[2])) if reply else None


def _fetched(jobs: Sequence[Any], step: Step) -> Iterator[FetchedJob]:
    started, worker, token = str(step.now), step.worker_name, step.token_from
    for place in range(0, len(jobs), 2):
        values = jobs[place + 1]
        fields = {name: text for name, text in zip(FETCHED_FIELDS, values, strict=False) if text is not None}
        if len(values) == len(FIRST_FIELDS):
            fields |= FIRST_ATTEMPT
        fields["processedOn"] = started
        if worker:
            fields["pb"] = worker
        yield FetchedJob(jobs[place], f"{step.token_prefix}:{token}", fields)
        token += 1
