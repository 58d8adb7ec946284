"""What is measured. One worker process, payload `{"schedule_id": "<uuid>", "due_at": "<iso>"}`.

S1  add one by one, each awaited; and in calls of 1,000
S2  a full queue, a handler that does nothing: from the first handler's start to the last one's end
S3  an idle worker, adds 20 ms apart: from before the add to the handler's start
S4  many jobs due at the same whole second, the worker up and idle before it: how late they start, the rate from then
S5  what delayed jobs occupy in the server at rest; and where hashes of longer values stay compact
S6  a full queue, a handler that waits 10 ms
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tests.benchmarks.bench import Bench, Failed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.benchmarks.peers import Peer

Figures = dict[str, float]
IO_SECONDS = 0.01
GAP = 0.02
PATIENCE = 120.0
LONGEST_LEAD = 60.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many jobs each scenario has."""

    add: int
    drain: int
    probe: int
    due: int
    wait: int
    many: int
    """Jobs of a queue that has very many."""
    shared: int
    """Jobs that several processes drain."""
    lead: float
    """Seconds between the adding of jobs and the instant at which they are all due."""

    def of(self, peer: Peer) -> Sizes:
        """Those for a peer that gets only a share."""
        if peer.share == 1:
            return self
        fewer = {name: int(getattr(self, name) * peer.share) for name in ("add", "drain", "due", "wait")}
        return replace(self, **fewer)


FULL = Sizes(add=5000, drain=20_000, probe=300, due=20_000, wait=10_000, many=1_000_000, shared=200_000, lead=4.0)
QUICK = Sizes(add=300, drain=1000, probe=50, due=500, wait=500, many=3000, shared=3000, lead=1.5)
BEFORE = 100
"""Delayed jobs that are there before memory is measured, so that what a queue has only once is not counted."""
HINT = ("hash-max-listpack-value", 1024)
LATER = 3600.0
PORTION = 100_000
"""Jobs that one call of a driver makes: it holds all of them in memory."""


def add(bench: Bench, peer: Peer, sizes: Sizes) -> Figures:
    bench.clean(peer)
    before = bench.engine_cpu()
    seconds = bench.call(peer, "add", "--count", sizes.add)["seconds"]
    engine_us = (bench.engine_cpu() - before) / sizes.add * 1e6
    bench.clean(peer)
    bulk = bench.call(peer, "add", "--bulk", "--count", sizes.drain)["seconds"]
    return {"one": sizes.add / seconds, "bulk": sizes.drain / bulk, "engine_us": engine_us}


def drain(bench: Bench, peer: Peer, sizes: Sizes) -> Figures:
    return _drain(bench, peer, sizes.drain, 0.0, peer.concurrency)


def drain_waiting(bench: Bench, peer: Peer, sizes: Sizes) -> Figures:
    return _drain(bench, peer, sizes.wait, IO_SECONDS, peer.io_concurrency)


def _drain(bench: Bench, peer: Peer, count: int, io: float, concurrency: int) -> Figures:
    bench.clean(peer)
    bench.call(peer, "add", "--bulk", "--count", count)
    bench.redis.config_resetstat()
    before = bench.engine_cpu()
    with bench.worker(peer, count, concurrency=concurrency, io=io, patience=PATIENCE) as worker:
        saw = worker.result()
        check_once_each(saw, count)
        bench.expect_completed(peer, count)
        engine = bench.engine_cpu() - before
    figures = {
        "rate": count / (saw["end"] - min(saw["starts"])),
        "worker_us": saw["cpu"] / count * 1e6,
        "engine_us": engine / count * 1e6,
    }
    return figures | ({"calls": bench.script_calls() / count} if peer.speaks_bullmq else {})


def probe(bench: Bench, peer: Peer, sizes: Sizes) -> Figures:
    bench.clean(peer)
    count = sizes.probe
    with bench.worker(peer, count, concurrency=peer.concurrency, patience=PATIENCE) as worker:
        bench.call(peer, "add", "--warm")
        worker.ready()
        added = bench.call(peer, "probe", "--count", count, "--gap", GAP)["added"]
        saw = worker.result()
        check_once_each(saw, count)
        bench.expect_completed(peer, count + 1)
    waits = [(start - added[job]) * 1000 for job, start in zip(saw["ids"], saw["starts"], strict=True)]
    return {"p50": quantile(waits, 0.5), "p99": quantile(waits, 0.99), "max": max(waits)}


def due(bench: Bench, peer: Peer, sizes: Sizes, later: float = 0.0, behind: int = 0) -> Figures:
    """The due time must lie behind the adding and the worker's start; if it came too early, a later one is tried.

    `behind` says how many other jobs are in the queue, due an hour later.
    """
    bench.clean(peer)
    fill(bench, peer, behind, time.time() + LATER)
    count = sizes.due
    at = math.ceil(time.time() + sizes.lead + later)
    bench.call(peer, "add", "--bulk", "--count", count, "--due", at)
    with bench.worker(peer, count, concurrency=peer.concurrency, patience=PATIENCE) as worker:
        bench.call(peer, "add", "--warm")
        idle, spare = worker.ready(), at - time.time()
        if idle and spare >= 0.5:
            saw = worker.result()
            check_once_each(saw, count)
            bench.expect_completed(peer, count + 1)
            return _lateness(saw, at, count)
    if later > LONGEST_LEAD:
        raise Failed("could not be ready before the due time")
    return due(bench, peer, sizes, later + 2 - spare, behind)


def fill(bench: Bench, peer: Peer, count: int, due: float | None = None) -> None:
    """Add many jobs, in bulk."""
    for left in range(count, 0, -PORTION):
        when = () if due is None else ("--due", due)
        bench.call(peer, "add", "--bulk", "--count", min(left, PORTION), *when)


def rest(bench: Bench, peer: Peer, sizes: Sizes) -> Figures:
    """Memory by the server's own account, in its default settings and with the hint."""
    figures = {"bytes": _at_rest(bench, peer, sizes.due)}
    name, value = HINT
    usual = bench.redis.config_get(name)[name]
    bench.redis.config_set(name, value)
    try:
        return figures | {"bytes_hint": _at_rest(bench, peer, sizes.due)}
    finally:
        bench.redis.config_set(name, usual)


def _at_rest(bench: Bench, peer: Peer, count: int) -> float:
    bench.clean(peer)
    due = time.time() + LATER
    bench.call(peer, "add", "--bulk", "--count", BEFORE, "--due", due)
    before = bench.memory()
    bench.call(peer, "add", "--bulk", "--count", count, "--due", due)
    return (bench.memory() - before) / count


def _lateness(saw: dict[str, Any], at: float, count: int) -> Figures:
    late = [(start - at) * 1000 for start in saw["starts"]]
    if min(late) < 0:
        raise Failed(f"{sum(one < 0 for one in late)} jobs started before they were due")
    return {
        "first": min(late),
        "p50": quantile(late, 0.5),
        "p99": quantile(late, 0.99),
        "max": max(late),
        "rate": count / (saw["end"] - at),
    }


def check_once_each(saw: dict[str, Any], count: int) -> None:
    ran, distinct = len(saw["ids"]), len(set(saw["ids"]))
    if (ran, distinct) != (count, count):
        raise Failed(f"{count} jobs, {ran} handler runs of {distinct} different jobs")


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


SCENARIOS: dict[str, Callable[[Bench, Peer, Sizes], Figures]] = {
    "S1": add,
    "S2": drain,
    "S3": probe,
    "S4": due,
    "S5": rest,
    "S6": drain_waiting,
}
