"""For tests of code that uses carequeue: a clock that moves when told, points to wait for, and what a handler is called
with, made without a queue.

Run the real worker against a real Redis; nothing here stands in for it.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast, overload

from carequeue.children import Child, ChildCounts, Children, ChildState
from carequeue.inspect import Inspector
from carequeue.kind import JobKind, NewJob
from carequeue.options import JobOptions
from carequeue.wire.codec import Codec, encode_job
from carequeue.wire.times import from_ms, to_ms
from carequeue.worker import JobContext, ThreadJobContext

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from typing import TypeVar

    from carequeue.job import Job
    from carequeue.states import Counts
    from carequeue.worker import Worker

    P = TypeVar("P")

__all__ = [
    "FakeClock",
    "RecordedContext",
    "RecordedThreadContext",
    "Signal",
    "drain",
    "make_context",
    "make_job",
    "make_thread_context",
]

PATIENCE = 10.0
"""Seconds after which a test that waits has failed."""


class FakeClock:
    """A clock for `Worker(clock=…)` that stands still until it is moved. It starts at the real time."""

    def __init__(self, now: datetime | None = None) -> None:
        self._now_ms = to_ms(now or datetime.now(UTC))
        self._timers: list[tuple[int, int, _FakeTimer]] = []
        self._order = itertools.count()

    @property
    def now(self) -> datetime:
        """The time it shows (aware, UTC)."""
        return from_ms(self._now_ms)

    def now_ms(self) -> int:
        """The same in milliseconds since 1970: what a worker asks for."""
        return self._now_ms

    def call_at(self, when_ms: int, callback: Callable[[], None]) -> _FakeTimer:
        """Call `callback` when the clock is moved to `when_ms` or past it, unless what comes back is cancelled."""
        timer = _FakeTimer(callback)
        heapq.heappush(self._timers, (when_ms, next(self._order), timer))
        return timer

    def advance(self, by: timedelta) -> None:
        """Move the clock, and do what is due on the way, each at its own instant."""
        self.move_to(self.now + by)

    def move_to(self, when: datetime) -> None:
        """Move the clock to an instant (aware), and do what is due on the way, each at its own instant."""
        target = to_ms(when)
        while self._timers and self._timers[0][0] <= target:
            due, _, timer = heapq.heappop(self._timers)
            self._now_ms = max(self._now_ms, due)
            timer.fire()
        self._now_ms = target


class _FakeTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self._callback = None

    def fire(self) -> None:
        if self._callback is not None:
            self._callback()


class Signal:
    """A point that code passes and a test waits for, instead of sleeping.

        done = Signal("done")
        worker.on_completed(done)
        [(job, value)] = await done.wait()

    Calling it passes the point, from any thread; the arguments are kept.
    """

    def __init__(self, name: str = "signal") -> None:
        self.name: str = name
        self.calls: list[tuple[Any, ...]] = []
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def __call__(self, *arguments: Any) -> None:
        self.calls.append(arguments)
        for loop, event in list(self._waiting):
            loop.call_soon_threadsafe(event.set)

    async def wait(self, count: int = 1, timeout: float = PATIENCE) -> list[tuple[Any, ...]]:  # noqa: ASYNC109 - a test says how long
        """The arguments of the first `count` passes, as soon as there are so many.

        Raises:
            TimeoutError: there were not, after `timeout` seconds.
        """
        waiting = (asyncio.get_running_loop(), asyncio.Event())
        self._waiting.append(waiting)
        try:
            async with asyncio.timeout(timeout):
                while len(self.calls) < count:
                    waiting[1].clear()
                    if len(self.calls) < count:
                        await waiting[1].wait()
        except TimeoutError:
            raise TimeoutError(f"{self.name}: {len(self.calls)} of {count} after {timeout} s") from None
        finally:
            self._waiting.remove(waiting)
        return self.calls[:count]


@overload
def make_job(kind: JobKind[P], data: P, *, queue: str = ..., **options: Any) -> Job[P]: ...
@overload
def make_job(kind: str, data: Any = None, *, queue: str = ..., **options: Any) -> Job[Any]: ...
def make_job(kind: JobKind[Any] | str, data: Any = None, *, queue: str = "tests", **options: Any) -> Job[Any]:
    """A job as a handler gets it, for calling the handler without a queue. `options` as for `Queue.add`."""
    new = kind.job(data, **options) if isinstance(kind, JobKind) else NewJob(kind, data, JobOptions(**options))
    now = datetime.now(UTC)
    record = encode_job(new, JobOptions(), now)
    fields = {**record.fields, "processedOn": str(to_ms(now)), "ats": "1"}
    return Codec(queue, new.payload_type).job(record.id or "1", fields)


class RecordedContext(JobContext):
    """The context of an attempt that no worker runs: it keeps what the handler tells. `make_context` makes one."""

    __slots__ = ("data", "progress", "rows")

    def __init__(self, job_id: str, attempt: int, children: Children) -> None:
        super().__init__(
            job_id, f"tests:{attempt}", attempt, children, self._keep_progress, self._keep_row, self._keep_data
        )
        self.progress: list[Any] = []
        """What was given to `update_progress`."""
        self.rows: list[str] = []
        """What was given to `log`."""
        self.data: list[Any] = []
        """What was given to `update_data`."""

    async def _keep_progress(self, value: Any) -> None:
        self.progress.append(value)

    async def _keep_data(self, data: Any) -> None:
        self.data.append(data)

    async def _keep_row(self, row: str) -> int:
        self.rows.append(row)
        return len(self.rows)


class RecordedThreadContext(ThreadJobContext):
    """The same for a handler that is a plain function, called in the test's own thread."""

    __slots__ = ("_values", "recorded")

    def __init__(self, recorded: RecordedContext, values: Mapping[str, Any]) -> None:
        super().__init__(recorded, cast("asyncio.AbstractEventLoop", None))  # what would need it is below
        self.recorded: RecordedContext = recorded
        """What the handler told: `recorded.progress`, `recorded.rows`."""
        self._values = values

    def children_values(self) -> dict[str, Any]:
        """The values that `make_thread_context` was given."""
        return dict(self._values)

    def update_progress(self, value: Any) -> None:
        """Kept in `recorded.progress`."""
        self.recorded.progress.append(value)

    def update_data(self, data: Any) -> None:
        """Kept in `recorded.data`."""
        self.recorded.data.append(data)

    def log(self, row: str) -> int:
        """Kept in `recorded.rows`; returns how many there are."""
        self.recorded.rows.append(row)
        return len(self.recorded.rows)


