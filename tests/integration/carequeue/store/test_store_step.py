"""The script of a worker's step: taking jobs."""

from __future__ import annotations

from typing import Any

import pytest

from carequeue.errors import InvalidOption
from carequeue.store.commands import FetchedJob, Finish

NOW = 1_795_500_000_000
SECOND = 1000


async def test_a_taken_job_is_locked_active_and_counted_as_started(hand: Any, look: Any, keys: Any) -> None:
    await hand.add("a", data='{"x":1}', opts='{"attempts":3}')
    reply = await hand.take(now=NOW + 5, worker_name="w1")

    assert reply.jobs == [
        FetchedJob(
            "a",
            "hand:0",
            {
                "name": "paint", "data": '{"x":1}', "opts": '{"attempts":3}', "timestamp": str(NOW), "delay": "0",
                "priority": "0", "ats": "1", "processedOn": str(NOW + 5), "pb": "w1",
            },
        )
    ]  # fmt: skip
    assert await look.places("a") == ["active"]
    stored = await look.job("a")
    assert (stored["processedOn"], stored["ats"], stored["pb"]) == (str(NOW + 5), "1", "w1")
    assert await look.redis.get(keys.lock("a")) == "hand:0"
    assert 50_000 < await look.redis.pttl(keys.lock("a")) <= 60_000
    assert await look.last_events(1) == [{"event": "active", "jobId": "a", "prev": "waiting"}]
    assert await look.markers() == {"0": 0}


async def test_each_job_gets_a_token_of_its_own(hand: Any, look: Any, keys: Any) -> None:
    await hand.add("a", "b", "c")
    reply = await hand.take(5, token=7)
    assert [(job.id, job.token) for job in reply.jobs] == [("a", "hand:7"), ("b", "hand:8"), ("c", "hand:9")]
    assert await look.redis.get(keys.lock("c")) == "hand:9"
    assert await look.active() == ["c", "b", "a"]


async def test_no_more_jobs_are_taken_than_asked_for(hand: Any, look: Any) -> None:
    await hand.add("a", "b", "c")
    assert len((await hand.take(2)).jobs) == 2
    assert await look.waiting() == ["c"]


async def test_waiting_jobs_go_before_prioritized_and_those_by_priority(hand: Any) -> None:
    await hand.add("low", priority=9)
    await hand.add("high", priority=1)
    await hand.add("plain")
    reply = await hand.take(3)
    assert [job.id for job in reply.jobs] == ["plain", "high", "low"]


async def test_the_counter_of_priorities_starts_anew_when_none_is_left(hand: Any, look: Any, keys: Any) -> None:
    await hand.add("a", "b", priority=1)
    await hand.take(2)
    assert await look.redis.get(keys.pc) == "2"  # there may be more: nobody looked
    await hand.take(1)
    assert await look.redis.exists(keys.pc) == 0


async def test_an_empty_queue_gives_nothing_and_no_wake_up(hand: Any, look: Any) -> None:
    reply = await hand.take(3)
    assert (reply.jobs, reply.codes, reply.next_due, reply.limited_for, reply.drained) == ([], [], None, 0, False)
    assert await look.markers() == {}
    assert await look.count_events() == 0


async def test_due_jobs_are_promoted_each_to_its_class(hand: Any, look: Any, keys: Any) -> None:
    await hand.add("later", delay=2 * SECOND)
    await hand.add("plain", delay=SECOND)
    await hand.add("ranked", delay=SECOND, priority=2)
    assert (await hand.take(now=NOW + SECOND - 1)).next_due == NOW + SECOND

    reply = await hand.take(5, now=NOW + SECOND)

    assert [job.id for job in reply.jobs] == ["plain", "ranked"]
    assert reply.next_due == NOW + 2 * SECOND
    assert reply.jobs[0].fields["delay"] == "0"
    assert (await look.job("plain"))["delay"] == "0"
    assert {"event": "waiting", "jobId": "ranked", "prev": "delayed"} in await look.events()
    assert await look.places("later") == ["delayed"]


async def test_at_most_a_thousand_due_jobs_are_promoted_in_one_call(hand: Any, look: Any, keys: Any) -> None:
    await hand.add(*[f"j{number}" for number in range(1500)], delay=SECOND)
    reply = await hand.take(1, now=NOW + 2 * SECOND)
    assert reply.jobs[0].id == "j0"
    assert await look.redis.llen(keys.wait) == 999
    await hand.take(1, now=NOW + 2 * SECOND)
    assert await look.redis.llen(keys.wait) == 1498


