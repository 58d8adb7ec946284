"""The schedulers of a queue: made, changed and removed. `Queue` is one; `scheduler.py` does the work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from carequeue import scheduler
from carequeue.audit import Audit, Cursor
from carequeue.clock import SystemClock
from carequeue.dead_letters import DeadLetters
from carequeue.errors import InvalidOption
from carequeue.kind import JobKind, new_job
from carequeue.options import UNSAID, JobOptions, JobWords
from carequeue.timetable import Timetable
from carequeue.wire.codec import Codec, encode_job, encode_options
from carequeue.wire.schedule import Template, run_id
from carequeue.wire.times import from_ms

if TYPE_CHECKING:
    from carequeue.audit import SchedulerRepair
    from carequeue.clock import Clock
    from carequeue.job import Job
    from carequeue.repeat import Repeat
    from carequeue.store.connection import Connection
    from carequeue.telemetry import Telemetry
    from carequeue.timetable import RepeatStrategy

P = TypeVar("P")


class Schedules(DeadLetters):
    """Jobs that repeat, by the id of their scheduler."""

    def __init__(
        self,
        name: str,
        connection: Connection = "redis://localhost:6379",
        *,
        prefix: str = "bull",
        telemetry: Telemetry | None = None,
        default_options: JobOptions | None = None,
        repeat_strategy: RepeatStrategy | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(name, connection, prefix=prefix, telemetry=telemetry)
        self._defaults = default_options or UNSAID
        self._strategy = repeat_strategy
        self._clock = clock or SystemClock()

    @overload
    async def schedule(
        self, scheduler_id: str, repeat: Repeat, kind: JobKind[P], data: P, **options: Unpack[JobWords]
    ) -> Job[P]: ...
    @overload
    async def schedule(
        self, scheduler_id: str, repeat: Repeat, kind: str, data: Any = None, **options: Unpack[JobWords]
    ) -> Job[Any]: ...
    async def schedule(
        self,
        scheduler_id: str,
        repeat: Repeat,
        kind: JobKind[Any] | str,
        data: Any = None,
        **options: Unpack[JobWords],
    ) -> Job[Any]:
        """Create a scheduler, or change the one with this id; returns its next run.

        Call it as often as you like: with the same times nothing moves, not even a run that is late. Each run is added
        when the one before starts, with these options. When its limit or end is reached a scheduler is gone from the
        listing, and scheduling it again starts anew.

        Raises:
            PayloadError, InvalidOption: as `add`; or the scheduler would never run.
            SchedulerBusy: other programs keep changing it, or the slots of its next runs are taken.
        """
        if not scheduler_id or not scheduler_id.isprintable():
            raise InvalidOption(f"a scheduler's id is printable text and not empty, got {scheduler_id!r}")
        new = new_job(kind, data, options)
        said = new.options.over(self._defaults)
        if any(
            each is not None
            for each in (said.job_id, said.delay, said.run_at, said.timestamp, said.parent, said.expires_at)
        ):
            raise InvalidOption("the runs of a scheduler have ids and times of their own, and no parent")
        if said.when_exists == "rerun":
            raise InvalidOption("the runs of a scheduler have ids of their own: none of them is added twice")
        if said.deduplication is not None:
            raise InvalidOption(
                "the runs of a scheduler are not deduplicated: one that is kept out would end the chain"
            )
        self._check_letters([said.dead_letters])
        now = self._now()
        record = encode_job(new, self._defaults, from_ms(now))
        opts = {word: value for word, value in encode_options(said).items() if (word, value) != ("attempts", 0)}
        timetable = Timetable(scheduler_id, repeat, self._strategy)
        with self.telemetry.adding("schedule", self.name, [new.name]) as adding:
            template = Template(new.name, record.data, opts, adding.carrier)
            run = await scheduler.upsert(self._scheduling, timetable, template, now)
            stored = {
                "name": run.name, "data": run.data, "opts": run.opts, "timestamp": str(run.timestamp),
                "delay": str(run.delay), "priority": str(run.priority), "rjk": scheduler_id,
            }  # fmt: skip
            job = Codec(self.name, new.payload_type).job(run_id(scheduler_id, run.due), stored)
            adding.added([job])
        return job

    async def unschedule(self, scheduler_id: str) -> bool:
        """Remove a scheduler and the run that it waits for; False if there is none. A run that has started goes on."""
        return await self._scheduling.remove(scheduler_id, self._now())

    async def audit_schedulers(self) -> list[SchedulerRepair]:
        """Look at all schedulers and give each whose next run was lost one again; remove those that have none left.

        Workers do it by themselves. Answers what was found: nothing, if all is well. Safe to repeat.
        """
        audit = Audit(self._scheduling, self._strategy)
        return [repair async for repair in audit.walk(self._now(), Cursor())]

    def _now(self) -> int:
        return self._clock.now_ms()
