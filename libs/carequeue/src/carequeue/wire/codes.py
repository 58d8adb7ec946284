"""What the negative replies of scripts mean. Scripts of ours and of BullMQ share the numbers."""

from __future__ import annotations

from carequeue.errors import (
    CarequeueError,
    GroupFull,
    JobError,
    JobLocked,
    JobNotFound,
    LockLost,
    ParentNotFound,
    SchedulerBusy,
    SchedulerOwnsJob,
    WrongState,
)

FINE = 0
PARENT_BLOCKED = 1  # ours: fine, but the job failed and its parent will wait for it for ever
MISSING = -1
LOCK_MISSING = -2
WRONG_STATE = -3
PENDING_CHILDREN = -4
PARENT_MISSING = -5
LOCK_OF_ANOTHER = -6
OTHER_PARENT = -7
SCHEDULERS_JOB = -8
FAILED_CHILDREN = -9
SCHEDULER_COLLISION = -10
SCHEDULER_SLOTS_BUSY = -11
GROUP_FULL = -14  # ours
HELD = -12  # ours: removal of a job that a worker holds, which BullMQ answers with 0

_JOB_ERRORS: dict[int, tuple[type[JobError], str | None]] = {
    MISSING: (JobNotFound, None),
    LOCK_MISSING: (LockLost, "its lock ran out; somebody else decides about it now"),
    WRONG_STATE: (WrongState, None),
    PENDING_CHILDREN: (WrongState, "children of it are still pending"),
    PARENT_MISSING: (ParentNotFound, None),
    LOCK_OF_ANOTHER: (LockLost, "another worker holds it now"),
    OTHER_PARENT: (WrongState, "it exists and belongs to another parent"),
    SCHEDULERS_JOB: (SchedulerOwnsJob, None),
    FAILED_CHILDREN: (WrongState, "children of it failed"),
    HELD: (JobLocked, None),
    GROUP_FULL: (GroupFull, None),
}


def error_of(code: int, job_id: str) -> CarequeueError:
    """The exception for a negative reply about `job_id`."""
    if code in (SCHEDULER_COLLISION, SCHEDULER_SLOTS_BUSY):
        return SchedulerBusy()
    kind, message = _JOB_ERRORS.get(code, (JobError, f"the script answered {code}"))
    return kind(job_id, message)
