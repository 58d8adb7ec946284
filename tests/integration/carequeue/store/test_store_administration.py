"""The scripts that change jobs and queues from outside."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from carequeue.errors import JobLocked, JobNotFound, QueueNotPaused, SchedulerOwnsJob, WrongState
from carequeue.store.commands import Finish

if TYPE_CHECKING:
    from carequeue.store.administration import Administration
    from carequeue.store.reading import Reading

NOW = 1_795_500_000_000
SECOND = 1000


async def bring(hand: Any, look: Any, state: str, job_id: str = "a", *, now: int = NOW, **changes: Any) -> None:
    """A job in a state."""
    match state:
        case "wait":
            await hand.add(job_id, now=now, **changes)
        case "prioritized":
            await hand.add(job_id, now=now, **({"priority": 3} | changes))
        case "delayed":
            await hand.add(job_id, now=now, **({"delay": SECOND} | changes))
        case "waiting-children":
            await hand.add(job_id, now=now, **changes)
            await look.redis.lrem(look.keys.wait, 0, job_id)
            await look.redis.zadd(look.keys.waiting_children, {job_id: now})
        case "paused":
            await hand.add(job_id, now=now, **changes)
            await look.redis.lrem(look.keys.wait, 0, job_id)
            await look.redis.lpush(look.keys.paused, job_id)
        case _:
            await hand.add(job_id, now=now, **changes)
            [job] = (await hand.take(now=now)).jobs
            if state != "active":
                await hand.step([Finish(job_id, job.token, state, "null", "[]")], now=now)  # type: ignore[arg-type]


STATES = ["wait", "prioritized", "delayed", "waiting-children", "paused", "active", "completed", "failed"]


# Pause and resume


async def test_pausing_takes_the_wake_up_away_and_resuming_gives_it_back(
    administration: Administration, hand: Any, look: Any, keys: Any
) -> None:
    await hand.add("a")
    await administration.pause()
    assert (await look.redis.hget(keys.meta, "paused"), await look.markers()) == ("1", {})
    assert await look.last_events(1) == [{"event": "paused"}]
    await administration.resume()
    assert (await look.redis.hget(keys.meta, "paused"), await look.markers()) == (None, {"0": 0})
    assert await look.last_events(1) == [{"event": "resumed"}]


async def test_resuming_with_only_delayed_jobs_says_when_they_are_due(
    administration: Administration, hand: Any, look: Any
) -> None:
    await administration.pause()
    await hand.add("a", delay=SECOND)
    await administration.resume()
    assert await look.markers() == {"1": NOW + SECOND}


async def test_resuming_brings_back_what_an_old_client_parked(
    administration: Administration, hand: Any, look: Any, keys: Any
) -> None:
    await hand.add("new")
    await look.redis.lpush(keys.paused, "old1", "old2")
    await administration.resume()
    assert await look.waiting() == ["old1", "old2", "new"]
    assert await look.redis.exists(keys.paused) == 0


# Remove


@pytest.mark.parametrize("state", STATES)
async def test_a_job_is_removed_from_any_state(
    administration: Administration, hand: Any, look: Any, keys: Any, state: str
) -> None:
    await bring(hand, look, state)
    await hand.commands.add_log("a", "row")
    await look.redis.delete(keys.lock("a"))
    await administration.remove("a", NOW, children=True)
    assert await look.places("a") == []
    assert [key async for key in look.redis.scan_iter(f"{keys.job('a')}*")] == []
    assert await look.last_events(1) == [{"event": "removed", "jobId": "a", "prev": state}]


async def test_a_held_job_is_not_removed(administration: Administration, hand: Any, look: Any) -> None:
    await bring(hand, look, "active")
    with pytest.raises(JobLocked, match="job a: a worker holds it"):
        await administration.remove("a", NOW, children=True)
    assert await look.places("a") == ["active"]


async def test_what_is_not_there_cannot_be_removed(administration: Administration) -> None:
    with pytest.raises(JobNotFound):
        await administration.remove("a", NOW, children=True)


async def test_the_next_run_of_a_scheduler_is_not_removed(
    administration: Administration, hand: Any, look: Any, keys: Any
) -> None:
    run = f"repeat:s:{NOW}"
    await hand.add(run)
    await look.redis.hset(keys.job(run), "rjk", "s")
    await look.redis.zadd(keys.repeat, {"s": NOW})
    with pytest.raises(SchedulerOwnsJob):
        await administration.remove(run, NOW, children=True)
    await look.redis.zadd(keys.repeat, {"s": NOW + 1})  # it waits for a later run now
    await administration.remove(run, NOW, children=True)


async def family(hand: Any, look: Any, keys: Any) -> None:
    await bring(hand, look, "waiting-children", "p")
    link = json.dumps({"id": "p", "queueKey": keys.base})
    await hand.add("c1", "c2", parent_key=keys.job("p"), parent=link)


async def test_removing_the_last_child_releases_its_parent(
    administration: Administration, hand: Any, look: Any, keys: Any
) -> None:
    await family(hand, look, keys)
    await administration.remove("c1", NOW, children=True)
    assert await look.places("p") == ["waiting-children"]
    await administration.remove("c2", NOW, children=True)
    assert await look.places("p") == ["wait"]


async def test_a_job_is_removed_with_its_children_or_alone(
    administration: Administration, hand: Any, look: Any, keys: Any
) -> None:
    await family(hand, look, keys)
    await administration.remove("p", NOW, children=False)
    assert await look.waiting() == ["c1", "c2"]

    await administration.remove("c1", NOW, children=True)
    await administration.remove("c2", NOW, children=True)
    await family(hand, look, keys)
    await administration.remove("p", NOW, children=True)
    assert await look.waiting() == []
    assert [key async for key in look.redis.scan_iter(f"{keys.base}:[pc]*") if ":pc" not in key] == []


async def test_a_parent_is_not_removed_while_a_child_is_held(
    administration: Administration, hand: Any, look: Any, keys: Any
) -> None:
    await family(hand, look, keys)
    await hand.take()
    with pytest.raises(JobLocked):
        await administration.remove("p", NOW, children=True)
    assert await look.places("p") == ["waiting-children"]


async def test_a_job_that_somebody_made_its_own_descendant_is_removed(
    administration: Administration, hand: Any, look: Any, keys: Any
) -> None:
    """It was a stack overflow."""

    def child_of(parent: str) -> dict[str, str]:
        return {"parent_key": keys.job(parent), "parent": json.dumps({"id": parent, "queueKey": keys.base})}

    await hand.add("a")
    await hand.add("b", **child_of("a"))
    await hand.add("a", **child_of("b"))
    await look.redis.hset(f"{keys.job('b')}:processed", keys.job("a"), "1")

    await administration.remove("a", NOW, children=True)

    assert (await look.job("a"), await look.job("b")) == ({}, {})
    assert await look.waiting() == []


async def test_a_removed_job_gives_up_its_deduplication_window(
    administration: Administration, hand: Any, look: Any, keys: Any
) -> None:
    await hand.add("a")
    await look.redis.hset(keys.job("a"), "deid", "d")
    await look.redis.set(f"{keys.base}:de:d", "a", px=60_000)
    await administration.remove("a", NOW, children=True)
    assert await look.redis.exists(f"{keys.base}:de:d") == 0


# Retry


@pytest.mark.parametrize(("state", "result"), [("failed", "failedReason"), ("completed", "returnvalue")])
async def test_a_finished_job_runs_again(
    administration: Administration, hand: Any, look: Any, state: str, result: str
) -> None:
    await bring(hand, look, state)
    await administration.retry("a", NOW, reset_attempts=False)
    assert await look.places("a") == ["wait"]
    stored = await look.job("a")
    assert not stored.keys() & {result, "finishedOn", "processedOn"}
    assert (stored["atm"], stored["ats"]) == ("1", "1")
    assert await look.last_events(1) == [{"event": "waiting", "jobId": "a", "prev": state}]
    assert await look.markers() == {"0": 0}


async def test_a_retry_may_forget_the_attempts(administration: Administration, hand: Any, look: Any) -> None:
    await bring(hand, look, "failed")
    await administration.retry("a", NOW, reset_attempts=True)
    assert not (await look.job("a")).keys() & {"atm", "ats"}


async def test_a_retry_keeps_priority_and_lifo(administration: Administration, hand: Any, look: Any, keys: Any) -> None:
    await bring(hand, look, "failed", "ranked", priority=3)
    await bring(hand, look, "failed", "last", opts='{"lifo":true}')
    await hand.add("other")
    await administration.retry("ranked", NOW, reset_attempts=False)
    await administration.retry("last", NOW, reset_attempts=False)
    assert await look.ranked(keys.prioritized) == ["ranked"]
    assert await look.waiting() == ["last", "other"]


async def test_a_child_that_runs_again_is_waited_for_again(
    administration: Administration, hand: Any, look: Any, keys: Any
) -> None:
    await family(hand, look, keys)
    await hand.take()
    await hand.step([Finish("c1", "hand:0", "completed", "1")])
    await administration.retry("c1", NOW, reset_attempts=False)
    assert keys.job("c1") in await look.redis.smembers(keys.dependencies("p"))
    assert await look.redis.hgetall(f"{keys.job('p')}:processed") == {}


@pytest.mark.parametrize("state", ["wait", "active", "delayed"])
async def test_what_has_not_finished_cannot_be_retried(
    administration: Administration, hand: Any, look: Any, state: str
) -> None:
    await bring(hand, look, state)
    with pytest.raises(WrongState):
        await administration.retry("a", NOW, reset_attempts=False)
    with pytest.raises(JobNotFound):
        await administration.retry("missing", NOW, reset_attempts=False)


async def test_many_are_retried_the_oldest_first_up_to_an_instant(
    administration: Administration, hand: Any, look: Any, keys: Any
) -> None:
    for place in range(4):
        await bring(hand, look, "failed", f"j{place}", now=NOW + place, priority=2 if place == 1 else 0)
    assert await administration.retry_all("failed", NOW, until=NOW + 2, limit=2) == 2
    assert (await look.waiting(), await look.ranked(keys.prioritized)) == (["j0"], ["j1"])
    assert await administration.retry_all("failed", NOW, until=NOW + 2, limit=2) == 1
    assert await look.ranked(keys.failed) == ["j3"]
    assert await administration.retry_all("completed", NOW, until=None, limit=2) == 0


# Promote, priority, delay, data


@pytest.mark.parametrize(("priority", "place"), [(0, "wait"), (2, "prioritized")])
async def test_a_delayed_job_is_promoted_to_its_class(
    administration: Administration, hand: Any, look: Any, priority: int, place: str
) -> None:
    await bring(hand, look, "delayed", priority=priority)
    await administration.promote("a")
    assert await look.places("a") == [place]
    assert (await look.job("a"))["delay"] == "0"
    assert await look.last_events(1) == [{"event": "waiting", "jobId": "a", "prev": "delayed"}]
    with pytest.raises(WrongState):
        await administration.promote("a")
    with pytest.raises(JobNotFound):
        await administration.promote("missing")


async def test_many_are_promoted_those_due_first_first(
    administration: Administration, hand: Any, look: Any, keys: Any
) -> None:
    await hand.add("late", delay=3 * SECOND)
    await hand.add("soon", delay=SECOND)
    await hand.add("ranked", delay=2 * SECOND, priority=1)
    assert await administration.promote_all(2) == 2
    assert (await look.waiting(), await look.ranked(keys.prioritized)) == (["soon"], ["ranked"])
    assert await administration.promote_all(2) == 1
    assert await look.waiting() == ["soon", "late"]
    assert (await look.job("late"))["delay"] == "0"


@pytest.mark.parametrize(
    ("before", "after", "at_front", "order"),
    [
        (0, 5, False, ["q", "r", "a"]),
        (5, 0, False, ["q", "r"]),
        (5, 5, False, ["q", "r", "a"]),
        (0, 5, True, ["a", "q", "r"]),
    ],
)
async def test_a_job_that_waits_moves_to_its_new_priority(
    administration: Administration, hand: Any, look: Any, keys: Any,
    before: int, after: int, at_front: bool, order: list[str],
) -> None:  # fmt: skip
    await hand.add("a", priority=before)
    await hand.add("q", "r", priority=5)
    await hand.add("w")
    await administration.change_priority("a", after, at_front=at_front)
    assert await look.ranked(keys.prioritized) == order
    assert await look.waiting() == (["w"] if after else ["w", "a"])
    assert (await look.job("a"))["priority"] == str(after)


async def test_priority_of_a_delayed_job_holds_when_it_is_due(
    administration: Administration, hand: Any, look: Any
) -> None:
    await bring(hand, look, "delayed")
    await administration.change_priority("a", 7, at_front=False)
    assert await look.places("a") == ["delayed"]
    await administration.promote("a")
    assert await look.places("a") == ["prioritized"]
    with pytest.raises(JobNotFound):
        await administration.change_priority("missing", 1, at_front=False)


async def test_a_delayed_job_is_moved_in_time(administration: Administration, hand: Any, look: Any, keys: Any) -> None:
    await bring(hand, look, "delayed")
    await administration.change_delay("a", NOW + 500, 10 * SECOND)
    due = NOW + 500 + 10 * SECOND
    assert await look.redis.zscore(keys.delayed, "a") == due * 4096
    assert (await look.job("a"))["delay"] == "10000"
    assert await look.last_events(1) == [{"event": "delayed", "jobId": "a", "delay": str(due)}]
    assert (await look.markers())["1"] == due


async def test_only_delayed_jobs_are_moved_in_time(administration: Administration, hand: Any, look: Any) -> None:
    await bring(hand, look, "wait")
    with pytest.raises(WrongState):
        await administration.change_delay("a", NOW, SECOND)
    with pytest.raises(JobNotFound):
        await administration.change_delay("missing", NOW, SECOND)


async def test_data_is_replaced(administration: Administration, hand: Any, look: Any) -> None:
    await hand.add("a")
    await administration.update_data("a", '{"b":2}')
    assert (await look.job("a"))["data"] == '{"b":2}'
    with pytest.raises(JobNotFound):
        await administration.update_data("missing", "1")
    assert await look.job("missing") == {}


# Drain, clean, obliterate


async def scheduled(hand: Any, look: Any, keys: Any, **changes: Any) -> str:
    """The next run of the scheduler s."""
    run = f"repeat:s:{NOW}"
    await hand.add(run, **changes)
    await look.redis.hset(keys.job(run), "rjk", "s")
    await look.redis.zadd(keys.repeat, {"s": NOW})
    return run


@pytest.mark.parametrize("state", ["wait", "prioritized", "paused", "delayed"])
async def test_draining_removes_some_of_a_state_those_that_come_first_first(
    administration: Administration, hand: Any, look: Any, keys: Any, state: Any
) -> None:
    await bring(hand, look, "active", "held")
    for place in range(5):
        await bring(hand, look, state, f"j{place}")

    assert await administration.drain(NOW, state, 3) == (3, 0)

    assert [await look.job(f"j{place}") for place in range(3)] == [{}, {}, {}]
    assert [await look.places(f"j{place}") for place in range(5)] == [[], [], [], [state], [state]]
    assert await administration.drain(NOW, state, 3) == (2, 0)
    assert await administration.drain(NOW, state, 3) == (0, 0)
    assert await look.places("held") == ["active"]


@pytest.mark.parametrize("state", ["wait", "prioritized", "delayed"])
async def test_draining_spares_next_runs_of_schedulers_where_they_are(
    administration: Administration, hand: Any, look: Any, keys: Any, state: Any
) -> None:
    changes: dict[str, Any] = {"prioritized": {"priority": 3}, "delayed": {"delay": SECOND}}.get(state, {})
    await hand.add("a", **changes)
    run = await scheduled(hand, look, keys, **changes)
    await hand.add("b", "c", **changes)

    assert await administration.drain(NOW, state, 3) == (2, 1)

    assert [await look.places(name) for name in ("a", run, "b", "c")] == [[], [state], [], [state]]
    if state == "wait":
        assert await look.waiting() == [run, "c"]
    assert await administration.drain(NOW, state, 4) == (1, 1)


async def test_orphans_are_deleted_and_nothing_else(
    administration: Administration, reading: Reading, hand: Any, look: Any, keys: Any
) -> None:
    for state in reversed(STATES):  # those that are taken first: else it would be another one
        await bring(hand, look, state, f"in-{state}")
    await hand.add("lost")
    await look.redis.hset(keys.job("lost"), "deid", "d")
    await look.redis.set(keys.deduplication("d"), "lost")
    await hand.add("held", "kept")
    for job_id in ("lost", "held", "kept"):
        await look.redis.lrem(keys.wait, 0, job_id)
    await look.redis.set(keys.lock("held"), "hand:1")
    await look.redis.hset(keys.scheduler("s"), mapping={"name": "s", "data": "{}", "opts": "{}"})
    cursor, found = await reading.scan_hashes("0", 1000)
    while cursor != "0":
        cursor, more = await reading.scan_hashes(cursor, 1000)
        found += more

    assert await administration.remove_orphans(sorted(found, reverse=True), NOW, 1) == 1
    assert await look.job("lost") == {}
    assert await administration.remove_orphans(found, NOW, 100) == 1

    assert await look.job("kept") == {}
    assert await look.redis.get(keys.deduplication("d")) is None
    assert await look.job("held") != {}
    assert await look.redis.exists(keys.scheduler("s")) == 1
    for state in STATES:
        assert (await look.places(f"in-{state}"), bool(await look.job(f"in-{state}"))) == ([state], True)


async def test_a_window_is_closed_whoever_owns_it_or_only_for_its_owner(
    administration: Administration, look: Any, keys: Any
) -> None:
    await look.redis.set(keys.deduplication("d"), "a")
    assert await administration.close_window("d", "b") is False
    assert await administration.close_window("d", "a") is True
    await look.redis.set(keys.deduplication("d"), "a")
    assert await administration.close_window("d", None) is True
    assert await administration.close_window("d", None) is False


async def test_a_log_is_cut_to_its_newest_rows(administration: Administration, look: Any, keys: Any) -> None:
    await look.redis.rpush(keys.logs("a"), "one", "two", "three")
    await administration.trim_log("a", 2)
    assert await look.redis.lrange(keys.logs("a"), 0, -1) == ["two", "three"]
    await administration.trim_log("a", 0)
    assert await look.redis.exists(keys.logs("a")) == 0


@pytest.mark.parametrize(
    "state", ["wait", "prioritized", "delayed", "waiting-children", "paused", "completed", "failed"]
)
async def test_cleaning_removes_the_oldest_of_a_state(
    administration: Administration, hand: Any, look: Any, state: Any
) -> None:
    for place in range(4):
        await bring(hand, look, state, f"j{place}", now=NOW + place * SECOND)
    assert await administration.clean(NOW, state, NOW + 2 * SECOND, 2, 0) == (["j0", "j1"], 2)
    gone, looked = await administration.clean(NOW, state, NOW + 2 * SECOND, 2, 0)
    assert gone == ["j2"]
    assert looked == (1 if state in ("completed", "failed") else 2)
    assert await look.places("j3") == [state]
    assert [await look.job(f"j{place}") for place in range(3)] == [{}, {}, {}]
    assert await look.last_events(1) == [{"event": "cleaned", "count": "1"}]


async def test_cleaning_active_jobs_spares_the_held_ones(
    administration: Administration, hand: Any, look: Any, keys: Any
) -> None:
    await hand.add("a", "b")
    await hand.take(2)
    await look.redis.delete(keys.lock("a"))
    assert await administration.clean(NOW, "active", NOW, 10, 0) == (["a"], 2)
    assert await look.active() == ["b"]


async def test_cleaning_spares_next_runs_of_schedulers(
    administration: Administration, hand: Any, look: Any, keys: Any
) -> None:
    run = await scheduled(hand, look, keys, delay=SECOND)
    assert await administration.clean(NOW, "delayed", NOW + SECOND, 10, 0) == ([], 1)
    assert await look.ranked(keys.delayed) == [run]


@pytest.mark.parametrize("state", ["wait", "paused", "prioritized"])
async def test_cleaning_goes_on_behind_what_stays(
    administration: Administration, hand: Any, look: Any, state: Any
) -> None:
    for place in range(6):
        await bring(hand, look, state, f"j{place}", now=NOW + (place % 2) * SECOND)
    assert await administration.clean(NOW, state, NOW, 3, 0) == (["j0", "j2"], 3)
    assert await administration.clean(NOW, state, NOW, 3, 1) == (["j4"], 3)
    assert await administration.clean(NOW, state, NOW, 3, 3) == ([], 0)
    assert [await look.places(f"j{place}") for place in range(6)] == [[], [state]] * 3
    assert await look.last_events(1) == [{"event": "cleaned", "count": "1"}]


async def test_only_a_paused_queue_is_obliterated(administration: Administration, hand: Any, look: Any) -> None:
    await hand.add("a")
    with pytest.raises(QueueNotPaused):
        await administration.obliterate(NOW, force=True)
    await hand.take()
    await administration.pause()
    with pytest.raises(QueueNotPaused, match="jobs are active"):
        await administration.obliterate(NOW, force=False)
    assert await look.places("a") == ["active"]


async def test_nothing_is_left_of_an_obliterated_queue(
    administration: Administration, hand: Any, look: Any, keys: Any
) -> None:
    for state in STATES:
        await bring(hand, look, state, f"in-{state}")
    await hand.add(*[f"j{place}" for place in range(2500)])
    await scheduled(hand, look, keys)
    await look.redis.hset(keys.scheduler("s"), "ic", 1)
    await hand.commands.check_stalled(max_stalled=1, interval_ms=60_000, now=NOW)
    await administration.pause()
    calls = 1
    while await administration.obliterate(NOW, force=True):
        calls += 1
    assert calls >= 3
    assert [key async for key in look.redis.scan_iter(f"{keys.base}:*")] == []
