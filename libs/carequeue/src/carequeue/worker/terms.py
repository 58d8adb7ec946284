"""The terms a worker works on: its options in the units of the wire, computed once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from carequeue.wire.times import span_ms

if TYPE_CHECKING:
    from carequeue.worker_options import WorkerOptions


@dataclass(frozen=True, slots=True)
class Terms:
    """`…_ms` are for Redis; the others are seconds for the event loop."""

    queue: str
    name: str | None
    token_prefix: str
    lock_ms: int
    lock_check: float
    """How often locks are looked at: half the renewal time, as in BullMQ."""
    stalled_ms: int
    max_stalled: int
    max_started: int | None
    block: float
    limit: int | None = None
    limit_ms: int | None = None
    metrics_points: int | None = None
    timeout: float | None = None
    cancel_grace: float = 5.0
    processes: int | None = None
    jobs_per_process: int | None = None


def terms_of(queue: str, options: WorkerOptions) -> Terms:
    renew = options.lock_renew_time or options.lock_duration / 2
    return Terms(
        queue=queue,
        name=options.name,
        token_prefix=str(uuid4()),
        lock_ms=span_ms(options.lock_duration),
        lock_check=renew.total_seconds() / 2,
        stalled_ms=span_ms(options.stalled_interval),
        max_stalled=options.max_stalled_count,
        max_started=options.max_started_attempts,
        block=options.drain_delay.total_seconds(),
        limit=options.limiter.max if options.limiter else None,
        metrics_points=options.max_data_points,
        timeout=options.timeout.total_seconds() if options.timeout else None,
        cancel_grace=options.cancel_grace.total_seconds(),
        processes=options.processes,
        jobs_per_process=options.jobs_per_process,
        limit_ms=span_ms(options.limiter.duration) if options.limiter else None,
    )
