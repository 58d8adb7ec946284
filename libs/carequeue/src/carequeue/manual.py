"""ManualWorker: takes jobs one by one when it is asked to, for programs that have a loop of their own.

async with ManualWorker("pictures", "redis://localhost") as worker:
    while held := await worker.next_job(wait=timedelta(seconds=30)):
        async with held:
            await held.complete(await paint(held.job.data))
"""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, overload

from carequeue.clock import Clock, SystemClock
from carequeue.ending import end
from carequeue.errors import ConnectionLost, InvalidOption, JobError, JobNotFound, LockLost, PayloadError, Unrecoverable
from carequeue.held import Bench, HeldJob
from carequeue.options import ZERO
from carequeue.scheduler import advance
from carequeue.store.commands import Commands, MarkerQueue, Step
from carequeue.store.connected import Connected
from carequeue.store.connection import client_name
from carequeue.store.reading import Reading
from carequeue.store.scheduling import Scheduling
from carequeue.store.server import WORKER, Rights, greet
from carequeue.wire.codec import Codec
from carequeue.wire.keep import keep_rule
from carequeue.wire.keys import QueueKeys
from carequeue.worker.executor import STARTED_TOO_OFTEN
from carequeue.worker.letter_box import check_letters, letter_box
from carequeue.worker.outcome import EXPIRED, Rules
from carequeue.worker.terms import terms_of
from carequeue.worker_options import WorkerOptions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta
    from typing import Self, TypeVar, Unpack

    from carequeue.backoff import BackoffStrategy
    from carequeue.kind import JobKind
    from carequeue.misfire import MissedRun
    from carequeue.store.client import LinkedRedis
    from carequeue.store.commands import FetchedJob
    from carequeue.store.connection import Connection
    from carequeue.store.step import StepReply
    from carequeue.worker_options import WorkerWords

    P = TypeVar("P")

log: logging.Logger = logging.getLogger("carequeue.worker")

BLOCK_SLACK = 0.5
"""Seconds by which Redis's own end of a blocking call comes after ours."""


