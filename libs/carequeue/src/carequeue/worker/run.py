"""One attempt at one job, from the moment it was fetched until its outcome is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from carequeue.errors import Instruction

if TYPE_CHECKING:
    import asyncio

    from carequeue.job import Job
    from carequeue.worker.context import JobContext
    from carequeue.worker.traces import Trace


class Run:
    """What a worker knows about a job that it holds. `locked_at` is when its lock was taken or last renewed."""

    __slots__ = (
        "began", "context", "handling", "in_process", "in_thread", "interrupted", "job", "locked_at", "lost",
        "returning", "started", "stopped_by", "task", "timer", "token", "told", "trace",
    )  # fmt: skip

    def __init__(self, job: Job[Any], token: str, now: float) -> None:
        self.job: Job[Any] = job
        self.token: str = token
        self.started: float = now
        self.locked_at: float = now
        self.task: asyncio.Task[None] | None = None
        self.context: JobContext | None = None
        self.trace: Trace | None = None
        self.began: bool = False
        """The task took its first step: before that, cancelling it would end it without a word."""
        self.handling: bool = False
        """The handler began. What comes before it is not cut off by what fails the attempt."""
        self.in_process: bool = False
        self.in_thread: bool = False
        self.told: bool = False
        """Listeners know that its handler began."""
        self.interrupted: bool = False
        """The handler was told to end. Once: it must not be disturbed again while it cleans up."""
        self.stopped_by: Exception | None = None
        """Why the attempt fails, unless the handler returns all the same or says otherwise."""
        self.timer: asyncio.TimerHandle | None = None
        self.lost: bool = False
        """The lock is gone: whatever the handler does, its outcome is dropped."""
        self.returning: bool = False
        """The worker closes: unless the handler returns all the same, the job is handed back."""

    @property
    def lock(self) -> tuple[str, str]:
        return self.job.id, self.token

    @property
    def is_ending(self) -> bool:
        """Whether it was decided already how this attempt ends. What comes first counts; a lost lock always does."""
        return self.lost or self.returning or self.stopped_by is not None

    def lose(self) -> None:
        """Tell the handler that the job is not its own any more."""
        self.lost = True
        if self.context is not None:
            self.context.lost.set()
        if self.trace is not None:
            self.trace.note("lock lost")
        self._interrupt()

    def hand_back(self) -> None:
        """Tell the handler that there is no time left."""
        self.returning = self.stopped_by is None
        self._interrupt()

    def stop(self, error: Exception) -> None:
        """Tell the handler to end; the attempt fails with `error`."""
        self.stopped_by = error
        if self.handling:
            self._interrupt()

    def give_up(self) -> None:
        """Whoever waits for this attempt waits no longer. Its slot stays taken until its handler really ends."""
        self.lose()
        self.interrupted = False
        self._interrupt()  # once more: Python 3.11's wait_for loses a cancellation that comes as it is done

    def settle(self, error: BaseException) -> BaseException:
        """The error that the attempt ended with, when the handler raised `error`."""
        if self.stopped_by is None or isinstance(error, Instruction) or error is self.stopped_by:
            return error
        self.stopped_by.__cause__ = error  # its traceback tells where the handler was
        return self.stopped_by

    def _interrupt(self) -> None:
        if self.context is not None:
            self.context.is_cancelled = True
        # A thread cannot be stopped. Its slot stays taken until it ends, so that concurrency stays what it says.
        if self.began and not self.in_thread and not self.interrupted and self.task is not None:
            self.interrupted = True
            self.task.cancel()
