"""The numbers a service shows at /metrics. No ids in labels. One `Metrics` a process, made in `__main__`."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from carequeue import Telemetry
from carequeue.prometheus import PrometheusTelemetry

BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400)
DUE_TO_SENT = "From when a reminder was to go out until the provider took it."
MISSED = "Doses whose window ended unanswered: missed (somebody was reminded) or unknown (nobody was)."
AMBIGUOUS = "Attempts of which nobody knows whether the provider took the message."
DELIVERIES = "Attempts at deliveries by how they ended."
JOB_FAILURES = "Jobs that ended as failed."
ENQUEUED = "Jobs added: `due` for the first time, `healed` because one was lost or stuck."
OLDEST_UNSENT = "How long the oldest reminder that is due has been waiting."
CHANNEL_PAUSED = "1 while a channel waits because its provider refuses our credentials."
REDIS_UP = "1 while Redis answers."
CLOCK_SKEW = "How far this machine's clock is ahead of the database's."


class Metrics:
    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.due_to_sent = Histogram(
            "reminder_due_to_sent_seconds", DUE_TO_SENT, ["channel"], buckets=BUCKETS, registry=self.registry
        )
        self.missed = self._counter("reminder_missed_total", MISSED, "state")
        self.ambiguous = self._counter("reminder_ambiguous_total", AMBIGUOUS, "channel")
        self.deliveries = self._counter("reminder_deliveries_total", DELIVERIES, "channel", "state", "outcome")
        self.job_failures = self._counter("reminder_job_failures_total", JOB_FAILURES, "queue")
        self.enqueued = self._counter("reminder_enqueued_total", ENQUEUED, "why")
        self.oldest_unsent = self._gauge("reminder_oldest_unsent_seconds", OLDEST_UNSENT)
        self.channel_paused = self._gauge("reminder_channel_paused", CHANNEL_PAUSED, "channel")
        self.redis_up = self._gauge("reminder_redis_up", REDIS_UP)
        self.clock_skew = self._gauge("reminder_clock_skew_seconds", CLOCK_SKEW)
        self.telemetry = Telemetry(PrometheusTelemetry(self.registry))
        """For the workers of this process: what they do is counted as `carequeue_…`."""
        for state in ("missed", "unknown"):
            self.missed.labels(state)  # 0 from the start: an alert can tell that from nothing

    def render(self) -> bytes:
        """The text of /metrics."""
        return generate_latest(self.registry)

    def _counter(self, name: str, says: str, *labels: str) -> Counter:
        return Counter(name, says, labels, registry=self.registry)

    def _gauge(self, name: str, says: str, *labels: str) -> Gauge:
        return Gauge(name, says, labels, registry=self.registry)
