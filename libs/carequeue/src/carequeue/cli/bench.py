"""`carequeue bench`: what this server and this machine do, in a queue of its own that is deleted in the end."""

from __future__ import annotations

import asyncio
import secrets
import time
from statistics import quantiles
from typing import TYPE_CHECKING, Any

from carequeue.kind import NewJob
from carequeue.queue import Queue
from carequeue.worker import Worker

if TYPE_CHECKING:
    from argparse import Namespace

    from carequeue.cli.output import Output
    from carequeue.job import Job

ONE_BY_ONE = 10
"""Of so many jobs one is added by itself, too."""
PROBES = 100
GAP = 0.02
PAYLOAD = {"schedule_id": "00000000-0000-0000-0000-000000000000", "due_at": "2026-01-01T08:00:00+00:00"}


async def bench(asked: Namespace, output: Output) -> int:
    """Adding one by one, adding in bulk, draining, and from adding to starting while the worker has nothing to do."""
    name = f"carequeue-bench-{secrets.token_hex(4)}"
    output.say(
        f"in a queue {name}, which is deleted in the end; other work on this server slows it down, and is slowed"
    )
    async with Queue(name, asked.url, prefix=asked.prefix) as queue:
        try:
            figures = await _measure(queue, asked, output)
        finally:
            await queue.pause()
            await queue.obliterate(force=True)
    output.record(figures)
    return 0


async def _measure(queue: Queue, asked: Namespace, output: Output) -> dict[str, Any]:
    output.say("adding one by one …")
    few = max(1, asked.jobs // ONE_BY_ONE)
    began = time.perf_counter()
    for _ in range(few):
        await queue.add("bench", PAYLOAD)
    one_by_one = few / (time.perf_counter() - began)
    output.say(f"adding {asked.jobs} in bulk …")
    began = time.perf_counter()
    await queue.add_bulk([NewJob("bench", PAYLOAD) for _ in range(asked.jobs)])
    bulk = asked.jobs / (time.perf_counter() - began)
    output.say("draining …")
    starts: list[float] = []

    async def handler(_: Job[Any]) -> None:
        starts.append(time.perf_counter())

    async with Worker(queue.name, asked.url, handler, prefix=asked.prefix, concurrency=100) as worker:
        await worker.wait_until_idle()
        drained = (len(starts) - 1) / (starts[-1] - starts[0])
        output.say("adding to an idle worker …")
        waits = await _probe(queue, worker, starts)
    cuts = quantiles(waits, n=100)
    return {
        "add_one_by_one_per_second": round(one_by_one),
        "add_in_bulk_per_second": round(bulk),
        "drain_per_second": round(drained),
        "add_to_start_p50_ms": round(cuts[49], 2),
        "add_to_start_p99_ms": round(cuts[98], 2),
    }


async def _probe(queue: Queue, worker: Worker, starts: list[float]) -> list[float]:
    """Milliseconds from before the add to the handler's start."""
    waits: list[float] = []
    for _ in range(PROBES):
        await asyncio.sleep(GAP)
        starts.clear()
        before = time.perf_counter()
        await queue.add("bench", PAYLOAD)
        await worker.wait_until_idle()
        waits.append((starts[0] - before) * 1000)
    return waits
