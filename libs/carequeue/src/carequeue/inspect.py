"""Inspector: all that one can see of a queue without changing it. `Queue` is one; dashboards may use it alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from carequeue import exposition
from carequeue.clients import ListenerInfo, WorkerInfo, listeners_among, workers_among
from carequeue.error_groups import scan
from carequeue.errors import InvalidOption, JobFailed, JobNotFound
from carequeue.job import Job, JobState
from carequeue.meta import QueueMeta, meta_of
from carequeue.metrics import Metrics, metrics_of
from carequeue.options import MAX_PRIORITY
from carequeue.scheduler import Scheduler, find, listing
from carequeue.search import JobPage, look
from carequeue.states import Counts, State, wire_states
from carequeue.store.connected import Connected
from carequeue.store.connection import client_name
from carequeue.store.reading import Reading
from carequeue.store.scheduling import Scheduling
from carequeue.store.server import greet
from carequeue.telemetry import Telemetry
from carequeue.wire.codec import Codec
from carequeue.wire.keys import QueueKeys
from carequeue.wire.times import to_ms

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
    from datetime import datetime, timedelta

    from carequeue.error_groups import ErrorGroup, ErrorScan
    from carequeue.events import QueueEvents
    from carequeue.kind import JobKind
    from carequeue.store.connection import Connection

P = TypeVar("P")

PAGE = 1000
"""Jobs that one call reads at the most."""


class Inspector(Connected):
    """A queue to look at: `async with Inspector("reminders", "redis://localhost") as queue`.

    `connection` is a URL, or a ready client (docs/connections.md) that stays yours to close.
    Every method raises ConnectionLost if Redis does not answer; all of them may be repeated.
    """

    def __init__(
        self,
        name: str,
        connection: Connection = "redis://localhost:6379",
        *,
        prefix: str = "bull",
        telemetry: Telemetry | None = None,
    ) -> None:
        self.keys: QueueKeys = QueueKeys(prefix, name)
        super().__init__(connection, self.keys.base)
        self.telemetry: Telemetry = telemetry or Telemetry()

    @property
    def name(self) -> str:
        """The name of the queue."""
        return self.keys.queue

    @property
    def in_cluster(self) -> bool:
        """Whether the connection is one to a Redis Cluster."""
        return self._source.in_cluster

    async def names(self) -> AsyncIterator[str]:
        """The names of all queues under the prefix that this server has, in no order; in a cluster only some of them.

        The server's keys are passed through a thousand at a time: nobody waits for it long.
        """
        head = f"{self.keys.prefix}:"
        async for key in self._reading.scan(head, ":meta"):
            name = key.removeprefix(head).removesuffix(":meta")
            if ":" not in name:
                yield name

    async def ping(self) -> None:
        """Return when the server has answered."""
        await greet(self.client)

    # Jobs

    @overload
    async def get(self, job_id: str) -> Job[Any] | None: ...
    @overload
    async def get(self, job_id: str, kind: JobKind[P]) -> Job[P] | None: ...
    async def get(self, job_id: str, kind: JobKind[Any] | None = None) -> Job[Any] | None:
        """The job with this id, its data typed by `kind` if given; None if there is none."""
        fields = await self._reading.job(job_id)
        if fields is None:
            return None
        return Codec(self.name, kind.payload_type if kind else None).job(job_id, fields)

    async def exists(self, job_ids: Iterable[str]) -> set[str]:
        """Which of these ids are jobs of the queue, whatever their state. One round trip."""
        asked = list(job_ids)
        return set(await self._reading.existing(asked)) if asked else set()

    async def state(self, job_id: str) -> JobState | None:
        """Where the job is; None if it is nowhere."""
        found = await self._reading.state(job_id)
        return None if found is None else JobState(found)

    async def states(self, job_ids: Iterable[str]) -> dict[str, JobState]:
        """Where each of these jobs is; what is nowhere is left out. One round trip."""
        asked = list(dict.fromkeys(job_ids))
        found = await self._reading.states(asked) if asked else []
        return {job_id: JobState(state) for job_id, state in zip(asked, found, strict=True) if state}

    async def counts(self) -> Counts:
        """How many jobs are in each state. One round trip, however many there are."""
        *counts, paused = await self._reading.counts()
        return Counts(*counts, paused=paused == 1)

    async def counts_per_priority(self, priorities: Iterable[int]) -> dict[int, int]:
        """How many jobs with each of these priorities wait to be taken, those in groups aside; 0 is what has none.

        Raises:
            InvalidOption: no such priority.
        """
        asked = list(dict.fromkeys(priorities))
        if unknown := [priority for priority in asked if not 0 <= priority <= MAX_PRIORITY]:
            raise InvalidOption(f"a priority is between 0 (first) and {MAX_PRIORITY}, got {unknown[0]}")
        return dict(zip(asked, await self._reading.counts_per_priority(asked), strict=True)) if asked else {}

    async def record_job_counts(self) -> Counts:
        """The same as `counts`, and `telemetry` hears of it (`queue.counted`): call it as often as you want a point."""
        counts = await self.counts()
        self.telemetry.emit("queue.counted", queue=self.name, counts=counts.by_state)
        return counts

    async def export_prometheus_metrics(self, labels: Mapping[str, str] | None = None) -> str:
        """The queue as the text that Prometheus scrapes: jobs by state, and how many completed and failed in all.

        `labels` are added to every line. The totals count only what workers with `max_data_points` ran.

        Raises:
            InvalidOption: a label that Prometheus does not take, or `queue` or `state`, which are there already.
        """
        said = exposition.checked(labels or {})
        counts, completed, failed = await asyncio.gather(
            self.counts(), self.metrics("completed", end=0), self.metrics("failed", end=0)
        )
        return exposition.text(self.name, said, counts.by_state, completed.total, failed.total)

    async def jobs(
        self, states: State | Iterable[State], *, start: int = 0, end: int = -1, ascending: bool = False
    ) -> list[Job[Any]]:
        """The jobs on the places `start` to `end` (included; -1: the last), the newest first unless `ascending`.

        Several states are read one after the other, as if they were one list. `ascending` is by time for finished jobs,
        by when they are due for delayed ones, and else the order in which workers take them. Jobs that come and go move
        the others' places: `search` is for going through a queue that is at work.

        Raises:
            InvalidOption: no such state or place.
        """
        wire = wire_states(states)
        found: list[Job[Any]] = []
        for first, count in _spans(start, end):
            places, page = await self._reading.page(wire, first, count, ascending=ascending)
            found += [self._job(job_id, fields) for job_id, fields in page]
            if places <= count:
                break
        return found

    async def job_ids(
        self, states: State | Iterable[State], *, start: int = 0, end: int = -1, ascending: bool = False
    ) -> list[str]:
        """The same as `jobs` with the ids alone, without reading the jobs: what is in a state now. Raises as `jobs`."""
        wire = wire_states(states)
        found: list[str] = []
        for first, count in _spans(start, end):
            places, page = await self._reading.page_of_ids(wire, first, count, ascending=ascending)
            found += page
            if places <= count:
                break
        return found

    async def search(
        self,
        states: State | Iterable[State],
        *,
        name: str | None = None,
        where: Callable[[Job[Any]], bool] | None = None,
        after: str | None = None,
        size: int = 100,
    ) -> JobPage:
        """Those of the next `size` jobs with a name, or for which `where(job)` holds, or both; and where to go on.

        Go on with `after=page.next` until that is None. A job that stays where it is meanwhile (its state, and in it
        its priority or due time) is on one of the pages, whatever others do; one that moves may be on two, or on none.
        Jobs that wait or are active come the newest first, others as `jobs(…, ascending=True)` has them.

        Raises:
            InvalidOption: no such state, or `after` is not the `next` of a page of these states.
        """
        found, behind = await look(self._reading, wire_states(states), after, size)
        jobs = [self._job(job_id, fields) for job_id, fields in found]
        return JobPage([job for job in jobs if _is_meant(job, name, where)], behind)

    async def iterate(self, states: State | Iterable[State], page: int = 100) -> AsyncIterator[Job[Any]]:
        """Every job of a state (or several), read page by page as `search` reads them; none is told twice."""
        async for job in self.find(states, page=page):
            yield job

    async def find(
        self,
        states: State | Iterable[State],
        *,
        name: str | None = None,
        where: Callable[[Job[Any]], bool] | None = None,
        page: int = 100,
    ) -> AsyncIterator[Job[Any]]:
        """The jobs with a name, or for which `where(job)` holds, or both, as `iterate` comes upon them.

        Every job of these states is read: stop when you have what you want.
        """
        asked: list[State] = [states] if isinstance(states, str) else list(states)
        after: str | None = None
        seen: set[str] = set()
        while True:
            found = await self.search(asked, after=after, size=page)
            for job in found.jobs:
                if job.id not in seen:
                    seen.add(job.id)
                    if _is_meant(job, name, where):
                        yield job
            after = found.next
            if after is None:
                return

    async def error_groups(self, *, limit: int | None = 50, newest: int | None = None) -> list[ErrorGroup]:
        """The failed jobs by what they failed of, those groups with most jobs first, at most `limit` of them.

        All failed jobs are looked at, page by page, or so many of the `newest`. `scan_errors` tells how far it is.
        """
        found = None
        async for so_far in self.scan_errors(newest=newest):
            found = so_far
        return found.groups[:limit] if found is not None else []

    async def scan_errors(self, *, newest: int | None = None) -> AsyncIterator[ErrorScan]:
        """The same while it goes on: after each page of jobs how far it is, and the groups so far.

        Raises:
            InvalidOption: `newest` is less than one.
        """
        if newest is not None and newest < 1:
            raise InvalidOption(f"at least one failed job is looked at, got {newest}")
        async for so_far in scan(self._reading, newest):
            yield so_far

    async def wait_until_finished(
        self,
        job: Job[Any] | str,
        events: QueueEvents,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - BullMQ's own argument
    ) -> Any:
        """What the job returned, as soon as it has completed, whoever runs it. Any number may wait with one `events`.

        Raises:
            JobFailed: it failed, with no attempt left; `.reason` says why.
            JobNotFound: there is no such job (any more): also if it had ended before and was not kept.
            TimeoutError: it has not ended after `timeout`.
            ConnectionLost: Redis went away. Waiting again is harmless.
            InvalidOption: these are the events of another queue.
        """
        if events.keys != self.keys:
            raise InvalidOption(f"these are the events of {events.keys.base}, the job is of {self.keys.base}")
        job_id = job if isinstance(job, str) else job.id
        async with asyncio.timeout(timeout.total_seconds() if timeout is not None else None):
            async with events.waiting(job_id) as ended:
                state, found = await self.state(job_id), await self.get(job_id)
                if found is None:
                    raise JobNotFound(job_id)
                if state is JobState.COMPLETED:
                    return found.return_value
                if state is JobState.FAILED:
                    raise JobFailed(job_id, found.failed_reason or "")
                event = await ended
        if event.name == "failed":
            raise JobFailed(job_id, event.reason or "")
        if event.name == "removed":
            raise JobNotFound(job_id)
        return event.value

    async def logs(self, job_id: str, *, start: int = 0, end: int = -1) -> list[str]:
        """The rows of a job's log from `start` to `end` (included), the oldest first."""
        return await self._reading.logs(job_id, start, end)

    async def log_count(self, job_id: str) -> int:
        """How many rows a job's log has."""
        return await self._reading.log_count(job_id)

    async def deduplication_job(self, deduplication_id: str) -> str | None:
        """The id of the job that keeps others with this deduplication id out; None if one may be added."""
        return await self._reading.text(self.keys.deduplication(deduplication_id))

    # The queue

    async def delayed_count(self, before: datetime | None = None) -> int:
        """How many jobs are delayed; with `before` only those that are due earlier."""
        if before is None:
            return (await self.counts()).delayed
        return await self._reading.due_before(to_ms(before))

    async def metrics(self, kind: Literal["completed", "failed"], *, start: int = 0, end: int = -1) -> Metrics:
        """How many jobs ended, and in which minute, from minute `start` to `end` (included), 0 being the newest.

        Only workers with `max_data_points` count.

        Raises:
            InvalidOption: neither "completed" nor "failed".
        """
        if kind not in ("completed", "failed"):
            raise InvalidOption(f"jobs end as 'completed' or 'failed', got {kind!r}")
        return metrics_of(*await self._reading.metrics(kind, start, end))

    async def is_paused(self) -> bool:
        """Whether the whole queue is paused: no worker anywhere takes a job."""
        return await self._reading.is_paused()

    async def meta(self) -> QueueMeta:
        """What holds for the queue as a whole, and which client's version of the data model it has."""
        return meta_of(await self._reading.meta())

    async def workers(self) -> list[WorkerInfo]:
        """The workers of this queue that are connected, of whatever language. Some hosts do not tell: then none."""
        return workers_among(await self._reading.clients(), client_name(self.keys.prefix, self.name))

    async def listeners(self) -> list[ListenerInfo]:
        """Those who hear the queue's events, `QueueEvents` of whatever language. Some hosts do not tell: then none."""
        return listeners_among(await self._reading.clients(), client_name(self.keys.prefix, self.name))

    # Schedulers

    async def schedulers(self, *, start: int = 0, end: int = -1) -> list[Scheduler]:
        """The schedulers that have a run to come, those due first first."""
        return await listing(self._scheduling, start, end)

    async def scheduler_count(self) -> int:
        """How many schedulers there are, without reading them."""
        return await self._reading.scheduler_count()

    async def get_scheduler(self, scheduler_id: str) -> Scheduler | None:
        """The scheduler with this id; None if there is none or it has ended."""
        return await find(self._scheduling, scheduler_id)

    @property
    def _reading(self) -> Reading:
        return Reading(self.client, self.keys)

    @property
    def _scheduling(self) -> Scheduling:
        return Scheduling(self.client, self.keys)

    def _job(self, job_id: str, fields: dict[str, str]) -> Job[Any]:
        codec: Codec[Any] = Codec(self.name)
        return codec.job(job_id, fields)


def _spans(start: int, end: int) -> Iterator[tuple[int, int]]:
    """The places `start` to `end` in pieces that one call reads: the first of each, and how many."""
    if start < 0 or end < -1:
        raise InvalidOption(f"places count from 0, and only an end of -1 means the last, got {start} to {end}")
    while end == -1 or start <= end:
        yield start, PAGE if end == -1 else min(PAGE, end - start + 1)
        start += PAGE


def _is_meant(job: Job[Any], name: str | None, where: Callable[[Job[Any]], bool] | None) -> bool:
    return (name is None or job.name == name) and (where is None or where(job))
