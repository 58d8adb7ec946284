"""Meters: BullMQ's counters, duration and gauge, and a few numbers that only carequeue knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from carequeue.opentelemetry import words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.metrics import Counter, Meter

    from carequeue.labels import JobNames
    from carequeue.telemetry import Telemetry

ENDINGS = {
    "job.completed": "completed",
    "job.failed": "failed",
    "job.expired": "failed",
    "job.parked": "waiting-children",
    "job.handed_back": "waiting",
}
"""The state in which an event leaves a job, in BullMQ's words; `job.retrying` leaves it `delayed` or `retried`."""
STATES = ("completed", "failed", "delayed", "retried", "waiting", "waiting-children")

OWN_COUNTERS = {
    "job.added": ("carequeue.jobs.added", "{job}", "Jobs added"),
    "job.stalled": ("carequeue.jobs.stalled", "{job}", "Jobs of workers that went away, put back"),
    "job.unreported": ("carequeue.jobs.unreported", "{job}", "Attempts whose end Redis did not take"),
    "job.dead_lettered": ("carequeue.jobs.dead_lettered", "{job}", "Jobs that failed for good and left a letter"),
    "lock.lost": ("carequeue.locks.lost", "{lock}", "Locks that ended while a handler ran"),
    "worker.reconnected": ("carequeue.worker.reconnects", "{reconnect}", "Outages of Redis that ended"),
}
"""By event: a counter's name, unit and description."""


class Meters:
    """Counts what telemetry tells."""

    def __init__(self, meter: Meter, job_names: JobNames) -> None:
        self._names = job_names
        self._ended: dict[str, Counter] = {
            state: meter.create_counter(f"bullmq.jobs.{state.replace('-', '_')}", "1", f"Number of jobs {state}")
            for state in STATES
        }
        self._duration = meter.create_histogram("bullmq.job.duration", "ms", "Job processing duration")
        self._waited = meter.create_histogram("carequeue.job.wait", "s", "From when a job could run until it started")
        self._jobs = meter.create_gauge("bullmq.queue.jobs", "{jobs}", "Number of jobs in the queue by state")
        self._own = {event: meter.create_counter(*about) for event, about in OWN_COUNTERS.items()}

    def listen(self, telemetry: Telemetry) -> None:
        telemetry.subscribe(self._note_end, *ENDINGS, "job.retrying")
        telemetry.subscribe(self._note_start, "job.started")
        telemetry.subscribe(self._note_own, *OWN_COUNTERS)
        telemetry.subscribe(self._note_counts, "queue.counted")

    def _note_end(self, event: str, fields: Mapping[str, Any]) -> None:
        state = ENDINGS.get(event) or ("delayed" if fields["delay"] > 0 else "retried")
        about = self._about(fields) | {words.JOB_STATE: state}
        self._ended[state].add(1, about)
        if "seconds" in fields:
            self._duration.record(fields["seconds"] * 1000, about)

    def _note_start(self, event: str, fields: Mapping[str, Any]) -> None:
        if fields["waited"] is not None:
            self._waited.record(max(0.0, fields["waited"]), self._about(fields))

    def _note_own(self, event: str, fields: Mapping[str, Any]) -> None:
        self._own[event].add(1, self._about(fields))

    def _note_counts(self, event: str, fields: Mapping[str, Any]) -> None:
        for state, count in fields["counts"].items():
            self._jobs.set(count, {words.QUEUE_NAME: fields["queue"], words.QUEUE_STATE: state})

    def _about(self, fields: Mapping[str, Any]) -> dict[str, str]:
        about = {words.QUEUE_NAME: fields["queue"]}
        if "name" in fields:
            about[words.JOB_NAME] = self._names.label(fields["name"])
        return about
