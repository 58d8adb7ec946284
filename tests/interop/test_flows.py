"""Flows over two queues, added and read by one side and run by the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.interop.acting import Painter

from carequeue import ChildState, FlowNode, FlowProducer, OnFailure, Queue, Worker
from carequeue.testing import drain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.interop.support import Node

pytestmark = [pytest.mark.node, pytest.mark.redis]

WALL = {"acts": [{"return": "wall"}]}
TORN = {"acts": [{"unrecoverable": "no bricks"}]}


@pytest.fixture
async def walls(queue_name: str, redis_url: str) -> AsyncIterator[Queue]:
    async with Queue(f"{queue_name}-walls", redis_url) as walls:
        yield walls
        await walls.pause()
        await walls.obliterate(force=True)


async def test_node_runs_our_flow_and_reads_it(node: Node, queue: Queue, walls: Queue, redis_url: str) -> None:
    ends = [("north", WALL, None), ("south", TORN, OnFailure.IGNORE_DEPENDENCY)]
    async with FlowProducer(redis_url) as flows:
        await flows.add(
            FlowNode(
                "house",
                {"acts": [{"return": "house"}]},
                queue=queue.name,
                job_id="house",
                children=[
                    FlowNode("wall", data, queue=walls.name, job_id=job_id, on_failure=mode)
                    for job_id, data, mode in ends
                ],
            )
        )
    await node.make("FlowProducer", "flows")
    await node.make("Queue", "q", queue.name)
    await node.make("Worker", "wall-worker", walls.name, {})
    await node.make("Worker", "house-worker", queue.name, {})
    await node.wait_for("house-worker", "completed")

    tree = await node.call("flows", "getFlow", {"id": "house", "queueName": queue.name, "prefix": "bull"})
    assert (tree["job"]["returnvalue"], {child["job"]["id"] for child in tree["children"]}) == (
        "house",
        {"north", "south"},
    )
    await node.call("q", "getJob", "house", keep="house")
    assert await node.call("house", "getChildrenValues") == {walls.keys.job("north"): "wall"}
    assert await node.call("house", "getIgnoredChildrenFailures") == {walls.keys.job("south"): "no bricks"}


async def test_we_run_nodes_flow_and_read_it(node: Node, queue: Queue, walls: Queue, redis_url: str) -> None:
    def wall(job_id: str, data: Any, **options: Any) -> dict[str, Any]:
        return {"name": "wall", "queueName": walls.name, "data": data, "opts": {"jobId": job_id, **options}}

    await node.make("FlowProducer", "flows")
    children = [wall("north", WALL), wall("south", TORN, failParentOnFailure=True), wall("east", TORN)]
    house = {"name": "house", "queueName": queue.name, "opts": {"jobId": "house"}, "children": children}
    await node.call("flows", "add", house)

    await drain(Worker(walls.name, redis_url, Painter()))
    await drain(Worker(queue.name, redis_url, Painter()))

    async with FlowProducer(redis_url) as flows:
        tree = await flows.get("house", queue=queue.name)
    assert tree is not None
    assert tree.job.failed_reason == f"child {walls.keys.job('south')} failed"
    assert {child.job.id for child in tree.children} == {"north", "south", "east"}
    assert {child.job.id: child.job.options.on_failure for child in tree.children}["south"] == OnFailure.FAIL_PARENT
    assert {child.id: child.state async for child in queue.children("house").iterate()} == {
        "north": ChildState.PROCESSED,
        "south": ChildState.FAILED,
        "east": ChildState.BLOCKING,
    }
