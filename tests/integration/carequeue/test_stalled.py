"""A job whose worker went away is run by another one."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from carequeue import Job, JobState, Queue, Worker
from carequeue.testing import Signal, drain

if TYPE_CHECKING:
    from redis.asyncio import Redis

pytestmark = pytest.mark.redis

NewWorker = Callable[..., Worker]

INTERVAL = timedelta(milliseconds=500)
VICTIM = """
import asyncio, sys
from datetime import timedelta
from carequeue import Worker

async def hang(job):
    print("started", flush=True)
    await asyncio.Event().wait()

short = {"lock_duration": timedelta(milliseconds=300), "stalled_interval": timedelta(milliseconds=500)}
asyncio.run(Worker(sys.argv[1], sys.argv[2], hang, **short).run())
"""


async def test_a_job_of_a_killed_worker_is_run_by_another_within_two_intervals(
    queue: Queue, new_worker: NewWorker, redis_url: str
) -> None:
    job = await queue.add("job")
    await kill_a_worker_that_holds_a_job(queue.name, redis_url)
    killed = datetime.now(UTC)
    assert await queue.state(job.id) == JobState.ACTIVE

    done, stalled = Signal("done"), Signal("stalled")
    async with new_worker(lambda job: "rescued", stalled_interval=INTERVAL) as worker:
        worker.on_completed(done)
        worker.on_stalled(stalled)
        [(finished, value)] = await done.wait()
    assert (finished.id, value, finished.stalled_count) == (job.id, "rescued", 1)
    assert stalled.calls == [(job.id,)]
    assert datetime.now(UTC) - killed < 2 * INTERVAL + timedelta(seconds=2)


async def test_a_job_that_stalls_too_often_fails_and_says_so(queue: Queue, new_worker: NewWorker, redis: Redis) -> None:
    job = await queue.add("job", attempts=9)
    await redis.hset(queue.keys.job(job.id), "stc", 1)  # pyright: ignore[reportGeneralTypeIssues]
    started, failed = Signal("started"), Signal("failed")

    async def hang(job: Job[Any]) -> None:
        started()
        await asyncio.Event().wait()

    async with new_worker(hang, stalled_interval=timedelta(milliseconds=100), concurrency=2) as worker:
        worker.on_failed(failed)
        await started.wait()
        await redis.delete(queue.keys.lock(job.id))
        [(found, error)] = await failed.wait()
    assert str(error) == "job stalled more than allowable limit"
    assert (found.id, len(started.calls)) == (job.id, 1)
    assert await queue.state(job.id) == JobState.FAILED


async def test_one_worker_an_interval_checks_for_all(queue: Queue, new_worker: NewWorker, redis: Redis) -> None:
    await drain(new_worker(lambda job: None))
    assert 0 < await redis.pttl(queue.keys.stalled_check) <= 30_000


async def test_the_stall_check_can_be_left_to_others(queue: Queue, new_worker: NewWorker, redis: Redis) -> None:
    await drain(new_worker(lambda job: None, skip_stalled_check=True))
    assert not await redis.exists(queue.keys.stalled_check)


async def kill_a_worker_that_holds_a_job(queue: str, url: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", VICTIM, queue, url, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    assert process.stdout is not None
    async with asyncio.timeout(20):
        assert await process.stdout.readline() == b"started\n"
        process.kill()
        await process.communicate()
