"""The operator's tool on queues that Node wrote and serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.integration.carequeue.cli_support import Tool

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from tests.interop.support import Node

    from carequeue import Queue

pytestmark = [pytest.mark.node, pytest.mark.redis]


async def test_queues_jobs_and_workers_of_node(
    node: Node, queue: Queue, redis: Redis, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tool = Tool(redis_url, queue.name, capsys)
    await queue.pause()
    await node.make("Queue", "q", queue.name)
    await node.call("q", "add", "paint", {"colour": "réd"}, {"jobId": "door"})
    await node.call("q", "add", "paint", {"colour": "blue"}, {"jobId": "wall", "priority": 3})
    await node.make("Worker", "w", queue.name, {"name": "painter"})
    await node.wait_for("w", "ready")

    assert queue.name in [row["queue"] for row in await tool.rows("queues", queue=False)]
    [found] = await tool.rows("counts", "--priorities", "3")
    assert (found["waiting"], found["prioritized"], found["priority_3"], found["paused"]) == (1, 1, 1, True)
    assert [row["id"] for row in await tool.rows("jobs", "--where", "data.colour=réd")] == ["door"]
    told = "lib-name" in (await redis.client_list())[0]  # by Redis 7.2 and newer
    library = "ioredis" if told else None
    assert [(row["name"], row["library"]) for row in await tool.rows("workers")] == [("painter", library)]
    workers = next(row for row in (await tool("doctor", "--json")).rows if row["about"] == "workers")
    expected = ("hint", "1 with ioredis") if told else ("ok", "1 with an unknown library")
    assert (workers["verdict"], workers["found"]) == expected
    await node.drop("w")
