"""A typed asyncio job queue on Redis or Valkey that speaks BullMQ's wire format."""

from carequeue.children import Child, ChildCounts, Children, ChildState
from carequeue.errors import (
    AttemptCancelled,
    AttemptTimedOut,
    CarequeueError,
    ConnectionLost,
    Instruction,
    InvalidOption,
    JobError,
    JobFailed,
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
    WaitForChildren,
    WorkerNotStarted,
    WrongState,
)
from carequeue.events import Event, QueueEvents
from carequeue.flow import Flow, FlowNode, FlowProducer
from carequeue.inspect import Counts, Inspector, WorkerInfo
from carequeue.job import Job, JobState
from carequeue.kind import JobKind, NewJob
from carequeue.metrics import Metrics
from carequeue.options import (
    Backoff,
    Deduplication,
    JobOptions,
    KeepJobs,
    OnFailure,
    ParentRef,
    RateLimit,
    WorkerOptions,
)
from carequeue.queue import Queue
from carequeue.repeat import Repeat
from carequeue.scheduler import Scheduler
from carequeue.telemetry import Telemetry
from carequeue.worker import JobContext, ThreadJobContext, Worker

__all__ = [
    "AttemptCancelled",
    "AttemptTimedOut",
    "Backoff",
    "CarequeueError",
    "Child",
    "ChildCounts",
    "ChildState",
    "Children",
    "ConnectionLost",
    "Counts",
    "Deduplication",
    "Event",
    "Flow",
    "FlowNode",
    "FlowProducer",
    "Inspector",
    "Instruction",
    "InvalidOption",
    "Job",
    "JobContext",
    "JobError",
    "JobFailed",
    "JobKind",
    "JobLocked",
    "JobNotFound",
    "JobOptions",
    "JobState",
    "KeepJobs",
    "LockLost",
    "Metrics",
    "NewJob",
    "OnFailure",
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
    "WaitForChildren",
    "Worker",
    "WorkerInfo",
    "WorkerNotStarted",
    "WorkerOptions",
    "WrongState",
]
