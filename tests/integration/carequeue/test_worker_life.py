"""What the owner of a worker hears of its life: ready, active, paused, resumed, locks, closing, closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from carequeue import HandBack, InvalidOption, Job, JobState, LockLost, Queue, Worker, WorkerNotStarted, WorkerOptions
from carequeue.testing import Signal, drain

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from carecircle_cli.engines import EmbeddedValkey

pytestmark = pytest.mark.redis

NewWorker = Callable[..., Worker]

HOOKS = ("ready", "active", "completed", "paused", "resumed", "closing", "closed")


class Holding:
    """A handler that waits to be released."""

    def __init__(self) -> None:
        self.started = Signal("started")
        self.release = asyncio.Event()

    async def __call__(self, job: Job[Any]) -> None:
        self.started(job.id)
        await self.release.wait()


def told(worker: Worker) -> list[str]:
    """The names of its hooks in the order in which they were called."""
    heard: list[str] = []
    for name in HOOKS:
        getattr(worker, f"on_{name}")(lambda *_, name=name: heard.append(name))
    return heard


async def test_a_life_is_told_from_ready_to_closed(queue: Queue, new_worker: NewWorker) -> None:
    holding = Holding()
    worker = new_worker(holding)
    heard, done = told(worker), Signal("done")
    worker.on_completed(done)
    await queue.add("job")
    async with worker:
        await holding.started.wait()
        for again in range(2):  # the second time nothing changes, and nothing is told
            worker.pause()
            assert worker.is_paused, again
        worker.resume()
        worker.resume()
        holding.release.set()
        await done.wait()
    assert heard == ["ready", "active", "paused", "resumed", "completed", "closing", "closed"]


async def test_active_hears_the_job_before_its_handler_ends(queue: Queue, new_worker: NewWorker) -> None:
    active = Signal("active")
    worker = new_worker(lambda job: len(active.calls))
    worker.on_active(active)
    job = await queue.add("job", {"n": 1})
    await drain(worker)
    [(heard,)] = active.calls
    found = await queue.get(job.id)
    assert (heard.id, heard.data, found and found.return_value) == (job.id, {"n": 1}, 1)


async def test_what_cannot_run_is_never_active(queue: Queue, new_worker: NewWorker) -> None:
    active, failed = Signal("active"), Signal("failed")
    worker = new_worker()
    worker.handles("known")(lambda job: None)
    worker.on_active(active)
    worker.on_failed(failed)
    await queue.add("unknown")
    await drain(worker)
    assert (len(active.calls), len(failed.calls)) == (0, 1)


async def test_ready_is_heard_again_after_an_outage(
    own_valkey: EmbeddedValkey, new_worker: NewWorker, queue_name: str
) -> None:
    ready, errors = Signal("ready"), Signal("errors")
    worker = new_worker(lambda job: None, url=own_valkey.url(), run_retry_delay=timedelta(milliseconds=200))
    worker.on_ready(ready)
    worker.on_error(errors)
    async with worker:
        assert len(ready.calls) == 1
        own_valkey.process.kill()
        await errors.wait()
        await asyncio.to_thread(own_valkey.start)
        await ready.wait(2)


def test_a_wait_for_redis_is_longer_than_nothing() -> None:
    with pytest.raises(InvalidOption, match="run_retry_delay"):
        WorkerOptions(run_retry_delay=timedelta(0))


async def test_renewed_and_lost_locks_are_told_by_the_ids_of_their_jobs(
    queue: Queue, new_worker: NewWorker, redis: Redis
) -> None:
    holding, renewed, lost, errors = Holding(), Signal("renewed"), Signal("lost"), Signal("errors")
    worker = new_worker(holding, concurrency=2, lock_duration=timedelta(milliseconds=800), skip_stalled_check=True)
    worker.on_locks_renewed(renewed)
    worker.on_lock_renewal_failed(lost)
    worker.on_error(errors)
    for name in ("a", "b"):
        await queue.add("job", job_id=name)
    async with worker:
        await holding.started.wait(2)
        [(both,)] = await renewed.wait()
        await redis.delete(queue.keys.lock("a"))
        [(gone,)] = await lost.wait()
        [(error,)] = await errors.wait()
        await renewed.wait(len(renewed.calls) + 1)
        holding.release.set()
    assert (sorted(both), gone, renewed.calls[-1][0]) == (["a", "b"], ["a"], ["b"])
    assert (type(error), error.job_id) == (LockLost, "a")


async def test_a_paused_worker_is_empty_when_its_last_job_ended(queue: Queue, new_worker: NewWorker) -> None:
    holding = Holding()
    worker = new_worker(holding, concurrency=2)
    with pytest.raises(WorkerNotStarted):
        await worker.wait_until_empty()
    async with worker:
        await worker.wait_until_idle()
        await worker.wait_until_empty()  # nothing runs
        for name in ("a", "b"):
            await queue.add("job", job_id=name)
        await holding.started.wait(2)
        worker.pause()
        emptied = asyncio.create_task(worker.wait_until_empty())
        await queue.add("job", job_id="c")
        holding.release.set()
        await asyncio.wait_for(emptied, 10)
        states = await queue.states(["a", "b", "c"])
    assert states == {"a": JobState.COMPLETED, "b": JobState.COMPLETED, "c": JobState.WAITING}


async def test_closed_is_waited_for_with_what_its_hook_does(queue: Queue, new_worker: NewWorker) -> None:
    ended = Signal("ended")
    worker = new_worker(lambda job: None)

    @worker.on_closed
    async def note() -> None:
        await asyncio.sleep(0)
        ended(worker.is_running)

    async with worker:
        pass
    assert ended.calls == [(False,)]


@pytest.mark.parametrize("how", ["coroutine", "thread", "returned"])
async def test_a_handler_can_hand_its_job_back(queue: Queue, new_worker: NewWorker, how: str) -> None:
    seen = Signal("seen")

    def act(job: Job[Any]) -> object:
        seen(job.id, job.attempts_started, job.attempts_made)
        if job.attempts_started == 1:
            if how == "returned":
                return HandBack("not here")
            raise HandBack("not here")
        return "done"

    async def coroutine(job: Job[Any]) -> object:
        return act(job)

    failed = Signal("failed")
    worker = new_worker(coroutine if how == "coroutine" else act)
    worker.on_failed(failed)
    for name in ("a", "b"):
        await queue.add("job", job_id=name, attempts=1)
    await drain(worker)
    assert [call for call in seen.calls if call[0] == "a"] == [("a", 1, 0), ("a", 2, 0)]
    assert failed.calls == []
    job = await queue.get("a")
    assert (job and job.return_value, job and job.attempts_made) == ("done", 1)
