"""How many jobs of which queue are in which state, looked up when Prometheus asks."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from carequeue.errors import CarequeueError, InvalidOption
from carequeue.exposition import COMPLETED, FAILED, HELP, JOB_COUNT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    from carequeue.inspect import Inspector

PATIENCE = 5.0
"""Seconds that one who scrapes waits for Redis."""

log: logging.Logger = logging.getLogger("carequeue.prometheus")


@dataclass(frozen=True, slots=True)
class Numbers:
    """What was found in one queue. The totals are None where nobody asked for them."""

    by_state: Mapping[str, int]
    completed: int | None = None
    failed: int | None = None


class QueueCounts(Collector):
    """The collector of these numbers, with the names of `export_prometheus_metrics`.

    A scrape in a thread (prometheus_client's own server) looks into Redis. One in the event loop cannot wait for it:
    `refresh` first. What cannot be looked up is left out, so that no old number is taken for a new one.
    """

    def __init__(self) -> None:
        self._queues: dict[str, Inspector] = {}
        self._found: dict[str, Numbers] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def watch(self, *queues: Inspector) -> None:
        """Look these up from now on, with their clients, in the running event loop.

        Raises:
            InvalidOption: another queue of this name is watched: their numbers would be one.
        """
        for queue in queues:
            if self._queues.setdefault(queue.name, queue) is not queue:
                raise InvalidOption(f"a queue called {queue.name!r} is watched already")
        self._loop = asyncio.get_running_loop()

    def note(self, queue: str, by_state: Mapping[str, int]) -> None:
        """Somebody else counted."""
        self._found[queue] = Numbers(by_state)

    async def refresh(self) -> None:
        """Look all watched queues up. What Redis does not answer in time is logged and left out."""
        await asyncio.gather(*(self._look_up(queue) for queue in self._queues.values()))

    def describe(self) -> Iterator[Metric]:
        yield from _families()

    def collect(self) -> Iterator[Metric]:
        self._refresh_from_a_thread()
        jobs, completed, failed = _families()
        for queue, found in sorted(self._found.items()):
            for state, count in found.by_state.items():
                jobs.add_metric([queue, state], count)
            if found.completed is not None and found.failed is not None:
                completed.add_metric([queue], found.completed)
                failed.add_metric([queue], found.failed)
        yield from (jobs, completed, failed)

    def _refresh_from_a_thread(self) -> None:
        if self._loop is None or _in_a_loop():
            return
        if not self._loop.is_running():
            self._found.clear()
            return
        refreshing = asyncio.run_coroutine_threadsafe(self.refresh(), self._loop)
        try:
            refreshing.result(PATIENCE + 1)
        except (TimeoutError, CancelledError) as error:  # the loop is busy, or ends
            refreshing.cancel()
            self._found.clear()
            log.warning("prometheus.counts_missing", extra={"error": type(error).__name__})

    async def _look_up(self, queue: Inspector) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                counts, completed, failed = await asyncio.gather(
                    queue.counts(), queue.metrics("completed", end=0), queue.metrics("failed", end=0)
                )
        except (CarequeueError, TimeoutError) as error:
            self._found.pop(queue.name, None)
            log.warning("prometheus.counts_missing", extra={"queue": queue.name, "error": type(error).__name__})
        else:
            self._found[queue.name] = Numbers(counts.by_state, completed.total, failed.total)


def _families() -> tuple[GaugeMetricFamily, CounterMetricFamily, CounterMetricFamily]:
    return (
        GaugeMetricFamily(JOB_COUNT, HELP[JOB_COUNT], labels=["queue", "state"]),
        CounterMetricFamily(COMPLETED, HELP[COMPLETED], labels=["queue"]),
        CounterMetricFamily(FAILED, HELP[FAILED], labels=["queue"]),
    )


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
