"""PrometheusTelemetry: the part of a `Telemetry` that counts and measures for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import REGISTRY, Counter, Gauge, Histogram

from carequeue.labels import MOST_NAMES, JobNames
from carequeue.prometheus.counts import QueueCounts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from prometheus_client import CollectorRegistry

    from carequeue.inspect import Inspector
    from carequeue.telemetry import Telemetry

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
STEP_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)

OUTCOMES = {f"job.{outcome}": outcome for outcome in ("completed", "failed", "retrying", "parked", "handed_back")}

QUEUE_COUNTERS = {
    "job.stalled": ("jobs_stalled", "Jobs of workers that went away, put back."),
    "job.unreported": ("jobs_unreported", "Attempts whose end Redis did not take: somebody else decides about them."),
    "job.abandoned": ("jobs_abandoned", "Jobs in threads that did not end before a closing worker's deadline."),
    "job.blocked_parent": ("parents_blocked", "Children that failed and keep their parents waiting."),
    "scheduler.repaired": ("schedulers_repaired", "Schedulers whose next run was lost, and that have one again."),
    "scheduler.stuck": ("schedulers_stuck", "Times that a worker could not tell when a scheduler runs next."),
    "scheduler.missed": ("runs_missed", "Runs of schedulers that were skipped because they came too late."),
    "handler.unstoppable": ("handlers_unstoppable", "Handlers that went on after their attempt was given up."),
    "hook.failed": ("hooks_failed", "Hooks of workers that raised."),
    "loop.blocked": (
        "loops_blocked",
        "Times that something kept a worker's event loop so long that locks may be lost.",
    ),
    "lock.lost": ("locks_lost", "Locks that ended while a handler ran."),
    "worker.disconnected": ("outages", "Times that Redis stopped answering a worker."),
    "worker.reconnected": ("reconnects", "Times that Redis answered a worker again."),
}
"""By event: a counter for each queue. They are 0 from a worker's start: an alert can tell that from nothing."""
NAME_COUNTERS = {
    "job.added": ("jobs_added", "Jobs added by this process, those that were there already included."),
    "job.expired": ("jobs_expired", "Jobs whose time was over when they were taken."),
    "job.dead_lettered": ("jobs_dead_lettered", "Jobs that failed for good and left a letter in another queue."),
}
"""By event: a counter for each queue and name of jobs."""


class PrometheusTelemetry:
    """Counters, gauges and histograms of queues and workers: `Telemetry(PrometheusTelemetry())`.

    They are called `carequeue_…`, beside `bullmq_job_count` and its totals of the queues that it is told to `watch`.
    The first `max_job_names` names of jobs that are seen are labels, every further one is "(other)". `buckets`, in
    seconds, are those of waiting and running.
    """

    def __init__(
        self,
        registry: CollectorRegistry = REGISTRY,
        *,
        max_job_names: int = MOST_NAMES,
        buckets: Sequence[float] = BUCKETS,
    ) -> None:
        self.registry: CollectorRegistry = registry
        """Where all of it is registered."""
        self._names = JobNames(max_job_names)
        self._counts = QueueCounts()
        registry.register(self._counts)
        queue, name = ["queue"], ["queue", "name"]

        def gauge(word: str, says: str) -> Gauge:
            return Gauge(f"carequeue_{word}", says, queue, registry=registry, multiprocess_mode="livesum")

        def histogram(word: str, says: str, labels: Sequence[str], bounds: Sequence[float]) -> Histogram:
            return Histogram(f"carequeue_{word}_seconds", says, labels, registry=registry, buckets=bounds)

        def counter(word: str, says: str, labels: Sequence[str]) -> Counter:
            return Counter(f"carequeue_{word}", says, labels, registry=registry)

        self._workers = gauge("workers", "Workers that run in this process.")
        self._running = gauge("jobs_running", "Handlers that run in this process.")
        self._wait = histogram("job_wait", "From when a job could run until its first attempt.", name, buckets)
        self._duration = histogram(
            "job_duration", "How long attempts took, by how they ended.", [*name, "outcome"], buckets
        )
        self._step = histogram("step_duration", "How long calls took that report and fetch.", queue, STEP_BUCKETS)
        self._fetched = counter("jobs_fetched", "Jobs that workers took.", queue)
        self._outage = counter("outage_seconds", "For how long Redis did not answer workers.", queue)
        self._by_queue = {event: counter(*about, queue) for event, about in QUEUE_COUNTERS.items()}
        self._by_name = {event: counter(*about, name) for event, about in NAME_COUNTERS.items()}

    def attach(self, telemetry: Telemetry) -> None:
        """Listen; `Telemetry` calls it."""
        telemetry.subscribe(self._note_worker, "worker.started", "worker.closed")
        telemetry.subscribe(self._note_start, "job.started")
        telemetry.subscribe(self._note_end, "job.ended")
        telemetry.subscribe(self._note_outcome, *OUTCOMES)
        telemetry.subscribe(self._note_step, "step")
        telemetry.subscribe(self._note_for_queue, *QUEUE_COUNTERS)
        telemetry.subscribe(self._note_for_name, *NAME_COUNTERS)
        telemetry.subscribe(self._note_counts, "queue.counted")

    def watch(self, *queues: Inspector) -> None:
        """Tell how many jobs of these are in which state. Call it in the event loop that they belong to.

        Raises:
            InvalidOption: another queue of this name is watched.
        """
        self._counts.watch(*queues)

    async def refresh(self) -> None:
        """Look the watched queues up, before a page is written in the event loop itself."""
        await self._counts.refresh()

    def _note_worker(self, event: str, fields: Mapping[str, Any]) -> None:
        queue = fields["queue"]
        if event == "worker.closed":
            self._workers.labels(queue).dec()
            return
        self._workers.labels(queue).inc()
        self._running.labels(queue)
        self._outage.labels(queue)
        for counter in self._by_queue.values():
            counter.labels(queue)

    def _note_start(self, event: str, fields: Mapping[str, Any]) -> None:
        queue, waited = fields["queue"], fields["waited"]
        self._running.labels(queue).inc()
        if waited is not None:
            self._wait.labels(queue, self._names.label(fields["name"])).observe(max(0.0, waited))

    def _note_end(self, event: str, fields: Mapping[str, Any]) -> None:
        self._running.labels(fields["queue"]).dec()

    def _note_outcome(self, event: str, fields: Mapping[str, Any]) -> None:
        name = self._names.label(fields["name"])
        self._duration.labels(fields["queue"], name, OUTCOMES[event]).observe(fields["seconds"])

    def _note_step(self, event: str, fields: Mapping[str, Any]) -> None:
        self._step.labels(fields["queue"]).observe(fields["seconds"])
        self._fetched.labels(fields["queue"]).inc(fields["fetched"])

    def _note_for_queue(self, event: str, fields: Mapping[str, Any]) -> None:
        self._by_queue[event].labels(fields["queue"]).inc()
        if event == "worker.reconnected":
            self._outage.labels(fields["queue"]).inc(fields["seconds"])

    def _note_for_name(self, event: str, fields: Mapping[str, Any]) -> None:
        self._by_name[event].labels(fields["queue"], self._names.label(fields["name"])).inc()

    def _note_counts(self, event: str, fields: Mapping[str, Any]) -> None:
        self._counts.note(fields["queue"], fields["counts"])
