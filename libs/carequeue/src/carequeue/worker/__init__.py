"""The worker of a queue. `worker.py` is its face, the other files hold one part each."""

from carequeue.clock import Clock, SystemClock, Timer
from carequeue.worker.batch_context import BatchContext, ThreadBatchContext
from carequeue.worker.context import JobContext, ProcessJobContext, ThreadJobContext
from carequeue.worker.worker import Worker

__all__ = [
    "BatchContext",
    "Clock",
    "JobContext",
    "ProcessJobContext",
    "SystemClock",
    "ThreadBatchContext",
    "ThreadJobContext",
    "Timer",
    "Worker",
]
