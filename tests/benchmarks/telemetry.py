"""What telemetry costs: CPU time of the Python process for each job, added and run, with the different kinds of it.

    .venv/bin/python tests/benchmarks/telemetry.py [jobs]

CPU time, because it hardly depends on what else the machine does; the best of several rounds each, taken in turn.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from prometheus_client import CollectorRegistry

from carecircle_cli.engines import EmbeddedValkey
from carequeue import NewJob, Queue, Telemetry, Worker
from carequeue.opentelemetry import OpenTelemetry
from carequeue.prometheus import PrometheusTelemetry

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.trace.sampling import Sampler

ROUNDS = 5
CONCURRENCY = 50


class Nowhere(SpanExporter):
    """Takes spans and throws them away: what sending them costs is the exporter's own."""

    def export(self, spans: Any) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def subscribed() -> Telemetry:
    telemetry = Telemetry()
    telemetry.subscribe(lambda event, fields: None)
    return telemetry


def prometheus() -> Telemetry:
    return Telemetry(PrometheusTelemetry(CollectorRegistry()))


def traced(sampler: Sampler) -> Telemetry:
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Nowhere(), max_queue_size=1_000_000))
    return Telemetry(OpenTelemetry(tracer_provider=provider, metrics=False))


def metered() -> Telemetry:
    provider = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    return Telemetry(OpenTelemetry(meter_provider=provider, traces=False))


KINDS: dict[str, Callable[[], Telemetry | None]] = {
    "none": lambda: None,
    "a subscriber to every event": subscribed,
    "Prometheus": prometheus,
    "OpenTelemetry, meters": metered,
    "OpenTelemetry, traces, none sampled": partial(traced, ALWAYS_OFF),
    "OpenTelemetry, traces, all sampled": partial(traced, ALWAYS_ON),
}


async def nothing(job: Any) -> None:
    pass


async def measure(url: str, name: str, jobs: int, telemetry: Telemetry | None) -> float:
    """Microseconds of CPU for each job."""
    async with Queue(name, url, telemetry=telemetry) as queue:
        began = time.process_time()
        await queue.add_bulk(NewJob("nothing", {}) for _ in range(jobs))
        worker = Worker(name, url, nothing, concurrency=CONCURRENCY, keep_completed=False, telemetry=telemetry)
        async with worker:
            await worker.wait_until_idle()
        spent = time.process_time() - began
        await queue.pause()
        await queue.obliterate(force=True)
    return spent / jobs * 1_000_000


async def main(url: str, jobs: int) -> None:
    best: dict[str, float] = {}
    for round_number in range(ROUNDS):
        for place, (kind, make) in enumerate(KINDS.items()):
            spent = await measure(url, f"cost-{round_number}-{place}", jobs, make())
            best[kind] = min(spent, best.get(kind, spent))
    for kind, spent in best.items():
        sys.stdout.write(f"{spent:7.1f} µs a job ({spent - best['none']:+6.1f})  {kind}\n")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedValkey(Path(folder) / "valkey", persistent=False)
        server.start()
        try:
            asyncio.run(main(server.url(), int(sys.argv[1]) if len(sys.argv) > 1 else 5000))
        finally:
            server.stop()
