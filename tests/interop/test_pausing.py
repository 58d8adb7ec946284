"""A queue that either side pauses is paused for both, until either side resumes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.interop.acting import Painter

from carequeue import Worker
from carequeue.testing import Signal

if TYPE_CHECKING:
    from tests.interop.support import Node

    from carequeue import Queue

pytestmark = [pytest.mark.node, pytest.mark.redis]


async def test_what_node_paused_we_do_not_take_until_we_resume(node: Node, queue: Queue, redis_url: str) -> None:
    await node.make("Queue", "q", queue.name)
    completed = Signal("completed")
    painter = Painter()
    worker = Worker(queue.name, redis_url, painter)
    worker.on_completed(completed)
    async with worker:
        await node.call("q", "pause")
        await node.call("q", "add", "paint", {}, {"jobId": "a"})
        await worker.wait_until_idle()  # it has looked, and found nothing that it may take
        assert await queue.is_paused()
        assert painter.runs == []
        assert (await queue.counts()).waiting == 1

        await queue.resume()
        await completed.wait()

    assert not await node.call("q", "isPaused")
    assert painter.runs == [("a", "paint", 1)]


async def test_what_we_paused_node_does_not_take_until_it_resumes(node: Node, queue: Queue) -> None:
    await node.make("Queue", "q", queue.name)
    await node.make("Worker", "w", queue.name, {"drainDelay": 1})
    await node.make("Worker", "hand", queue.name, {"processor": False})
    await node.wait_for("w", "ready")
    await queue.pause()
    await queue.add("paint", job_id="a")

    assert await node.call("hand", "getNextJob", "t:1", {"block": False}) is None
    assert await node.call("q", "isPaused")
    assert node.seen("act", "run") == []

    await node.call("q", "resume")
    await node.wait_for("w", "completed")
    assert not await queue.is_paused()
    await node.drop("w")
    await node.drop("hand")
