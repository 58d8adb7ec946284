"""A worker that closes finishes what it can, hands back the rest, and loses nothing."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from carequeue import InvalidOption, Job, JobState, NewJob, Queue, Worker
from carequeue.testing import Signal, drain

if TYPE_CHECKING:
    from redis.asyncio import Redis

pytestmark = pytest.mark.redis

NewWorker = Callable[..., Worker]


async def test_closing_lets_handlers_finish_and_takes_nothing_more(queue: Queue, new_worker: NewWorker) -> None:
    started, release = Signal("started"), asyncio.Event()

    async def wait(job: Job[Any]) -> str:
        started()
        await release.wait()
        return "finished"

    first = await queue.add("job")
    second = await queue.add("job")
    worker = new_worker(wait)
    await worker.start()
    await started.wait()
    closing = asyncio.create_task(worker.close())
    assert not await ended_within(closing, 0.1)
    release.set()
    await closing
    found = await queue.get(first.id)
    assert found is not None
    assert found.return_value == "finished"
    assert await queue.state(second.id) == JobState.WAITING


async def test_at_the_deadline_unfinished_jobs_go_back_to_the_front_without_losing_an_attempt(
    queue: Queue, new_worker: NewWorker
) -> None:
    started, failed = Signal("started"), Signal("failed")

    async def hang(job: Job[Any]) -> None:
        started(job.id)
        await asyncio.Event().wait()

    jobs = [await queue.add("job", n, attempts=1) for n in range(3)]
    urgent = await queue.add("urgent", attempts=1, priority=5)
    worker = new_worker(hang, concurrency=2)
    worker.on_failed(failed)
    await worker.start()
    await started.wait(2)
    await worker.close(grace=timedelta(milliseconds=50))

    counts = await queue.counts()
    assert (counts.waiting, counts.active, counts.failed, counts.prioritized) == (3, 0, 0, 1)
    found = await queue.get(jobs[0].id)
    assert found is not None
    assert found.attempts_made == 0
    assert not failed.calls

    order = Signal("order")
    worker = new_worker(lambda job: order(job.id))
    await drain(worker)
    ids = [job_id for (job_id,) in order.calls]
    assert set(ids[:2]) == {jobs[0].id, jobs[1].id}
    assert ids[2:] == [jobs[2].id, urgent.id]


async def test_a_handler_that_returns_although_it_was_cancelled_completes(queue: Queue, new_worker: NewWorker) -> None:
    started = Signal("started")

    async def save_something(job: Job[Any]) -> str:
        started()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "saved"
        return "never"

    job = await queue.add("job")
    worker = new_worker(save_something)
    await worker.start()
    await started.wait()
    await worker.close(grace=timedelta(0))
    found = await queue.get(job.id)
    assert found is not None
    assert (await queue.state(job.id), found.return_value) == (JobState.COMPLETED, "saved")


async def test_a_handed_back_job_wakes_another_worker_at_once(queue: Queue, new_worker: NewWorker) -> None:
    started, done = Signal("started"), Signal("done")

    async def hang_once(job: Job[Any]) -> None:
        started()
        if len(started.calls) == 1:
            await asyncio.Event().wait()

    await queue.add("job")
    first = new_worker(hang_once, drain_delay=timedelta(minutes=5))
    await first.start()
    await started.wait()
    async with new_worker(hang_once, drain_delay=timedelta(minutes=5)) as second:
        second.on_completed(done)
        await second.wait_until_idle()
        await first.close(grace=timedelta(0))
        await done.wait(timeout=5)


async def test_a_thread_past_the_deadline_is_left_to_the_stall_check_and_logged(
    queue: Queue, new_worker: NewWorker, caplog: pytest.LogCaptureFixture
) -> None:
    started, release = Signal("started"), threading.Event()

    def hang(job: Job[Any]) -> None:
        started()
        release.wait(20)

    job = await queue.add("job")
    abandoned = Signal("abandoned")
    worker = new_worker(hang)
    worker.telemetry.subscribe(lambda _, fields: abandoned(fields["job_id"]), "job.abandoned")
    await worker.start()
    await started.wait()
    with caplog.at_level(logging.WARNING, "carequeue.worker"):
        await worker.close(grace=timedelta(milliseconds=10))
    release.set()
    assert abandoned.calls == [(job.id,)]
    assert "job.abandoned" in [record.message for record in caplog.records]
    assert await queue.state(job.id) == JobState.ACTIVE


async def test_run_ends_after_sigterm_when_what_it_held_is_done(queue: Queue, new_worker: NewWorker) -> None:
    started, release = Signal("started"), asyncio.Event()

    async def wait(job: Job[Any]) -> None:
        started()
        await release.wait()

    before = signal.getsignal(signal.SIGTERM)
    job = await queue.add("job")
    running = asyncio.create_task(new_worker(wait).run())
    await started.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    assert not await ended_within(running, 0.1)
    release.set()
    async with asyncio.timeout(10):
        await running
    assert await queue.state(job.id) == JobState.COMPLETED
    assert signal.getsignal(signal.SIGTERM) is before


async def test_a_second_signal_hands_back_at_once(queue: Queue, new_worker: NewWorker) -> None:
    started = Signal("started")

    async def hang(job: Job[Any]) -> None:
        started()
        await asyncio.Event().wait()

    job = await queue.add("job")
    running = asyncio.create_task(new_worker(hang, grace=timedelta(minutes=5)).run())
    await started.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    assert not await ended_within(running, 0.1)
    os.kill(os.getpid(), signal.SIGINT)
    async with asyncio.timeout(10):
        await running
    assert await queue.state(job.id) == JobState.WAITING


async def test_closing_again_with_no_grace_cuts_the_deadline_short(queue: Queue, new_worker: NewWorker) -> None:
    started = Signal("started")

    async def hang(job: Job[Any]) -> None:
        started()
        await asyncio.Event().wait()

    job = await queue.add("job")
    worker = new_worker(hang)
    await worker.start()
    await started.wait()
    closing = asyncio.create_task(worker.close(grace=timedelta(minutes=5)))
    assert not await ended_within(closing, 0.1)
    async with asyncio.timeout(10):
        await worker.close(grace=timedelta(0))
        await closing
    assert await queue.state(job.id) == JobState.WAITING
    with pytest.raises(InvalidOption, match="starts once"):
        await worker.start()


async def test_a_busy_worker_closes_without_losing_or_repeating_a_job(queue: Queue, new_worker: NewWorker) -> None:
    ran: list[str] = []
    half = Signal("half")

    async def note(job: Job[Any]) -> None:
        await asyncio.sleep(0)
        ran.append(job.id)
        if len(ran) == 150:
            half()

    jobs = await queue.add_bulk([NewJob("job", n) for n in range(400)])
    worker = new_worker(note, concurrency=20, batch=10)
    await worker.start()
    await half.wait()
    await worker.close()
    counts = await queue.counts()
    assert counts.active == 0
    assert counts.completed == len(ran)
    assert counts.completed + counts.waiting == 400

    await drain(new_worker(note, concurrency=20))
    assert sorted(ran) == sorted(job.id for job in jobs)


async def test_a_process_with_a_hanging_thread_exits_at_its_deadline(queue: Queue, redis_url: str) -> None:
    await queue.add("job")
    program = """
import asyncio, sys, threading
from datetime import timedelta
from carequeue import Worker

def hang(job):
    print("started", flush=True)
    threading.Event().wait()

asyncio.run(Worker(sys.argv[1], sys.argv[2], hang, grace=timedelta(milliseconds=100)).run())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, queue.name, redis_url, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    assert process.stdout is not None
    async with asyncio.timeout(20):
        assert await process.stdout.readline() == b"started\n"
        process.terminate()
        assert await process.wait() == 0


async def test_closing_leaves_no_wake_up_behind_for_nobody(queue: Queue, new_worker: NewWorker, redis: Redis) -> None:
    """An idle worker may hold the only wake-up of a delayed job; when it closes, the next worker finds it again."""
    async with new_worker(lambda job: None, drain_delay=timedelta(minutes=5)) as worker:
        await worker.wait_until_idle()
        await queue.add("later", delay=timedelta(hours=1))
    assert [member for member, _ in await redis.zrange(queue.keys.marker, 0, -1, withscores=True)] == ["1"]


async def ended_within(task: asyncio.Task[Any], seconds: float) -> bool:
    """Whether the task ends in that time: proves that it waits, which no signal can."""
    done, _ = await asyncio.wait([task], timeout=seconds)
    return bool(done)
