"""What both sides tell of a queue in numbers is the same, to the letter where a program reads it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from carequeue import JobOptions, NewJob, Worker
from carequeue.testing import drain

if TYPE_CHECKING:
    from tests.interop.support import Node

    from carequeue import Queue

pytestmark = [pytest.mark.node, pytest.mark.redis]


async def test_the_text_for_prometheus_is_nodes(node: Node, queue: Queue, redis_url: str) -> None:
    await node.make("Queue", "q", queue.name)
    await queue.add_bulk([NewJob("paint", {"acts": [{}]})] * 3)
    await queue.add("spill")
    worker = Worker(queue.name, redis_url, lambda job: 1 / 0 if job.name == "spill" else None, max_data_points=5)
    await drain(worker)
    await queue.add("paint", delay=timedelta(hours=1))
    await queue.add("paint", priority=3)
    for labels in ({}, {"site": 'a "quoted"\\one', "zone": "7"}):
        theirs = await node.call("q", "exportPrometheusMetrics", labels)
        assert await queue.export_prometheus_metrics(labels) == f"{theirs}\n"


async def test_both_count_by_priority_alike(node: Node, queue: Queue) -> None:
    await node.make("Queue", "q", queue.name)
    priorities = [0, 1, 2, 2, 2**21 - 1]
    await queue.add_bulk(NewJob("paint", {}, JobOptions(priority=priority)) for priority in priorities)
    theirs = await node.call("q", "getCountsPerPriority", [0, 1, 2, 3, 2**21 - 1])
    ours = await queue.counts_per_priority([0, 1, 2, 3, 2**21 - 1])
    assert {str(priority): count for priority, count in ours.items()} == theirs
