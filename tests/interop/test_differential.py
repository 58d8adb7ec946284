"""The same operations through Node's BullMQ and through carequeue leave the same things in Redis.

What each operation answers is compared too. Differences that we want are in `differences.py`, each with its reason.
"""

from __future__ import annotations

import os
import re
from difflib import unified_diff
from pprint import pformat
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from tests.interop.differences import DIFFERENCES, unexplained
from tests.interop.dump import differences
from tests.interop.flow_drivers import NodeFlowDriver, OurFlowDriver
from tests.interop.flow_operations import FLOWS
from tests.interop.node_driver import run
from tests.interop.operations import CASES as BASIC_CASES
from tests.interop.queue_operations import QUEUE_CASES
from tests.interop.random_operations import walk
from tests.interop.support import Node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.interop.differences import Difference, Pair
    from tests.interop.node_driver import Outcome
    from tests.interop.operations import Case

CASES = [*BASIC_CASES, *QUEUE_CASES, *FLOWS]
SEEDS = range(int(os.environ.get("CARECIRCLE_TEST_WALKS", "10")))

pytestmark = [
    pytest.mark.node,
    pytest.mark.redis,
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def peer(node_program: Path, redis_url: str) -> AsyncIterator[Node]:
    """One Node for all cases: starting one takes longer than a case."""
    node = Node(node_program, redis_url)
    await node.start()
    yield node
    await node.stop()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url, decode_responses=True, protocol=2)
    yield client
    await client.aclose()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_both_leave_the_same(peer: Node, client: Redis, redis_url: str, queue_name: str, case: Case) -> None:
    found = await compared(peer, client, redis_url, queue_name, case)

    left = unexplained(case.name, found)
    assert not left, "\n".join(["they differ", *map(told, left, left.values())])


@pytest.mark.parametrize("seed", SEEDS)
async def test_both_leave_the_same_after_a_walk(
    peer: Node, client: Redis, redis_url: str, queue_name: str, seed: int
) -> None:
    case = walk(seed)
    found = await compared(peer, client, redis_url, queue_name, case)

    theirs, ours = (str(markers) for markers in found.get("/marker", ("", "")))
    assert all(member in ours for member in ("'0'", "'1'") if member in theirs), "a wake-up call is missing"
    left = unexplained(case.name, found)
    assert not left, "\n".join(["they differ", *map(told, left, left.values())])


@pytest.mark.parametrize("difference", [one for one in DIFFERENCES if one.always], ids=lambda one: one.cases)
async def test_a_wanted_difference_is_there(
    peer: Node, client: Redis, redis_url: str, queue_name: str, difference: Difference
) -> None:
    """A row that explains nothing any more would hide the next mistake at its place."""
    [case] = [case for case in CASES if re.fullmatch(difference.cases, case.name)]

    found = await compared(peer, client, redis_url, queue_name, case)

    assert any(difference.explains(case.name, place, pair) for place, pair in found.items())


async def compared(peer: Node, client: Redis, redis_url: str, queue: str, case: Case) -> dict[str, Pair]:
    """Run a case on both sides: where their answers and what they stored differ."""
    outcomes: list[Outcome] = []
    for driver in (NodeFlowDriver(peer, client, "node", queue), OurFlowDriver(redis_url, client, "ours", queue)):
        await driver.start()
        try:
            outcomes.append(await run(driver, case))
        finally:
            await driver.stop()
    node, own = outcomes
    differing = {
        f"answer {place} ({theirs[0]})": (theirs[1], ours[1])
        for place, (theirs, ours) in enumerate(zip(node.answers, own.answers, strict=True))
        if theirs != ours
    }
    return differing | differences(node.stored, own.stored)


def told(place: str, pair: tuple[Any, Any]) -> str:
    """A difference line by line: `-` is Node's, `+` is ours."""
    theirs, ours = (pformat(side, width=110).splitlines() for side in pair)
    return "\n".join([f"{place}:", *unified_diff(theirs, ours, lineterm="", n=1)][:60])
