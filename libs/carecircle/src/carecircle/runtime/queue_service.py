"""A queue's worker as a part of a service: started when Redis can be had, closed when the service stops."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, Any

import structlog

from carecircle.runtime.waiting import stopped_within

if TYPE_CHECKING:
    from datetime import timedelta

    from carecircle.runtime.metrics import Metrics
    from carequeue import Job, Worker

LOOK_EVERY = 1.0

log = structlog.stdlib.get_logger(__name__)


async def serve_queue(worker: Worker, stop: asyncio.Event, grace: timedelta) -> None:
    """Work until `stop` is set, then let what runs end within `grace`.

    Redis may be away at the start and come later. It may not be unsuitable: `UnsuitableRedis` ends the service, as a
    server that evicts keys would lose jobs in silence. So does a worker that broke.
    """
    try:
        if await _started(worker, stop):
            log.info("worker.started", queue=worker.queue)
            while worker.is_running and not await stopped_within(stop, LOOK_EVERY):
                pass
    finally:
        await worker.close(grace)
    log.info("worker.stopped", queue=worker.queue)


async def _started(worker: Worker, stop: asyncio.Event) -> bool:
    """Start, unless the service is stopped while Redis is still away."""
    starting = asyncio.create_task(worker.start())
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            await starting
        return starting.done()
    finally:
        starting.cancel()
        stopped.cancel()
        await asyncio.gather(starting, stopped, return_exceptions=True)


def note_failures(worker: Worker, metrics: Metrics) -> Worker:
    """Log every failed attempt of this worker's jobs, and count the jobs that end as failed."""

    @worker.on_failed
    def failed(job: Job[Any], error: BaseException) -> None:
        if job.finished_at is None:
            log.warning("job.attempt_failed", queue=worker.queue, job_id=job.id, reason=reason(error))
            return
        metrics.job_failures.labels(worker.queue).inc()
        log.error("job.failed", queue=worker.queue, job_id=job.id, job=job.name, **row_of(job), reason=reason(error))

    return worker


def row_of(job: Job[Any]) -> dict[str, object]:
    """The ids in a job's data, for the log."""
    try:
        data = job.data
    except Exception:  # noqa: BLE001 - whatever made it undecodable is why it failed, and is logged as such
        return {}
    names = ("occurrence_id", "delivery_id", "generation")
    return {name: getattr(data, name) for name in names if hasattr(data, name)}


def reason(error: BaseException) -> str:
    """Codes and messages of the queue say it themselves; of anything else the type, as its words may be private."""
    ours = type(error).__module__.startswith("carequeue.")
    return str(error) if ours else type(error).__name__


def worker_name() -> str:
    """Which process this is, as claims, queue and dashboards name it."""
    return f"{socket.gethostname()}-{os.getpid()}"
