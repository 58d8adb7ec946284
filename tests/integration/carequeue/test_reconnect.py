"""A bad network, a server that dies, restarts or refuses: no job is lost, failed or reported by mistake."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio import Redis

from carequeue import ConnectionLost, Job, JobState, NewJob, NotReady, Queue, Worker
from carequeue.testing import Signal

if TYPE_CHECKING:
    from carecircle_cli.engines import EmbeddedValkey

pytestmark = pytest.mark.redis

NewWorker = Callable[..., Worker]
StartProxy = Callable[[str], Awaitable[Any]]

QUICK: dict[str, Any] = {"stalled_interval": timedelta(milliseconds=300), "lock_duration": timedelta(seconds=2)}


async def nothing(job: Job[Any]) -> None:
    """The handler that does nothing."""


async def test_a_killed_server_that_comes_back_is_worked_for_again(
    own_valkey: EmbeddedValkey, new_worker: NewWorker, queue_name: str
) -> None:
    done, errors = Signal("done"), Signal("errors")
    worker = new_worker(nothing, url=own_valkey.url())
    worker.on_completed(done)
    worker.on_error(errors)
    reconnected = Signal("reconnected")
    worker.telemetry.subscribe(reconnected, "worker.reconnected")
    async with Queue(queue_name, own_valkey.url()) as queue:
        await queue.add("before")
        async with worker:
            await done.wait(1)
            own_valkey.process.kill()
            await errors.wait(1)
            assert not worker.is_connected
            await asyncio.to_thread(own_valkey.start)
            await reconnected.wait()
            assert worker.is_connected
            await queue.add("after")  # its scripts are loaded again without a word
            await done.wait(2)
    assert {type(error) for (error,) in errors.calls} == {ConnectionLost}


async def test_an_outage_is_no_tight_loop_and_is_logged_once(
    own_valkey: EmbeddedValkey, new_worker: NewWorker, caplog: pytest.LogCaptureFixture
) -> None:
    errors = Signal("errors")
    worker = new_worker(nothing, url=own_valkey.url())
    worker.on_error(errors)
    with caplog.at_level(logging.WARNING, "carequeue.worker"):
        async with worker:
            await worker.wait_until_idle()
            own_valkey.stop()
            await errors.wait(5)
            await asyncio.to_thread(own_valkey.start)
    assert [record.message for record in caplog.records].count("worker.disconnected") == 1
    assert len(errors.calls) < 20


async def test_a_worker_started_before_its_server_waits_for_it(
    own_valkey: EmbeddedValkey, new_worker: NewWorker, queue_name: str
) -> None:
    own_valkey.stop()
    done, errors = Signal("done"), Signal("errors")
    worker = new_worker(nothing, url=own_valkey.url())
    worker.on_completed(done)
    worker.on_error(errors)
    starting = asyncio.create_task(worker.start())
    await errors.wait(2)
    assert not worker.is_connected
    await asyncio.to_thread(own_valkey.start)
    await starting
    async with Queue(queue_name, own_valkey.url()) as queue:
        await queue.add("job")
        await done.wait()


async def test_a_reply_lost_after_completing_fails_nothing_and_runs_nothing_twice(
    queue: Queue, new_worker: NewWorker, redis_url: str, fault_proxy: StartProxy
) -> None:
    proxy = await fault_proxy(redis_url)
    ran, failed, unreported = Signal("ran"), Signal("failed"), Signal("unreported")

    async def note(job: Job[Any]) -> str:
        ran(job.id)
        return "the value"

    worker = new_worker(note, url=proxy.url, **QUICK)
    worker.on_failed(failed)
    worker.telemetry.subscribe(lambda _, fields: unreported(fields["code"]), "job.unreported")
    proxy.lose_reply(lambda request: b"the value" in request)
    async with worker:
        job = await queue.add("job", attempts=3)
        async with asyncio.timeout(10):
            await proxy.lost.wait()
        assert await unreported.wait() == [(-2,)]  # repeated without fetching: the first report had arrived
        await worker.wait_until_idle()
    found = await queue.get(job.id)
    assert found is not None
    assert (await queue.state(job.id), found.return_value) == (JobState.COMPLETED, "the value")
    assert (found.attempts_made, found.attempts_started) == (1, 1)
    assert ran.calls == [(job.id,)]
    assert not failed.calls


async def test_a_report_that_never_arrived_is_sent_again(
    queue: Queue, new_worker: NewWorker, redis_url: str, fault_proxy: StartProxy
) -> None:
    proxy = await fault_proxy(redis_url)
    started, release, done, errors = Signal("started"), asyncio.Event(), Signal("done"), Signal("errors")

    async def wait(job: Job[Any]) -> str:
        started()
        await release.wait()
        return "done"

    worker = new_worker(wait, url=proxy.url)
    worker.on_completed(done)
    worker.on_error(errors)
    async with worker:
        job = await queue.add("job")
        await started.wait()
        await proxy.refuse()
        release.set()
        await errors.wait(1)
        await proxy.start()
        await done.wait()
    found = await queue.get(job.id)
    assert found is not None
    assert (found.return_value, found.attempts_started) == ("done", 1)


async def test_a_job_fetched_by_a_call_whose_reply_was_lost_comes_back_by_the_stall_check(
    queue: Queue, new_worker: NewWorker, redis_url: str, fault_proxy: StartProxy
) -> None:
    proxy = await fault_proxy(redis_url)
    done, stalled = Signal("done"), Signal("stalled")
    worker = new_worker(lambda job: "done", url=proxy.url, stalled_interval=timedelta(milliseconds=400),
                        lock_duration=timedelta(milliseconds=300))  # fmt: skip
    worker.on_completed(done)
    worker.on_stalled(stalled)
    async with worker:
        await worker.wait_until_idle()
        proxy.lose_reply(
            lambda request: b"EVALSHA" in request and b"fetch" not in request and b"BZPOPMIN" not in request
        )
        job = await queue.add("job")
        async with asyncio.timeout(10):
            await proxy.lost.wait()
        await done.wait()
    found = await queue.get(job.id)
    assert found is not None
    assert (await queue.state(job.id), found.attempts_made) == (JobState.COMPLETED, 1)
    if stalled.calls:  # the lost call was the fetch
        assert (found.stalled_count, found.attempts_started) == (1, 2)


async def test_cut_connections_lose_no_wake_up(
    queue: Queue, new_worker: NewWorker, redis_url: str, fault_proxy: StartProxy
) -> None:
    proxy = await fault_proxy(redis_url)
    done = Signal("done")
    worker = new_worker(nothing, url=proxy.url, drain_delay=timedelta(minutes=5))
    worker.on_completed(done)
    async with worker:
        for count in range(1, 11):
            await worker.wait_until_idle()
            proxy.cut()
            await queue.add("job")
            await done.wait(count, timeout=5)


async def test_connections_cut_again_and_again_lose_and_repeat_no_job(
    queue: Queue, new_worker: NewWorker, redis_url: str, fault_proxy: StartProxy
) -> None:
    """Each job completes exactly once; one whose fetch was lost starts twice, but only by way of the stall check."""
    proxy = await fault_proxy(redis_url)
    ran: list[str] = []

    async def note(job: Job[Any]) -> None:
        ran.append(job.id)
        await asyncio.sleep(0)
        if len(ran) % 40 == 0:
            proxy.cut()

    worker = new_worker(note, url=proxy.url, concurrency=10, batch=5, stalled_interval=timedelta(milliseconds=300),
                        lock_duration=timedelta(milliseconds=500), max_stalled_count=20)  # fmt: skip
    jobs = await queue.add_bulk([NewJob("job", n) for n in range(400)])
    async with worker:
        async with asyncio.timeout(60):
            while (await queue.counts()).completed < 400:  # idle, but for what the stall check has yet to find
                await worker.wait_until_idle()
    counts = await queue.counts()
    assert (counts.completed, counts.failed, counts.active, counts.waiting) == (400, 0, 0, 0)
    for job in jobs:
        found = await queue.get(job.id)
        assert found is not None
        assert ran.count(job.id) <= 1 + found.stalled_count


async def test_a_frozen_network_is_noticed_by_the_watchdog(
    queue: Queue, new_worker: NewWorker, redis_url: str, fault_proxy: StartProxy
) -> None:
    """Nothing is closed, nothing answers: the worker itself has to give its connections up."""
    proxy = await fault_proxy(redis_url)
    done, errors = Signal("done"), Signal("errors")
    worker = new_worker(nothing, url=proxy.url, drain_delay=timedelta(milliseconds=200))
    worker.on_completed(done)
    worker.on_error(errors)
    async with worker:
        await worker.wait_until_idle()
        proxy.freeze()
        await errors.wait(1, timeout=20)
        proxy.cut()
        proxy.thaw()
        await queue.add("job")
        await done.wait(timeout=20)


async def test_a_read_only_server_is_an_outage_and_no_failure_of_jobs(
    own_valkey: EmbeddedValkey, new_worker: NewWorker, queue_name: str
) -> None:
    started, release = Signal("started"), asyncio.Event()
    done, failed, errors = Signal("done"), Signal("failed"), Signal("errors")

    async def wait(job: Job[Any]) -> None:
        started()
        await release.wait()

    worker = new_worker(wait, url=own_valkey.url())
    worker.on_completed(done)
    worker.on_failed(failed)
    worker.on_error(errors)
    async with Queue(queue_name, own_valkey.url()) as queue, Redis.from_url(own_valkey.url()) as admin:
        job = await queue.add("job")
        async with worker:
            await started.wait()
            await admin.replicaof("127.0.0.1", "1")
            release.set()
            await errors.wait(3)
            assert not worker.is_connected
            await admin.replicaof("NO", "ONE")
            await done.wait()
        found = await queue.get(job.id)
        assert found is not None
        assert (await queue.state(job.id), found.attempts_started) == (JobState.COMPLETED, 1)
    assert {type(error) for (error,) in errors.calls} == {NotReady}
    assert not failed.calls


async def test_a_server_without_memory_fails_no_job_and_is_worked_for_again(
    own_valkey: EmbeddedValkey, new_worker: NewWorker, queue_name: str
) -> None:
    started, release = Signal("started"), asyncio.Event()
    done, failed, told = Signal("done"), Signal("failed"), Signal("told")

    async def wait(job: Job[Any]) -> None:
        started()
        await release.wait()

    worker = new_worker(wait, url=own_valkey.url())
    worker.on_completed(done)
    worker.on_completed(told)
    worker.on_failed(failed)
    worker.on_error(told)
    async with Queue(queue_name, own_valkey.url()) as queue, Redis.from_url(own_valkey.url()) as admin:
        jobs = [await queue.add("job") for _ in range(3)]
        async with worker:
            await started.wait()
            await admin.config_set("maxmemory", "1")
            with pytest.raises(ConnectionLost, match="OOM"):
                await queue.add("job")
            release.set()
            await told.wait()  # what was held may be reported all the same: that frees memory
            await admin.config_set("maxmemory", "0")
            await done.wait(3)
        assert [await queue.state(job.id) for job in jobs] == [JobState.COMPLETED] * 3
    assert not failed.calls


async def test_an_outage_does_not_keep_a_worker_from_closing(own_valkey: EmbeddedValkey, new_worker: NewWorker) -> None:
    errors = Signal("errors")
    worker = new_worker(nothing, url=own_valkey.url())
    worker.on_error(errors)
    await worker.start()
    await worker.wait_until_idle()
    own_valkey.process.kill()
    await errors.wait()
    async with asyncio.timeout(15):
        await worker.close(timedelta(0))
