"""What a server says instead of doing what it was asked: a word of ours for the caller, an outage for a worker.

Each is provoked in a real server. No job fails of it, none runs twice, and work goes on when it is over.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import RedisError
from tests.integration.carequeue.conftest import close_at_once
from tests.redis_servers import Cluster, RedisServer, ask
from tests.waiting import eventually

from carequeue import AccessRefused, ConnectionLost, Job, JobState, NotPermitted, NotReady, Queue, QueueEvents, Worker
from carequeue.testing import Signal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.redis

FILL = "for n = 1, 1000 do redis.call('SET', 'filler:' .. n, ('x'):rep(10000)) end"
"""10 MB: a server that loads looks at what clients want every 2 MB."""
Trouble = Callable[[RedisServer], Any]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    server = RedisServer(tmp_path / "server", "--dir", str(made(tmp_path / "saved")), "--save", "3600", "1")
    server.start()
    yield server
    server.process.kill()


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@asynccontextmanager
async def cannot_save(server: RedisServer) -> AsyncGenerator[None]:
    async def failed() -> bool:
        return (await ask(server, "INFO", "persistence"))["rdb_last_bgsave_status"] == "err"

    shutil.rmtree(server.data_dir.parent / "saved")
    await ask(server, "BGSAVE")
    await eventually(failed, "it could not save")
    yield
    await ask(server, "CONFIG", "SET", "stop-writes-on-bgsave-error", "no")


@asynccontextmanager
async def read_only(server: RedisServer) -> AsyncGenerator[None]:
    await ask(server, "REPLICAOF", "127.0.0.1", 1)
    yield
    await ask(server, "REPLICAOF", "NO", "ONE")


@asynccontextmanager
async def cut_off(server: RedisServer) -> AsyncGenerator[None]:
    """A replica without its master that answers nothing."""
    await ask(server, "CONFIG", "SET", "replica-serve-stale-data", "no")
    async with read_only(server):
        yield


@asynccontextmanager
async def full(server: RedisServer) -> AsyncGenerator[None]:
    await ask(server, "CONFIG", "SET", "maxmemory", 1)
    yield
    await ask(server, "CONFIG", "SET", "maxmemory", 0)


@asynccontextmanager
async def alone(server: RedisServer) -> AsyncGenerator[None]:
    await ask(server, "CONFIG", "SET", "min-replicas-to-write", 1)
    yield
    await ask(server, "CONFIG", "SET", "min-replicas-to-write", 0)


@asynccontextmanager
async def busy(server: RedisServer) -> AsyncGenerator[None]:
    async def is_busy() -> bool:
        try:
            await ask(server, "PING")
        except RedisError as error:
            return "BUSY" in str(error)
        return False

    await ask(server, "CONFIG", "SET", "lua-time-limit", 50)
    async with server.client() as client:
        endless = asyncio.ensure_future(client.execute_command("EVAL", "while true do end", 0))
        await eventually(is_busy, "the script is noticed")
        yield
        await ask(server, "SCRIPT", "KILL")
        with pytest.raises(RedisError, match="killed"):
            await endless


@asynccontextmanager
async def without_slots(server: RedisServer) -> AsyncGenerator[None]:
    await ask(server, "CLUSTER", "DELSLOTS", *range(16384))
    yield
    await ask(server, "CLUSTER", "ADDSLOTS", *range(16384))


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (cannot_save, "is not ready: MISCONF, it cannot save to disk and so refuses to write"),
        (read_only, "is not ready: READONLY, it is a replica; the master is another"),
        (cut_off, "is not ready: MASTERDOWN, it is a replica that has lost its master"),
        (full, "is not ready: OOM, it is out of memory (maxmemory)"),
        (alone, "is not ready: NOREPLICAS, too few replicas follow it"),
        (busy, "is not ready: BUSY, a script of somebody keeps it busy"),
    ],
    ids=["MISCONF", "READONLY", "MASTERDOWN", "OOM", "NOREPLICAS", "BUSY"],
)
async def test_it_cannot_for_now(server: RedisServer, queue_name: str, trouble: Trouble, told: str) -> None:
    if trouble is alone and (await ask(server, "INFO", "server"))["redis_version"].startswith("6."):
        pytest.skip("before Redis 7 scripts write whatever min-replicas-to-write says")
    await through(trouble(server), told, queue_name, server.url())


async def test_the_cluster_is_down(tmp_path: Path, queue_name: str) -> None:
    cluster = Cluster(tmp_path / "cluster", masters=1)
    try:
        await cluster.start()
        await through(without_slots(cluster.masters[0]), "CLUSTERDOWN", f"{{{queue_name}}}", cluster.url)
    finally:
        cluster.stop()


async def through(trouble: Any, told: str, name: str, url: str) -> None:
    """A worker that holds a job, a caller and a listener go through the trouble."""
    started, release = Signal("started"), asyncio.Event()
    done, failed, heard, errors = Signal("done"), Signal("failed"), Signal("heard"), Signal("errors")

    async def hold(job: Job[Any]) -> None:
        started(job.id)
        await release.wait()

    worker = Worker(name, url, hold)
    worker.on_completed(done)
    worker.on_failed(failed)
    worker.on_error(lambda error: errors(type(error), str(error)))
    async with Queue(name, url) as queue, QueueEvents(name, url) as events, worker:
        listening = asyncio.create_task(listen(events, heard))
        job = await queue.add("job")
        await started.wait()
        async with trouble:
            with pytest.raises(NotReady, match=re.escape(told)):
                await queue.add("refused")
            release.set()
            if "OOM" not in told:  # to report frees memory: that is done
                await errors.wait()
                assert not worker.is_connected
        await done.wait()
        found = await queue.get(job.id)
        assert found is not None
        assert (await queue.state(job.id), found.attempts_started) == (JobState.COMPLETED, 1)
        await queue.add("after")
        await done.wait(2)
        await heard.wait(2)
        assert (await queue.counts()).completed == 2  # what was refused was not added
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    assert len(started.calls) == 2
    assert not failed.calls
    assert {kind for kind, _ in errors.calls} <= {NotReady}


async def listen(events: QueueEvents, heard: Signal) -> None:
    async for event in events:
        if event.name == "completed":
            heard(event.job_id)


async def test_a_server_that_loads_its_data_is_waited_for(server: RedisServer, tmp_path: Path, queue_name: str) -> None:
    done, errors = Signal("done"), Signal("errors")
    worker = Worker(queue_name, server.url(), nothing)
    worker.on_completed(done)
    worker.on_error(lambda error: errors(str(error)))
    options = ("--dir", str(tmp_path / "saved"), "--key-load-delay", "3000")
    slow = RedisServer(server.data_dir, *options, port=server.port)
    async with Queue(queue_name, server.url()) as queue, worker:
        await queue.add("job")
        await done.wait()
        await ask(server, "CONFIG", "SET", "rdbcompression", "no")
        await ask(server, "EVAL", FILL, 0)
        await ask(server, "SAVE")
        server.process.kill()
        starting = asyncio.create_task(asyncio.to_thread(slow.start))

        async def loads() -> bool:
            try:
                await queue.add("refused")
            except NotReady as error:
                return "is not ready: LOADING, it is loading its data" in str(error)
            except ConnectionLost:
                return False
            return False

        try:
            await eventually(loads, "it says that it is loading")
            await eventually(lambda: any("LOADING" in text for (text,) in errors.calls), "the worker is told as well")
            await starting
            await queue.add("after")
            await done.wait(2)
            assert (await queue.counts()).completed == 2
        finally:
            slow.process.kill()


async def nothing(job: Job[Any]) -> None:
    """The handler that does nothing."""


# Who may not


@pytest.mark.parametrize(
    ("login", "told"),
    [("", "NOAUTH|Authentication required"), ("nobody:wrong@", "WRONGPASS|invalid username-password")],
    ids=["NOAUTH", "WRONGPASS"],
)
async def test_a_login_that_is_refused_is_told_at_once(
    server: RedisServer, queue_name: str, login: str, told: str
) -> None:
    await ask(server, "CONFIG", "SET", "requirepass", "secret")
    url = server.url().replace("redis://", f"redis://{login}")
    worker = Worker(queue_name, url, nothing)
    for opening in (Queue(queue_name, url).open, QueueEvents(queue_name, url).open, worker.start):
        with pytest.raises(AccessRefused, match=f"Redis at 127.0.0.1:{server.port} refused the login: .*({told})"):
            await opening()
    await close_at_once(worker)


async def test_a_password_that_is_changed_under_a_worker_is_an_outage(server: RedisServer, queue_name: str) -> None:
    done, errors = Signal("done"), Signal("errors")
    worker = Worker(queue_name, server.url(), nothing)
    worker.on_completed(done)
    worker.on_error(errors)
    async with Queue(queue_name, server.url()) as queue, worker:
        async with server.client() as admin:
            await admin.execute_command("CONFIG", "SET", "requirepass", "secret")
            await admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await errors.wait()
            with pytest.raises(AccessRefused, match="refused the login"):
                await queue.add("refused")
            await eventually(lambda: any(type(error) is AccessRefused for (error,) in errors.calls), "it is told")
            await admin.execute_command("CONFIG", "SET", "requirepass", "")
        await queue.add("job")
        await done.wait()
        assert (await queue.counts()).completed == 1


async def test_rights_that_are_taken_away_are_told_and_waited_for(server: RedisServer, queue_name: str) -> None:
    done, errors = Signal("done"), Signal("errors")
    await ask(server, "ACL", "SETUSER", "worker", "on", ">secret", "~*", "+@all")
    url = server.url().replace("redis://", "redis://worker:secret@")
    worker = Worker(queue_name, url, nothing, drain_delay=timedelta(milliseconds=500))
    worker.on_completed(done)
    worker.on_error(errors)
    async with Queue(queue_name, url) as queue, worker:
        await ask(server, "ACL", "SETUSER", "worker", "-evalsha", "-bzpopmin")
        with pytest.raises(NotPermitted, match=r"does not let this user do it: .*evalsha"):
            await queue.add("refused")
        await errors.wait()
        assert {type(error) for (error,) in errors.calls} == {NotPermitted}
        await ask(server, "ACL", "SETUSER", "worker", "+@all")
        await queue.add("job")
        await done.wait()
        assert (await queue.counts()).completed == 1
