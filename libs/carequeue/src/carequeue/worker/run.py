"""One attempt at one job, from the moment it was fetched until its outcome is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

    from carequeue.job import Job
    from carequeue.worker.context import JobContext


class Run:
    """What a worker knows about a job that it holds. `locked_at` is when its lock was taken or last renewed."""

    __slots__ = (
        "began", "context", "in_thread", "job", "locked_at", "lost", "returning", "started", "task", "token", "told",
    )  # fmt: skip

    def __init__(self, job: Job[Any], token: str, now: float) -> None:
        self.job: Job[Any] = job
        self.token: str = token
        self.started: float = now
        self.locked_at: float = now
        self.task: asyncio.Task[None] | None = None
        self.context: JobContext | None = None
        self.began: bool = False
        """The task took its first step: before that, cancelling it would end it without a word."""
        self.in_thread: bool = False
        self.told: bool = False
        """Listeners know that its handler began."""
        self.lost: bool = False
        """The lock is gone: whatever the handler does, its outcome is dropped."""
        self.returning: bool = False
        """The worker closes: unless the handler returns all the same, the job is handed back."""

    @property
    def lock(self) -> tuple[str, str]:
        return self.job.id, self.token

    def lose(self) -> None:
        """Tell the handler that the job is not its own any more."""
        self.lost = True
        if self.context is not None:
            self.context.lost.set()
        self._interrupt()

    def hand_back(self) -> None:
        """Tell the handler that there is no time left."""
        self.returning = True
        self._interrupt()

    def _interrupt(self) -> None:
        # A thread cannot be stopped. Its slot stays taken until it ends, so that concurrency stays what it says.
        if self.began and not self.in_thread and self.task is not None:
            self.task.cancel()
