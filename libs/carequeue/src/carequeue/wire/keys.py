"""The name of every Redis key of a queue. Nobody else spells one; the scripts derive the same names in `queueKeys`."""

from __future__ import annotations

from dataclasses import dataclass

from carequeue.errors import InvalidOption


@dataclass(frozen=True, slots=True)
class QueueKeys:
    """The keys of one queue: `prefix:queue:suffix`.

    Raises:
        InvalidOption: the queue's name or the prefix is empty, or the name has a colon.
    """

    prefix: str
    queue: str

    def __post_init__(self) -> None:
        if not self.prefix:
            raise InvalidOption("a prefix is not empty; BullMQ's default is 'bull'")
        if not self.queue or ":" in self.queue:
            raise InvalidOption(f"a queue's name is not empty and has no ':', got {self.queue!r}")

    @property
    def base(self) -> str:
        return f"{self.prefix}:{self.queue}"

    @property
    def wait(self) -> str:
        return f"{self.base}:wait"

    @property
    def active(self) -> str:
        return f"{self.base}:active"

    @property
    def prioritized(self) -> str:
        return f"{self.base}:prioritized"

    @property
    def delayed(self) -> str:
        return f"{self.base}:delayed"

    @property
    def completed(self) -> str:
        return f"{self.base}:completed"

    @property
    def failed(self) -> str:
        return f"{self.base}:failed"

    @property
    def waiting_children(self) -> str:
        return f"{self.base}:waiting-children"

    @property
    def paused(self) -> str:
        """The list where BullMQ up to 5 kept the jobs of a paused queue."""
        return f"{self.base}:paused"

    @property
    def marker(self) -> str:
        return f"{self.base}:marker"

    @property
    def stalled(self) -> str:
        return f"{self.base}:stalled"

    @property
    def stalled_check(self) -> str:
        return f"{self.base}:stalled-check"

    @property
    def housekeeping(self) -> str:
        """Ours: there while the turn of the worker that looks at schedulers lasts."""
        return f"{self.base}:housekeeping"

    @property
    def limiter(self) -> str:
        return f"{self.base}:limiter"

    @property
    def meta(self) -> str:
        return f"{self.base}:meta"

    @property
    def events(self) -> str:
        return f"{self.base}:events"

    @property
    def id(self) -> str:
        return f"{self.base}:id"

    @property
    def pc(self) -> str:
        return f"{self.base}:pc"

    @property
    def repeat(self) -> str:
        return f"{self.base}:repeat"

    @property
    def groups_turns(self) -> str:
        """The groups that have waiting jobs, in the order in which they are served."""
        return f"{self.base}:groups:turns"

    @property
    def groups_limited(self) -> str:
        return f"{self.base}:groups:limited"

    @property
    def groups_waiting(self) -> str:
        return f"{self.base}:groups:waiting"

    @property
    def groups_active(self) -> str:
        return f"{self.base}:groups:active"

    @property
    def groups_settings(self) -> str:
        return f"{self.base}:groups:settings"

    @property
    def groups_checked(self) -> str:
        return f"{self.base}:groups:checked"

    def group_wait(self, group_id: str) -> str:
        return f"{self.base}:groups::{group_id}:wait"

    def group_limiter(self, group_id: str) -> str:
        return f"{self.base}:groups::{group_id}:limiter"

    def scheduler(self, scheduler_id: str) -> str:
        return f"{self.base}:repeat:{scheduler_id}"

    def job(self, job_id: str) -> str:
        return f"{self.base}:{job_id}"

    def lock(self, job_id: str) -> str:
        return f"{self.base}:{job_id}:lock"

    def logs(self, job_id: str) -> str:
        return f"{self.base}:{job_id}:logs"

    def dependencies(self, job_id: str) -> str:
        return f"{self.base}:{job_id}:dependencies"

    def deduplication(self, deduplication_id: str) -> str:
        """Holds the id of the job that owns the window."""
        return f"{self.base}:de:{deduplication_id}"


def split_job_key(key: str) -> tuple[str, str]:
    """The queue's base key and the id in `prefix:queue:id`."""
    base, _, job_id = key.rpartition(":")
    return base, job_id
