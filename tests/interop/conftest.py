"""A Node process with the pinned BullMQ for the tests of this folder, on the same server as ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.interop.install import find_node, install
from tests.interop.support import Node

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
