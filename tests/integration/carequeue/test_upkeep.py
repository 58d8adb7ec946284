"""Many jobs at once, what is old, what others left behind; and what a queue says about itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from carequeue import (
    InvalidOption,
    JobOptions,
    ManualWorker,
    NewJob,
    Queue,
    QueueEvents,
    QueueNotPaused,
    RateLimit,
    Repeat,
)
from carequeue.upkeep import AT_ONCE

if TYPE_CHECKING:
    from redis.asyncio import Redis

pytestmark = pytest.mark.redis

HOUR = timedelta(hours=1)
NONE = timedelta(0)


async def fill(queue: Queue, count: int, **options: Any) -> None:
    await queue.add_bulk(NewJob("paint", {}, JobOptions(job_id=f"j{n}", **options)) for n in range(count))


async def test_wait_is_another_name_for_waiting(queue: Queue) -> None:
    await fill(queue, 3)
    assert len(await queue.jobs("wait")) == 3
    assert len(await queue.jobs(["wait", "waiting"])) == 3, "nobody is told twice"
    assert sorted(await queue.clean(NONE, state="wait")) == ["j0", "j1", "j2"]


@pytest.mark.parametrize("state", ["wating", "paused", "", None])
async def test_a_state_that_does_not_exist_cleans_nothing(queue: Queue, state: Any) -> None:
    await queue.add("paint")
    with pytest.raises(InvalidOption, match="the states are waiting, prioritized, delayed, active"):
        await queue.clean(NONE, state=state)
    assert (await queue.counts()).waiting == 1


async def test_cleaning_reaches_old_jobs_behind_many_that_stay(queue: Queue) -> None:
    """It was so that a page of jobs that stay ended it."""
    now = datetime.now(UTC)
    ages = [NONE if n < AT_ONCE else 2 * HOUR for n in range(AT_ONCE + 5)]
    await queue.add_bulk(NewJob("paint", {}, JobOptions(timestamp=now - age)) for age in ages)
    assert len(await queue.clean(HOUR, state="waiting")) == 5
    assert len(await queue.clean(HOUR, state="waiting")) == 0
    assert len(await queue.clean(NONE, limit=3, state="waiting")) == 3
    assert (await queue.counts()).waiting == AT_ONCE - 3


async def test_only_finished_jobs_are_retried_or_counted_by_the_minute(queue: Queue) -> None:
    with pytest.raises(InvalidOption, match="jobs that are 'failed' or 'completed' are run again, got 'wait'"):
        await queue.retry_all("wait")  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match="jobs end as 'completed' or 'failed', got 'complete'"):
        await queue.metrics("complete")  # type: ignore[arg-type]


async def test_some_of_the_delayed_jobs_are_promoted_those_due_first(queue: Queue) -> None:
    for n in range(4):
        await queue.add("paint", job_id=f"j{n}", delay=(n + 1) * HOUR)
    assert await queue.promote_all(limit=2) == 2
    assert await queue.job_ids("waiting", ascending=True) == ["j0", "j1"]
    assert await queue.promote_all(limit=9) == 2


async def test_draining_says_how_many_however_many_there_are(queue: Queue) -> None:
    await fill(queue, AT_ONCE * 2 + 7)
    await queue.add("paint", priority=2)
    await queue.add("paint", delay=HOUR)
    assert await queue.drain() == AT_ONCE * 2 + 8
    assert await queue.drain(delayed=True) == 1
    assert (await queue.counts()).pending == 0


async def test_draining_keeps_the_runs_of_many_schedulers_and_still_reaches_what_is_behind_them(queue: Queue) -> None:
    for n in range(5):
        await queue.schedule(f"s{n}", Repeat.every(HOUR), "tick")
    await fill(queue, AT_ONCE + 3, delay=2 * HOUR)
    before = set(await queue.job_ids(["waiting", "delayed"]))
    assert await queue.drain(delayed=True) == AT_ONCE + 3
    left = set(await queue.job_ids(["waiting", "delayed"]))
    assert left == {job_id for job_id in before if job_id.startswith("repeat:")}
    assert len(left) == 5


async def test_a_queue_is_obliterated_bit_by_bit(queue: Queue, redis: Redis) -> None:
    await fill(queue, 25)
    with pytest.raises(QueueNotPaused):
        await queue.obliterate(limit=10)
    await queue.pause()
    assert await queue.obliterate(limit=10) is False
    assert (await queue.counts()).waiting == 15
    assert await queue.obliterate(limit=10) is False
    assert await queue.obliterate(limit=10) is True
    assert [key async for key in redis.scan_iter(f"{queue.keys.base}:*")] == []
    await queue.open()
    await queue.pause()


async def test_orphans_go_and_others_stay(redis_url: str, redis: Redis, queue_name: str) -> None:
    """Also in a queue whose name means something in a pattern of keys."""
    async with Queue(f"{queue_name}[a]*?", redis_url) as queue:
        await fill(queue, 5)
        await queue.add("paint", job_id="x:y:z")
        await queue.schedule("s", Repeat.every(HOUR), "tick")
        await queue.set_group_max_size("g", 5)
        await queue.add("paint", job_id="grouped", group="g")
        for job_id in ("j1", "j3", "x:y:z"):
            await redis.lrem(queue.keys.wait, 0, job_id)
        there = set(await queue.job_ids(["waiting", "delayed"]))

        assert await queue.remove_orphans(limit=1) == 1
        assert await queue.remove_orphans() == 2
        assert await queue.remove_orphans() == 0

        assert await queue.exists(["j1", "j3", "x:y:z"]) == set()
        assert await queue.exists(there) == there
        assert len(await queue.schedulers()) == 1
        await queue.pause()
        await queue.obliterate()


async def test_many_orphans_go_in_a_cluster_too(own_cluster: str) -> None:
    async with Queue("{lost}", own_cluster) as queue:
        await fill(queue, AT_ONCE + 10)
        await queue.client.ltrim(queue.keys.wait, 0, 4)  # type: ignore[misc]
        await queue.add("paint", job_id="later", delay=HOUR)
        assert await queue.remove_orphans() == AT_ONCE + 5
        assert len(await queue.jobs(["waiting", "delayed"])) == 6
        assert [job.id async for job in queue.iterate("waiting", page=2)] == await queue.job_ids("waiting")


async def test_the_old_key_of_priorities_is_removed(queue: Queue, redis: Redis) -> None:
    await redis.set(f"{queue.keys.base}:priority", "1")
    assert await queue.remove_priority_key() is True
    assert await queue.remove_priority_key() is False


async def test_a_queue_says_what_holds_for_it(queue: Queue, redis: Redis) -> None:
    meta = await queue.meta()
    assert (meta.version, meta.max_events, meta.paused) == ("bullmq:6.7.0", 10_000, False)
    assert (meta.concurrency, meta.rate_limit) == (None, None)
    await queue.set_global_concurrency(3)
    await queue.set_global_rate_limit(RateLimit(5, timedelta(seconds=2)))
    await queue.pause()
    await redis.hset(queue.keys.meta, "theirs", "1")  # type: ignore[misc]
    meta = await queue.meta()
    assert (meta.paused, meta.concurrency, meta.rate_limit) == (True, 3, RateLimit(5, timedelta(seconds=2)))
    assert meta.fields["theirs"] == "1"


async def test_those_who_listen_are_told(queue: Queue, redis_url: str) -> None:
    assert await queue.listeners() == []
    async with QueueEvents(queue.name, redis_url) as events, ManualWorker(queue.name, redis_url):
        await queue.add("paint")
        await anext(aiter(events))
        [listener] = await queue.listeners()
    assert listener.address


async def test_ids_are_listed_without_the_jobs(queue: Queue, redis: Redis) -> None:
    await fill(queue, 5)
    await queue.add("paint", job_id="late", delay=HOUR)
    await redis.rpush(queue.keys.wait, "0:0")  # type: ignore[misc]  # a marker of BullMQ 4
    assert await queue.job_ids("waiting", ascending=True) == ["j0", "j1", "j2", "j3", "j4"]
    assert await queue.job_ids(["waiting", "delayed"], start=1, end=2) == ["j3", "j2"]
    assert await queue.job_ids("delayed") == ["late"]
    with pytest.raises(InvalidOption, match="places count from 0"):
        await queue.job_ids("waiting", start=-1)


async def test_logs_are_counted_and_cleared(queue: Queue) -> None:
    await queue.add("paint", job_id="a")
    assert await queue.log_count("a") == 0
    for n in range(4):
        await queue.log("a", f"row {n}")
    await queue.clear_logs("a", keep=3)
    assert (await queue.log_count("a"), await queue.logs("a", start=-1)) == (3, ["row 3"])
    await queue.clear_logs("a")
    assert await queue.log_count("a") == 0
    with pytest.raises(InvalidOption, match="keep is 0 or more"):
        await queue.clear_logs("a", keep=-1)


async def test_schedulers_are_counted(queue: Queue) -> None:
    assert await queue.scheduler_count() == 0
    await queue.schedule("s", Repeat.every(HOUR), "tick")
    assert await queue.scheduler_count() == 1
