"""After a commit: tell the queue at once what has become due soon, instead of waiting for the reconciler.

Only a hint. It runs beside the requests, never delays an answer, and one that is lost is made up for within seconds.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, Self

import structlog

from carecircle.usecases.enqueueing import enqueue_due_soon

if TYPE_CHECKING:
    from datetime import timedelta
    from types import TracebackType
    from uuid import UUID

    from carecircle.db.session import Database
    from carecircle.jobs import Queues

MAX_WAITING = 1000
TIMEOUT = 5.0

log = structlog.stdlib.get_logger(__name__)


class Hints(Protocol):
    def due_soon(self, patient_id: UUID) -> None:
        """Something of this patient may have become due soon. Returns at once; call it after the commit."""
        ...


class QueueHints:
    """Enqueues for the patients it is told of, one after the other. `async with` runs it, and ends with all done."""

    def __init__(self, database: Database, queues: Queues, horizon: timedelta) -> None:
        self._database = database
        self._queues = queues
        self._horizon = horizon
        self._waiting: dict[UUID, None] = {}
        self._told = asyncio.Event()
        self._idle = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def due_soon(self, patient_id: UUID) -> None:
        if len(self._waiting) < MAX_WAITING:
            self._waiting[patient_id] = None
            self._idle.clear()
            self._told.set()

    async def settled(self) -> None:
        """Wait until everything told so far was done, or given up."""
        await self._idle.wait()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="hints")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(TIMEOUT):
                await self.settled()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            while self._waiting:
                patient_id = next(iter(self._waiting))
                del self._waiting[patient_id]
                await self._enqueue(patient_id)
            self._told.clear()
            self._idle.set()
            await self._told.wait()

    async def _enqueue(self, patient_id: UUID) -> None:
        try:
            async with asyncio.timeout(TIMEOUT):
                await enqueue_due_soon(self._database, self._queues, patient_id=patient_id, horizon=self._horizon)
        except Exception as error:  # noqa: BLE001 - Redis or PostgreSQL may be away; the reconciler repeats it
            log.warning("hint.lost", patient_id=str(patient_id), error=type(error).__name__)
