"""Runs the handler of each fetched job in a task of its own and turns how it ended into an outcome."""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from carequeue.children import Children
from carequeue.errors import AttemptCancelled, ConnectionLost, LockLost, PayloadError, Unrecoverable
from carequeue.wire.codec import TIMEOUT, Codec, encode_data
from carequeue.worker.batches import Batches
from carequeue.worker.context import JobContext, ThreadJobContext
from carequeue.worker.messages import order_of
from carequeue.worker.outcome import EXPIRED, Attempt, expired, handed_back, raised, returned, traced
from carequeue.worker.run import Run
from carequeue.worker.stopping import Stopping

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence

    from carequeue.job import Job
    from carequeue.misfire import MissedRun
    from carequeue.store.commands import Commands, FetchedJob
    from carequeue.worker.handlers import Handler, Handlers
    from carequeue.worker.lock_keeper import Lock
    from carequeue.worker.outcome import Outcome, Rules
    from carequeue.worker.processes import Processes
    from carequeue.worker.setting import Setting
    from carequeue.worker.slots import Slots
    from carequeue.worker.threads import Threads

log: logging.Logger = logging.getLogger("carequeue.worker")

STARTED_TOO_OFTEN = "job started more than allowable limit"


class Executor:
    """The runs of one worker, by the token of their lock."""

    def __init__(
        self,
        setting: Setting,
        commands: Commands,
        slots: Slots,
        handlers: Handlers,
        rules: Rules,
        threads: Threads,
        processes: Processes,
        advance: Callable[[Job[Any], int, Callable[[str], None]], Awaitable[MissedRun | None]],
    ) -> None:
        self._setting = setting
        self._terms = setting.terms
        self._hooks = setting.hooks
        self._commands = commands
        self._slots = slots
        self._handlers = handlers
        self._rules = rules
        self._threads = threads
        self._processes = processes
        self._advance = advance
        self._stopping = Stopping(setting, self._give_up)
        self._traces = setting.traces
        self.batches: Batches = Batches(setting, threads, self._begin_in_batch)
        self._codec: Codec[Any] = Codec(setting.terms.queue)
        self._runs: dict[str, Run] = {}
        self.empty: asyncio.Event = asyncio.Event()
        """Nothing runs."""
        self.empty.set()

    @property
    def runs(self) -> Sequence[Run]:
        return list(self._runs.values())

    def lose(self, locks: Iterable[Lock]) -> None:
        """These locks are gone: stop their handlers, drop what they return."""
        for job_id, token in locks:
            run = self._runs.get(token)
            if run is None or run.lost:
                continue  # it ended, and Redis knows, or will answer to its report
            log.warning("lock.lost", extra=self._setting.about(job_id=job_id))
            self._setting.emit("lock.lost", job_id=job_id)
            run.lose()
            self._hooks.call("error", LockLost(job_id))

    def cancel(self, reason: str, job_id: str | None = None) -> int:
        """End the attempts at this job, or at all jobs; how many there were."""
        runs = [run for run in self._runs.values() if job_id is None or run.job.id == job_id]
        return sum(self._stopping.stop(run, AttemptCancelled(reason)) for run in runs)

    def start(self, jobs: Sequence[FetchedJob]) -> None:
        """Run these jobs. Without a task of its own until it waits where Python can do that (3.12)."""
        now = asyncio.get_running_loop().time()
        self.empty.clear()
        for fetched in jobs:
            run = Run(self._codec.job(fetched.id, fetched.fields), fetched.token, now)
            run.returning = self._slots.stopped  # came with the last call of a worker that closes
            self._runs[run.token] = run
            run.task = _spawn(self._run(run))

    async def _run(self, run: Run) -> None:
        run.began = True
        outcome = None
        if self._traces is not None:
            run.trace = self._traces.begin(run.job)
        try:
            outcome = await self._attempt(run)
            if run.trace is not None:
                outcome = traced(outcome, run.trace)
        finally:  # whatever happened, the slot is not taken any more
            del self._runs[run.token]
            if run.timer is not None:
                run.timer.cancel()
            if not self._runs:
                self.empty.set()
            if outcome is None or run.lost:
                self._slots.released()
                if run.trace is not None:
                    run.trace.settled(LockLost.__name__)
            else:
                self._slots.ended(outcome)
            if run.told and self._setting.telemetry.wanted("job.ended"):
                seconds = asyncio.get_running_loop().time() - run.started
                self._setting.emit("job.ended", job_id=run.job.id, name=run.job.name, seconds=seconds)

    async def _attempt(self, run: Run) -> Outcome:
        try:
            missed = None
            if run.job.scheduler_id is not None and not run.returning:
                missed = await self._advance_scheduler(run)
            if run.returning or run.lost:  # before its handler began; what is lost is dropped
                return handed_back(self._attempt_of(run))
            if run.job.condemned == EXPIRED:
                return expired(self._attempt_of(run), self._rules)
            if missed is not None and run.job.condemned is None:
                return raised(self._attempt_of(run), missed, self._rules)
            value = await self._perform(run)
        except (Exception, SystemExit, asyncio.CancelledError) as error:  # noqa: BLE001 - it is its job's
            ended = self._attempt_of(run)
            return handed_back(ended) if run.returning else raised(ended, run.settle(error), self._rules)
        return returned(self._attempt_of(run), value, self._rules)

    async def _perform(self, run: Run) -> Any:
        job = run.job
        if job.condemned is not None:
            raise Unrecoverable(job.condemned)
        if self._terms.max_started is not None and job.attempts_started > self._terms.max_started:
            raise Unrecoverable(STARTED_TOO_OFTEN)
        handler = self._handlers.find(job.name)
        if handler.payload_type is not None:
            run.job = job = job.typed(handler.payload_type)
        try:
            _ = job.data  # decoded here and kept, so that a handler never meets data of another shape
        except PayloadError as error:
            raise Unrecoverable(f"the job's data cannot be read: {error}") from error
        if handler.batch is not None:
            return await self.batches.join(run, handler, handler.batch)
        self._begin(run, handler)
        if run.stopped_by is not None:
            raise run.stopped_by
        if not handler.is_coroutine:
            return await self._perform_elsewhere(run, handler)
        if self._terms.timeout is not None or TIMEOUT in job.fields.get("opts", ""):
            self._stopping.watch(run)
        if run.context is not None:
            return await handler.function(job, run.context)
        return await handler.function(job)

    def _begin(self, run: Run, handler: Handler) -> None:
        """The handler begins, unless whoever is told so stops it."""
        if self._setting.telemetry.wanted("job.started"):
            self._tell_start(run.job)
        if self._hooks.wanted("active"):
            self._hooks.call("active", run.job)
        run.told = True
        if handler.takes_context:
            run.context = self._context(run)
        run.handling = run.stopped_by is None

    def _begin_in_batch(self, run: Run, handler: Handler) -> None:
        self._begin(run, handler)
        if run.handling:
            self._stopping.watch(run)

    async def _perform_elsewhere(self, run: Run, handler: Handler) -> Any:
        if handler.reference is not None:
            run.in_process = True
            context = run.context or self._context(run)
            order = order_of(handler.reference, run.job, context, takes_context=handler.takes_context, trace=run.trace)
            return await self._processes.run(order, context, partial(self._stopping.watch, run))
        self._stopping.watch(run)
        arguments: tuple[Any, ...] = (run.job,)
        if run.context is not None:
            arguments = (run.job, ThreadJobContext(run.context, asyncio.get_running_loop()))
        run.in_thread = True
        value = await self._threads.run(handler.function, *arguments)
        run.in_thread = False
        # a plain function may have made a coroutine: functools.partial, a lambda, a decorated handler
        return await value if inspect.isawaitable(value) else value

    async def _advance_scheduler(self, run: Run) -> MissedRun | None:
        """The scheduler's next run is made before this one runs, as every client of the queue does it. Answers why this
        one is not to run, if so.
        """
        try:
            now, advanced = self._setting.clock.now_ms(), partial(self._advanced, run)
            return await self._advance(run.job, now, advanced)
        except ConnectionLost as error:
            self._hooks.call("error", error)
            run.returning = True  # whoever takes the job next makes the next run first
        except Exception as error:  # this run is due all the same; a scheduler that cannot go on must be heard of
            scheduler_id = run.job.scheduler_id
            log.exception("scheduler.stuck", extra=self._setting.about(scheduler_id=scheduler_id))
            self._setting.emit("scheduler.stuck", scheduler_id=scheduler_id, error=type(error).__name__)
            self._hooks.call("error", error)
        return None

    def _advanced(self, run: Run, next_id: str) -> None:
        self._setting.emit("scheduler.advanced", scheduler_id=run.job.scheduler_id, job_id=next_id)
        if run.trace is not None:
            run.trace.note("scheduler advanced", job_id=next_id)

    def _give_up(self, run: Run) -> None:
        if run.stopped_by is None:
            return
        outcome = raised(self._attempt_of(run), run.stopped_by, self._rules)
        if run.trace is not None:
            run.trace.note("handler unstoppable")
            outcome, run.trace = traced(outcome, run.trace), None  # the report has it now, the handler no more
        self._slots.given_up(outcome)

    def _context(self, run: Run) -> JobContext:
        job = run.job
        return JobContext(
            job.id,
            run.token,
            job.attempts_made + 1,
            Children(self._commands.client, self._commands.keys, job.id),
            partial(self._update_progress, job),
            partial(self._add_log, job),
            partial(self._update_data, job, run.token),
        )

    async def _update_progress(self, job: Job[Any], value: Any) -> None:
        await self._commands.update_progress(job.id, encode_data(None, value))
        self._setting.emit("job.progress", job_id=job.id)
        self._hooks.call("progress", job, value)

    async def _update_data(self, job: Job[Any], token: str, data: Any) -> None:
        text = encode_data(self._handlers.find(job.name).payload_type, data)
        await self._commands.update_data(job.id, text, token)

    async def _add_log(self, job: Job[Any], row: str) -> int:
        keep = job.raw_options.get("kl")
        return await self._commands.add_log(job.id, row, keep if isinstance(keep, int) else 0)

    def _attempt_of(self, run: Run) -> Attempt:
        seconds = asyncio.get_running_loop().time() - run.started
        return Attempt(run.job, run.token, self._setting.clock.now_ms(), seconds)

    def _tell_start(self, job: Job[Any]) -> None:
        waited = None
        started, added = job.fields.get("processedOn"), job.fields.get("timestamp")
        if not job.attempts_made and started and added:
            delay = job.raw_options.get("delay")
            waited = (float(started) - float(added) - (delay if isinstance(delay, int) else 0)) / 1000
        attempt = job.attempts_made + 1
        self._setting.emit("job.started", job_id=job.id, name=job.name, attempt=attempt, waited=waited)


def _spawn(run: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    if sys.version_info >= (3, 12):
        return asyncio.Task(run, loop=asyncio.get_running_loop(), eager_start=True)
    return asyncio.create_task(run)
