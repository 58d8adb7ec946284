"""Sentinel: three sentinels, a master and a replica. The queue goes where they say, and on after a failover."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from tests.redis_servers import MASTER, ask, promoted
from tests.waiting import eventually

from carequeue import (
    ConnectionLost,
    InvalidOption,
    Job,
    NotReady,
    Queue,
    QueueEvents,
    Worker,
)
from carequeue.testing import Signal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.redis_servers import Watched

pytestmark = [pytest.mark.redis, pytest.mark.slow]


async def nothing(job: Job[Any]) -> None:
    """The handler that does nothing."""


@pytest.fixture(params=["url", "client"])
async def connection(request: pytest.FixtureRequest, watched: Watched) -> AsyncIterator[Any]:
    if request.param == "url":
        yield watched.url
        return
    sentinel = Sentinel([("127.0.0.1", each.port) for each in watched.sentinels], socket_timeout=2)
    client = sentinel.master_for(MASTER, decode_responses=True, retry=Retry(NoBackoff(), 0))
    yield client
    await client.aclose()
    await sentinel.aclose()


async def until_added(queue: Queue, *job_ids: str) -> None:
    """Add jobs, again and again until Redis says that it has them: with ids of their own that is harmless."""

    async def added() -> bool:
        try:
            for job_id in job_ids:
                await queue.add("job", job_id=job_id)
        except ConnectionLost:
            return False
        return True

    await eventually(added, "the new master takes jobs", 30)


async def test_a_killed_master_is_followed_by_its_replica_and_nothing_acknowledged_is_lost_or_run_twice(
    connection: Any, watched: Watched, queue_name: str
) -> None:
    """What the replica had: a master that dies before it has passed a write on takes it along. That is Redis's."""
    ran: list[str] = []
    started, release, done = Signal("started"), asyncio.Event(), Signal("done")

    async def note(job: Job[Any]) -> None:
        ran.append(job.id)
        if job.id == "held":
            started()
            await release.wait()

    worker = Worker(queue_name, connection, note, concurrency=5, drain_delay=timedelta(seconds=1))
    worker.on_completed(done)
    heard = Signal("heard")
    async with (
        Queue(queue_name, connection) as queue,
        QueueEvents(queue_name, connection) as events,
        worker,
    ):
        listening = asyncio.create_task(listen(events, heard))
        await until_added(queue, *(f"before-{n}" for n in range(20)), "held")
        await queue.add("later", job_id="later", delay=timedelta(hours=1))
        await done.wait(20)
        await started.wait()
        await eventually(watched.in_step, "the replica has everything")
        before = await watched.master()
        before.process.kill()
        after = await promoted(watched, before)
        release.set()
        await until_added(queue, *(f"after-{n}" for n in range(20)))
        await done.wait(41)
        await queue.promote("later")
        await done.wait(42)
        await heard.wait(42)
        counts = await queue.counts()
        assert (counts.completed, counts.failed, counts.pending, counts.active) == (42, 0, 0, 0)
        assert await ask(after, "EXISTS", queue.keys.meta) == 1
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    assert len(ran) == len(set(ran)) == 42
    assert len({job.id for job, _ in done.calls}) == 42


async def listen(events: QueueEvents, heard: Callable[[str], None]) -> None:
    async for event in events:
        if event.name == "completed":
            heard(event.job_id or "")


async def test_a_demoted_master_is_left_for_the_new_one(connection: Any, watched: Watched, queue_name: str) -> None:
    """It lives on as a replica: its connections are open, and it answers READONLY."""
    done, errors = Signal("done"), Signal("errors")
    worker = Worker(queue_name, connection, nothing, drain_delay=timedelta(seconds=1))
    worker.on_completed(done)
    worker.on_error(errors)
    async with Queue(queue_name, connection) as queue, worker:
        await queue.add("job", job_id="before")
        await done.wait(1)
        await eventually(watched.in_step, "the replica has everything")
        before = await watched.master()
        await fail_over(watched)
        after = await promoted(watched, before)

        async def demoted() -> bool:
            return (await ask(before, "ROLE"))[0] == "slave"

        await eventually(demoted, "the old master is told; what it took after the promotion is lost, as Redis says", 30)
        await until_added(queue, "after")
        await done.wait(2)
        assert await ask(after, "EXISTS", queue.keys.job("after")) == 1
        assert (await queue.counts()).completed == 2
    assert {type(error) for (error,) in errors.calls} <= {ConnectionLost, NotReady}


async def fail_over(watched: Watched) -> None:
    async with Redis(port=watched.sentinels[0].port, decode_responses=True) as client:
        await client.execute_command("SENTINEL", "FAILOVER", MASTER)


async def test_a_frozen_master_is_left_too(watched: Watched, queue_name: str) -> None:
    """It neither answers nor hangs up: only timeouts tell."""
    done = Signal("done")
    url = f"{watched.url}?socket_timeout=1"
    worker = Worker(queue_name, url, nothing, drain_delay=timedelta(milliseconds=500))
    worker.on_completed(done)
    async with Queue(queue_name, url) as queue, worker:
        await queue.add("job", job_id="before")
        await done.wait(1)
        await eventually(watched.in_step, "the replica has everything")
        before = await watched.master()
        before.pause()
        await promoted(watched, before)
        await until_added(queue, "after")
        await done.wait(2, timeout=20)


async def test_a_dead_sentinel_is_passed_over(watched: Watched, queue_name: str) -> None:
    watched.sentinels[0].process.kill()
    async with Queue(queue_name, watched.url) as queue:
        await queue.add("job")
        assert (await queue.counts()).waiting == 1


async def test_a_worker_waits_for_a_master_that_is_not_there(watched: Watched, queue_name: str) -> None:
    errors, done = Signal("errors"), Signal("done")
    for server in watched.servers:
        server.process.kill()
    worker = Worker(queue_name, watched.url, nothing)
    worker.on_error(errors)
    worker.on_completed(done)
    starting = asyncio.create_task(worker.start())
    await errors.wait(1)
    for server in watched.servers:
        await asyncio.to_thread(server.start)
    await ask(watched.servers[1], "REPLICAOF", "127.0.0.1", watched.servers[0].port)
    await starting
    async with Queue(queue_name, watched.url) as queue:
        await until_added(queue, "a")
        await done.wait()
    await worker.close()
    assert {type(error) for (error,) in errors.calls} <= {ConnectionLost, NotReady}


async def test_a_name_that_no_sentinel_knows_is_said(watched: Watched) -> None:
    url = watched.url.replace(MASTER, "other")
    with pytest.raises(ConnectionLost, match=r"the master 'other' of the sentinels .*it knows no master of that name"):
        async with Queue("q", url):
            pass


async def test_no_sentinel_there_is_said() -> None:
    url = "redis+sentinel://:secret@127.0.0.1:1,127.0.0.1:2/mymaster?sentinel_password=secret"
    with pytest.raises(ConnectionLost, match=r"sentinels at 127\.0\.0\.1:1, 127\.0\.0\.1:2 did not answer") as lost:
        async with Queue("q", url):
            pass
    assert "secret" not in str(lost.value)


async def test_a_client_of_replicas_is_refused(watched: Watched) -> None:
    sentinel = Sentinel([("127.0.0.1", watched.sentinels[0].port)])
    client = sentinel.slave_for(MASTER, decode_responses=True, retry=Retry(NoBackoff(), 0))
    with pytest.raises(InvalidOption, match=r"a queue writes, replicas do not: give sentinel\.master_for"):
        Queue("q", client)
    await client.aclose()
    await sentinel.aclose()
