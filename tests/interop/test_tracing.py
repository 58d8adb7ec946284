"""A trace goes through both sides: added there and run here, added here and run there."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.spans import Observed, carrier_of, children_of, place_of

from carequeue import Backoff, FlowNode, FlowProducer, NewJob, Queue, Worker
from carequeue.testing import drain

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from redis.asyncio import Redis
    from tests.interop.support import Node

pytestmark = [pytest.mark.node, pytest.mark.redis]

TRACED = {"telemetry": True}


async def nodes(node: Node, name: str) -> list[dict[str, Any]]:
    return [span for span in await node.spans() if span["name"] == name]


def below(span: dict[str, Any], found: ReadableSpan) -> bool:
    """Whether ours is a child of Node's."""
    assert found.parent is not None
    return (f"{found.parent.trace_id:032x}", f"{found.parent.span_id:016x}") == (span["traceId"], span["spanId"])


async def work(node: Node, queue: Queue, ends: int) -> None:
    await node.make("Worker", "w", queue.name, TRACED)
    await node.wait_until(lambda: len(node.seen("w", "completed")) + len(node.seen("w", "failed")) >= ends)
    await node.drop("w")


async def test_what_node_adds_runs_here_in_nodes_trace(node: Node, queue: Queue, redis_url: str) -> None:
    observed = Observed()
    await node.make("Queue", "q", queue.name, TRACED)
    await node.call("q", "add", "paint", {})
    await node.call("q", "addBulk", [{"name": "paint", "data": {}}, {"name": "paint", "data": {}}])
    await drain(Worker(queue.name, redis_url, lambda job: None, telemetry=observed.telemetry))
    [add] = await nodes(node, f"add {queue.name}.paint")
    [bulk] = await nodes(node, f"addBulk {queue.name}")
    spans = observed.named(f"process {queue.name}")
    assert [(below(add, span), below(bulk, span)) for span in spans] == [(True, False), (False, True), (False, True)]


async def test_what_is_added_here_runs_in_node_in_our_trace(node: Node, queue: Queue, redis_url: str) -> None:
    observed = Observed()
    async with Queue(queue.name, redis_url, telemetry=observed.telemetry) as told:
        await told.add("paint")
        await told.add_bulk([NewJob("paint", {}), NewJob("paint", {})])
    async with FlowProducer(redis_url, telemetry=observed.telemetry) as flows:
        await flows.add(FlowNode("report", queue=queue.name, children=[FlowNode("page", queue=queue.name)]))
    await work(node, queue, 5)
    ours = {place_of(span): span.name for span in observed.spans}
    theirs = await nodes(node, f"process {queue.name}")
    parents = sorted(ours[int(span["traceId"], 16), int(span["parentId"], 16)] for span in theirs)
    assert parents == sorted([f"add {queue.name}", *2 * [f"add_bulk {queue.name}"], *2 * [f"add_flow {queue.name}"]])


async def test_attempts_on_both_sides_belong_to_one_trace(node: Node, queue: Queue, redis_url: str) -> None:
    """Node runs and fails the first attempt, we the second, which points to what Node noted about the first."""
    observed = Observed()
    async with Queue(queue.name, redis_url, telemetry=observed.telemetry) as told:
        data = {"acts": [{"throw": "no paint"}]}
        job = await told.add("paint", data, attempts=2, backoff=Backoff.fixed(timedelta(hours=1)))
    await work(node, queue, 1)
    await queue.promote(job.id)
    await drain(Worker(queue.name, redis_url, lambda job: None, telemetry=observed.telemetry))
    [add] = observed.named(f"add {queue.name}")
    [first] = await nodes(node, f"process {queue.name}")
    [second] = children_of(observed, add)
    [delay] = await nodes(node, f"delay {queue.name}")
    assert int(first["parentId"], 16) == place_of(add)[1]
    assert delay["parentId"] == first["spanId"]
    assert [f"{link.context.span_id:016x}" for link in second.links] == [delay["spanId"]]


async def test_both_store_a_failed_attempts_trace_alike(node: Node, queue: Queue, redis_url: str, redis: Redis) -> None:
    observed = Observed()
    async with Queue(queue.name, redis_url, telemetry=observed.telemetry) as told:
        ours = await told.add("paint")
        await drain(Worker(queue.name, redis_url, lambda job: 1 / 0, telemetry=observed.telemetry))
        theirs = await told.add("paint", {"acts": [{"throw": "no paint"}]})
    await work(node, queue, 1)
    [process] = observed.named(f"process {queue.name}")
    [fail] = await nodes(node, f"fail {queue.name}")
    stored = [await redis.hget(queue.keys.job(job.id), "tm") for job in (ours, theirs)]  # type: ignore[misc]
    assert stored[0] == carrier_of(process)
    assert list(json.loads(stored[1] or "")) == ["traceparent"]
    assert fail["spanId"] in (stored[1] or "")


async def test_what_omits_its_context_belongs_to_no_trace_on_either_side(
    node: Node, queue: Queue, redis_url: str
) -> None:
    observed = Observed()
    async with Queue(queue.name, redis_url, telemetry=observed.telemetry) as told:
        await told.add("paint", omit_context=True)
    await node.make("Queue", "q", queue.name, TRACED)
    await work(node, queue, 1)
    [theirs] = await nodes(node, f"process {queue.name}")
    assert theirs["parentId"] is None

    omit = {"opts": {"telemetry": {"omitContext": True}}, "name": "paint", "data": {}}
    await node.call("q", "addBulk", [omit])
    await node.call("q", "add", omit["name"], {}, omit["opts"])
    await drain(Worker(queue.name, redis_url, lambda job: None, telemetry=observed.telemetry))
    assert [span.parent for span in observed.named(f"process {queue.name}")] == [None, None]
