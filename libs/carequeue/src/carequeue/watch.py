"""Watch: tells those who are interested in one job what happens to it, or how it ended. `QueueEvents` has one."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from carequeue.ending import end
from carequeue.errors import ConnectionLost

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence

    from carequeue.events import Event

ENDINGS = frozenset({"completed", "failed", "removed"})


class Watch:
    """Reads the events at a place of its own, one reader for all who listen, from the first of them until `close`.

    `newest` answers the place of the newest event, `read` waits for the events after a place, some seconds at most.
    """

    def __init__(self, newest: Callable[[], Awaitable[str]], read: Callable[[str], Awaitable[Sequence[Event]]]) -> None:
        self._newest = newest
        self._read = read
        self._listening: dict[str, set[_Ear]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    @asynccontextmanager
    async def waiting(self, job_id: str) -> AsyncGenerator[asyncio.Future[Event]]:
        """How the job ends, seen from now on: look first whether it has ended already.

        Raises:
            ConnectionLost: Redis went away, or the events were closed, while somebody waited.
        """
        ended: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        try:
            async with self._open(job_id, _Ear(ended)):
                yield ended
        finally:
            if ended.done() and not ended.cancelled():
                ended.exception()  # looked at: whoever left early need not be told by the event loop

    @asynccontextmanager
    async def about(self, job_id: str) -> AsyncGenerator[AsyncIterator[Event]]:
        """What happens to the job from now on, until it has ended. Iterating raises as `waiting`."""
        ear = _Ear()
        async with self._open(job_id, ear):
            yield ear.events()

    async def close(self) -> None:
        if self._reading is not None:
            await end([self._reading])
            self._reading = None
        self._break(ConnectionLost("the events were closed while somebody waited for a job"))

    @asynccontextmanager
    async def _open(self, job_id: str, ear: _Ear) -> AsyncGenerator[None]:
        self._listening.setdefault(job_id, set()).add(ear)
        try:
            if self._reading is None or self._reading.done():
                self._ready.clear()
                self._reading = asyncio.create_task(self._run(), name="carequeue:watch")
            await self._ready.wait()
            yield
        finally:
            ears = self._listening[job_id]
            ears.discard(ear)
            if not ears:
                del self._listening[job_id]

    async def _run(self) -> None:
        try:
            place = await self._newest()
            self._ready.set()
            while True:
                for event in await self._read(place):
                    place = event.id
                    for ear in self._listening.get(event.job_id or "", ()):
                        ear.hear(event)
        except Exception as error:  # noqa: BLE001 - whoever waits hears of it, and the next one starts a new reader
            self._break(error)
        finally:
            self._ready.set()

    def _break(self, error: Exception) -> None:
        for ears in self._listening.values():
            for ear in ears:
                ear.deafen(error)


class _Ear:
    """What one listener was told and has not taken yet."""

    def __init__(self, ended: asyncio.Future[Event] | None = None) -> None:
        self._ended = ended
        self._told: asyncio.Queue[Event | Exception] = asyncio.Queue()

    def hear(self, event: Event) -> None:
        if self._ended is None:
            self._told.put_nowait(event)
        elif event.name in ENDINGS and not self._ended.done():
            self._ended.set_result(event)

    def deafen(self, error: Exception) -> None:
        self._told.put_nowait(error)
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(error)

    async def events(self) -> AsyncIterator[Event]:
        while True:
            told = await self._told.get()
            if isinstance(told, Exception):
                raise told
            yield told
            if told.name in ENDINGS:
                return
