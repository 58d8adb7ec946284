"""QueueEvents: what happens in a queue, whoever does it, from the stream that every client of the queue writes.

    async with QueueEvents("reminders", "redis://localhost") as events:
        async for event in events:
            if event.name == "failed":
                print(event.job_id, event.reason)

A stream is not a log for ever: it keeps about the newest ten thousand events.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from carequeue.backoff import reconnect_delay
from carequeue.ending import end
from carequeue.errors import ConnectionLost
from carequeue.store.connection import client_name, redis_errors, source_of
from carequeue.watch import Watch
from carequeue.wire.keys import QueueKeys
from carequeue.wire.times import from_ms

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime
    from types import TracebackType
    from typing import Self

    from carequeue.store.client import LinkedRedis
    from carequeue.store.connection import Connection

BLOCK = timedelta(seconds=10)
AT_ONCE = 1000
BEGINNING = "0-0"
FROM_NOW = "$"

log: logging.Logger = logging.getLogger("carequeue.events")


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the stream.

    `name`: added, waiting, delayed, active, progress, completed, failed, retries-exhausted, stalled,
    waiting-children, removed, cleaned, drained, paused, resumed, duplicated, deduplicated, one of somebody's own, or of
    ours: blocked (the job waits for a child that failed; `fields["child"]`), expired (it fails: its time was over),
    dead-lettered (`fields["letterId"]`).
    """

    id: str
    """Its place in the stream: `QueueEvents(since=event.id)` goes on after it."""
    name: str
    fields: Mapping[str, str]

    @property
    def job_id(self) -> str | None:
        """The job that it is about; None for what is about the whole queue (paused, resumed, drained, cleaned)."""
        return self.fields.get("jobId")

    @property
    def at(self) -> datetime:
        """When Redis wrote it."""
        return from_ms(int(self.id.partition("-")[0]))

    @property
    def previous(self) -> str | None:
        """The state that the job came from, if the event says it."""
        return self.fields.get("prev")

    @property
    def value(self) -> Any:
        """What the job returned (completed), or how far it is (progress)."""
        text = self.fields.get("returnvalue", self.fields.get("data"))
        if text is None:
            return None
        try:
            return json.loads(text)
        except ValueError:
            return text

    @property
    def reason(self) -> str | None:
        """Why the job failed."""
        return self.fields.get("failedReason")

    @property
    def due(self) -> datetime | None:
        """When a delayed job is due."""
        delay = self.fields.get("delay")
        return from_ms(float(delay)) if self.name == "delayed" and delay else None


class QueueEvents:
    """The events of one queue, one after the other, through lost connections without losing its place.

    `since`: `"$"` from now on, `"0"` from the oldest that is kept, or after the event with this id. `connection` is a
    URL, or a ready client, which stays yours to close.
    """

    def __init__(
        self,
        name: str,
        connection: Connection = "redis://localhost:6379",
        *,
        since: str = FROM_NOW,
        prefix: str = "bull",
    ) -> None:
        self._keys = QueueKeys(prefix, name)
        self._source = source_of(connection)
        self._source.place(self._keys.base)
        self._last = since
        self._client: LinkedRedis | None = None
        self._read: deque[Event] = deque()
        self._failures = 0
        self._watch = Watch(self._newest, self._after)

    @property
    def keys(self) -> QueueKeys:
        """The queue whose events these are, by its keys in Redis."""
        return self._keys

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Connect and note the place: events from this moment on are seen, however late the first one is asked for.

        Raises:
            ConnectionLost: nobody answers.
        """
        self._connected()
        if self._last == FROM_NOW:
            self._last = await self._newest()

    def waiting(self, job_id: str) -> AbstractAsyncContextManager[asyncio.Future[Event]]:
        """`async with events.waiting(job_id) as ended`: the event with which the job ends, from now on.

        `Queue.wait_until_finished` is the whole of it. Iterating over the events is not disturbed.
        """
        return self._watch.waiting(job_id)

    def about(self, job_id: str) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """`async with events.about(job_id) as told: async for event in told: …`: what happens to one job from now on,
        the last one being that it completed, failed or was removed. Iterating over all events is not disturbed.

        Raises:
            ConnectionLost: Redis went away, or the events were closed. What happens meanwhile is not told.
        """
        return self._watch.about(job_id)

    async def close(self) -> None:
        """Disconnect. Whoever waits for a job is told by ConnectionLost."""
        await self._watch.close()
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """The next event, as soon as there is one; a lost connection is logged and waited out."""
        while not self._read:
            try:
                await self.open()
                self._read.extend(await self._after(self._last))
                self._failures = 0
            except ConnectionLost as error:
                if not self._failures:
                    log.warning("events.disconnected", extra={"queue": self._keys.queue, "error": str(error)})
                self._failures += 1
                await asyncio.sleep(reconnect_delay(self._failures, random=random.random))
        event = self._read.popleft()
        self._last = event.id
        return event

    async def _newest(self) -> str:
        client = cast("Any", self._connected())
        with redis_errors(client):
            newest = await client.xrevrange(self._keys.events, count=1)
        return newest[0][0] if newest else BEGINNING

    async def _after(self, place: str) -> Sequence[Event]:
        client = cast("Any", self._connected())
        block = int(BLOCK / timedelta(milliseconds=1))
        reading = asyncio.ensure_future(client.xread({self._keys.events: place}, count=AT_ONCE, block=block))
        reading.add_done_callback(_seen)  # also where nobody asks for the result any more
        with redis_errors(client):
            try:
                await asyncio.wait({reading})
            finally:
                await end({reading})  # whoever is cancelled, as by Ctrl-C, does not go on reading
            reply = reading.result()
        return [_event(entry, fields) for _, entries in reply or () for entry, fields in entries]

    def _connected(self) -> LinkedRedis:
        if self._client is None:
            name = client_name(self._keys.prefix, self._keys.queue, ":qe")
            self._client = self._source.blocking(self._keys.base, BLOCK, name)
        return self._client


def _seen(reading: asyncio.Future[Any]) -> None:
    # not after `end`, which a second cancellation interrupts: then asyncio would complain of an error nobody has seen
    if not reading.cancelled():
        reading.exception()


def _event(entry: str, fields: Mapping[str, str]) -> Event:
    return Event(entry, fields.get("event", ""), {key: text for key, text in fields.items() if key != "event"})
