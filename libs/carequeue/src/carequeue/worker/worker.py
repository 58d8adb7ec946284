"""Worker: takes the jobs of one queue and runs their handlers. Everything it does is in the files beside this one."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from carequeue.clock import Clock, SystemClock
from carequeue.errors import AccessRefused, ConnectionLost, InvalidOption, WorkerNotStarted
from carequeue.store.connection import client_name, source_of
from carequeue.store.server import WORKER, Rights, check_server, greet
from carequeue.telemetry import Telemetry
from carequeue.wire.keep import keep_rule
from carequeue.wire.keys import QueueKeys
from carequeue.worker.assembly import Assembly
from carequeue.worker.clocks import compare_clocks
from carequeue.worker.hooks import Hooks
from carequeue.worker.importable import importing
from carequeue.worker.letter_box import check_letters, letter_box
from carequeue.worker.outage import Outage
from carequeue.worker.outcome import Rules
from carequeue.worker.registry import Registry
from carequeue.worker.setting import Setting
from carequeue.worker.signals import stop_signals
from carequeue.worker.slots import Slots
from carequeue.worker.terms import terms_of
from carequeue.worker.traces import Traces
from carequeue.worker_options import WorkerOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta
    from types import TracebackType
    from typing import Self, Unpack

    from carequeue.backoff import BackoffStrategy
    from carequeue.store.client import LinkedRedis
    from carequeue.store.connection import Connection
    from carequeue.worker.shutdown import Shutdown
    from carequeue.worker_options import WorkerWords

LAST_HOOKS = 5.0
"""Seconds that coroutine hooks have to end after the last job."""

log: logging.Logger = logging.getLogger("carequeue.worker")


class Worker(Registry):
    """A worker of one queue; `async with worker` or `await worker.run()`.

    `options` or single worker options by name (`concurrency=50, lock_duration=…`), see WorkerOptions. A closed worker
    does not start again: make a new one.
    """

    def __init__(
        self,
        queue: str,
        /,
        connection: Connection = "redis://localhost:6379",
        handler: Callable[..., Any] | None = None,
        *,
        prefix: str = "bull",
        options: WorkerOptions | None = None,
        backoff_strategies: Mapping[str, BackoffStrategy] | None = None,
        clock: Clock | None = None,
        telemetry: Telemetry | None = None,
        **single_options: Unpack[WorkerWords],
    ) -> None:
        self.queue: str = queue
        self.prefix: str = prefix
        self.connection = connection
        self.telemetry: Telemetry = telemetry or Telemetry()
        self._options = replace(options or WorkerOptions(), **single_options)
        self._keys = QueueKeys(prefix, queue)
        self._source = source_of(connection)
        self._source.place(self._keys.base)
        self._letters = letter_box(self._keys, self._source, self._options.dead_letters)
        self._strategies = backoff_strategies or {}
        self._clock = clock or SystemClock()
        super().__init__(Hooks(queue, self.telemetry))
        self._outage = Outage(
            queue, self._hooks, self.telemetry, random.random, self._options.run_retry_delay.total_seconds()
        )
        self._slots = Slots(self._options.concurrency, self._options.batch)
        self._stop = asyncio.Event()
        self._closed = asyncio.Event()
        self._closing = False
        self._crash: BaseException | None = None
        self._clients: list[LinkedRedis] = []
        self._assembly: Assembly | None = None
        self._shutdown: Shutdown | None = None
        if handler is not None:
            self._handlers.catch_all(handler)

    # Life

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Connect and begin to work. An unreachable Redis is waited for, and told to `on_error`.

        Raises:
            UnsuitableRedis: this server cannot hold a queue safely.
            AccessRefused: it does not let this user in.
            NotPermitted: it does not let this user do what a worker does.
            InvalidOption: the worker has no handler, or is closed, or its concurrency is less than a batch.
        """
        if not self._handlers:
            raise InvalidOption("the worker has no handler: Worker(name, url, handler) or @worker.handles(kind)")
        if self._assembly is not None or self._closing:
            raise InvalidOption("a worker starts once; make a new one")
        if importing.get():
            raise InvalidOption(
                "a child process imports the program of its worker, which starts the worker again: put what starts it "
                'under `if __name__ == "__main__":`, or the handler into a module of its own'
            )
        self._handlers.check_room(self.concurrency)
        client, blocking = self._connect()
        try:
            await self._reach(client, blocking)
        except BaseException:
            await self._disconnect()
            raise
        setting = self._setting()
        if isinstance(self._clock, SystemClock):
            await compare_clocks(client, self._clock, setting)
        self._assembly = Assembly(setting, self._slots, keys=self._keys, client=client, blocking=blocking)
        self._shutdown = self._assembly.start(self._options, self._handlers, self._rules(), self._crashed)
        log.info("worker.started", extra=setting.about(concurrency=self.concurrency))
        setting.emit("worker.started", worker=self._options.name, concurrency=self.concurrency)

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT, then close; a second signal hands the unfinished jobs back at once.

        Raises:
            UnsuitableRedis: as `start`.
        """
        with stop_signals(self._signalled):
            starting = asyncio.create_task(self.start())
            stopped = asyncio.create_task(self._stop.wait())
            try:
                await asyncio.wait([starting, stopped], return_when=asyncio.FIRST_COMPLETED)
                if starting.done():
                    await starting
                    await stopped
            finally:
                for task in (starting, stopped):
                    task.cancel()
                await asyncio.gather(starting, stopped, return_exceptions=True)
                await self.close()

    async def close(self, grace: timedelta | None = None) -> None:
        """Fetch nothing more, let handlers finish for `grace` (else the worker's own), hand the other jobs back.

        Closing again while that is under way waits for it; with a `grace` of zero it cuts the deadline short.
        """
        if self._closing:
            if grace is not None and not grace and self._shutdown is not None:
                self._shutdown.hurry.set()
            await self._closed.wait()
            return
        self._closing = True
        self._stop.set()
        self._hooks.call("closing")
        try:
            if self._assembly is not None and self._shutdown is not None:
                await self._wind_up(self._assembly, self._shutdown, self._options.grace if grace is None else grace)
        finally:
            await self._disconnect()
            self._hooks.call("closed")
            await self._hooks.settle(LAST_HOOKS)
            self._closed.set()
        if self._crash is not None:
            raise self._crash

    def pause(self) -> None:
        """Take no more jobs for now; what runs goes on. Only this worker pauses: `Queue.pause` is for all."""
        if not self.is_paused:
            self._slots.pause()
            self._hooks.call("paused")

    def resume(self) -> None:
        """Take jobs again, beginning with what became due in the meantime."""
        if self.is_paused:
            self._slots.resume()
            self._hooks.call("resumed")

    def cancel_job(self, job_id: str, reason: str = "the job was cancelled") -> bool:
        """End the attempt at a job that this worker runs; it fails with AttemptCancelled and is tried again like any.

        False if this worker does not run it, or if it is ending already. To keep a job from running at all use
        `Queue.remove`.
        """
        return self._cancel(reason, job_id) > 0

    def cancel_all_jobs(self, reason: str = "the job was cancelled") -> int:
        """The same for all jobs that this worker runs now; how many."""
        return self._cancel(reason, None)

    async def wait_until_idle(self) -> None:
        """Return when nothing that could run is waiting or due, and nothing runs.

        Raises:
            WorkerNotStarted: it does not run.
        """
        if self._assembly is None or self._closing:
            raise WorkerNotStarted
        self._slots.wake()
        await self._slots.quiet.wait()

    async def wait_until_empty(self) -> None:
        """Return when nothing runs: after `pause()`, when what ran then has ended and Redis knows.

        Raises:
            WorkerNotStarted: it does not run.
        """
        if self._assembly is None or self._closing:
            raise WorkerNotStarted
        await self._assembly.empty()

    @property
    def concurrency(self) -> int:
        """How many jobs run at once. Lowered, it holds as soon as enough of them ended.

        Raises:
            InvalidOption: it is set to less than one.
        """
        return self._slots.concurrency

    @concurrency.setter
    def concurrency(self, value: int) -> None:
        if value < 1:
            raise InvalidOption(f"concurrency is at least 1, got {value}")
        self._slots.concurrency = value

    @property
    def is_paused(self) -> bool:
        """Whether this worker was told to take no more jobs. A paused queue is another thing: `Queue.is_paused`."""
        return self._slots.paused

    @property
    def is_connected(self) -> bool:
        """Whether Redis answered the last call."""
        return self._assembly is not None and not self._closing and self._outage.connected

    @property
    def is_running(self) -> bool:
        """Whether it was started, and neither closed nor broken since."""
        return self._assembly is not None and not self._closing and self._crash is None

    # Inside

    def _cancel(self, reason: str, job_id: str | None) -> int:
        executor = self._assembly.executor if self._assembly is not None else None
        return executor.cancel(reason, job_id) if executor is not None else 0

    def _connect(self) -> tuple[LinkedRedis, LinkedRedis]:
        suffix = f":w:{self._options.name}" if self._options.name else ""
        name = client_name(self._keys.prefix, self.queue, suffix)  # Node's getWorkers finds workers by it
        base, block = self._keys.base, self._options.drain_delay
        client, blocking = self._source.client(base), self._source.blocking(base, block, name)
        self._clients = [client, blocking]  # closing a linked client leaves a given one's pool open
        return client, blocking

    async def _reach(self, client: LinkedRedis, blocking: LinkedRedis) -> None:
        while True:
            try:
                await check_server(client, in_cluster=self._source.in_cluster)
                await Rights(client, self._keys).check(*WORKER)
                await check_letters(client, self._keys, self._options.dead_letters)
                await greet(blocking)
            except AccessRefused:
                raise
            except ConnectionLost as error:
                await self._outage.pause(error)
            else:
                self._outage.answered()
                return

    async def _wind_up(self, assembly: Assembly, shutdown: Shutdown, grace: timedelta) -> None:
        await assembly.stop_listening()
        left = await shutdown.drain(grace)
        await assembly.stop()
        await self._hooks.settle(LAST_HOOKS)
        log.info("worker.closed", extra={"queue": self.queue, "handed_back": left.handed_back})
        self.telemetry.emit(
            "worker.closed",
            queue=self.queue,
            worker=self._options.name,
            handed_back=left.handed_back,
            abandoned=left.abandoned,
        )

    async def _disconnect(self) -> None:
        for client in self._clients:
            await client.aclose()
        self._clients = []

    def _setting(self) -> Setting:
        terms, tracing = terms_of(self.queue, self._options), self.telemetry.tracing
        traces = Traces(tracing, terms.token_prefix, terms.name) if tracing is not None else None
        return Setting(terms, self._clock, self._hooks, self._outage, self.telemetry, traces)

    def _rules(self) -> Rules:
        options = self._options
        keep_completed, keep_failed = keep_rule(options.keep_completed), keep_rule(options.keep_failed)
        return Rules(random.random, keep_completed, keep_failed, self._strategies, self._letters)

    def _signalled(self) -> None:
        if self._stop.is_set() and self._shutdown is not None:
            self._shutdown.hurry.set()
        self._stop.set()

    def _crashed(self, error: BaseException) -> None:
        self._crash = error
        self._hooks.call("error", error)
        self._stop.set()
