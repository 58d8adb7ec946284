"""The step of a worker as values: jobs that ended, what to take, and what came back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from carequeue.wire.keep import KEEP_ALL, KeepRule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Verdict = Literal["completed", "failed", "expired", "retry", "delayed", "wait", "children"]

NO_ATTEMPT = ("expired", "wait", "children")

MAX_STEP = 500
"""How many jobs one step may report, and take: Lua holds them all on its stack."""


@dataclass(frozen=True, slots=True)
class Finish:
    """How one job left its worker.

    completed: `value` is the return value as JSON. failed: `value` is the reason as plain text, `stacktrace` a JSON
    array. expired: the same of a job that was taken and did not start: its time was over. retry: again at once, at the
    head if it was added lifo. delayed: again at `due_ms`. wait: handed back unfinished, to the head of its class.
    children: again from its start once no child is pending. retry and delayed store reason and stacktrace too, if there
    is a stacktrace.
    """

    job_id: str
    token: str
    verdict: Verdict
    value: str = ""
    stacktrace: str = ""
    due_ms: int = 0
    """delayed: when it runs again. wait: until when nothing of the queue starts, 0 for no such limit."""
    keep: KeepRule = KEEP_ALL
    attempts: int = 0
    """How many attempts the job has: a failure with that many made says `retries-exhausted`."""
    trace: str = ""
    """What the next attempt is told of this one, as `tm`."""
    counts: bool = True
    """Whether this was an attempt; never one for `expired`, `wait` and `children`."""
    limits_group: bool = False
    """wait: nothing of the job's group starts until `due_ms`, if it has one; other jobs do."""
    dead_letters: str = ""
    """failed, expired: base key of the queue that gets a letter, in the same slot; empty: none does."""

    @property
    def more(self) -> str:
        """What the script has to know of a job that did not complete, or is traced, as JSON."""
        if self.verdict == "completed" and not self.trace:
            return ""
        said: dict[str, object] = {
            "stacktrace": self.stacktrace,
            "due": self.due_ms,
            "attempts": self.attempts,
            "counts": self.counts and self.verdict not in NO_ATTEMPT,
        }
        if self.trace:
            said["trace"] = self.trace
        if self.limits_group:
            said["group"] = True
        if self.dead_letters:
            said["letters"] = self.dead_letters
        return json.dumps(said)


@dataclass(frozen=True, slots=True)
class Step:
    """One round trip of a worker. The k-th job taken gets the lock token `prefix:(from + k)`, k from 0."""

    finishes: Sequence[Finish]
    fetch: int
    now: int
    token_prefix: str
    token_from: int
    lock_ms: int
    worker_name: str | None = None
    limit: int | None = None
    """The worker's rate limit: at most this many jobs start in `limit_ms`; the queue's own limit wins."""
    limit_ms: int | None = None
    metrics_points: int | None = None
    """For how many minutes the queue's metrics are kept; None counts nothing."""


@dataclass(frozen=True, slots=True)
class FetchedJob:
    """A job that is the worker's now, with the fields of its hash that a worker needs."""

    id: str
    token: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StepReply:
    """`codes`: one for each finish, as in wire/codes.py, 0 or more if it was taken; one that was refused never stops
    the others.
    """

    codes: Sequence[int]
    jobs: Sequence[FetchedJob]
    next_due: int | None
    """When to look again unless woken, ms, if fewer jobs came than were asked for: the earliest delayed job is due, or
    the rate limit of a group ends."""
    limited_for: int
    """How many ms the rate limit lets nothing start; 0 without one."""
    drained: bool
    """The last job ended and none is left to take."""
