"""For tests of code that uses carequeue: a clock that moves when told, points to wait for, jobs without a queue.

Run the real worker against a real Redis; nothing here stands in for it.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, overload

from carequeue.inspect import Counts, Inspector
from carequeue.kind import JobKind, NewJob
from carequeue.options import JobOptions
from carequeue.wire.codec import Codec, encode_job
from carequeue.wire.times import from_ms, to_ms

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from carequeue.job import Job
    from carequeue.worker import Worker

    P = TypeVar("P")

__all__ = ["FakeClock", "Signal", "drain", "make_job"]

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


async def drain(worker: Worker, *, timeout: float = PATIENCE) -> Counts:  # noqa: ASYNC109 - a test says how long
    """Let the worker run what is there until nothing is waiting or due, and return how many jobs are where then.

    A worker that was not started yet is started, and closed at the end.

    Raises:
        TimeoutError: it did not come to an end.
    """
    async with asyncio.timeout(timeout):
        if worker.is_running:
            await worker.wait_until_idle()
        else:
            async with worker:
                await worker.wait_until_idle()
        async with Inspector(worker.queue, worker.connection, prefix=worker.prefix) as queue:
            return await queue.counts()
