"""What a handler may ask and tell about the attempt it is running: its second argument, if it takes one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from carequeue.children import Children


class JobContext:
    """One attempt at one job.

    `lost` is set when the lock ended while the handler ran, or the attempt was given up: another worker may have the
    job now, and whatever this handler returns is dropped. `is_cancelled` says that the handler was told to end, for
    whatever reason: its timeout, `Worker.cancel_job`, a lost lock, a worker that closes. A coroutine is cancelled then.
    """

    __slots__ = ("_data", "_log", "_progress", "attempt", "children", "is_cancelled", "job_id", "lost", "token")

    def __init__(
        self,
        job_id: str,
        token: str,
        attempt: int,
        children: Children,
        progress: Callable[[Any], Awaitable[None]],
        log: Callable[[str], Awaitable[int]],
        data: Callable[[Any], Awaitable[None]],
    ) -> None:
        self.job_id: str = job_id
        self.token: str = token
        self.attempt: int = attempt
        self.children: Children = children
        """What the job's children came to: `await context.children.values()`."""
        self.lost: asyncio.Event = asyncio.Event()
        self.is_cancelled: bool = False
        self._progress = progress
        self._log = log
        self._data = data

    async def update_progress(self, value: Any) -> None:
        """Store how far the job is (any JSON value, often a number from 0 to 100) and tell the event stream."""
        await self._progress(value)

    async def update_data(self, data: Any) -> None:
        """Replace the job's data, for its attempts to come: `job.data` of this one stays what it is.

        Raises:
            PayloadError: it does not fit the kind, or JSON cannot carry it.
            LockLost: the job is another attempt's by now; nothing was changed.
        """
        await self._data(data)

    async def log(self, row: str) -> int:
        """Append a row to the job's log; returns how many rows there are."""
        return await self._log(row)


class ThreadJobContext:
    """The same for a plain function, which runs in a thread: the methods block instead of being awaited.

    A thread cannot be cancelled. One that takes long calls `raise_if_cancelled` now and then.
    """

    __slots__ = ("_context", "_loop")

    def __init__(self, context: JobContext, loop: asyncio.AbstractEventLoop) -> None:
        self._context = context
        self._loop = loop

    @property
    def job_id(self) -> str:
        """The id of the job."""
        return self._context.job_id

    @property
    def token(self) -> str:
        """What the lock of this attempt holds; no two attempts have the same."""
        return self._context.token

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        return self._context.attempt

    @property
    def is_lost(self) -> bool:
        """Whether the lock was lost, or the attempt given up: stop as soon as you can, the outcome is dropped."""
        return self._context.lost.is_set()

    @property
    def is_cancelled(self) -> bool:
        """Whether the handler was told to end. End by raising: a handler that returns has done its job."""
        return self._context.is_cancelled

    def raise_if_cancelled(self) -> None:
        """Raise asyncio.CancelledError if the handler was told to end, which a coroutine gets by itself."""
        if self.is_cancelled:
            raise asyncio.CancelledError

    def children_values(self) -> dict[str, Any]:
        """What the job's children that completed returned, by their keys (`prefix:queue:id`)."""
        return asyncio.run_coroutine_threadsafe(self._context.children.values(), self._loop).result()

    def update_progress(self, value: Any) -> None:
        """Store how far the job is, as JobContext does."""
        asyncio.run_coroutine_threadsafe(self._context.update_progress(value), self._loop).result()

    def update_data(self, data: Any) -> None:
        """Replace the job's data for its attempts to come, as JobContext does."""
        asyncio.run_coroutine_threadsafe(self._context.update_data(data), self._loop).result()

    def log(self, row: str) -> int:
        """Append a row to the job's log; returns how many rows there are."""
        return asyncio.run_coroutine_threadsafe(self._context.log(row), self._loop).result()


Method = Literal["update_progress", "update_data", "log", "children_values"]


class Line(Protocol):
    """How a handler in a process talks to its worker."""

    @property
    def is_cancelled(self) -> bool: ...
    def call(self, token: str, method: Method, arguments: tuple[Any, ...]) -> Any: ...


class ProcessJobContext:
    """The same for a function that runs in a process. What it tells goes by way of the worker; the methods block.

    A handler that is told to end (its timeout, `Worker.cancel_job`, a lost lock, a worker that closes) gets
    asyncio.CancelledError raised in its main thread, wherever it is; `cancel_grace` later its process is killed.
    """

    __slots__ = ("_line", "attempt", "job_id", "token")

    def __init__(self, line: Line, job_id: str, token: str, attempt: int) -> None:
        self.job_id: str = job_id
        self.token: str = token
        self.attempt: int = attempt
        self._line = line

    @property
    def is_cancelled(self) -> bool:
        """Whether the handler was told to end, for threads of its own; the main thread is interrupted."""
        return self._line.is_cancelled

    def raise_if_cancelled(self) -> None:
        """Raise asyncio.CancelledError if the handler was told to end, for threads of its own."""
        if self.is_cancelled:
            raise asyncio.CancelledError

    def children_values(self) -> dict[str, Any]:
        """What the job's children that completed returned, by their keys (`prefix:queue:id`)."""
        return self._line.call(self.token, "children_values", ())

    def update_progress(self, value: Any) -> None:
        """Store how far the job is, as JobContext does."""
        self._line.call(self.token, "update_progress", (value,))

    def update_data(self, data: Any) -> None:
        """Replace the job's data for its attempts to come, as JobContext does."""
        self._line.call(self.token, "update_data", (data,))

    def log(self, row: str) -> int:
        """Append a row to the job's log; returns how many rows there are."""
        return self._line.call(self.token, "log", (row,))
