"""Everything that carequeue raises.

CarequeueError
├── InvalidOption            a value that the queue cannot use (also a ValueError)
├── PayloadError             data that does not fit its JobKind, or that JSON cannot carry
├── ConnectionLost           Redis did not answer; the command may or may not have run
│   ├── NotReady             it answered that it cannot at the moment; nothing was done
│   └── AccessRefused        wrong name, password or certificate; nothing was done
├── NotPermitted             this user may not run a command, or touch a key, that this needs
├── UnsuitableRedis          too old, or evicts keys; said at start
├── JobError                 about one job; `.job_id`
│   ├── JobNotFound          no such job
│   ├── JobLocked            a worker holds it
│   ├── LockLost             the lock ended or belongs to somebody else
│   ├── WrongState           the job is not in the state that this needs
│   ├── JobFailed            somebody waited for it, and it failed; `.reason`
│   ├── ParentNotFound       the parent named at add does not exist
│   ├── GroupFull            as many jobs wait in its group as may
│   └── SchedulerOwnsJob     the job is a scheduler's next run; remove the scheduler
├── SchedulerBusy            the slot of a scheduler's next run is taken
├── QueueNotPaused           obliterate wants a paused queue
├── WorkerNotStarted         used before `start()`
├── AttemptTimedOut          an attempt took longer than its timeout (also a TimeoutError)
├── AttemptCancelled         somebody cancelled an attempt: `Worker.cancel_job`
├── ProcessDied              the process of a handler ended before the handler did
├── HandlerError             a handler in a process raised what cannot be sent from there; `.type_name`
├── Superseded               `once`: a later attempt has claimed what this one is about to do
└── Instruction              what a handler raises to say how its job goes on
    ├── Unrecoverable        failed now, whatever attempts are left
    ├── RetryAt              again at an instant
    ├── RateLimited          again after a time in which the queue starts nothing
    ├── HandBack             waits again, at the front
    ├── Skip                 nothing to do: completed with the reason
    ├── WaitForChildren      again once no child is pending
    └── BatchFailure         these jobs of a batch failed, the others completed
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta


class CarequeueError(Exception):
    """Something in carequeue went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())

    def __reduce__(self) -> tuple[Any, ...]:
        # pickled as it is, whatever its `__init__` wants: handlers in processes send errors to their worker
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[CarequeueError], args: tuple[Any, ...], state: Mapping[str, Any]) -> CarequeueError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


class InvalidOption(CarequeueError, ValueError):
    """An option has a value that the queue cannot use."""


class PayloadError(CarequeueError, ValueError):
    """The data does not fit the job's kind, or cannot be written as JSON."""


class ConnectionLost(CarequeueError):
    """Redis did not answer. The command may have run: repeat it only if running it twice is harmless."""


class NotReady(ConnectionLost):
    """Redis cannot do it at the moment: it loads, is read-only, full … Nothing was done: try again after a while."""


class AccessRefused(ConnectionLost):
    """Redis and this client do not trust each other: the name, the password, or a certificate. Nothing was done."""


class NotPermitted(CarequeueError):
    """This user may not run a command, or touch a key, that is needed: docs/connections.md lists what a user needs.

    If it was one of a script's commands, those before it were done.
    """


class UnsuitableRedis(CarequeueError):
    """This server cannot hold a queue safely; the message says which setting or version it needs."""


class JobError(CarequeueError):
    """Something about one job."""

    def __init__(self, job_id: str, message: str | None = None) -> None:
        self.job_id: str = job_id
        super().__init__(f"job {job_id}: {message or (self.__doc__ or '').strip()}")


class JobNotFound(JobError):
    """there is no such job; it was removed, or never added."""


class JobLocked(JobError):
    """a worker holds it; wait until it has finished."""


class LockLost(JobError):
    """its lock ran out or belongs to another worker; somebody else decides about it now."""


class WrongState(JobError):
    """it is not in the state that this needs."""


class JobFailed(JobError):
    """it failed."""

    def __init__(self, job_id: str, reason: str) -> None:
        self.reason: str = reason
        super().__init__(job_id, f"it failed: {reason}")


class ParentNotFound(JobError):
    """the parent named at add does not exist."""


class GroupFull(JobError):
    """as many jobs wait in its group as may; it was not added."""


class SchedulerOwnsJob(JobError):
    """it is the next run of a scheduler; remove the scheduler instead."""


class SchedulerBusy(CarequeueError):
    """The slot of the scheduler's next run is taken by another job."""


class QueueNotPaused(CarequeueError):
    """Obliterating deletes every job: pause the queue first, and finish or force what is active."""


class WorkerNotStarted(CarequeueError):
    """The worker was used before it started; use `async with Worker(...)` or `await worker.run()`."""


class AttemptTimedOut(CarequeueError, TimeoutError):
    """The attempt took longer than its timeout."""


class AttemptCancelled(CarequeueError):
    """The attempt was cancelled."""


class ProcessDied(CarequeueError):
    """The process of the handler ended before the handler did."""


class HandlerError(CarequeueError):
    """A handler in a process raised an error that cannot be sent from there; these are its words."""

    def __init__(self, type_name: str, message: str) -> None:
        self.type_name: str = type_name
        super().__init__(f"{type_name}: {message}" if message else type_name)


class Superseded(CarequeueError):
    """A later attempt has claimed what this one was about to do."""


class Instruction(CarequeueError):
    """Raised (or returned) by a handler to say how its job goes on."""


class Unrecoverable(Instruction):
    """The job fails now, whatever attempts are left."""


class RetryAt(Instruction):
    """The job runs again at `when`. It counts as an attempt made, but the number of attempts does not limit it.

    With `counts=False` no attempt is made by it: it was too early for one.
    """

    def __init__(self, when: datetime, why: str = "", *, counts: bool = True) -> None:
        if when.tzinfo is None:
            raise InvalidOption(f"RetryAt wants an aware datetime, got the naive {when.isoformat()}")
        self.when: datetime = when
        self.why: str = why
        self.counts: bool = counts
        super().__init__(f"again at {when.isoformat()}{': ' if why else ''}{why}")


class RateLimited(Instruction):
    """Whatever the handler calls wants no more for `for_`: the job waits at the front, and nothing of the queue starts.

    With `group` nothing of the job's group starts, and other groups go on; a job without one limits the queue all the
    same. No attempt is made by it.
    """

    def __init__(self, for_: timedelta, *, group: bool = False) -> None:
        if for_.total_seconds() <= 0:
            raise InvalidOption(f"RateLimited wants a time longer than nothing, got {for_}")
        self.for_: timedelta = for_
        self.group: bool = group
        super().__init__(f"nothing starts for {for_}")


class HandBack(Instruction):
    """The job waits again, at the front, for whoever takes it next; no attempt is counted."""


class Skip(Instruction):
    """There is nothing to do: the job completes and its return value is `{"skipped": why}`."""

    def __init__(self, why: str) -> None:
        self.why: str = why
        super().__init__(why)


class WaitForChildren(Instruction):
    """The job runs again from its start once none of its children is pending, which may be at once. No attempt made.

    Raise it after adding children (`queue.add(…, parent=…)`), and only while there may be pending ones: a handler that
    always raises it runs for ever.
    """


class BatchFailure(Instruction):
    """Some jobs of a batch failed: each is tried again, or fails, by its own rules. The others completed.

    `failures` has the error of each, by the job's id: `raise BatchFailure({job.id: error})`.
    """

    def __init__(self, failures: Mapping[str, BaseException]) -> None:
        self.failures: dict[str, BaseException] = dict(failures)
        super().__init__(f"{len(self.failures)} jobs of the batch failed")
