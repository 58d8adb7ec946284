"""The scripts that renew locks and rescue jobs whose worker went away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from carequeue.store.commands import Commands

NOW = 1_795_500_000_000


async def test_locks_are_renewed_together_and_the_lost_ones_named(
    commands: Commands, hand: Any, look: Any, keys: Any
) -> None:
    await hand.add("a", "b", "c")
    await hand.take(3)
    await look.redis.sadd(keys.stalled, "a", "b")
    await look.redis.set(keys.lock("b"), "another:1")
    await look.redis.delete(keys.lock("c"))

    lost = await commands.extend_locks([("a", "hand:0"), ("b", "hand:1"), ("c", "hand:2")], 300_000)

    assert lost == ["b", "c"]
    assert await look.redis.pttl(keys.lock("a")) > 200_000
    assert await look.redis.get(keys.lock("b")) == "another:1"
    assert await look.redis.exists(keys.lock("c")) == 0
    assert await look.redis.smembers(keys.stalled) == {"b"}


async def check(commands: Commands, look: Any, *, max_stalled: int = 1) -> list[str]:
    await look.redis.delete(look.keys.stalled_check)
    return await commands.check_stalled(max_stalled=max_stalled, interval_ms=60_000, now=NOW)


async def test_an_unlocked_job_comes_back_at_the_second_check(
    commands: Commands, hand: Any, look: Any, keys: Any
) -> None:
    await hand.add("a", "b")
    await hand.take()
    await look.redis.delete(keys.lock("a"), keys.marker)

    assert await check(commands, look) == []
    assert await look.redis.smembers(keys.stalled) == {"a"}
    assert await check(commands, look) == ["a"]

    assert await look.waiting() == ["a", "b"]
    assert (await look.job("a"))["stc"] == "1"
    assert await look.last_events(2) == [
        {"event": "waiting", "jobId": "a", "prev": "active"},
        {"event": "stalled", "jobId": "a"},
    ]
    assert await look.markers() == {"0": 0}


async def test_a_job_whose_lock_lives_stays_active(commands: Commands, hand: Any, look: Any) -> None:
    await hand.add("a")
    await hand.take()
    for _ in range(3):
        assert await check(commands, look) == []
    assert await look.places("a") == ["active"]


async def test_only_one_worker_of_an_interval_checks(commands: Commands, look: Any, keys: Any) -> None:
    await commands.check_stalled(max_stalled=1, interval_ms=60_000, now=NOW)
    await look.redis.lpush(keys.active, "a")
    await commands.check_stalled(max_stalled=1, interval_ms=60_000, now=NOW)
    assert await look.redis.exists(keys.stalled) == 0
    assert 0 < await look.redis.pttl(keys.stalled_check) <= 60_000


async def stall(commands: Commands, hand: Any, look: Any, job_id: str) -> None:
    await hand.take()
    await look.redis.delete(look.keys.lock(job_id))
    await check(commands, look)
    assert await check(commands, look) == [job_id]


async def test_a_job_that_stalls_too_often_is_condemned(commands: Commands, hand: Any, look: Any) -> None:
    await hand.add("a")
    await stall(commands, hand, look, "a")
    assert "defa" not in await look.job("a")
    await stall(commands, hand, look, "a")
    assert (await look.job("a"))["defa"] == "job stalled more than allowable limit"
    assert await look.places("a") == ["wait"]


async def test_a_run_of_a_living_scheduler_is_never_condemned(
    commands: Commands, hand: Any, look: Any, keys: Any
) -> None:
    await hand.add("a")
    await look.redis.hset(keys.job("a"), "rjk", "s")
    await look.redis.hset(keys.scheduler("s"), "ic", 1)
    for _ in range(3):
        await stall(commands, hand, look, "a")
    assert "defa" not in await look.job("a")


async def test_a_stalled_job_keeps_its_priority_and_goes_first_in_it(
    commands: Commands, hand: Any, look: Any, keys: Any
) -> None:
    await hand.add("a", "b", priority=2)
    await hand.add("c", priority=1)
    await look.redis.zrem(keys.prioritized, "c")
    await stall(commands, hand, look, "a")
    assert await look.ranked(keys.prioritized) == ["a", "b"]


async def test_an_id_without_a_job_is_only_dropped(commands: Commands, look: Any, keys: Any) -> None:
    await look.redis.lpush(keys.active, "gone", "0:5")
    await check(commands, look)
    assert await check(commands, look) == []
    assert await look.active() == []
    assert await look.waiting() == []


@pytest.mark.parametrize("count", [5000])
async def test_thousands_of_active_jobs_fit(commands: Commands, look: Any, keys: Any, count: int) -> None:
    await look.redis.lpush(keys.active, *[f"j{number}" for number in range(count)])
    await check(commands, look)
    assert await look.redis.scard(keys.stalled) == count