def make_context(
    job: Job[Any],
    *,
    attempt: int = 1,
    children: Mapping[str, Any] | None = None,
    ignored: Mapping[str, str] | None = None,
) -> RecordedContext:
    """A context for calling a handler without a queue: `await handler(job, make_context(job))`.

    `children` is what the job's children returned, by their keys (`prefix:queue:id`), `ignored` why others failed that
    it goes on without.
    """
    return RecordedContext(job.id, attempt, _GivenChildren(children or {}, ignored or {}))


def make_thread_context(
    job: Job[Any], *, attempt: int = 1, children: Mapping[str, Any] | None = None
) -> RecordedThreadContext:
    """The same for a handler that is a plain function: `handler(job, make_thread_context(job))`."""
    return RecordedThreadContext(make_context(job, attempt=attempt), children or {})


class _GivenChildren(Children):
    """Children that have ended, as the test says."""

    __slots__ = ("_ignored", "_values")

    def __init__(self, values: Mapping[str, Any], ignored: Mapping[str, str]) -> None:
        # without a queue: every question is answered here
        self._values = values
        self._ignored = ignored

    async def values(self) -> dict[str, Any]:
        return dict(self._values)

    async def ignored(self) -> dict[str, str]:
        return dict(self._ignored)

    async def counts(self) -> ChildCounts:
        return ChildCounts(pending=0, processed=len(self._values), ignored=len(self._ignored), failed=0)

    async def iterate(self, *states: ChildState, page: int = 100) -> AsyncIterator[Child]:
        wanted = set(states or ChildState)
        if ChildState.PROCESSED in wanted:
            for key, value in self._values.items():
                yield _child(key, ChildState.PROCESSED, value=value)
        if ChildState.IGNORED in wanted:
            for key, reason in self._ignored.items():
                yield _child(key, ChildState.IGNORED, reason=reason)

    async def remove_unprocessed(self) -> int:
        return 0


def _child(key: str, state: ChildState, value: Any = None, reason: str | None = None) -> Child:
    queue_key, _, job_id = key.rpartition(":")
    return Child(job_id, queue_key, state, value, reason)


async def drain(worker: Worker, *others: Worker, timeout: float = PATIENCE) -> Counts:  # noqa: ASYNC109 - a test says how long
    """Let workers run what is there until nothing is waiting or due, and return how many jobs are where then.

    Workers that were not started yet are started, and closed at the end. With several, for the queues of a flow, none
    of them has anything left to do; the counts are those of the first one's queue.

    Raises:
        TimeoutError: it did not come to an end.
    """
    workers = (worker, *others)
    async with asyncio.timeout(timeout), AsyncExitStack() as started:
        for each in workers:
            if not each.is_running:
                await started.enter_async_context(each)
        counts, before = await _settled(workers), None
        while others and counts != before:  # the end of one may have been the beginning of another
            counts, before = await _settled(workers), counts
        return counts[0]


async def _settled(workers: Sequence[Worker]) -> list[Counts]:
    for worker in workers:
        await worker.wait_until_idle()
    found: list[Counts] = []
    for worker in workers:
        async with Inspector(worker.queue, worker.connection, prefix=worker.prefix) as queue:
            found.append(await queue.counts())
    return found
