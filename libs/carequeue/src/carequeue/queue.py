"""Queue: adds jobs, changes them, and looks at them (what it shows is in `inspect.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, overload

from carequeue.children import Children
from carequeue.errors import InvalidOption, JobNotFound
from carequeue.groups import Groups
from carequeue.kind import JobKind, NewJob, new_job
from carequeue.options import MAX_PRIORITY, ZERO, JobOptions, JobWords, ParentRef
from carequeue.store.administration import Administration
from carequeue.store.commands import DEFAULT_MAX_EVENTS, Commands
from carequeue.store.connection import check_together
from carequeue.store.flows import Flows
from carequeue.store.server import PRODUCER, Rights
from carequeue.upkeep import Upkeep
from carequeue.wire.codec import Codec, JobEncoder, encode_data
from carequeue.wire.json_text import stringify
from carequeue.wire.keys import split_job_key
from carequeue.wire.times import from_ms, span_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta

    from carequeue.clock import Clock
    from carequeue.job import Job
    from carequeue.store.connection import Connection
    from carequeue.telemetry import Telemetry
    from carequeue.timetable import RepeatStrategy
    from carequeue.tracing import Operation

P = TypeVar("P")


class Queue(Upkeep, Groups):
    """A queue by its name: `async with Queue("reminders", "redis://localhost") as queue`.

    `connection` is a URL, or a ready client, which stays yours to close (docs/connections.md). `default_options` hold
    for jobs that do not say otherwise. Every method raises ConnectionLost if Redis does not answer, and nothing is ever
    sent twice: the command may have run then. Repeating it is harmless unless a method says otherwise. `telemetry`
    hears what is added, and a tracing in it goes along with the jobs. `repeat_strategy` finds the next runs of
    schedulers with a pattern, `clock` tells the time.
    """

    def __init__(
        self,
        name: str,
        connection: Connection = "redis://localhost:6379",
        *,
        prefix: str = "bull",
        default_options: JobOptions | None = None,
        max_events: int = DEFAULT_MAX_EVENTS,
        telemetry: Telemetry | None = None,
        repeat_strategy: RepeatStrategy | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(
            name, connection, prefix=prefix, telemetry=telemetry, default_options=default_options,
            repeat_strategy=repeat_strategy, clock=clock,
        )  # fmt: skip
        self._max_events = max_events

    async def open(self) -> Self:
        """Check the server and make the queue known to others that look for it.

        Raises:
            ConnectionLost: nobody answers at this address.
            UnsuitableRedis: older than 6.2, or it evicts keys.
            NotPermitted: this user may not do what adding a job takes.
        """
        await super().open()
        await Rights(self.client, self.keys).check(*PRODUCER)
        await self._commands.announce()
        return self

    # Adding

    @overload
    async def add(self, kind: JobKind[P], data: P, **options: Unpack[JobWords]) -> Job[P]: ...
    @overload
    async def add(self, kind: str, data: Any = None, **options: Unpack[JobWords]) -> Job[Any]: ...
    async def add(self, kind: JobKind[Any] | str, data: Any = None, **options: Unpack[JobWords]) -> Job[Any]:
        """Add a job; its options win over the kind's, those over the queue's.

        A job that its `deduplication` keeps out is not added; what comes back has the id of the one that is there.

        A `job_id` that exists already, finished jobs that are kept included, adds nothing and is no error: so with a
        `job_id` adding may be repeated after ConnectionLost. Without one a repetition may add the job twice.
        With `when_exists="rerun"` a job that has finished is added anew and runs again; a repetition may do that twice.

        Raises:
            PayloadError: the data does not fit the kind, cannot be JSON, or is larger than `size_limit`.
            InvalidOption: an option cannot be used.
            ParentNotFound: the parent does not exist.
            WrongState: the job exists and belongs to another living parent.
            JobLocked: with `when_exists="rerun"`, the job is running: nothing was added.
            GroupFull: as many jobs wait in its group as may.
        """
        [job] = await self._add("add", [new_job(kind, data, options)])
        return job

    async def add_bulk(self, jobs: Iterable[NewJob[P]]) -> list[Job[P]]:
        """Add jobs in few round trips and return them in their order. Raises as `add`.

        If the data of one cannot be stored, none is added. Children, and jobs of groups, go out a thousand at a
        time: those are added together or, if a parent is missing or a group full, not at all. Repeating is harmless
        only if every job has an id.
        """
        wanted = list(jobs)
        return await self._add("add_bulk", wanted) if wanted else []

    async def _add(self, operation: Operation, jobs: Sequence[NewJob[P]]) -> list[Job[P]]:
        with self.telemetry.adding(operation, self.name, [job.name for job in jobs]) as adding:
            self._check_letters({job.options.dead_letters for job in jobs} | {self._defaults.dead_letters})
            now = self._now()
            record = JobEncoder(self._defaults, from_ms(now), adding.carrier).record
            records = [record(job) for job in jobs]  # all of them, so that one that does not fit costs none
            if self._source.in_cluster:
                check_together(self.keys.base, *(split_job_key(record.parent_key)[0] for record in records))
            ids = await self._commands.add(records, now)
            codecs = {kind: Codec(self.name, kind) for kind in {job.payload_type for job in jobs}}
            added = [
                codecs[job.payload_type].job(job_id, record.fields)
                for job, job_id, record in zip(jobs, ids, records, strict=True)
            ]
            adding.added(added)
        return added

    # One job

    async def remove(self, job_id: str, *, children: bool = True) -> bool:
        """Remove a job, by default with its children; False if there is none.

        Raises:
            JobLocked: a worker holds it, or a child.
            SchedulerOwnsJob: it is the next run of a scheduler: `unschedule` that.
        """
        try:
            await self._administration.remove(job_id, self._now(), children=children)
        except JobNotFound:
            return False
        self.telemetry.emit("job.removed", queue=self.name, job_id=job_id)
        return True

    async def retry(self, job_id: str, *, reset_attempts: bool = False) -> None:
        """Run a failed or completed job again; with `reset_attempts` it has all its attempts once more.

        Raises:
            JobNotFound: there is no such job.
            WrongState: it has not finished. After a repetition this may mean that the first call did it.
        """
        await self._administration.retry(job_id, self._now(), reset_attempts=reset_attempts)

    async def promote(self, job_id: str) -> None:
        """Let a delayed job run now.

        Raises:
            JobNotFound: there is no such job.
            WrongState: it is not delayed. After a repetition this may mean that the first call did it.
        """
        await self._administration.promote(job_id)

    async def change_priority(self, job_id: str, priority: int, *, lifo: bool = False) -> None:
        """Give a job another priority, with `lifo` before all others of that priority.

        Raises:
            InvalidOption: no such priority.
            JobNotFound: there is no such job.
        """
        if not 0 <= priority <= MAX_PRIORITY:
            raise InvalidOption(f"a priority is between 0 (first) and {MAX_PRIORITY}, got {priority}")
        await self._administration.change_priority(job_id, priority, at_front=lifo)

    async def change_delay(self, job_id: str, delay: timedelta) -> None:
        """Let a delayed job run `delay` from now.

        Raises:
            InvalidOption: a negative delay.
            JobNotFound: there is no such job.
            WrongState: it is not delayed (any more).
        """
        if delay < ZERO:
            raise InvalidOption(f"a delay is 0 or more, got {delay}")
        await self._administration.change_delay(job_id, self._now(), span_ms(delay))

    async def update_data(self, job_id: str, data: Any, kind: JobKind[Any] | None = None) -> None:
        """Replace the data of a job; an attempt that runs keeps what it started with.

        Raises:
            PayloadError: the data does not fit the kind or cannot be JSON.
            JobNotFound: there is no such job.
        """
        await self._administration.update_data(job_id, encode_data(kind.payload_type if kind else None, data))

    async def update_progress(self, job_id: str, progress: Any) -> None:
        """Note how far a job is; events tell it.

        Raises:
            PayloadError: JSON cannot carry the value.
            JobNotFound: there is no such job.
        """
        await self._commands.update_progress(job_id, stringify(progress, "progress"))

    async def log(self, job_id: str, row: str, *, keep: int = 0) -> int:
        """Add a row to the job's log, keep the newest `keep` (0: all), and return how many there are.

        A repetition after ConnectionLost may add the row twice.

        Raises:
            JobNotFound: there is no such job.
        """
        return await self._commands.add_log(job_id, row, keep)

    async def clear_logs(self, job_id: str, *, keep: int = 0) -> None:
        """Remove the rows of a job's log, except the newest `keep`.

        Raises:
            InvalidOption: a negative `keep`.
        """
        if keep < 0:
            raise InvalidOption(f"keep is 0 or more rows, got {keep}")
        await self._administration.trim_log(job_id, keep)

    async def remove_deduplication(self, deduplication_id: str, *, owner: str | None = None) -> bool:
        """Let the next job with this deduplication id be added, whatever became of the last; False if one could be.

        `owner`: only if it is the job with this id that keeps others out.
        """
        return await self._administration.close_window(deduplication_id, owner)

    # Parents and children

    def parent_ref(self, job_id: str) -> ParentRef:
        """A job of this queue as the parent of another: `other.add(…, parent=queue.parent_ref(job.id))`."""
        return ParentRef(job_id, self.keys.base)

    def children(self, job_id: str) -> Children:
        """What the children of a job came to. Nothing is asked yet."""
        return Children(self.client, self.keys, job_id)

    async def remove_child_dependency(self, job_id: str) -> bool:
        """Let the parent of a job no longer wait for it; False if it does not.

        Raises:
            JobNotFound: there is no such job.
        """
        return await Flows(self.client, self.keys).leave_parent(job_id, self._now())

    # The queue

    async def pause(self) -> None:
        """Let no worker anywhere take a job; what is active goes on."""
        await self._administration.pause()
        self.telemetry.emit("queue.paused", queue=self.name)

    async def resume(self) -> None:
        """Let workers take jobs again."""
        await self._administration.resume()
        self.telemetry.emit("queue.resumed", queue=self.name)

    @property
    def _commands(self) -> Commands:
        return Commands(self.client, self.keys, max_events=self._max_events)

    @property
    def _administration(self) -> Administration:
        return Administration(self.client, self.keys)
