"""A replica takes over and does not have the last writes, as Redis replicates without waiting: what becomes of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.carequeue.faults.load import load
from tests.queue_state import QueueState
from tests.redis_proxy import CommandProxy
from tests.redis_servers import RedisServer, ask
from tests.waiting import eventually

from carequeue.wire.keys import QueueKeys

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.redis, pytest.mark.slow]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[RedisServer, RedisServer]]:
    servers = RedisServer(tmp_path / "first"), RedisServer(tmp_path / "second")
    for server in servers:
        server.start()
    yield servers
    for server in servers:
        server.process.kill()


async def test_a_replica_without_the_last_writes_takes_over(
    pair: tuple[RedisServer, RedisServer], queue_name: str, fault_proxy: Callable[[str], Awaitable[Any]]
) -> None:
    """Jobs whose end was not replicated run again; on the new master each completes once, and none is stuck."""
    first, second = pair
    link = await fault_proxy(first.url())
    await ask(second, "REPLICAOF", "127.0.0.1", link.port)
    keys = QueueKeys("bull", queue_name)

    async def in_step() -> bool:
        master, replica = [await ask(server, "INFO", "replication") for server in pair]
        linked = replica.get("master_link_status") == "up"
        return linked and replica["slave_repl_offset"] == master["master_repl_offset"]

    await eventually(in_step, "the replica has what its master has", 20)
    async with (
        CommandProxy(first.url()) as front,
        first.client() as old,
        second.client() as new,
        load(queue_name, front.url(), new) as busy,
    ):
        await eventually(in_step, "the replica has what its master has", 20)
        link.freeze()
        replicated = len((await QueueState.read(new, keys)).of("completed"))
        lost = await busy.queue.add("plain", job_id="lost", attempts=9)
        busy.gate.open.set()

        async def more_are_done() -> bool:
            return len((await QueueState.read(old, keys)).of("completed")) >= replicated + 5

        await eventually(more_are_done, "jobs end that the replica does not hear of", 20)
        first.process.kill()
        await ask(second, "REPLICAOF", "NO", "ONE")
        front.redirect(second.url())

        async def works() -> bool:
            return (await QueueState.read(new, keys)).completions.total() > replicated

        await eventually(works, "the workers have found the new master", 20)
        assert await busy.queue.state(lost.id) is None  # acknowledged, and lost: only its producer can know
        await busy.mix.add(busy.queue, scheduler=False)
        ran = busy.mix.runs.copy()
        busy.mix.forget_runs()
        await busy.end()
        assert max((ran + busy.mix.runs).values()) > 1, "what ended unheard ran again"
