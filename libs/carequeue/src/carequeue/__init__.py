"""A typed asyncio job queue on Redis or Valkey that speaks BullMQ's wire format."""

from carequeue.errors import (
    CarequeueError,
    ConnectionLost,
    Instruction,
    InvalidOption,
    JobError,
    JobLocked,
    JobNotFound,
    LockLost,
    ParentNotFound,
    PayloadError,
    QueueNotPaused,
    RateLimited,
    RetryAt,
    SchedulerBusy,
    SchedulerOwnsJob,
    Skip,
    Unrecoverable,
    UnsuitableRedis,
    WorkerNotStarted,
    WrongState,
)
from carequeue.events import Event, QueueEvents
from carequeue.inspect import Counts, Inspector, WorkerInfo
from carequeue.job import Job, JobState
from carequeue.kind import JobKind, NewJob
from carequeue.options import Backoff, Deduplication, JobOptions, KeepJobs, ParentRef, RateLimit, WorkerOptions
from carequeue.queue import Queue
from carequeue.repeat import Repeat
from carequeue.scheduler import Scheduler
from carequeue.telemetry import Telemetry
from carequeue.worker import JobContext, ThreadJobContext, Worker

__all__ = [
    "Backoff",
    "CarequeueError",
    "ConnectionLost",
    "Counts",
    "Deduplication",
    "Event",
    "Inspector",
    "Instruction",
    "InvalidOption",
    "Job",
    "JobContext",
    "JobError",
    "JobKind",
    "JobLocked",
    "JobNotFound",
    "JobOptions",
    "JobState",
    "KeepJobs",
    "LockLost",
    "NewJob",
    "ParentNotFound",
    "ParentRef",
    "PayloadError",
    "Queue",
    "QueueEvents",
    "QueueNotPaused",
    "RateLimit",
    "RateLimited",
    "Repeat",
    "RetryAt",
    "Scheduler",
    "SchedulerBusy",
    "SchedulerOwnsJob",
    "Skip",
    "Telemetry",
    "ThreadJobContext",
    "Unrecoverable",
    "UnsuitableRedis",
    "Worker",
    "WorkerInfo",
    "WorkerNotStarted",
    "WorkerOptions",
    "WrongState",
]
