"""A typed asyncio job queue on Redis or Valkey that speaks BullMQ's wire format."""

from carequeue.audit import SchedulerRepair
from carequeue.children import Child, ChildCounts, Children, ChildState
from carequeue.clients import ListenerInfo, WorkerInfo
from carequeue.dead_letters import DeadLetter
from carequeue.error_groups import ErrorGroup, ErrorScan
from carequeue.errors import (
    AccessRefused,
    AttemptCancelled,
    AttemptTimedOut,
    BatchFailure,
    CarequeueError,
    ConnectionLost,
    GroupFull,
    HandBack,
    HandlerError,
    Instruction,
    InvalidOption,
    JobError,
    JobFailed,
    JobLocked,
    JobNotFound,
    LockLost,
    NotPermitted,
    NotReady,
    ParentNotFound,
    PayloadError,
    ProcessDied,
    QueueNotPaused,
    RateLimited,
    RetryAt,
    SchedulerBusy,
    SchedulerOwnsJob,
    Skip,
    Superseded,
    Unrecoverable,
    UnsuitableRedis,
    WaitForChildren,
    WorkerNotStarted,
    WrongState,
)
from carequeue.events import Event, QueueEvents
from carequeue.events_producer import QueueEventsProducer
from carequeue.flow import Flow, FlowNode, FlowProducer
from carequeue.group import Group
from carequeue.groups import GroupInfo, GroupSettings, GroupStatus
from carequeue.held import HeldJob
from carequeue.inspect import Inspector
from carequeue.job import Job, JobState
from carequeue.kind import JobKind, NewJob
from carequeue.manual import ManualWorker
from carequeue.meta import QueueMeta
from carequeue.metrics import Metrics
from carequeue.misfire import CatchUp, RunOnce, SkipLate
from carequeue.once import Claim, OnceStore, RedisOnce, once
from carequeue.options import (
    Backoff,
    Deduplication,
    JobOptions,
    KeepJobs,
    OnFailure,
    ParentRef,
    RateLimit,
)
from carequeue.queue import Queue
from carequeue.repeat import Repeat, next_run
from carequeue.scheduler import Scheduler
from carequeue.search import JobPage
from carequeue.server_clock import ServerClock
from carequeue.states import Counts
from carequeue.telemetry import Telemetry
from carequeue.timetable import RepeatStrategy
from carequeue.worker import (
    BatchContext,
    JobContext,
    ProcessJobContext,
    ThreadBatchContext,
    ThreadJobContext,
    Worker,
)
from carequeue.worker_options import WorkerOptions

__all__ = [
    "AccessRefused",
    "AttemptCancelled",
    "AttemptTimedOut",
    "Backoff",
    "BatchContext",
    "BatchFailure",
    "CarequeueError",
    "CatchUp",
    "Child",
    "ChildCounts",
    "ChildState",
    "Children",
    "Claim",
    "ConnectionLost",
    "Counts",
    "DeadLetter",
    "Deduplication",
    "ErrorGroup",
    "ErrorScan",
    "Event",
    "Flow",
    "FlowNode",
    "FlowProducer",
    "Group",
    "GroupFull",
    "GroupInfo",
    "GroupSettings",
    "GroupStatus",
    "HandBack",
    "HandlerError",
    "HeldJob",
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
    "JobPage",
    "JobState",
    "KeepJobs",
    "ListenerInfo",
    "LockLost",
    "ManualWorker",
    "Metrics",
    "NewJob",
    "NotPermitted",
    "NotReady",
    "OnFailure",
    "OnceStore",
    "ParentNotFound",
    "ParentRef",
    "PayloadError",
    "ProcessDied",
    "ProcessJobContext",
    "Queue",
    "QueueEvents",
    "QueueEventsProducer",
    "QueueMeta",
    "QueueNotPaused",
    "RateLimit",
    "RateLimited",
    "RedisOnce",
    "Repeat",
    "RepeatStrategy",
    "RetryAt",
    "RunOnce",
    "Scheduler",
    "SchedulerBusy",
    "SchedulerOwnsJob",
    "SchedulerRepair",
    "ServerClock",
    "Skip",
    "SkipLate",
    "Superseded",
    "Telemetry",
    "ThreadBatchContext",
    "ThreadJobContext",
    "Unrecoverable",
    "UnsuitableRedis",
    "WaitForChildren",
    "Worker",
    "WorkerInfo",
    "WorkerNotStarted",
    "WorkerOptions",
    "WrongState",
    "next_run",
    "once",
]
