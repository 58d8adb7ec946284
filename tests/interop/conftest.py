"""A Node process with the pinned BullMQ for the tests of this folder, on the same server as ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.interop.install import find_node, install
from tests.interop.support import Node

from carequeue import Queue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(scope="session")
def node_program() -> Path:
    install()
    return find_node()


@pytest.fixture
async def node(node_program: Path, redis_url: str) -> AsyncIterator[Node]:
    node = Node(node_program, redis_url)
    await node.start()
    yield node
    await node.stop()


@pytest.fixture
async def queue(queue_name: str, redis_url: str) -> AsyncIterator[Queue]:
    """Our side of the queue that Node works on too, deleted at the end."""
    async with Queue(queue_name, redis_url) as queue:
        yield queue
        await queue.pause()
        await queue.obliterate(force=True)
