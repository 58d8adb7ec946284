"""How a worker behaves: a frozen value, checked when it is made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypedDict

from carequeue.errors import InvalidOption
from carequeue.options import ZERO, Keep, RateLimit, check_letters_queue, check_longer_than_nothing

if TYPE_CHECKING:
    from carequeue.timetable import RepeatStrategy

MAX_DATA_POINTS = 60 * 24 * 28
"""Four weeks of minutes: more would make the first script call after a long pause a slow one."""


class WorkerWords(TypedDict, total=False):
    """The keyword arguments of `Worker`: the fields of WorkerOptions."""

    concurrency: int
    name: str | None
    lock_duration: timedelta
    lock_renew_time: timedelta | None
    stalled_interval: timedelta
    max_stalled_count: int
    drain_delay: timedelta
    run_retry_delay: timedelta
    max_started_attempts: int | None
    keep_completed: Keep
    keep_failed: Keep
    skip_stalled_check: bool
    skip_lock_renewal: bool
    grace: timedelta
    batch: int
    limiter: RateLimit | None
    max_data_points: int | None
    timeout: timedelta | None
    cancel_grace: timedelta
    dead_letters: str | None
    processes: int | None
    jobs_per_process: int | None
    repeat_strategy: RepeatStrategy | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """How a worker behaves. The defaults are BullMQ's where BullMQ has the option."""

    concurrency: int = 1
    """How many jobs run at once; coroutines, threads and processes count alike."""
    name: str | None = None
    """What `Queue.workers` and `Job.worker_name` call it."""
    lock_duration: timedelta = timedelta(seconds=30)
    """How long a job stays this worker's without a renewal. Renewed all the while its handler runs."""
    lock_renew_time: timedelta | None = None
    """None: half the lock duration."""
    stalled_interval: timedelta = timedelta(seconds=30)
    """How often it looks for jobs of workers that vanished: those come back after one or two."""
    max_stalled_count: int = 1
    """How often a job may come back so; then it fails."""
    drain_delay: timedelta = timedelta(seconds=5)
    """How long one wait on an idle queue lasts at the most."""
    run_retry_delay: timedelta = timedelta(seconds=3)
    """How long one wait for a Redis that does not answer lasts at the most, before it is tried again."""
    max_started_attempts: int | None = None
    """A job that was started so often, by whatever worker, fails instead of starting again."""
    keep_completed: Keep = True
    """What stays of completed jobs that do not say it themselves."""
    keep_failed: Keep = True
    """What stays of failed jobs that do not say it themselves."""
    skip_stalled_check: bool = False
    """Leave looking for them to other workers of the queue."""
    skip_lock_renewal: bool = False
    """Let every lock run out after `lock_duration`, done or not."""
    grace: timedelta = timedelta(seconds=30)
    """How long a closing worker lets its handlers finish before it cancels them and hands their jobs back."""
    batch: int = 50
    """How many finished jobs one script call reports at the most."""
    limiter: RateLimit | None = None
    """How many jobs may start in a time. Redis counts for the whole queue: give its workers the same one."""
    max_data_points: int | None = None
    """For how many minutes `Queue.metrics` tells what this worker completed and failed; None counts nothing."""
    timeout: timedelta | None = None
    """How long one attempt may take, if its job does not say it; None: as long as it wants."""
    cancel_grace: timedelta = timedelta(seconds=5)
    """How long a handler that was told to end may take to clean up. Then its attempt is given up."""
    dead_letters: str | None = None
    """The queue that gets a letter for each job that fails for good, unless the job names another one."""

    processes: int | None = None
    """How many child processes run the handlers with `run_in="process"` at the most; None: one for each processor."""
    jobs_per_process: int | None = None
    """After how many jobs a child process is replaced, for handlers that leak; None: not for that."""
    repeat_strategy: RepeatStrategy | None = None
    """Finds the next runs of schedulers with a pattern; all clients and workers want the same one. None: by cron."""

    def __post_init__(self) -> None:
        check_letters_queue(self.dead_letters)
        if self.concurrency < 1:
            raise InvalidOption(f"concurrency is at least 1, got {self.concurrency}")
        for name in ("lock_duration", "stalled_interval", "drain_delay", "run_retry_delay", "timeout"):
            check_longer_than_nothing(name, getattr(self, name))
        if self.lock_renew_time is not None and not ZERO < self.lock_renew_time < self.lock_duration:
            raise InvalidOption(f"lock_renew_time lies between 0 and lock_duration, got {self.lock_renew_time}")
        if self.max_stalled_count < 0:
            raise InvalidOption(f"max_stalled_count is 0 or more, got {self.max_stalled_count}")
        if not 1 <= self.batch <= 500:
            raise InvalidOption(f"batch is between 1 and 500, got {self.batch}")
        if self.max_data_points is not None and not 1 <= self.max_data_points <= MAX_DATA_POINTS:
            raise InvalidOption(f"max_data_points is between 1 and {MAX_DATA_POINTS}, got {self.max_data_points}")
        for name in ("processes", "jobs_per_process"):
            if (number := getattr(self, name)) is not None and number < 1:
                raise InvalidOption(f"{name} is at least 1, got {number}")
        for name in ("grace", "cancel_grace"):
            if getattr(self, name) < ZERO:
                raise InvalidOption(f"{name} is 0 or more, got {getattr(self, name)}")
