"""FinishWatch: tells those who wait for a job how it ended. `QueueEvents` has one for `Queue.wait_until_finished`."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from carequeue.errors import ConnectionLost

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from carequeue.events import Event

ENDINGS = frozenset({"completed", "failed", "removed"})


class FinishWatch:
    """Reads the events at a place of its own, one reader for all who wait, from the first of them until `close`.

    `newest` answers the place of the newest event, `read` waits for the events after a place, some seconds at most.
    """

    def __init__(self, newest: Callable[[], Awaitable[str]], read: Callable[[str], Awaitable[Sequence[Event]]]) -> None:
        self._newest = newest
        self._read = read
        self._waiting: dict[str, set[asyncio.Future[Event]]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    @asynccontextmanager
    async def waiting(self, job_id: str) -> AsyncGenerator[asyncio.Future[Event]]:
        """How the job ends, seen from now on: look first whether it has ended already.

        Raises:
            ConnectionLost: Redis went away, or the events were closed, while somebody waited.
        """
        ended: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(job_id, set()).add(ended)
        try:
            if self._reading is None or self._reading.done():
                self._ready.clear()
                self._reading = asyncio.create_task(self._run(), name="carequeue:finish-watch")
            await self._ready.wait()
            yield ended
        finally:
            self._forget(job_id, ended)

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
            self._reading = None
        self._break(ConnectionLost("the events were closed while somebody waited for a job"))

    async def _run(self) -> None:
        try:
            place = await self._newest()
            self._ready.set()
            while True:
                for event in await self._read(place):
                    place = event.id
                    if event.name in ENDINGS:
                        self._tell(event)
        except Exception as error:  # noqa: BLE001 - whoever waits hears of it, and the next one starts a new reader
            self._break(error)
        finally:
            self._ready.set()

    def _break(self, error: Exception) -> None:
        for waiters in self._waiting.values():
            for ended in waiters:
                if not ended.done():
                    ended.set_exception(error)

    def _tell(self, event: Event) -> None:
        for ended in self._waiting.get(event.job_id or "", ()):
            if not ended.done():
                ended.set_result(event)

    def _forget(self, job_id: str, ended: asyncio.Future[Event]) -> None:
        waiters = self._waiting[job_id]
        waiters.discard(ended)
        if not waiters:
            del self._waiting[job_id]
        if ended.done() and not ended.cancelled():
            ended.exception()  # looked at: whoever left early need not be told by the event loop
