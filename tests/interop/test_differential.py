"""The same operations through Node's BullMQ and through carequeue leave the same things in Redis.

What each operation answers is compared too. Differences that we want are in `differences.py`, each with its reason.
"""

from __future__ import annotations

from difflib import unified_diff
from pprint import pformat
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from tests.interop.differences import unexplained
from tests.interop.dump import differences
from tests.interop.node_driver import NodeDriver, run
from tests.interop.operations import CASES
from tests.interop.our_driver import OurDriver
from tests.interop.support import Node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.interop.operations import Case

pytestmark = [pytest.mark.node, pytest.mark.redis, pytest.mark.asyncio(loop_scope="module")]


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
    theirs = NodeDriver(peer, client, "node", queue_name)
    ours = OurDriver(redis_url, client, "ours", queue_name)
    outcomes = []
    for driver in (theirs, ours):
        await driver.start()
        try:
            outcomes.append(await run(driver, case))
        finally:
            await driver.stop()
    node, own = outcomes

    answers = {f"answer {place}": pair for place, pair in enumerate(zip(node.answers, own.answers, strict=True))}
    found = {place: pair for place, pair in answers.items() if pair[0] != pair[1]}
    left = unexplained(case.name, found | differences(node.stored, own.stored))
    assert not left, "\n".join(["they differ", *map(told, left, left.values())])


def told(place: str, pair: tuple[Any, Any]) -> str:
    """A difference line by line: `-` is Node's, `+` is ours."""
    theirs, ours = (pformat(side, width=110).splitlines() for side in pair)
    return "\n".join([f"{place}:", *unified_diff(theirs, ours, lineterm="", n=1)][:60])
