"""Dead letters: what a queue gets about each job of another queue that failed for good, and how such a job is put back.

A letter is an ordinary job, so a worker may read it. `Queue` is a DeadLetters.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from carequeue.errors import InvalidOption, JobNotFound, WrongState
from carequeue.failures import Failures
from carequeue.store.connection import check_together
from carequeue.store.letters import CHANGED, Letters, Returned
from carequeue.wire import codes
from carequeue.wire.grouping import wire_priority
from carequeue.wire.json_text import stringify
from carequeue.wire.times import from_ms

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping
    from datetime import datetime

    from carequeue.job import Job
    from carequeue.store.administration import WireState
    from carequeue.wire.keys import QueueKeys

TRIES = 10
"""How often a letter that changes under our hands is looked at again."""
PAGE = 100
UNREAD: tuple[WireState, ...] = ("wait", "paused", "prioritized", "delayed", "failed")
"""Where the letters are that nobody has dealt with."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What a letter says: the job that failed for good, and why."""

    id: str
    """The letter's own id: `dead:<queue>:<job id>`, with a number behind it if that one was being read."""
    queue: str
    queue_key: str
    """`prefix:queue` of the job's queue."""
    job_id: str
    name: str
    data: Any
    reason: str
    attempts_made: int
    added_at: datetime
    failed_at: datetime
    stacktrace: tuple[str, ...]
    raw_options: Mapping[str, Any]
    """The job's options in BullMQ's own words."""

    @classmethod
    def of(cls, job: Job[Any]) -> DeadLetter:
        """Read a letter, as in a handler of the queue that gets them.

        Raises:
            WrongState: it is another job.
        """
        data: object = job.data
        found = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
        if not isinstance(job.raw_options.get("letterOf"), str) or not {"queueKey", "jobId"} <= found.keys():
            raise WrongState(job.id, "it is no dead letter")
        options, traces = found.get("opts"), found.get("stacktrace")
        return cls(
            id=job.id,
            queue=str(found.get("queue")),
            queue_key=str(found["queueKey"]),
            job_id=str(found["jobId"]),
            name=str(found.get("name", "")),
            data=found.get("data", found.get("dataText")),
            reason=str(found.get("reason", "")),
            attempts_made=int(found.get("attemptsMade", 0)),
            added_at=from_ms(found.get("timestamp", 0)),
            failed_at=from_ms(found.get("failedAt", 0)),
            stacktrace=tuple(cast("list[str]", traces)) if isinstance(traces, list) else (),
            raw_options=cast("dict[str, Any]", options) if isinstance(options, dict) else {},
        )


class DeadLetters(Failures):
    """The letters in a queue."""

    async def letters(self, *, page: int = PAGE) -> AsyncIterator[DeadLetter]:
        """The letters that nobody has dealt with: those that wait, the newest first, and those that a worker failed at.

        They are read as `find` reads jobs. Other jobs of the queue are passed over.
        """
        async for job in self.iterate(("waiting", "prioritized", "delayed", "failed"), page):
            if "letterOf" in job.raw_options:
                yield DeadLetter.of(job)

    async def replay(self, letter_id: str) -> DeadLetter:
        """Put the job of a letter back to its queue, with all its attempts, and remove the letter, both or neither.

        The job gets the data that stands in the letter, so that one can be corrected (`update_data`). If it is waiting
        or running already, the letter is only removed. A parent that went on without the job does not get it back.

        Raises:
            JobNotFound: there is no such letter. After a repetition this may mean that the first call did it.
            JobLocked: a worker is reading the letter.
            WrongState: it is no letter, or its job has completed in the meantime.
        """
        for _ in range(TRIES):
            job = await self.get(letter_id)
            if job is None:
                raise JobNotFound(letter_id)
            letter = DeadLetter.of(job)
            code = await self._replay(job, letter)
            if code == codes.WRONG_STATE:
                raise WrongState(letter_id, f"the job {letter.job_id} of {letter.queue} has completed in the meantime")
            if code != CHANGED:
                if code < codes.FINE:
                    raise codes.error_of(code, letter_id)
                return letter
        raise WrongState(letter_id, "it keeps changing")

    async def replay_all(
        self,
        *,
        count: int | None = None,
        name: str | None = None,
        where: Callable[[DeadLetter], bool] | None = None,
    ) -> int:
        """Put back the jobs of the letters that nobody has dealt with, the oldest first, and return how many.

        `count` bounds the number; only jobs with a `name`, or for whose letter `where(letter)` holds. As many letters
        are looked at as there are at the beginning. Those whose job has completed stay, and those that a worker reads.
        Each is put back by itself.
        """
        put_back = start = 0
        left: int | None = None
        while left is None or left > 0:
            places, jobs = await self._reading.page(UNREAD, start, PAGE, ascending=True)
            left = places if left is None else left
            gone = 0
            for job in (self._job(job_id, fields) for job_id, fields in jobs):
                if put_back == count:
                    return put_back
                if _is_meant(job, name, where) and await self._replay(job, DeadLetter.of(job)) >= codes.FINE:
                    gone += 1
                    put_back += 1
            start += PAGE - gone
            left -= PAGE
        return put_back

    async def _replay(self, job: Job[Any], letter: DeadLetter) -> int:
        fields, options = job.fields, letter.raw_options
        stored = cast("dict[str, Any]", job.data)
        returned = Returned(
            base=letter.queue_key,
            job_id=letter.job_id,
            name=letter.name,
            data=stringify(stored["data"]) if "data" in stored else str(stored.get("dataText", "{}")),
            opts=stringify(dict(options)),
            priority=wire_priority(options),
            lifo=options.get("lifo") is True,
        )
        return await Letters(self.client, self.keys).replay(job.id, fields.get("data", ""), returned, _now())

    def _check_letters(self, names: Iterable[str | None]) -> None:
        """Refuse queues that cannot have letters about this queue's jobs.

        Raises:
            InvalidOption: it is this one, or in another slot of a cluster.
        """
        for base in [letters_base(name, self.keys) for name in names if name is not None]:
            if self._source.in_cluster:
                check_together(self.keys.base, base)


def _is_meant(job: Job[Any], name: str | None, where: Callable[[DeadLetter], bool] | None) -> bool:
    if "letterOf" not in job.raw_options or (name is not None and job.name != name):
        return False
    return where is None or where(DeadLetter.of(job))


def letters_base(name: str | None, keys: QueueKeys) -> str:
    """`prefix:queue` of the queue called `name` beside the queue `keys`; empty without a name.

    Raises:
        InvalidOption: it is the same queue.
    """
    if name is None:
        return ""
    if name == keys.queue:
        raise InvalidOption(f"dead letters of {name!r} go to another queue: it cannot be its own")
    return f"{keys.prefix}:{name}"


def _now() -> int:
    return time.time_ns() // 1_000_000
