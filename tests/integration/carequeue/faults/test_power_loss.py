"""The power goes: what the disk had not taken yet is gone. The rest is a whole queue, wherever the cut is."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from typing import TYPE_CHECKING

import pytest
from tests.integration.carequeue.faults.load import load
from tests.integration.carequeue.faults.mix import Mix
from tests.queue_state import QueueState
from tests.redis_servers import RedisServer
from tests.waiting import eventually

from carequeue import Queue

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.redis, pytest.mark.slow, pytest.mark.timeout(300)]

SIZE = 12
CUTS = int(os.environ.get("CAREQUEUE_FAULT_SEEDS", "6"))


@pytest.fixture(scope="module")
def dead(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a server whose journal has the whole life of a mix, and the name of the queue."""
    folder = tmp_path_factory.mktemp("dead") / "server"
    asyncio.run(work_and_die(folder))
    return folder, "power"


async def work_and_die(folder: Path) -> None:
    server = RedisServer(folder, "--appendfsync", "always", persistent=True)
    server.start()
    try:
        async with server.client() as redis, load("power", server.url(), redis, size=SIZE) as busy:
            await busy.end()
    finally:
        server.process.kill()


def journal(folder: Path) -> Path:
    """The file that is appended to."""
    return max(
        folder.rglob("*appendonly.aof*"), key=lambda path: (path.name.endswith("incr.aof"), path.stat().st_mtime)
    )


@pytest.fixture
def copy(dead: tuple[Path, str], tmp_path: Path) -> Iterator[RedisServer]:
    shutil.copytree(dead[0], tmp_path / "copy")
    server = RedisServer(tmp_path / "copy", "--aof-load-truncated", "yes", persistent=True)
    yield server
    server.process.kill()


@pytest.mark.parametrize("cut", [1, 20, 400, *(f"seed {seed}" for seed in range(CUTS))])
async def test_a_journal_cut_anywhere_is_a_whole_queue(
    copy: RedisServer, dead: tuple[Path, str], cut: int | str
) -> None:
    """Bytes from its end, or at a random place: each is a moment in the life of the queue."""
    file = journal(copy.data_dir)
    size = file.stat().st_size
    left = size - cut if isinstance(cut, int) else random.Random(cut).randrange(size // 10, size)  # noqa: S311
    os.truncate(file, left)
    copy.start()
    mix = Mix(SIZE)
    async with copy.client() as redis, Queue(dead[1], copy.url()) as queue:
        state = await QueueState.read(redis, queue.keys)
        state.check(wake_ups=False)  # a worker had taken one; now all of them look anew
        state.check_once()
        async with mix.worker(queue.name, copy.url()):

            async def all_ended() -> bool:
                counts = await queue.counts()
                return counts.pending == counts.active == 0

            await eventually(all_ended, "what is left is worked off", 40)
            after = await QueueState.read(redis, queue.keys)
            after.check_at_rest()
            assert state.jobs.keys() <= after.of("completed"), "nothing more is lost, and nothing failed"
            await mix.add(queue, scheduler=False)  # a producer whose jobs have ids adds again what it is not sure of
            await mix.end(queue, redis, runs=None)