async def test_a_paused_queue_gives_nothing_but_still_promotes(hand: Any, look: Any, keys: Any) -> None:
    await hand.add("a")
    await hand.add("b", delay=SECOND)
    await look.redis.hset(keys.meta, "paused", 1)
    await look.redis.delete(keys.marker)
    reply = await hand.take(2, now=NOW + SECOND)
    assert reply.jobs == []
    assert await look.waiting() == ["a", "b"]
    assert await look.markers() == {}


async def test_the_queues_concurrency_bounds_all_workers_together(hand: Any, look: Any, keys: Any) -> None:
    await look.redis.hset(keys.meta, "concurrency", 3)
    await hand.add("a", "b", "c", "d")
    assert len((await hand.take(2)).jobs) == 2
    assert await look.markers() == {"0": 0}  # one place is left
    await look.redis.delete(keys.marker)
    assert len((await hand.take(2, token=2)).jobs) == 1
    assert await look.markers() == {}
    assert (await hand.take(2)).jobs == []

    reply = await hand.step([Finish("a", "hand:0", "completed", "null")], 2, token=3)
    assert [job.id for job in reply.jobs] == ["d"]


@pytest.mark.parametrize("where", ["queue", "worker"])
async def test_a_rate_limit_lets_so_many_start_and_then_says_how_long_to_wait(
    hand: Any, look: Any, keys: Any, where: str
) -> None:
    options = {"limit": 2, "limit_ms": 5000} if where == "worker" else {}
    if where == "queue":
        await look.redis.hset(keys.meta, mapping={"max": 2, "duration": 5000})
    await hand.add("a", "b", "c")
    first = await hand.take(3, **options)
    assert [job.id for job in first.jobs] == ["a", "b"]
    second = await hand.take(3, token=2, **options)
    assert second.jobs == []
    assert 4000 < second.limited_for <= 5000
    await look.redis.delete(keys.limiter)
    assert [job.id for job in (await hand.take(3, token=4, **options)).jobs] == ["c"]


async def test_the_queues_limit_wins_but_the_workers_window(hand: Any, look: Any, keys: Any) -> None:
    await look.redis.hset(keys.meta, mapping={"max": 1, "duration": 5000})
    await hand.add("a", "b")
    await hand.take(2, limit=2, limit_ms=50_000)
    assert 40_000 < (await hand.take(1, limit=2, limit_ms=50_000)).limited_for <= 50_000


async def test_a_limit_window_without_an_end_does_not_stop_the_queue(hand: Any, look: Any, keys: Any) -> None:
    await look.redis.set(keys.limiter, 10)
    await hand.add("a")
    assert len((await hand.take(1, limit=2, limit_ms=1000)).jobs) == 1


async def test_a_condemned_job_costs_nothing_of_the_limit(hand: Any, look: Any, keys: Any) -> None:
    await hand.add("a", "b")
    await look.redis.hset(keys.job("a"), "defa", "stalled too often")
    reply = await hand.take(1, limit=1, limit_ms=5000)
    assert reply.jobs[0].fields["defa"] == "stalled too often"
    assert [job.id for job in (await hand.take(1, limit=1, limit_ms=5000)).jobs] == ["b"]


async def test_old_markers_among_the_ids_are_skipped(hand: Any, look: Any, keys: Any) -> None:
    await hand.add("a", "b")
    await look.redis.rpush(keys.wait, "0:123")
    assert [job.id for job in (await hand.take(2)).jobs] == ["a", "b"]
    assert await look.active() == ["b", "a"]


async def test_an_id_without_a_job_is_dropped(hand: Any, look: Any, keys: Any) -> None:
    await hand.add("a", "b", "c")
    await look.redis.delete(keys.job("b"))
    reply = await hand.take(3)
    assert [(job.id, job.token) for job in reply.jobs] == [("a", "hand:0"), ("c", "hand:1")]
    assert await look.redis.get(keys.lock("c")) == "hand:1"
    assert await look.active() == ["c", "a"]
    assert await look.job("b") == {}


async def test_a_worker_that_takes_nothing_wakes_others_if_there_is_work(hand: Any, look: Any, keys: Any) -> None:
    await hand.add("a")
    await hand.add("b", delay=SECOND)
    await look.redis.delete(keys.marker)
    await hand.step((), 0)
    assert await look.markers() == {"0": 0, "1": NOW + SECOND}


async def test_a_step_has_bounds(hand: Any) -> None:
    with pytest.raises(InvalidOption):
        await hand.take(501)


async def test_a_full_step_fits(hand: Any, look: Any) -> None:
    ids = [f"j{number}" for number in range(1000)]
    await hand.add(*ids)
    first = await hand.take(500)
    finishes = [Finish(job.id, job.token, "completed", "null") for job in first.jobs]
    second = await hand.step(finishes, 500, token=500)
    assert second.codes == [0] * 500
    assert [job.id for job in second.jobs] == ids[500:]
    assert await look.redis.zcard(look.keys.completed) == 500
