"""Several servers at once: a Cluster of three masters, and a master that sentinels watch."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.redis_servers import Cluster, Watched

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three masters, for the tests of a module together: each uses its own `queue_name`."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        asyncio.run(cluster.start())
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
async def own_masters(tmp_path: Path) -> AsyncIterator[Cluster]:
    """Three masters that the test may kill, all of which have a replica."""
    cluster = Cluster(tmp_path / "cluster")
    try:
        await cluster.start()
        for master in cluster.masters:
            await cluster.add_replica(master)
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    watched = Watched(tmp_path / "watched")
    try:
        await watched.start()
        yield watched
    finally:
        watched.stop()
