"""The numbers a service shows at /metrics. No ids in labels. One `Metrics` a process, made in `__main__`."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400)


class Metrics:
    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.due_to_sent = Histogram(
            "reminder_due_to_sent_seconds",
            "From when a reminder was to go out until the provider took it.",
            ["channel"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.missed = Counter(
            "reminder_missed_total",
            "Doses whose window ended unanswered: missed (somebody was reminded) or unknown (nobody was).",
            ["state"],
            registry=self.registry,
        )
        for state in ("missed", "unknown"):
            self.missed.labels(state)  # 0 from the start: an alert can tell that from nothing
        self.ambiguous = Counter(
            "reminder_ambiguous_total",
            "Attempts of which nobody knows whether the provider took the message.",
            ["channel"],
            registry=self.registry,
        )
        self.deliveries = Counter(
            "reminder_deliveries_total",
            "Attempts at deliveries by how they ended.",
            ["channel", "state", "outcome"],
            registry=self.registry,
        )
        self.job_failures = Counter(
            "reminder_job_failures_total", "Jobs that ended as failed.", ["queue"], registry=self.registry
        )
        self.enqueued = Counter(
            "reminder_enqueued_total",
            "Jobs added: `due` for the first time, `healed` because one was lost or stuck.",
            ["why"],
            registry=self.registry,
        )
        self.oldest_unsent = Gauge(
            "reminder_oldest_unsent_seconds",
            "How long the oldest reminder that is due has been waiting.",
            registry=self.registry,
        )
        self.channel_paused = Gauge(
            "reminder_channel_paused",
            "1 while a channel waits because its provider refuses our credentials.",
            ["channel"],
            registry=self.registry,
        )
        self.redis_up = Gauge("reminder_redis_up", "1 while Redis answers.", registry=self.registry)
        self.clock_skew = Gauge(
            "reminder_clock_skew_seconds",
            "How far this machine's clock is ahead of the database's.",
            registry=self.registry,
        )

    def render(self) -> bytes:
        """The text of /metrics."""
        return generate_latest(self.registry)
