"""Servers that die, restart, refuse, stand still or forget everything while workers are busy: no acknowledged job is
lost, none completes twice, and all goes on by itself.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import RedisError
from tests.integration.carequeue.faults.load import load
from tests.queue_state import QueueState
from tests.redis_servers import RedisServer, ask
from tests.waiting import eventually

from carequeue import ConnectionLost, JobState, NotReady

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.redis, pytest.mark.slow]

PAUSE = 3000
"""ms; the locks of the workers last a fifth of it."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """Nothing that it acknowledged is lost when it dies."""
    server = RedisServer(tmp_path / "server", "--appendfsync", "always", persistent=True)
    server.start()
    yield server
    if server.process.running:
        server.resume()
    server.process.kill()


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_a_server_that_restarts_under_load(server: RedisServer, queue_name: str, how: str, times: int) -> None:
    async with server.client() as redis, load(queue_name, server.url(), redis) as busy:
        for _ in range(times):
            lost = len(busy.errors.calls)
            await asyncio.to_thread(server.stop if how == "stopped" else server.process.kill)
            await busy.errors.wait(lost + 1)
            busy.gate.open.set()  # from here on jobs end while nobody answers
            await asyncio.to_thread(server.start)
        await busy.end()


async def test_flushall_under_load(server: RedisServer, queue_name: str) -> None:
    """All is gone, and nothing is stuck: late ends are refused, new jobs run, scheduling begins anew."""
    async with server.client() as redis, load(queue_name, server.url(), redis) as busy:
        held = [job_id for (job_id,) in busy.gate.held.calls]
        await redis.flushall()
        busy.mix.forget_runs()
        await busy.mix.add(busy.queue)  # the same ids
        await busy.end()
        assert {str(error) for (error,) in busy.errors.calls if isinstance(error, ConnectionLost)} == set()
        for job_id in held:
            if not job_id.startswith("repeat:"):
                assert await busy.queue.state(job_id) == JobState.COMPLETED


async def test_a_replica_for_a_while_under_load(server: RedisServer, queue_name: str) -> None:
    """READONLY: workers wait, a producer is told that nothing was done."""
    async with server.client() as redis, load(queue_name, server.url(), redis) as busy:
        await redis.replicaof("127.0.0.1", 1)  # nobody there: it keeps its data
        busy.gate.open.set()
        with pytest.raises(NotReady, match="READONLY"):
            await busy.queue.add("too early")
        await busy.errors.wait(2)
        await redis.replicaof("NO", "ONE")
        await busy.end()
        assert {type(error) for (error,) in busy.errors.calls} == {NotReady}


async def test_a_server_out_of_memory_under_load(server: RedisServer, queue_name: str) -> None:
    async with server.client() as redis, load(queue_name, server.url(), redis) as busy:
        before = (await QueueState.read(redis, busy.queue.keys)).jobs.keys()
        await redis.config_set("maxmemory", "1")
        for _ in range(3):
            with pytest.raises(NotReady, match="OOM"):
                await busy.queue.add("too much")
        busy.gate.open.set()
        await busy.errors.wait(1)
        state = await QueueState.read(redis, busy.queue.keys)
        state.check(wake_ups=False)
        assert before <= state.jobs.keys(), "nothing is evicted"
        await redis.config_set("maxmemory", "0")
        await busy.end()


@pytest.mark.parametrize("what", ["WRITE", "ALL"])
async def test_a_server_that_stands_still_for_a_while(server: RedisServer, queue_name: str, what: str) -> None:
    """CLIENT PAUSE for longer than the locks last: who ends too late is refused, and the job runs again."""
    async with server.client() as redis, load(queue_name, server.url(), redis) as busy:
        await redis.execute_command("CLIENT", "PAUSE", PAUSE, what)
        busy.gate.open.set()
        await busy.end()


async def test_a_frozen_server_that_clients_give_up(server: RedisServer, queue_name: str) -> None:
    """SIGSTOP for longer than clients wait for a reply: what it read before runs when it goes on, unheard."""
    url = f"{server.url()}?socket_timeout=0.5"
    async with server.client() as redis, load(queue_name, url, redis) as busy:
        server.pause()
        busy.gate.open.set()
        await busy.errors.wait(3)
        server.resume()
        await busy.end()


async def test_a_server_kept_busy_by_a_script_of_somebody(server: RedisServer, queue_name: str) -> None:
    async with server.client() as redis, server.client() as other, load(queue_name, server.url(), redis) as busy:
        await redis.config_set("lua-time-limit", 50)
        endless = asyncio.create_task(other.execute_command("EVAL", "while true do end", 0))

        async def is_busy() -> bool:
            try:
                await ask(server, "PING")
            except RedisError as error:
                return "BUSY" in str(error)
            return False

        await eventually(is_busy, "the script has kept it for too long")
        busy.gate.open.set()
        with pytest.raises(NotReady, match="BUSY"):
            await busy.queue.add("too early")
        await busy.errors.wait(1)
        await ask(server, "SCRIPT", "KILL")
        with pytest.raises(RedisError):
            await endless
        await busy.end()


async def test_the_late_end_of_a_job_that_was_flushed_does_not_complete_a_new_one_of_its_id(
    server: RedisServer, queue_name: str
) -> None:
    async with server.client() as redis, load(queue_name, server.url(), redis) as busy:
        held = [job_id for (job_id,) in busy.gate.held.calls]
        await redis.flushall()
        await busy.queue.pause()
        await busy.mix.add(busy.queue)
        busy.gate.open.set()
        await busy.unreported.wait(len(held))
        assert set((await busy.queue.states(held)).values()) & {JobState.COMPLETED, JobState.ACTIVE} == set()
        busy.mix.forget_runs()
        await busy.queue.resume()
        await busy.end()
