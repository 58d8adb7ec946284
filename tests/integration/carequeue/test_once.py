"""RedisOnce on a real server, and `once` in handlers whose attempts fail, race and lose their locks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from carequeue import Claim, InvalidOption, Job, JobState, Queue, RedisOnce, Superseded, Worker, once
from carequeue.testing import Signal, drain

if TYPE_CHECKING:
    from redis.asyncio import Redis

pytestmark = pytest.mark.redis

NewWorker = Callable[..., Worker]


@pytest.fixture
async def store(queue_name: str, redis_url: str, redis: Redis) -> AsyncIterator[RedisOnce]:
    async with RedisOnce(queue_name, redis_url, ttl=timedelta(hours=1)) as store:
        yield store
    async for key in redis.scan_iter(f"once:{queue_name}:*"):
        await redis.delete(key)


async def test_the_states_of_a_claim(store: RedisOnce) -> None:
    assert await store.claim("a", 5) == Claim("new")
    assert await store.claim("a", 5) == Claim("in_doubt")
    assert await store.claim("a", 6) == Claim("in_doubt")
    assert await store.claim("a", 5) == Claim("superseded")
    assert await store.done("a", 5, '"mine"') is False
    assert await store.done("a", 6, '"done"') is True
    assert await store.done("a", 6, '"done"') is True  # repeated after a lost reply
    assert await store.claim("a", 4) == await store.claim("a", 7) == Claim("finished", '"done"')
    assert await store.done("a", 7, '"again"') is False
    assert await store.claim("b", 1) == Claim("new")


@pytest.mark.parametrize(("lower", "higher"), [(9, 10), (2**53, 2**53 + 1), (0, 1), (10**20 - 2, 10**20 - 1)])
async def test_fences_are_compared_as_numbers(store: RedisOnce, lower: int, higher: int) -> None:
    await store.claim("a", higher)
    assert (await store.claim("a", lower)).state == "superseded"
    await store.claim("b", lower)
    assert (await store.claim("b", higher)).state == "in_doubt"


async def test_what_is_remembered_is_forgotten_at_last(store: RedisOnce, redis: Redis) -> None:
    key = f"{store.keys.base}:a"
    await store.claim("a", 1)
    assert 0 < await redis.pttl(key) <= 3_600_000
    await redis.persist(key)
    await store.done("a", 1, "1")
    assert 0 < await redis.pttl(key) <= 3_600_000


async def test_what_was_forgotten_while_it_was_done_is_noted_all_the_same(store: RedisOnce, redis: Redis) -> None:
    await store.claim("a", 1)
    await redis.delete(f"{store.keys.base}:a")
    assert await store.done("a", 1, "1")
    assert (await store.claim("a", 2)).state == "finished"


@pytest.mark.parametrize("fence", [-1, 10**20])
async def test_a_fence_that_cannot_be_compared_is_refused(store: RedisOnce, fence: int) -> None:
    with pytest.raises(InvalidOption, match="a fence is"):
        await store.claim("a", fence)


def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidOption, match="ttl is longer than nothing"):
        RedisOnce("mails", ttl=timedelta(0))


async def test_many_attempts_at_once_agree_on_one_result(store: RedisOnce) -> None:
    async def attempt(fence: int) -> Any:
        async def act() -> int:
            await asyncio.sleep(0)
            return fence

        try:
            return await once(store, "a", act, fence=fence)
        except Superseded:
            return None

    results = await asyncio.gather(*(attempt(fence) for fence in range(1, 50)))
    assert len({result for result in results if result is not None}) == 1


async def test_the_next_attempt_does_not_repeat_what_is_done(
    queue: Queue, new_worker: NewWorker, store: RedisOnce
) -> None:
    sent: list[str] = []

    async def handle(job: Job[Any]) -> str:
        async def send() -> str:
            sent.append(job.id)
            return f"receipt {len(sent)}"

        receipt = await once(store, f"mail-{job.id}", send, fence=job.fence)
        if job.attempts_made == 0:
            raise ConnectionError("after the mail was sent")
        return receipt

    job = await queue.add("mail", attempts=2)
    await drain(new_worker(handle))
    found = await queue.get(job.id)
    assert found is not None
    assert found.return_value == "receipt 1"
    assert sent == [job.id]


async def test_an_attempt_that_lost_its_lock_and_wakes_up_late_sends_nothing(
    queue: Queue, new_worker: NewWorker, store: RedisOnce, redis: Redis
) -> None:
    """A worker froze between its start and its claim; the stall check gave the job to somebody else meanwhile."""
    frozen, woke, release, done = Signal("frozen"), Signal("woke"), asyncio.Event(), Signal("done")
    sent: list[int] = []

    async def handle(job: Job[Any]) -> None:
        async def send() -> None:
            sent.append(job.attempts_started)
            if job.attempts_started == 2:
                release.set()
                await woke.wait()

        if job.attempts_started == 1:
            frozen()
            await shielded(release.wait())
            with pytest.raises(Superseded):
                await once(store, "mail", send, fence=job.fence)
            woke()
        else:
            await once(store, "mail", send, fence=job.fence)

    job = await queue.add("mail")
    locks: dict[str, Any] = {"lock_duration": timedelta(seconds=30), "stalled_interval": timedelta(milliseconds=100)}
    async with new_worker(handle, concurrency=2, **locks) as worker:
        worker.on_completed(done)
        await frozen.wait()
        await redis.delete(queue.keys.lock(job.id))
        await done.wait()
        await worker.wait_until_idle()
    assert sent == [2]
    assert await queue.state(job.id) == JobState.COMPLETED


async def test_a_job_that_is_added_again_has_a_higher_fence(queue: Queue, new_worker: NewWorker) -> None:
    fences: list[int] = []

    async def handle(job: Job[Any]) -> None:
        fences.append(job.fence)
        if job.attempts_made < 2:
            raise ValueError("again")

    for _ in range(2):
        await queue.add("mail", job_id="mail-7", attempts=3, keep_completed=False)
        await drain(new_worker(handle))
    assert len(fences) == 6
    assert fences == sorted(set(fences))


async def shielded(waiting: Any) -> None:
    """Wait as frozen code does, which hears of no cancellation."""
    task = asyncio.ensure_future(waiting)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            continue
