"""What a worker tells metrics and tracing: a table of every event with its fields, and who listens.

    telemetry = Telemetry()
    telemetry.subscribe(lambda event, fields: histogram.observe(fields["seconds"]), "job.completed")
    Worker(..., telemetry=telemetry)

Subscribers are plain functions, called in the event loop at the moment of the event: count, note, return. Without a
subscriber an event costs one look at an empty table. Names, data and errors of jobs may be private: `error` is the
class of an error only, never its text.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

log: logging.Logger = logging.getLogger("carequeue.telemetry")

EVENTS: Mapping[str, tuple[str, ...]] = {
    "worker.started": ("queue", "worker", "concurrency"),
    "worker.closed": ("queue", "worker", "handed_back", "abandoned"),
    "worker.drained": ("queue",),
    "worker.disconnected": ("queue", "error"),
    "worker.reconnected": ("queue", "seconds"),
    "step": ("queue", "finished", "asked", "fetched", "seconds"),
    "job.started": ("queue", "job_id", "name", "attempt", "waited"),
    "job.completed": ("queue", "job_id", "name", "attempt", "seconds"),
    "job.retrying": ("queue", "job_id", "name", "attempt", "seconds", "error"),
    "job.failed": ("queue", "job_id", "name", "attempt", "seconds", "error"),
    "job.parked": ("queue", "job_id", "name"),
    "job.handed_back": ("queue", "job_id", "name"),
    "job.abandoned": ("queue", "job_id"),
    "job.stalled": ("queue", "job_id"),
    "job.expired": ("queue", "job_id", "name"),
    "job.progress": ("queue", "job_id"),
    "job.blocked_parent": ("queue", "job_id", "parent_id"),
    "job.unreported": ("queue", "job_id", "code"),
    "lock.lost": ("queue", "job_id"),
    "locks.renewed": ("queue", "count"),
    "hook.failed": ("queue", "hook", "error"),
}
"""Every event and its fields. `seconds` and `waited` are floats; `attempt` counts from 1.

`step` is one script call: how many jobs it reported, how many it asked for and got. `waited` is the time from when a
job could run until its first attempt started, None for later ones. `job.retrying` is a failed attempt that is followed
by another one, or a `RetryAt`. `job.expired` is one that was taken when its time was over, and did not run.
`job.parked` is a job that waits for its children. `job.blocked_parent` is a child that failed and did not say what that
means: its parent waits for ever, unless somebody retries or removes the child.
`job.abandoned` is a job in a thread that did not end before a closing worker's deadline: the stall check rescues it.
`job.unreported` is a job whose end Redis refused (`code`), because somebody else decides about it.
"""

Subscriber = Callable[[str, Mapping[str, Any]], None]


class Telemetry:
    """Who listens to which event. One may serve several workers: every event says its queue."""

    def __init__(self) -> None:
        self._subscribers: dict[str, list[Subscriber]] = {}

    def subscribe(self, subscriber: Subscriber, *events: str) -> Callable[[], None]:
        """Call `subscriber(event, fields)` at each of `events` (none named: at every one). Returns what ends it.

        Raises:
            KeyError: an event that is not in the table.
        """
        names = events or tuple(EVENTS)
        if unknown := [name for name in names if name not in EVENTS]:
            raise KeyError(f"no such event: {', '.join(unknown)}; there are {', '.join(EVENTS)}")
        for name in names:
            self._subscribers.setdefault(name, []).append(subscriber)

        def unsubscribe() -> None:
            for name in names:
                if subscriber in (rest := self._subscribers.get(name, [])):
                    rest.remove(subscriber)

        return unsubscribe

    def wanted(self, event: str) -> bool:
        """Whether anybody listens: ask before gathering fields that cost something."""
        return bool(self._subscribers.get(event))

    def emit(self, event: str, **fields: Any) -> None:
        """Call whoever listens to `event`. Workers do it; an error of a subscriber is logged and goes no further."""
        for subscriber in self._subscribers.get(event, ()):
            try:
                subscriber(event, fields)
            except Exception:  # a broken metric must not break a job; it is logged and left
                log.exception("telemetry.subscriber_failed", extra={"event": event})
