"""What a handler of batches may ask and tell about the attempts that it is running: its second argument."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from carequeue.worker.context import ThreadJobContext

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from carequeue.job import Job
    from carequeue.worker.context import JobContext


class BatchContext:
    """One call of a handler with a batch of jobs."""

    __slots__ = ("_contexts",)

    def __init__(self, contexts: Mapping[str, JobContext]) -> None:
        self._contexts = contexts

    def of(self, job: Job[Any]) -> JobContext:
        """The context of one job of the batch: its attempt, progress, log, children, and whether its lock is lost."""
        return self._contexts[job.id]

    @property
    def lost(self) -> frozenset[str]:
        """The ids of the jobs that are somebody else's by now: leave out what is not done yet of them."""
        return frozenset(job_id for job_id, context in self._contexts.items() if context.lost.is_set())

    @property
    def cancelled(self) -> frozenset[str]:
        """The ids of the jobs whose attempts were told to end. When it is all of them, a coroutine is cancelled."""
        return frozenset(job_id for job_id, context in self._contexts.items() if context.is_cancelled)


class ThreadBatchContext:
    """The same for a plain function, which runs in a thread."""

    __slots__ = ("_context", "_loop")

    def __init__(self, context: BatchContext, loop: asyncio.AbstractEventLoop) -> None:
        self._context = context
        self._loop = loop

    def of(self, job: Job[Any]) -> ThreadJobContext:
        """The context of one job of the batch."""
        return ThreadJobContext(self._context.of(job), self._loop)

    @property
    def lost(self) -> frozenset[str]:
        """The ids of the jobs that are somebody else's by now."""
        return self._context.lost

    @property
    def cancelled(self) -> frozenset[str]:
        """The ids of the jobs whose attempts were told to end."""
        return self._context.cancelled
