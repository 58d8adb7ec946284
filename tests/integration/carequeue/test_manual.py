"""ManualWorker and HeldJob: jobs that are taken one by one and ended by hand."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from carequeue import (
    Backoff,
    ConnectionLost,
    HeldJob,
    InvalidOption,
    JobKind,
    JobNotFound,
    JobState,
    LockLost,
    ManualWorker,
    Queue,
    RateLimit,
    Repeat,
    RetryAt,
    Skip,
    WrongState,
)
from carequeue.store.connection import client_name
from carequeue.testing import FakeClock, Signal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from redis.asyncio import Redis

    from carequeue import Worker

pytestmark = pytest.mark.redis

LONG = timedelta(seconds=20)
HOUR = timedelta(hours=1)


@pytest.fixture
async def worker(queue: Queue, redis_url: str) -> AsyncIterator[ManualWorker]:
    async with ManualWorker(queue.name, redis_url, name="hand", skip_stalled_check=True) as worker:
        yield worker


async def taken(worker: ManualWorker) -> HeldJob[Any]:
    held = await worker.next_job()
    assert held is not None
    return held


# Taking


async def test_jobs_are_taken_in_their_order_and_one_by_one(queue: Queue, worker: ManualWorker) -> None:
    for name in ("a", "b"):
        await queue.add("paint", {"n": name}, job_id=name)
    first, second = await taken(worker), await taken(worker)
    assert [(held.id, held.job.data, held.attempt) for held in (first, second)] == [
        ("a", {"n": "a"}, 1), ("b", {"n": "b"}, 1),
    ]  # fmt: skip
    assert await worker.next_job() is None
    assert first.token != second.token
    job = await queue.get("a")
    assert (job and job.worker_name, await queue.state("a")) == ("hand", JobState.ACTIVE)


async def test_who_waits_gets_a_job_as_soon_as_it_is_added(queue: Queue, worker: ManualWorker) -> None:
    waiting = asyncio.create_task(worker.next_job(wait=LONG))
    await anext(blocked(queue))
    await queue.add("paint", job_id="a")
    held = await asyncio.wait_for(waiting, 5)
    assert held is not None
    assert held.id == "a"


async def test_a_wait_is_over_when_it_was_said_to_be(worker: ManualWorker) -> None:
    began = time.monotonic()
    assert await worker.next_job(wait=timedelta(milliseconds=300)) is None
    assert 0.25 < time.monotonic() - began < 3


async def test_who_waits_gets_a_delayed_job_at_its_instant(queue: Queue, worker: ManualWorker) -> None:
    due = datetime.now(UTC) + timedelta(milliseconds=400)
    await queue.add("paint", run_at=due)
    held = await worker.next_job(wait=LONG)
    assert held is not None
    assert timedelta(0) <= datetime.now(UTC) - due < timedelta(milliseconds=200)


async def test_a_new_job_is_taken_while_another_is_waited_for(queue: Queue, worker: ManualWorker) -> None:
    await queue.add("paint", job_id="later", delay=HOUR)
    waiting = asyncio.create_task(worker.next_job(wait=LONG))
    await anext(blocked(queue))
    await queue.add("paint", job_id="now")
    held = await asyncio.wait_for(waiting, 5)
    assert held is not None
    assert held.id == "now"


async def test_one_who_took_the_wake_up_passes_it_on(queue: Queue, worker: ManualWorker, redis_url: str) -> None:
    """Two wait, two jobs come: the second one must not wait until somebody looks by chance."""
    async with ManualWorker(queue.name, redis_url, drain_delay=LONG, skip_stalled_check=True) as other:
        waiting = [asyncio.create_task(each.next_job(wait=LONG)) for each in (worker, other)]
        await anext(blocked(queue, 2))
        await queue.add_bulk(JobKind("paint", dict).job({}) for _ in range(2))
        found = await asyncio.wait_for(asyncio.gather(*waiting), 5)
        assert {held.id for held in found if held} == {"1", "2"}


async def test_a_wake_up_that_was_taken_in_vain_is_given_back(
    queue: Queue, worker: ManualWorker, new_worker: Callable[..., Worker]
) -> None:
    """Who stops waiting may have taken the wake-up with it: closing passes it on."""
    done = Signal("done")
    idle = new_worker(done, drain_delay=timedelta(minutes=5))
    async with idle:
        await idle.wait_until_idle()
        waiting = asyncio.create_task(worker.next_job(wait=LONG))
        await anext(blocked(queue, 2))
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await queue.client.delete(queue.keys.marker)
        await queue.add("paint")
        await queue.client.delete(queue.keys.marker)  # as if the cancelled call had taken it
        await worker.close()
        await done.wait()


async def test_data_is_read_as_the_kind_says_and_what_does_not_fit_fails(queue: Queue, worker: ManualWorker) -> None:
    number: JobKind[int] = JobKind("number", int)
    await queue.add("number", "seven", job_id="bad", attempts=3)
    await queue.add(number, 7, job_id="good")
    held = await worker.next_job(number)
    assert held is not None
    assert held.job.data == 7
    bad = await queue.get("bad")
    assert bad is not None
    assert (bad.failed_reason or "").startswith("the job's data cannot be read")


async def test_a_paused_queue_gives_nothing_until_it_is_resumed(queue: Queue, worker: ManualWorker) -> None:
    await queue.add("paint")
    await queue.pause()
    assert await worker.next_job() is None
    waiting = asyncio.create_task(worker.next_job(wait=LONG))
    await anext(blocked(queue))
    await queue.resume()
    assert await asyncio.wait_for(waiting, 5) is not None


async def test_the_rate_limit_holds_and_is_waited_for(queue: Queue, redis_url: str) -> None:
    limit = RateLimit(1, timedelta(milliseconds=500))
    for _ in range(2):
        await queue.add("paint")
    async with ManualWorker(queue.name, redis_url, limiter=limit) as worker:
        began = time.monotonic()
        await taken(worker)
        assert await worker.next_job() is None
        assert await worker.next_job(wait=LONG) is not None
        assert 0.4 < time.monotonic() - began < 3


async def test_global_concurrency_holds(queue: Queue, worker: ManualWorker) -> None:
    await queue.set_global_concurrency(1)
    for name in ("a", "b"):
        await queue.add("paint", job_id=name)
    held = await taken(worker)
    assert await worker.next_job() is None
    await held.complete()
    assert (await taken(worker)).id == "b"


async def test_taking_a_schedulers_run_makes_the_next_one(queue: Queue, worker: ManualWorker) -> None:
    first = await queue.schedule("tick", Repeat.every(HOUR), "tick")
    held = await taken(worker)
    assert held.id == first.id
    scheduler = await queue.get_scheduler("tick")
    assert scheduler is not None
    assert scheduler.runs == 2
    assert (await queue.counts()).delayed == 1


async def test_what_stalled_too_often_fails_and_is_not_handed_out(
    queue: Queue, worker: ManualWorker, redis: Redis
) -> None:
    await queue.add("paint", job_id="a")
    await queue.add("paint", job_id="b")
    await redis.hset(queue.keys.job("a"), "defa", "job stalled more than allowable limit")  # type: ignore[misc]
    assert (await taken(worker)).id == "b"
    job = await queue.get("a")
    assert (job and job.failed_reason) == "job stalled more than allowable limit"


async def test_what_was_started_too_often_fails(queue: Queue, redis_url: str) -> None:
    await queue.add("paint", job_id="a")
    async with ManualWorker(queue.name, redis_url, max_started_attempts=1) as worker:
        await (await taken(worker)).move_to_wait()
        assert await worker.next_job() is None
    assert await queue.state("a") is JobState.FAILED


async def test_an_open_manual_worker_rescues_what_others_left(queue: Queue, redis_url: str) -> None:
    quick = timedelta(milliseconds=100)
    await queue.add("paint", job_id="a")
    async with ManualWorker(queue.name, redis_url, lock_duration=quick, skip_stalled_check=True) as careless:
        await taken(careless)
    async with ManualWorker(queue.name, redis_url, stalled_interval=quick) as worker:
        held = await worker.next_job(wait=LONG)
    assert held is not None
    assert (held.id, held.job.stalled_count) == ("a", 1)


async def test_a_held_job_can_be_carried_on_elsewhere(queue: Queue, worker: ManualWorker, redis_url: str) -> None:
    await queue.add("paint", {"n": 1}, job_id="a")
    held = await taken(worker)
    async with ManualWorker(queue.name, redis_url) as other:
        again = await other.held("a", held.token)
        assert again.job.data == {"n": 1}
        await again.complete("there")
        with pytest.raises(LockLost):
            await other.held("a", "somebody:1")
        with pytest.raises(JobNotFound):
            await other.held("none", held.token)
    with pytest.raises(LockLost):
        await held.complete("here")
    job = await queue.get("a")
    assert (job and job.return_value) == "there"


async def test_a_negative_wait_is_a_mistake(worker: ManualWorker) -> None:
    with pytest.raises(InvalidOption):
        await worker.next_job(wait=timedelta(seconds=-1))


async def test_it_is_listed_as_a_worker(queue: Queue, worker: ManualWorker) -> None:
    assert [one.name for one in await queue.workers()] == ["hand"]


# Ending


async def test_a_completed_job_keeps_its_value(queue: Queue, worker: ManualWorker) -> None:
    await queue.add("paint", job_id="a")
    held = await taken(worker)
    await held.complete({"ok": True})
    job = await queue.get("a")
    assert job is not None
    assert (job.return_value, job.attempts_made, held.ended) == ({"ok": True}, 1, True)
    assert await queue.state("a") is JobState.COMPLETED
    with pytest.raises(LockLost):
        await held.fail("too late")


async def test_the_rules_of_keeping_are_the_workers(queue: Queue, redis_url: str) -> None:
    await queue.add("paint", job_id="a")
    async with ManualWorker(queue.name, redis_url, keep_completed=False) as worker:
        await (await taken(worker)).complete()
    assert await queue.get("a") is None


async def test_a_failure_is_tried_again_while_attempts_are_left(queue: Queue, worker: ManualWorker) -> None:
    await queue.add("paint", job_id="a", attempts=3, backoff=Backoff.fixed(HOUR))
    assert await (await taken(worker)).fail("no paint") is JobState.DELAYED
    await queue.promote("a")
    await queue.change_priority("a", 2)
    held = await taken(worker)
    assert held.attempt == 2
    assert await held.fail(ValueError("no brush"), for_good=True) is JobState.FAILED
    job = await queue.get("a")
    assert job is not None
    assert (job.failed_reason, len(job.stacktrace), job.attempts_made) == ("no brush", 2, 2)
    assert "ValueError: no brush" in job.stacktrace[1]


async def test_a_failure_without_backoff_waits_again(queue: Queue, worker: ManualWorker) -> None:
    await queue.add("paint", job_id="a", attempts=2)
    await queue.add("paint", job_id="p", attempts=2, priority=5)
    assert await (await taken(worker)).fail("no") is JobState.WAITING
    assert await (await taken(worker)).fail("no") is JobState.FAILED
    assert await (await taken(worker)).fail("no") is JobState.PRIORITIZED


async def test_a_custom_backoff_is_asked(queue: Queue, redis_url: str) -> None:
    await queue.add("paint", job_id="a", attempts=2, backoff=Backoff("patient"))
    strategies = {"patient": lambda *_: HOUR}
    async with ManualWorker(queue.name, redis_url, backoff_strategies=strategies) as worker:
        assert await (await taken(worker)).fail("no") is JobState.DELAYED


async def test_to_delay_it_is_no_attempt(queue: Queue, worker: ManualWorker) -> None:
    await queue.add("paint", job_id="a")
    held = await taken(worker)
    with pytest.raises(InvalidOption):
        await held.move_to_delayed(datetime(2030, 1, 1))  # noqa: DTZ001 - the mistake
    await held.move_to_delayed(datetime.now(UTC) + HOUR)
    job = await queue.get("a")
    assert job is not None
    assert (await queue.state("a"), job.attempts_made) == (JobState.DELAYED, 0)
    await queue.promote("a")
    assert (await taken(worker)).attempt == 1


async def test_to_hand_it_back_is_no_attempt_and_puts_it_in_front(queue: Queue, worker: ManualWorker) -> None:
    for name in ("a", "b"):
        await queue.add("paint", job_id=name)
    await (await taken(worker)).move_to_wait()
    held = await taken(worker)
    assert (held.id, held.attempt) == ("a", 1)
    await held.move_to_wait(rate_limit=HOUR)
    assert await worker.next_job() is None
    assert await queue.rate_limit_ttl() > timedelta(minutes=59)


async def test_it_waits_for_children_that_are_pending(queue: Queue, worker: ManualWorker) -> None:
    await queue.add("book", job_id="book")
    book = await taken(worker)
    assert await book.move_to_waiting_children() is False
    await queue.add("page", job_id="page", parent=queue.parent_ref("book"))
    with pytest.raises(WrongState):
        await book.complete()
    assert not book.ended
    assert await book.move_to_waiting_children() is True
    assert await queue.state("book") is JobState.WAITING_CHILDREN
    await (await taken(worker)).complete(5)
    book = await taken(worker)
    assert await book.children.values() == {f"bull:{queue.name}:page": 5}


async def test_progress_and_logs_are_kept(queue: Queue, worker: ManualWorker) -> None:
    await queue.add("paint", job_id="a", keep_logs=2)
    held = await taken(worker)
    await held.update_progress(50)
    assert [await held.log(f"row {number}") for number in range(3)] == [1, 2, 2]
    job = await queue.get("a")
    assert (job and job.progress, await queue.logs("a")) == (50, ["row 1", "row 2"])


async def test_data_is_replaced_only_by_who_holds_the_job(queue: Queue, worker: ManualWorker) -> None:
    await queue.add("paint", {"coat": 1}, job_id="a")
    held = await taken(worker)
    await held.update_data({"coat": 2})
    await queue.client.set(queue.keys.lock("a"), "somebody-else")
    with pytest.raises(LockLost):
        await held.update_data({"coat": 3})
    await queue.client.delete(queue.keys.lock("a"))
    with pytest.raises(LockLost):
        await held.update_data({"coat": 3})
    job = await queue.get("a")
    assert (job and job.data, held.job.data) == ({"coat": 2}, {"coat": 1})


async def test_metrics_count_what_it_ends(queue: Queue, redis_url: str) -> None:
    await queue.add("paint")
    async with ManualWorker(queue.name, redis_url, max_data_points=5) as worker:
        await (await taken(worker)).complete()
    assert (await queue.metrics("completed")).total == 1


async def test_what_fails_for_good_leaves_a_letter(queue: Queue, redis_url: str) -> None:
    await queue.add("paint", {"n": 1}, job_id="a")
    async with (
        Queue(f"{queue.name}-letters", redis_url) as letters,
        ManualWorker(queue.name, redis_url, dead_letters=letters.name) as worker,
    ):
        await (await taken(worker)).fail("no paint")
        [letter] = [found async for found in letters.letters()]
        await letters.pause()
        await letters.obliterate()
    assert (letter.job_id, letter.reason) == ("a", "no paint")


# The lock


async def test_a_lock_is_extended_for_as_long_as_is_said(queue: Queue, worker: ManualWorker, redis: Redis) -> None:
    await queue.add("paint", job_id="a")
    held = await taken(worker)
    await held.extend_lock(HOUR)
    assert await redis.pttl(queue.keys.lock("a")) > 3_500_000
    await held.extend_lock()
    assert await redis.pttl(queue.keys.lock("a")) <= 30_000
    with pytest.raises(InvalidOption):
        await held.extend_lock(timedelta(0))
    await redis.delete(queue.keys.lock("a"))
    with pytest.raises(LockLost):
        await held.extend_lock()
    assert held.ended


@pytest.mark.parametrize("code", ["lost", "stolen", "removed"])
async def test_what_is_somebody_elses_is_not_ended(queue: Queue, worker: ManualWorker, redis: Redis, code: str) -> None:
    await queue.add("paint", job_id="a")
    held = await taken(worker)
    if code == "stolen":
        await redis.set(queue.keys.lock("a"), "somebody:1")
    else:
        await redis.delete(queue.keys.lock("a"))
    if code == "removed":
        await queue.remove("a")
    with pytest.raises(JobNotFound if code == "removed" else LockLost):
        await held.complete()
    assert held.ended


# As a context


async def test_a_block_that_says_nothing_completes_the_job(queue: Queue, worker: ManualWorker) -> None:
    await queue.add("paint", job_id="a")
    async with await taken(worker) as held:
        assert held.id == "a"
    assert await queue.state("a") is JobState.COMPLETED


async def test_a_block_that_ended_the_job_is_left_alone(queue: Queue, worker: ManualWorker) -> None:
    await queue.add("paint", job_id="a")

    async def work() -> None:
        async with await taken(worker) as held:
            await held.complete(5)
            raise KeyError

    with pytest.raises(KeyError):
        await work()
    job = await queue.get("a")
    assert (job and job.return_value, await queue.state("a")) == (5, JobState.COMPLETED)


async def test_an_error_in_the_block_fails_the_job_and_goes_on(queue: Queue, worker: ManualWorker) -> None:
    await queue.add("paint", job_id="a")
    with pytest.raises(ValueError, match="no paint"):
        async with await taken(worker):
            raise ValueError("no paint")
    job = await queue.get("a")
    assert (job and job.failed_reason) == "no paint"


async def test_an_instruction_in_the_block_is_carried_out_and_goes_no_further(
    queue: Queue, worker: ManualWorker
) -> None:
    for name in ("a", "b"):
        await queue.add("paint", job_id=name)
    async with await taken(worker):
        raise Skip("not today")
    async with await taken(worker):
        raise RetryAt(datetime.now(UTC) + HOUR)
    assert await queue.states(["a", "b"]) == {"a": JobState.COMPLETED, "b": JobState.DELAYED}


async def test_a_cancelled_block_hands_the_job_back(queue: Queue, worker: ManualWorker) -> None:
    await queue.add("paint", job_id="a")
    inside = asyncio.Event()

    async def work() -> None:
        async with await taken(worker):
            inside.set()
            await asyncio.Event().wait()

    working = asyncio.create_task(work())
    await inside.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    job = await queue.get("a")
    assert (await queue.state("a"), job and job.attempts_made) == (JobState.WAITING, 0)


async def test_the_lock_is_renewed_inside_and_the_block_is_cancelled_when_it_is_lost(
    queue: Queue, redis_url: str, redis: Redis
) -> None:
    await queue.add("paint", job_id="a")
    lasting = timedelta(milliseconds=400)
    async with ManualWorker(queue.name, redis_url, lock_duration=lasting, skip_stalled_check=True) as worker:

        async def work() -> None:
            async with await taken(worker):
                for _ in range(3):
                    await renewed(redis, queue.keys.lock("a"))
                await redis.delete(queue.keys.lock("a"))
                await asyncio.wait_for(asyncio.Event().wait(), 10)  # a TimeoutError would not be a LockLost

        with pytest.raises(LockLost):
            await work()
        assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]
    assert await queue.state("a") is JobState.ACTIVE  # the stall check's, not ours to report


async def test_one_that_was_lost_is_not_silently_left(queue: Queue, worker: ManualWorker, redis: Redis) -> None:
    await queue.add("paint", job_id="a")
    with pytest.raises(LockLost):
        async with await taken(worker):
            await redis.delete(queue.keys.lock("a"))


async def test_a_report_whose_answer_was_lost_goes_out_again(
    queue: Queue, redis_url: str, fault_proxy: Callable[[str], Awaitable[Any]]
) -> None:
    proxy = await fault_proxy(redis_url)
    await queue.add("paint", job_id="a")
    async with ManualWorker(queue.name, proxy.url, skip_stalled_check=True) as worker, await taken(worker) as held:
        proxy.lose_reply(lambda request: b"completed" in request)
        await held.complete("once")
    job = await queue.get("a")
    assert (await queue.state("a"), job and job.return_value) == (JobState.COMPLETED, "once")


async def test_outside_of_a_block_a_lost_answer_is_told(
    queue: Queue, redis_url: str, fault_proxy: Callable[[str], Awaitable[Any]]
) -> None:
    proxy = await fault_proxy(redis_url)
    await queue.add("paint", job_id="a")
    async with ManualWorker(queue.name, proxy.url, skip_stalled_check=True) as worker:
        held = await taken(worker)
        await proxy.refuse()
        with pytest.raises(ConnectionLost):
            await held.complete("once")
        assert not held.ended
        await proxy.start()
        await held.complete("once")
    assert await queue.state("a") is JobState.COMPLETED


async def test_a_block_is_entered_once(queue: Queue, worker: ManualWorker) -> None:
    await queue.add("paint")
    async with await taken(worker) as held:
        with pytest.raises(InvalidOption):
            await held.__aenter__()


async def test_the_clock_decides_what_is_due(queue: Queue, redis_url: str) -> None:
    clock = FakeClock()
    await queue.add("paint", delay=HOUR)
    async with ManualWorker(queue.name, redis_url, clock=clock) as worker:
        assert await worker.next_job() is None
        clock.advance(2 * HOUR)
        assert await worker.next_job() is not None


async def blocked(queue: Queue, count: int = 1) -> AsyncIterator[None]:
    """Once so many clients of the queue wait for a wake-up."""
    client: Any = queue.client
    async with asyncio.timeout(10):
        while True:
            listed = await client.execute_command("CLIENT LIST")
            names = [one["name"] for one in listed if one.get("cmd") == "bzpopmin"]
            if sum(name.startswith(client_name(queue.keys.prefix, queue.name)) for name in names) >= count:
                yield
                return
            await asyncio.sleep(0.02)  # the server does not tell when somebody blocks


async def renewed(redis: Redis, key: str) -> None:
    before = await redis.pttl(key)
    async with asyncio.timeout(10):
        while (now := await redis.pttl(key)) <= before:
            before = now
            await asyncio.sleep(0.01)  # nor when a lock is renewed
