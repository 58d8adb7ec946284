"""Workers of both kinds on one queue: every job runs, none runs twice."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from tests.interop.acting import Painter
from tests.interop.words import span

from carequeue import NewJob, Worker
from carequeue.options import Backoff, JobOptions
from carequeue.testing import Signal

if TYPE_CHECKING:
    from tests.interop.support import Node

    from carequeue import Queue

pytestmark = [pytest.mark.node, pytest.mark.redis]

EACH = 150


class Ledger:
    """What both sides started and ended, together."""

    def __init__(self, node: Node, queue: Queue, redis_url: str) -> None:
        self.node = node
        self.painter = Painter()
        self.ended = Signal("ended")
        self.worker = Worker(queue.name, redis_url, self.painter, concurrency=8)
        self.worker.on_completed(self.ended)
        self.worker.on_failed(self.ended)
        self.worker.on_completed(node.look_again)
        self.worker.on_failed(node.look_again)
        self._queue = queue

    async def work(self, ends: int) -> None:
        """Both work until so many attempts have ended."""
        await self.node.make("Worker", "w", self._queue.name, {"concurrency": 8})
        async with self.worker:
            await self.node.wait_until(lambda: self._ends() >= ends)
        await self.node.drop("w")

    def _ends(self) -> int:
        return len(self.ended.calls) + len(self.node.seen("w", "completed")) + len(self.node.seen("w", "failed"))

    @property
    def by_node(self) -> list[tuple[Any, ...]]:
        return [tuple(args) for args in self.node.seen("act", "run")]

    @property
    def runs(self) -> Counter[tuple[Any, ...]]:
        return Counter([*self.by_node, *self.painter.runs])


async def add_from_both(node: Node, queue: Queue, data: dict[str, Any], **options: Any) -> list[str]:
    await node.make("Queue", "q", queue.name)
    theirs = [{"name": "paint", "data": data, "opts": {"jobId": f"n{n}", **options}} for n in range(EACH)]
    await node.call("q", "addBulk", theirs)
    attempts = options.get("attempts")
    backoff = Backoff.fixed(span(options["backoff"])) if "backoff" in options else None
    ours = [NewJob("paint", data, JobOptions(job_id=f"o{n}", attempts=attempts, backoff=backoff)) for n in range(EACH)]
    await queue.add_bulk(ours)
    return [job["opts"]["jobId"] for job in theirs] + [f"o{n}" for n in range(EACH)]


async def test_each_job_runs_once(node: Node, queue: Queue, redis_url: str) -> None:
    ids = await add_from_both(node, queue, {"acts": [{"waitMs": 2, "return": 1}]})
    ledger = Ledger(node, queue, redis_url)

    await ledger.work(len(ids))

    assert ledger.runs == Counter({(job_id, "paint", 1): 1 for job_id in ids})
    assert ledger.by_node
    assert ledger.painter.runs
    counts = await queue.counts()
    assert (counts.completed, counts.pending, counts.active) == (len(ids), 0, 0)


@pytest.mark.parametrize("backoff", [{}, {"backoff": 5}], ids=["at once", "later"])
async def test_each_attempt_runs_once(node: Node, queue: Queue, redis_url: str, backoff: dict[str, int]) -> None:
    acts = {"acts": [{"waitMs": 1, "throw": "first time"}, {"return": 1}]}
    ids = await add_from_both(node, queue, acts, attempts=2, **backoff)
    ledger = Ledger(node, queue, redis_url)

    await ledger.work(2 * len(ids))

    assert ledger.runs == Counter({(job_id, "paint", attempt): 1 for job_id in ids for attempt in (1, 2)})
    assert (await queue.counts()).completed == len(ids)


async def test_jobs_that_come_while_both_wait_are_taken_at_once(node: Node, queue: Queue, redis_url: str) -> None:
    """Wake-up calls pass from one kind of worker to the other: nobody sleeps on work for a block time (5 s)."""
    ledger = Ledger(node, queue, redis_url)
    await node.make("Queue", "q", queue.name)
    await node.make("Worker", "w", queue.name, {"concurrency": 1})
    await node.wait_for("w", "ready")
    data = {"acts": [{"return": 1}]}

    async with ledger.worker:
        for round_ in range(1, 11):
            await node.call("q", "add", "paint", data, {"jobId": f"n{round_}"})
            await queue.add("paint", data, job_id=f"o{round_}")
            await node.wait_until(lambda: ledger._ends() >= 2 * round_, seconds=3)  # noqa: B023 - used at once
    await node.drop("w")

    assert set(ledger.runs.values()) == {1}
    assert len(ledger.runs) == 20
