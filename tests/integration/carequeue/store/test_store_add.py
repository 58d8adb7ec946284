"""The script that adds jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from carequeue.errors import ParentNotFound, WrongState
from carequeue.store.commands import Finish, JobRecord

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from carequeue.store.commands import Commands
    from carequeue.wire.keys import QueueKeys

NOW = 1_795_500_000_000
SECOND = 1000


def record(job_id: str = "", **changes: Any) -> JobRecord:
    fields: dict[str, Any] = {"name": "paint", "data": "{}", "opts": '{"attempts":0}', "timestamp": NOW}
    return JobRecord(id=job_id, **(fields | changes))


async def test_a_job_waits_with_its_hash_events_and_a_wake_up(commands: Commands, look: Any) -> None:
    [job_id] = await commands.add([record(data='{"a":1}')], NOW)

    assert job_id == "1"
    assert await look.job("1") == {
        "name": "paint",
        "data": '{"a":1}',
        "opts": '{"attempts":0}',
        "timestamp": str(NOW),
        "delay": "0",
        "priority": "0",
    }
    assert await look.places("1") == ["wait"]
    assert await look.events() == [
        {"event": "added", "jobId": "1", "name": "paint"},
        {"event": "waiting", "jobId": "1"},
    ]
    assert await look.markers() == {"0": 0}


async def test_jobs_are_taken_in_the_order_in_which_they_were_added(commands: Commands, look: Any) -> None:
    assert await commands.add([record() for _ in range(5)], NOW) == ["1", "2", "3", "4", "5"]
    assert await look.waiting() == ["1", "2", "3", "4", "5"]


async def test_what_jobs_share_is_each_jobs_own_when_it_changes_and_changes_back(commands: Commands, look: Any) -> None:
    jobs = [
        record(data="1"),
        record(data="2"),
        record(data="3", name="draw", opts='{"attempts":3}'),
        record(data="4", delay=SECOND),
        record(data="5", priority=2),
        record(data="6"),
    ]
    ids = await commands.add(jobs, NOW)
    assert [await look.job(job_id) for job_id in ids] == [job.fields for job in jobs]
    assert [await look.places(job_id) for job_id in ids] == [*[["wait"]] * 3, ["delayed"], ["prioritized"], ["wait"]]


async def test_lifo_jobs_are_taken_before_the_others_the_last_first(commands: Commands, look: Any) -> None:
    await commands.add([record("a"), record("b", lifo=True), record("c"), record("d", lifo=True)], NOW)
    assert await look.waiting() == ["d", "b", "a", "c"]


async def test_the_counter_goes_up_for_every_job_custom_ids_and_duplicates_too(
    commands: Commands, redis: Redis, keys: QueueKeys
) -> None:
    assert await commands.add([record("a"), record(), record("a"), record()], NOW) == ["a", "2", "a", "4"]
    assert await redis.get(keys.id) == "4"


async def test_the_id_of_a_job_that_exists_adds_nothing(commands: Commands, look: Any) -> None:
    await commands.add([record("a", data="1")], NOW)
    assert await commands.add([record("a", data="2", delay=SECOND)], NOW) == ["a"]
    assert (await look.job("a"))["data"] == "1"
    assert await look.places("a") == ["wait"]
    assert await look.last_events(1) == [{"event": "duplicated", "jobId": "a"}]


async def test_ids_twice_in_one_call_are_added_once(commands: Commands, look: Any) -> None:
    assert await commands.add([record("a"), record("a")], NOW) == ["a", "a"]
    assert await look.waiting() == ["a"]


async def test_priorities_rank_by_priority_and_then_in_order(commands: Commands, look: Any, keys: QueueKeys) -> None:
    await commands.add([record("a", priority=5), record("b", priority=1), record("c", priority=5)], NOW)
    assert await look.ranked(keys.prioritized) == ["b", "a", "c"]
    assert await look.redis.zscore(keys.prioritized, "b") == 1 * 2**32 + 2
    assert (await look.events())[1] == {"event": "waiting", "jobId": "a"}


async def test_the_highest_priority_is_exact(commands: Commands, redis: Redis, keys: QueueKeys) -> None:
    await redis.set(keys.pc, 2**32 - 2)
    await commands.add([record("a", priority=2**21 - 1), record("b", priority=2**21 - 1)], NOW)
    assert await redis.zscore(keys.prioritized, "a") == (2**21 - 1) * 2**32 + 2**32 - 1
    assert await redis.zscore(keys.prioritized, "b") == (2**21 - 1) * 2**32


async def test_delayed_jobs_rank_by_when_they_are_due(commands: Commands, look: Any, keys: QueueKeys) -> None:
    await commands.add([record("a", delay=2 * SECOND), record("b", delay=SECOND)], NOW)
    assert await look.ranked(keys.delayed) == ["b", "a"]
    assert await look.redis.zscore(keys.delayed, "b") == (NOW + SECOND) * 4096
    assert await look.last_events(2) == [
        {"event": "added", "jobId": "b", "name": "paint"},
        {"event": "delayed", "jobId": "b", "delay": str(NOW + SECOND)},
    ]
    assert await look.markers() == {"1": NOW + SECOND}


async def test_jobs_due_in_the_same_millisecond_keep_their_order(
    commands: Commands, look: Any, keys: QueueKeys
) -> None:
    ids = [f"j{number}" for number in range(4100)]
    await commands.add([record(job_id, delay=SECOND) for job_id in ids[:1000]], NOW)
    for first in range(1000, 4100, 1000):
        await commands.add([record(job_id, delay=SECOND) for job_id in ids[first : first + 1000]], NOW)
    ranked = await look.ranked(keys.delayed)
    assert ranked[:4095] == ids[:4095]
    # there are 4096 places in a millisecond; the last one takes all the others
    assert sorted(ranked[4095:]) == sorted(ids[4095:])
    assert await look.redis.zscore(keys.delayed, "j4099") == (NOW + SECOND) * 4096 + 4095


async def test_a_delay_wins_over_a_priority(commands: Commands, look: Any) -> None:
    await commands.add([record("a", delay=SECOND, priority=3)], NOW)
    assert await look.places("a") == ["delayed"]
    assert (await look.job("a"))["priority"] == "3"


async def test_a_paused_queue_takes_jobs_without_a_wake_up(commands: Commands, look: Any, keys: QueueKeys) -> None:
    await look.redis.hset(keys.meta, "paused", 1)
    await commands.add([record("a"), record("b", priority=1)], NOW)
    assert await look.waiting() == ["a"]
    assert await look.markers() == {}


async def test_a_queue_at_its_concurrency_gets_no_wake_up(commands: Commands, look: Any, keys: QueueKeys) -> None:
    await look.redis.hset(keys.meta, "concurrency", 1)
    await look.redis.lpush(keys.active, "x")
    await commands.add([record("a")], NOW)
    assert await look.markers() == {}


async def test_the_queue_says_what_wrote_it_unless_somebody_did(
    commands: Commands, redis: Redis, keys: QueueKeys
) -> None:
    await redis.hset(keys.meta, mapping={"version": "bullmq:9.9.9"})
    await commands.add([record()], NOW)
    assert await redis.hgetall(keys.meta) == {"version": "bullmq:9.9.9", "opts.maxLenEvents": "10000"}


async def test_the_event_stream_is_bounded(commands: Commands, look: Any, keys: QueueKeys) -> None:
    await look.redis.hset(keys.meta, "opts.maxLenEvents", 50)
    for _ in range(3):
        await commands.add([record() for _ in range(200)], NOW)
    assert await look.count_events() <= 50 + 100  # trimmed by whole stream nodes


async def test_more_jobs_than_one_call_takes_are_added_in_order(commands: Commands, look: Any) -> None:
    ids = await commands.add([record() for _ in range(2500)], NOW)
    assert ids == [str(number) for number in range(1, 2501)]
    assert await look.waiting() == ids


async def test_a_child_is_linked_to_its_parent(commands: Commands, look: Any, keys: QueueKeys) -> None:
    await commands.add([record("p")], NOW)
    link = {"parent_key": keys.job("p"), "parent": f'{{"id":"p","queueKey":"{keys.base}"}}'}
    await commands.add([record("c", **link)], NOW)
    assert await look.redis.smembers(keys.dependencies("p")) == {keys.job("c")}
    assert (await look.job("c"))["parentKey"] == keys.job("p")


async def test_with_a_missing_parent_nothing_of_the_call_is_added(
    commands: Commands, look: Any, keys: QueueKeys
) -> None:
    orphan = record("c", parent_key=keys.job("gone"), parent=f'{{"id":"gone","queueKey":"{keys.base}"}}')
    with pytest.raises(ParentNotFound, match="job c: "):
        await commands.add([record("a"), orphan], NOW)
    assert await look.places("a") == []
    assert await look.redis.exists(keys.id) == 0


async def test_a_job_of_another_living_parent_cannot_be_taken_over(
    commands: Commands, look: Any, keys: QueueKeys
) -> None:
    def child_of(parent: str) -> JobRecord:
        return record("c", parent_key=keys.job(parent), parent=f'{{"id":"{parent}","queueKey":"{keys.base}"}}')

    await commands.add([record("p"), record("q")], NOW)
    await commands.add([child_of("p")], NOW)
    with pytest.raises(WrongState, match="another parent"):
        await commands.add([child_of("q")], NOW)
    assert await look.redis.exists(keys.dependencies("q")) == 0


async def test_a_child_that_is_done_gives_its_value_to_the_parent_it_is_added_with(
    commands: Commands, look: Any, keys: QueueKeys, hand: Any
) -> None:
    await hand.add("c")
    await hand.take()
    await hand.step([Finish("c", "hand:0", "completed", '"done"')])
    await commands.add([record("p")], NOW)
    link = {"parent_key": keys.job("p"), "parent": f'{{"id":"p","queueKey":"{keys.base}"}}'}
    await commands.add([record("c", **link)], NOW)
    assert await look.redis.hgetall(f"{keys.job('p')}:processed") == {keys.job("c"): '"done"'}
    assert await look.redis.exists(keys.dependencies("p")) == 0
