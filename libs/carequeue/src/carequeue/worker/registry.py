"""What the owner of a worker registers: the handlers of its jobs, and hooks for what it wants to hear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from carequeue.worker.handlers import BatchRegistration, Handlers, Registration, RunIn, batch_terms
from carequeue.worker.hooks import Hook, HookName, Hooks

if TYPE_CHECKING:
    from datetime import timedelta

    from carequeue.kind import JobKind

P = TypeVar("P")
H = TypeVar("H", bound=Hook)


class Registry:
    """The handlers and hooks of one worker."""

    def __init__(self, hooks: Hooks) -> None:
        self._handlers = Handlers()
        self._hooks = hooks

    @overload
    def handles(self, kind: JobKind[P], *, run_in: RunIn | None = None) -> Registration[P]: ...
    @overload
    def handles(self, kind: str, *, run_in: RunIn | None = None) -> Registration[Any]: ...
    def handles(self, kind: JobKind[Any] | str, *, run_in: RunIn | None = None) -> Registration[Any]:
        """Register the decorated function for the jobs of a kind, or of a name.

        A coroutine function runs in the event loop, a plain one in a thread, or with `run_in="process"` in a child
        process. It takes the job, and the context if it has a second parameter.

        Raises:
            InvalidOption: it cannot be called so, or a child process could not find it.
        """
        if isinstance(kind, str):
            return Registration(self._handlers, kind, None, run_in)
        return Registration(self._handlers, kind.name, kind.payload_type, run_in)

    def handles_others(self, *, run_in: RunIn | None = None) -> Registration[Any]:
        """The same for all jobs that no other handler is for, as the handler given to `Worker`."""
        return Registration(self._handlers, None, None, run_in)

    @overload
    def handles_batch(
        self, kind: JobKind[P], *, size: int = 50, minimum: int = 1, timeout: timedelta | None = None
    ) -> BatchRegistration[P]: ...
    @overload
    def handles_batch(
        self, kind: str, *, size: int = 50, minimum: int = 1, timeout: timedelta | None = None
    ) -> BatchRegistration[Any]: ...
    def handles_batch(
        self, kind: JobKind[Any] | str, *, size: int = 50, minimum: int = 1, timeout: timedelta | None = None
    ) -> BatchRegistration[Any]:
        """Register the decorated function for lists of up to `size` jobs of a kind, or of a name.

        It takes the list, and a BatchContext if it has a second parameter. A list has at least `minimum` jobs, unless
        so many did not come within `timeout`. It returns None or a list with the value of each job, where an error
        fails that job; it raises for all of them, or BatchFailure for some. Each job takes one slot of `concurrency`.

        Raises:
            InvalidOption: a batch cannot be like that, or the name has a handler.
        """
        name, payload_type = (kind, None) if isinstance(kind, str) else (kind.name, kind.payload_type)
        return BatchRegistration(self._handlers, name, payload_type, batch_terms(size, minimum, timeout))

    def on_active(self, hook: H) -> H:
        """`hook(job)` when the handler of a job begins."""
        return self._hook("active", hook)

    def on_completed(self, hook: H) -> H:
        """`hook(job, value)` after a job completed with the handler's value."""
        return self._hook("completed", hook)

    def on_failed(self, hook: H) -> H:
        """`hook(job, error)` after each failed attempt; `job.finished_at` is set if it was the last one."""
        return self._hook("failed", hook)

    def on_expired(self, hook: H) -> H:
        """`hook(job)` for a job that this worker took when its time was over (`expires_after`, `expires_at`): it did
        not run, and has failed as "expired".
        """
        return self._hook("expired", hook)

    def on_progress(self, hook: H) -> H:
        """`hook(job, value)` after a handler of this worker reported progress."""
        return self._hook("progress", hook)

    def on_stalled(self, hook: H) -> H:
        """`hook(job_id)` for a job that this worker found without a living owner and put back."""
        return self._hook("stalled", hook)

    def on_blocked(self, hook: H) -> H:
        """`hook(job, parent)` for a child that failed and did not say (`on_failure`) what that means: its parent, a
        ParentRef, waits until somebody retries or removes the child.
        """
        return self._hook("blocked", hook)

    def on_missed(self, hook: H) -> H:
        """`hook(job, late)` for a scheduler's run that was skipped, because it came by a timedelta `late` and its
        `misfire` policy says so; others that were missed with it are not told one by one.
        """
        return self._hook("missed", hook)

    def on_scheduler_repaired(self, hook: H) -> H:
        """`hook(scheduler_id, next_run)` for a scheduler whose next run was lost: this worker gave it one again, due
        then. None: it had no run left and was removed.
        """
        return self._hook("scheduler_repaired", hook)

    def on_drained(self, hook: H) -> H:
        """`hook()` when the last job ended and none is left to take; delayed ones may be."""
        return self._hook("drained", hook)

    def on_error(self, hook: H) -> H:
        """`hook(error)` for what is no job's failure: a lost connection, a lost lock, a broken hook."""
        return self._hook("error", hook)

    def on_ready(self, hook: H) -> H:
        """`hook()` when Redis answers: at the start, and again after an outage."""
        return self._hook("ready", hook)

    def on_paused(self, hook: H) -> H:
        """`hook()` when this worker was told to take no more jobs. What runs may still run: `wait_until_empty`."""
        return self._hook("paused", hook)

    def on_resumed(self, hook: H) -> H:
        """`hook()` when this worker takes jobs again."""
        return self._hook("resumed", hook)

    def on_closing(self, hook: H) -> H:
        """`hook()` when the worker begins to close: its handlers have the `grace` from now on."""
        return self._hook("closing", hook)

    def on_closed(self, hook: H) -> H:
        """`hook()` when the worker holds no job and no connection any more."""
        return self._hook("closed", hook)

    def on_locks_renewed(self, hook: H) -> H:
        """`hook(job_ids)` after the locks of jobs that take their time were renewed."""
        return self._hook("locks_renewed", hook)

    def on_lock_renewal_failed(self, hook: H) -> H:
        """`hook(job_ids)` for jobs whose locks were lost; `on_error` hears a LockLost for each, and their handlers are
        cancelled.
        """
        return self._hook("lock_renewal_failed", hook)

    def _hook(self, name: HookName, hook: H) -> H:
        self._hooks.add(name, hook)
        return hook