class ManualWorker(Connected):
    """A worker of one queue without handlers: `async with ManualWorker("pictures", url) as worker`.

    `options` or single ones by name, as for Worker; `concurrency`, `batch` and `grace` mean nothing here. It is listed
    among the queue's workers, keeps the same limits, makes the next runs of schedulers, and while it is open it looks
    for stalled jobs. A job that is still held when it is closed is left to the stall check.
    """

    def __init__(
        self,
        queue: str,
        /,
        connection: Connection = "redis://localhost:6379",
        *,
        prefix: str = "bull",
        options: WorkerOptions | None = None,
        backoff_strategies: Mapping[str, BackoffStrategy] | None = None,
        clock: Clock | None = None,
        **single_options: Unpack[WorkerWords],
    ) -> None:
        self.queue: str = queue
        self.keys: QueueKeys = QueueKeys(prefix, queue)
        super().__init__(connection, self.keys.base)
        self._options = replace(options or WorkerOptions(), **single_options)
        self._terms = terms_of(queue, self._options)
        self._rules = Rules(
            random.random,
            keep_rule(self._options.keep_completed),
            keep_rule(self._options.keep_failed),
            backoff_strategies or {},
            letter_box(self.keys, self._source, self._options.dead_letters),
        )
        self._clock = clock or SystemClock()
        self._tokens = 0
        self._blocking: LinkedRedis | None = None
        self._owes_marker = False
        self._checking: asyncio.Task[None] | None = None

    async def open(self) -> Self:
        """Check the server, be listed as a worker, and look for stalled jobs from now on.

        Raises:
            ConnectionLost: nobody answers at this address.
            UnsuitableRedis: older than 6.2, or it evicts keys.
            NotPermitted: this user may not do what a worker does.
        """
        await super().open()
        await Rights(self.client, self.keys).check(*WORKER)
        await check_letters(self.client, self.keys, self._options.dead_letters)
        await greet(self._listener)
        if not self._options.skip_stalled_check and self._checking is None:
            self._checking = asyncio.create_task(self._look_for_stalled(), name=f"carequeue:{self.queue}:stalled")
        return self

    async def close(self) -> None:
        """Close the connections. Jobs that are still held keep their locks until these run out."""
        if self._checking is not None:
            await end([self._checking])
            self._checking = None
        with suppress(ConnectionLost):
            await self._give_back()
        if self._blocking is not None:
            await self._blocking.aclose()
            self._blocking = None
        await super().close()

    # Taking

    @overload
    async def next_job(self, *, wait: timedelta = ZERO) -> HeldJob[Any] | None: ...
    @overload
    async def next_job(self, kind: JobKind[P], *, wait: timedelta = ZERO) -> HeldJob[P] | None: ...
    async def next_job(self, kind: JobKind[Any] | None = None, *, wait: timedelta = ZERO) -> HeldJob[Any] | None:
        """Take the next job, or wait for one up to `wait`; None: there is none, or the queue is paused or limited.

        `kind` is how its data is read, not which jobs are taken. A job that cannot run (its data does not fit, it
        stalled or was started too often, a child failed it) fails as in any worker, and the next one is taken.

        Raises:
            InvalidOption: a negative `wait`.
            ConnectionLost: a job that was taken all the same comes back by the stall check.
        """
        if wait < ZERO:
            raise InvalidOption(f"a wait is 0 or longer, got {wait}")
        loop = asyncio.get_running_loop()
        until = loop.time() + wait.total_seconds()
        interrupted = False
        while True:
            held, reply = await self._take(kind)
            # This look has passed a wake-up on, or found nothing to wake others for; unless one came after it.
            self._owes_marker = held is not None and interrupted
            if held is not None:
                await self._give_back()
                return held
            left = until - loop.time()
            if left <= 0:
                return None
            interrupted = await self._listen(left, self._sooner(reply))

    async def held(self, job_id: str, token: str) -> HeldJob[Any]:
        """A job that was taken before, here or in another process, by the token of its lock.

        Raises:
            JobNotFound: there is no such job.
            LockLost: the lock ran out, or is somebody else's.
        """
        reading = Reading(self.client, self.keys)
        fields, owner = await reading.job(job_id), await reading.text(self.keys.lock(job_id))
        if fields is None:
            raise JobNotFound(job_id)
        if owner != token:
            raise LockLost(job_id)
        codec: Codec[Any] = Codec(self.queue)
        return HeldJob(codec.job(job_id, fields), token, self._bench)

    async def check_stalled(self) -> list[str]:
        """Put back what workers that went away held, and return the ids. An open ManualWorker does it by itself."""
        return await self._commands.check_stalled(
            max_stalled=self._terms.max_stalled, interval_ms=self._terms.stalled_ms, now=self._clock.now_ms()
        )

    # Inside

    async def _take(self, kind: JobKind[Any] | None) -> tuple[HeldJob[Any] | None, StepReply]:
        while True:
            reply = await self._commands.step(self._step(1))
            if not reply.jobs:
                return None, reply
            held = self._hold(reply.jobs[0])
            missed = await self._advance(held)
            if await self._turned_away(held, missed):
                continue
            try:
                return (held.typed(kind.payload_type) if kind else held), reply
            except PayloadError as error:
                await held.fail(Unrecoverable(f"the job's data cannot be read: {error}"))

    async def _turned_away(self, held: HeldJob[Any], missed: MissedRun | None) -> bool:
        """End a job that may not run, as every worker does; False if it may."""
        job, most = held.job, self._terms.max_started
        if job.condemned == EXPIRED:
            await held.expire()
        elif job.condemned is not None:
            await held.fail(Unrecoverable(job.condemned))
        elif most is not None and job.attempts_started > most:
            await held.fail(Unrecoverable(STARTED_TOO_OFTEN))
        elif missed is not None:
            log.info("scheduler.missed", extra={"queue": self.queue, "job_id": job.id})
            await held.fail(missed)  # it says skipped, which completes
        return held.ended

    def _hold(self, fetched: FetchedJob) -> HeldJob[Any]:
        codec: Codec[Any] = Codec(self.queue)
        return HeldJob(codec.job(fetched.id, fetched.fields), fetched.token, self._bench)

    async def _advance(self, held: HeldJob[Any]) -> MissedRun | None:
        """The scheduler's next run is made before this one is handed out, as every client of the queue does it. Answers
        why this one is not to run, if so.
        """
        strategy = self._options.repeat_strategy
        try:
            return await advance(Scheduling(self.client, self.keys), held.job, self._clock.now_ms(), strategy=strategy)
        except ConnectionLost:
            with suppress(ConnectionLost, JobError):
                await held.move_to_wait()  # whoever takes it next makes the next run first
            raise
        except Exception:  # this run is due all the same; a scheduler that cannot go on must be heard of
            log.exception("scheduler.stuck", extra={"queue": self.queue, "scheduler_id": held.job.scheduler_id})
        return None

    def _sooner(self, reply: StepReply) -> float | None:
        """Seconds after which another look may find something, as far as is known."""
        known: list[float] = []
        if reply.next_due is not None:
            known.append((reply.next_due - self._clock.now_ms()) / 1000)
        if reply.limited_for:
            known = [reply.limited_for / 1000]  # whatever is due before: nothing starts until then
        return max(min(known), 0) if known else None

    async def _listen(self, left: float, sooner: float | None) -> bool:
        """Until there may be something to take, or for `left` seconds; answers whether a wake-up may have been lost."""
        seconds = min(left, self._terms.block, sooner if sooner is not None else left)
        listening = asyncio.ensure_future(self._markers.pop(seconds + BLOCK_SLACK))
        self._owes_marker = True
        try:
            await asyncio.wait({listening}, timeout=seconds)
        finally:
            interrupted = not listening.done()
            await end([listening])
        if not interrupted:
            listening.result()
        return interrupted

    async def _give_back(self) -> None:
        if self._owes_marker:
            self._owes_marker = False
            await self._commands.step(self._step(0))

    async def _look_for_stalled(self) -> None:
        while True:
            try:
                for job_id in await self.check_stalled():
                    log.warning("job.stalled", extra={"queue": self.queue, "job_id": job_id})
            except Exception as error:  # noqa: BLE001 - the next round tries again
                log.warning("worker.disconnected", extra={"queue": self.queue, "error": str(error)})
            await asyncio.sleep(self._terms.stalled_ms / 1000)

    def _step(self, fetch: int) -> Step:
        terms, first = self._terms, self._tokens
        self._tokens += fetch
        return Step(
            finishes=(),
            fetch=fetch,
            now=self._clock.now_ms(),
            token_prefix=terms.token_prefix,
            token_from=first,
            lock_ms=terms.lock_ms,
            worker_name=terms.name,
            limit=terms.limit,
            limit_ms=terms.limit_ms,
        )

    @property
    def _bench(self) -> Bench:
        return Bench(self._commands, self._terms, self._rules, self._clock)

    @property
    def _commands(self) -> Commands:
        return Commands(self.client, self.keys)

    @property
    def _markers(self) -> MarkerQueue:
        return MarkerQueue(self._listener, self.keys)

    @property
    def _listener(self) -> LinkedRedis:
        """The client that blocks. It bears the name by which BullMQ's getWorkers finds workers."""
        if self._blocking is None:
            suffix = f":w:{self._options.name}" if self._options.name else ""
            name = client_name(self.keys.prefix, self.queue, suffix)
            self._blocking = self._source.blocking(self.keys.base, self._options.drain_delay, name)
        return self._blocking
