"""Batches: jobs of one name that are handed to their handler as one list.

Each job has a run of its own that waits here, so its lock, its timeout and how it ends are its own as well. What they
share is the handler's task. A batch gathers until it has its size; or its minimum, and no more came with the same call
to Redis; or its time is over.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from carequeue.errors import BatchFailure, Instruction, Unrecoverable
from carequeue.tracing import safely
from carequeue.worker.batch_context import BatchContext, ThreadBatchContext

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from carequeue.clock import Timer
    from carequeue.worker.handlers import BatchTerms, Handler
    from carequeue.worker.run import Run
    from carequeue.worker.setting import Setting
    from carequeue.worker.threads import Threads


@dataclass(frozen=True, slots=True)
class Ending:
    """How one job of a batch ended: with a value, or an error."""

    value: Any = None
    error: BaseException | None = None
    trace: TracebackType | None = None

    @classmethod
    def by(cls, error: BaseException) -> Ending:
        return cls(error=error, trace=error.__traceback__)


class Batch:
    """The jobs of one call of a handler, by the tokens of their locks."""

    def __init__(self, handler: Handler, terms: BatchTerms, since: float) -> None:
        self.handler: Handler = handler
        self.terms: BatchTerms = terms
        self.since: float = since
        self.runs: dict[str, Run] = {}
        self.left: set[str] = set()
        """Those that were told to end while the handler ran."""
        self.endings: dict[str, Ending] = {}
        self.over: asyncio.Event = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        """The handler; None while the batch gathers."""
        self.timer: Timer | None = None
        self.complete: asyncio.Handle | None = None
        """It has its minimum, and begins when what came with the same call has joined."""

    def leave(self, run: Run) -> bool:
        """One is told to end. Whether it waits for the handler all the same, which is told when nobody is left."""
        if self.task is None or run.token not in self.runs:
            self.runs.pop(run.token, None)
            return False
        if run.in_thread:
            return False  # the worker closes and waits for this thread no longer
        self.left.add(run.token)
        if len(self.left) == len(self.runs):
            self.task.cancel()
        return True

    def forget(self) -> None:
        """It does not wait for anything any more."""
        for waiting in (self.timer, self.complete):
            if waiting is not None:
                waiting.cancel()


class Batches:
    """The batches of one worker. `begin` is called for each job when the handler begins."""

    def __init__(self, setting: Setting, threads: Threads, begin: Callable[[Run, Handler], None]) -> None:
        self._setting = setting
        self._threads = threads
        self._begin = begin
        self._gathering: dict[str, Batch] = {}
        self._context = contextvars.copy_context()  # of none of the jobs
        self._closed = False

    async def join(self, run: Run, handler: Handler, terms: BatchTerms) -> Any:
        """Run a job in a batch: returns its value, or raises why it ended otherwise."""
        if self._closed:
            run.returning = True
            raise asyncio.CancelledError
        batch = self._admit(run, handler, terms)
        while not batch.over.is_set():
            try:
                await batch.over.wait()
            except asyncio.CancelledError:
                if not batch.leave(run):
                    self._tidy(batch)
                    raise
        ending = batch.endings[run.token]
        if ending.error is not None:
            raise ending.error.with_traceback(ending.trace)  # several jobs may raise the same one, each adds its frames
        return ending.value

    def close(self) -> None:
        """Hand back what gathers: nothing more will come."""
        self._closed = True
        for batch in list(self._gathering.values()):
            for run in list(batch.runs.values()):
                run.hand_back()

    def _admit(self, run: Run, handler: Handler, terms: BatchTerms) -> Batch:
        loop = asyncio.get_running_loop()
        name = run.job.name
        batch = self._gathering.get(name)
        if batch is None:
            batch = self._gathering[name] = Batch(handler, terms, loop.time())
            if terms.timeout_ms is not None:
                due = self._setting.clock.now_ms() + terms.timeout_ms
                batch.timer = self._setting.clock.call_at(due, lambda: self._start(name, batch))
        batch.runs[run.token] = run
        run.handling = True  # it may be cut off from now on
        if len(batch.runs) >= terms.size:
            self._start(name, batch)
        elif len(batch.runs) >= terms.minimum and batch.complete is None:
            batch.complete = loop.call_soon(self._start, name, batch)
        return batch

    def _tidy(self, batch: Batch) -> None:
        """One left: a batch that has nobody does not begin."""
        if not batch.runs:
            batch.forget()
            self._gathering = {name: other for name, other in self._gathering.items() if other is not batch}

    def _start(self, name: str, batch: Batch) -> None:
        if self._gathering.get(name) is not batch:
            return
        del self._gathering[name]
        batch.forget()
        for run in batch.runs.values():
            self._begin(run, batch.handler)
        batch.runs = {token: run for token, run in batch.runs.items() if not run.is_ending}  # a listener may stop one
        if not batch.runs:
            return
        for run in batch.runs.values():
            run.in_thread = not batch.handler.is_coroutine
        waited = asyncio.get_running_loop().time() - batch.since
        self._setting.emit("batch.started", name=name, count=len(batch.runs), waited=waited)
        batch.task = asyncio.get_running_loop().create_task(
            self._handle(batch), name=f"carequeue:{self._setting.terms.queue}:batch", context=self._context.copy()
        )

    async def _handle(self, batch: Batch) -> None:
        traces = self._setting.traces
        trace = traces.begin_batch(list(batch.runs.values())) if traces is not None else None
        problem: BaseException | None = None
        try:
            endings = endings_of(await self._call(batch), batch.runs)
        except (Exception, SystemExit, asyncio.CancelledError) as error:  # noqa: BLE001 - it is its jobs'
            endings = failed(error, batch.runs)
            problem = error
        if trace is not None:
            safely(trace.ended, problem)
        batch.endings = endings
        batch.over.set()

    async def _call(self, batch: Batch) -> Any:
        handler = batch.handler
        jobs = [run.job for run in batch.runs.values()]
        arguments: tuple[Any, ...] = (jobs,)
        if handler.takes_context:
            context = BatchContext({run.job.id: run.context for run in batch.runs.values() if run.context is not None})
            loop = asyncio.get_running_loop()
            arguments = (jobs, context if handler.is_coroutine else ThreadBatchContext(context, loop))
        if handler.is_coroutine:
            return await handler.function(*arguments)
        value = await self._threads.run(handler.function, *arguments)
        for run in batch.runs.values():
            run.in_thread = False
        return await value if inspect.isawaitable(value) else value


def endings_of(value: Any, runs: Mapping[str, Run]) -> dict[str, Ending]:
    """How each job ended, by what the handler returned: nothing, or one value, or error, for each."""
    if value is None:
        return dict.fromkeys(runs, Ending())
    if isinstance(value, Instruction):
        return failed(value, runs)
    values = cast("Sequence[Any]", value) if isinstance(value, list | tuple) else None
    if values is None or len(values) != len(runs):
        got = f"a {type(cast('object', value)).__name__}" if values is None else f"{len(values)} values"
        # Its work is done: another attempt would do it again and fail again.
        why = f"a batch handler returns None or a list with one value for each job: got {got} for {len(runs)} jobs"
        return dict.fromkeys(runs, Ending.by(Unrecoverable(why)))
    return {
        token: Ending.by(each) if isinstance(each, BaseException) else Ending(each)
        for token, each in zip(runs, values, strict=True)
    }


def failed(error: BaseException, runs: Mapping[str, Run]) -> dict[str, Ending]:
    """How each job ended when the handler raised: all alike, unless it said which ones failed."""
    if not isinstance(error, BatchFailure):
        return dict.fromkeys(runs, Ending.by(error))
    unknown = error.failures.keys() - {run.job.id for run in runs.values()}
    if unknown:
        problem = ValueError(f"BatchFailure names jobs that are not in the batch: {', '.join(sorted(unknown))}")
        return dict.fromkeys(runs, Ending.by(problem))
    endings = {job_id: Ending.by(each) for job_id, each in error.failures.items()}
    return {token: endings.get(run.job.id, Ending()) for token, run in runs.items()}
