"""One side waits for what the other side's worker returns."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.interop.acting import Painter

from carequeue import JobFailed, QueueEvents, Worker

if TYPE_CHECKING:
    from tests.interop.support import Node

    from carequeue import Queue

PATIENCE = timedelta(seconds=20)

pytestmark = [pytest.mark.node, pytest.mark.redis]


async def test_we_wait_for_what_node_returns(node: Node, queue: Queue, redis_url: str) -> None:
    async with QueueEvents(queue.name, redis_url) as events:
        good = await queue.add("paint", {"acts": [{"return": {"colour": "réd"}}]})
        bad = await queue.add("paint", {"acts": [{"throw": "no paint"}]})
        waiting = [asyncio.create_task(queue.wait_until_finished(job, events, PATIENCE)) for job in (good, bad)]
        await node.make("Worker", "w", queue.name)
        value, error = await asyncio.gather(*waiting, return_exceptions=True)
        await node.drop("w")

    assert value == {"colour": "réd"}
    assert isinstance(error, JobFailed)
    assert error.reason == "no paint"


async def test_node_waits_for_what_we_return(node: Node, queue: Queue, redis_url: str) -> None:
    await node.make("QueueEvents", "e", queue.name)
    await node.make("Queue", "q", queue.name)
    await node.call("q", "add", "paint", {"acts": [{"return": {"colour": "réd"}}]}, keep="job")
    waiting = asyncio.create_task(node.call_with("job", "waitUntilFinished", "e", 20_000))
    async with Worker(queue.name, redis_url, Painter()):
        assert await waiting == {"colour": "réd"}
    await node.drop("e")
