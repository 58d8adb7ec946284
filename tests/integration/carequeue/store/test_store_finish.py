"""The script of a worker's step: reporting how jobs ended."""

from __future__ import annotations

import json
from typing import Any

import pytest

from carequeue.store.commands import Finish
from carequeue.wire.keep import KEEP_NONE, KeepRule

NOW = 1_795_500_000_000
SECOND = 1000


def failed(job_id: str, lock: str = "hand:0", **changes: Any) -> Finish:
    fields: dict[str, Any] = {"value": "no paint", "stacktrace": '["line"]'}
    return Finish(job_id, lock, "failed", **(fields | changes))


async def test_a_completed_job_keeps_its_value_and_leaves_no_lock(hand: Any, look: Any, keys: Any) -> None:
    await hand.add("a")
    await hand.take()
    assert await hand.step([Finish("a", "hand:0", "completed", '{"sent":1}')], now=NOW + 9) is not None

    stored = await look.job("a")
    assert (stored["returnvalue"], stored["finishedOn"], stored["atm"]) == ('{"sent":1}', str(NOW + 9), "1")
    assert await look.places("a") == ["completed"]
    assert await look.redis.zscore(keys.completed, "a") == NOW + 9
    assert await look.redis.exists(keys.lock("a")) == 0
    assert (await look.last_events(2))[0] == {
        "event": "completed", "jobId": "a", "returnvalue": '{"sent":1}', "prev": "active",
    }  # fmt: skip


async def test_a_failed_job_keeps_its_reason_and_says_that_no_attempt_is_left(hand: Any, look: Any) -> None:
    await hand.add("a")
    await hand.take()
    await hand.step([failed("a", attempts=1)])

    stored = await look.job("a")
    assert (stored["failedReason"], stored["stacktrace"], stored["atm"]) == ("no paint", '["line"]', "1")
    assert await look.places("a") == ["failed"]
    assert (await look.events())[-3:-1] == [
        {"event": "failed", "jobId": "a", "failedReason": "no paint", "prev": "active"},
        {"event": "retries-exhausted", "jobId": "a", "attemptsMade": "1"},
    ]


async def test_a_reason_that_utf_8_cannot_carry_is_kept_as_far_as_it_can(hand: Any, look: Any) -> None:
    await hand.add("a")
    await hand.take()
    await hand.step([failed("a", value="caf\u00e9 \ud800")])
    await hand.commands.add_log("a", "\udc00 row")
    assert (await look.job("a"))["failedReason"] == "caf\u00e9 \ufffd"
    assert await look.redis.lrange(look.keys.logs("a"), 0, -1) == ["\ufffd row"]


async def test_a_failure_with_attempts_left_does_not_say_that_none_is(hand: Any, look: Any) -> None:
    await hand.add("a")
    await hand.take()
    await hand.step([failed("a", attempts=3)])
    assert "retries-exhausted" not in [event["event"] for event in await look.events()]


async def test_failing_a_condemned_job_takes_the_sentence_away(hand: Any, look: Any, keys: Any) -> None:
    await hand.add("a")
    await look.redis.hset(keys.job("a"), "defa", "stalled")
    await hand.take()
    await hand.step([failed("a")])
    assert "defa" not in await look.job("a")


@pytest.mark.parametrize(
    ("trouble", "code"),
    [("erased", -1), ("unlocked", -2), ("stolen", -6), ("elsewhere", -3), ("children", -4), ("failed children", -9)],
)
async def test_what_cannot_be_finished_is_left_as_it_is(
    hand: Any, look: Any, keys: Any, trouble: str, code: int
) -> None:
    await hand.add("a", "b")
    await hand.take(2)
    match trouble:
        case "erased":
            await look.redis.delete(keys.job("a"))
        case "unlocked":
            await look.redis.delete(keys.lock("a"))
        case "stolen":
            await look.redis.set(keys.lock("a"), "another:1")
        case "elsewhere":
            await look.redis.lrem(keys.active, 0, "a")
        case "children":
            await look.redis.sadd(keys.dependencies("a"), keys.job("c"))
        case _:
            await look.redis.zadd(f"{keys.job('a')}:unsuccessful", {keys.job("c"): 1})
    before = (await look.job("a"), await look.places("a"))

    reply = await hand.step([Finish("a", "hand:0", "completed", "1"), Finish("b", "hand:1", "completed", "2")])

    assert reply.codes == [code, 0]
    assert (await look.job("a"), await look.places("a")) == before
    assert await look.places("b") == ["completed"]
    assert [event["jobId"] for event in await look.events() if event["event"] == "completed"] == ["b"]


async def test_a_job_reported_twice_is_finished_once(hand: Any, look: Any) -> None:
    await hand.add("a")
    await hand.take()
    finish = Finish("a", "hand:0", "completed", "1")
    assert (await hand.step([finish, finish])).codes == [0, -3]
    assert (await hand.step([finish])).codes == [-2]
    assert (await look.job("a"))["atm"] == "1"


async def test_one_step_reports_and_takes(hand: Any) -> None:
    await hand.add("a", "b")
    await hand.take()
    reply = await hand.step([Finish("a", "hand:0", "completed", "1")], 1, token=1)
    assert (reply.codes, [job.id for job in reply.jobs], reply.drained) == ([0], ["b"], False)


async def test_after_the_last_job_the_queue_is_drained(hand: Any, look: Any) -> None:
    await hand.add("a", "b")
    await hand.take(2)
    first = await hand.step([Finish("a", "hand:0", "completed", "1")], 1, token=2)
    assert not first.drained
    second = await hand.step([Finish("b", "hand:1", "completed", "1")], 1, token=3)
    assert second.drained
    assert await look.last_events(1) == [{"event": "drained"}]


@pytest.mark.parametrize("left", ["prioritized", "delayed"])
async def test_while_jobs_are_left_it_is_not_drained(hand: Any, look: Any, left: str) -> None:
    await hand.add("a")
    await hand.take()
    await hand.add("b", **({"priority": 1} if left == "prioritized" else {"delay": SECOND}))
    assert not (await hand.step([Finish("a", "hand:0", "completed", "1")], 1, token=2)).drained
    assert {"event": "drained"} not in await look.events()


async def test_a_job_that_is_tried_again_does_not_drain_the_queue(hand: Any) -> None:
    await hand.add("a")
    await hand.take()
    reply = await hand.step([Finish("a", "hand:0", "delayed", due_ms=NOW + SECOND)], 1, token=1)
    assert not reply.drained


async def test_a_free_place_is_made_known_when_its_worker_takes_nothing(hand: Any, look: Any, keys: Any) -> None:
    await look.redis.hset(keys.meta, "concurrency", 1)
    await hand.add("a", "b")
    await hand.take()
    await look.redis.delete(keys.marker)
    await hand.complete("a")
    assert await look.markers() == {"0": 0}


async def test_a_retry_at_once_goes_behind_the_others(hand: Any, look: Any) -> None:
    await hand.add("a", "b")
    await hand.take()
    reply = await hand.step([Finish("a", "hand:0", "retry", "why", '["line"]')])
    assert reply.codes == [0]
    assert await look.waiting() == ["b", "a"]
    stored = await look.job("a")
    assert (stored["atm"], stored["failedReason"], stored["stacktrace"]) == ("1", "why", '["line"]')
    assert await look.last_events(1) == [{"event": "waiting", "jobId": "a", "prev": "active"}]
    assert "finishedOn" not in stored


async def test_a_retry_of_a_lifo_job_goes_before_the_others(hand: Any, look: Any) -> None:
    await hand.add("a", opts='{"attempts":2,"lifo":true}', lifo=True)
    await hand.add("b")
    await hand.take()
    await hand.step([Finish("a", "hand:0", "retry", "why", "[]")])
    assert await look.waiting() == ["a", "b"]


async def test_a_retry_keeps_its_priority(hand: Any, look: Any, keys: Any) -> None:
    await hand.add("a", priority=3)
    await hand.take()
    await hand.step([Finish("a", "hand:0", "retry", "why", "[]")])
    assert await look.places("a") == ["prioritized"]
    assert await look.redis.zscore(keys.prioritized, "a") // 2**32 == 3


async def test_a_later_attempt_is_delayed_until_its_instant(hand: Any, look: Any, keys: Any) -> None:
    await hand.add("a")
    await hand.take()
    await hand.step([Finish("a", "hand:0", "delayed", "why", '["line"]', due_ms=NOW + SECOND)])
    stored = await look.job("a")
    assert (stored["atm"], stored["delay"], stored["failedReason"]) == ("1", "1000", "why")
    assert await look.redis.zscore(keys.delayed, "a") == (NOW + SECOND) * 4096
    assert await look.last_events(1) == [{"event": "delayed", "jobId": "a", "delay": str(NOW + SECOND)}]
    assert (await look.markers())["1"] == NOW + SECOND
    assert await look.redis.exists(keys.lock("a")) == 0


async def test_a_delay_may_not_count_as_an_attempt(hand: Any, look: Any) -> None:
    await hand.add("a")
    await hand.take()
    await hand.step([Finish("a", "hand:0", "delayed", due_ms=NOW + SECOND, counts=False)])
    stored = await look.job("a")
    assert ("atm" in stored, "failedReason" in stored, stored["delay"]) == (False, False, "1000")


@pytest.mark.parametrize("priority", [0, 2])
async def test_a_job_handed_back_goes_before_the_others_without_an_attempt(
    hand: Any, look: Any, keys: Any, priority: int
) -> None:
    await hand.add("a", "b", priority=priority)
    await hand.take()
    await hand.step([Finish("a", "hand:0", "wait")])
    assert (await look.ranked(keys.prioritized) if priority else await look.waiting()) == ["a", "b"]
    stored = await look.job("a")
    assert ("atm" in stored, stored["ats"]) == (False, "1")
    assert await look.markers() == {"0": 0}


async def test_the_newest_are_kept(hand: Any, look: Any, keys: Any) -> None:
    keep = KeepRule(2)
    for number in range(4):
        await hand.add(f"j{number}")
        await hand.take(now=NOW + number)
        await hand.complete(f"j{number}", now=NOW + number, keep=keep)
    assert await look.ranked(keys.completed) == ["j2", "j3"]
    assert await look.job("j1") == {}


async def test_a_batch_is_kept_by_its_rule_too(hand: Any, look: Any, keys: Any) -> None:
    ids = [f"j{number}" for number in range(10)]
    await hand.add(*ids)
    jobs = (await hand.take(10)).jobs
    await hand.step([Finish(job.id, job.token, "completed", "null", keep=KeepRule(3)) for job in jobs])
    assert await look.redis.zcard(keys.completed) == 3


async def test_old_ones_are_evicted_at_most_so_many_at_a_time(hand: Any, look: Any, keys: Any) -> None:
    for number in range(4):
        await hand.add(f"j{number}")
        await hand.take(now=NOW + number)
        await hand.complete(f"j{number}", now=NOW + number)
    await hand.add("last")
    await hand.take()
    await hand.complete("last", now=NOW + SECOND, keep=KeepRule(-1, 998, 2))
    assert await look.ranked(keys.completed) == ["j2", "j3", "last"]
    assert await look.job("j0") == {}


async def test_completed_and_failed_are_kept_by_the_same_rule_each_for_itself(hand: Any, look: Any, keys: Any) -> None:
    await hand.add("a", "b", "c", "d")
    await hand.take(4)
    rule = KeepRule(1)
    await hand.step(
        [
            Finish("a", "hand:0", "completed", "1", keep=rule),
            Finish("b", "hand:1", "completed", "1", keep=rule),
            failed("c", "hand:2", keep=rule),
            failed("d", "hand:3", keep=rule),
        ]
    )
    assert await look.redis.zcard(keys.completed) == 1
    assert await look.redis.zcard(keys.failed) == 1


@pytest.mark.parametrize("verdict", ["completed", "failed"])
async def test_a_job_that_is_not_kept_leaves_only_its_events(hand: Any, look: Any, keys: Any, verdict: Any) -> None:
    await hand.add("a")
    await hand.take()
    await hand.commands.add_log("a", "row")
    await hand.step([Finish("a", "hand:0", verdict, "text", "[]", keep=KEEP_NONE)])
    assert await look.places("a") == []
    assert [key async for key in look.redis.scan_iter(f"{keys.job('a')}*")] == []
    assert verdict in [event["event"] for event in await look.events()]


async def test_nobody_else_sees_a_note_of_a_stalled_job_that_ended(hand: Any, look: Any, keys: Any) -> None:
    await hand.add("a")
    await hand.take()
    await look.redis.sadd(keys.stalled, "a")
    await hand.complete("a")
    assert await look.redis.exists(keys.stalled) == 0


# Parents: BullMQ's flows


async def family(hand: Any, look: Any, keys: Any, flag: str | None = None, **parent: Any) -> None:
    """A parent that waits for the children c1 and c2, which are active."""
    await hand.add("p", **parent)
    await look.redis.lrem(keys.wait, 0, "p")
    await look.redis.zrem(keys.prioritized, "p")
    await look.redis.zrem(keys.delayed, "p")
    await look.redis.zadd(keys.waiting_children, {"p": NOW})
    link = {"id": "p", "queueKey": keys.base} | ({flag: True} if flag else {})
    await hand.add("c1", "c2", parent_key=keys.job("p"), parent=json.dumps(link))
    await hand.take(2)
    await look.redis.delete(keys.marker)


async def test_a_parent_goes_on_after_its_last_child(hand: Any, look: Any, keys: Any) -> None:
    await family(hand, look, keys)
    await hand.step([Finish("c1", "hand:0", "completed", '"one"')])
    assert await look.places("p") == ["waiting-children"]
    await hand.add("other")
    await hand.step([Finish("c2", "hand:1", "completed", '"two"')])
    assert await look.waiting() == ["p", "other"]
    assert await look.redis.hgetall(f"{keys.job('p')}:processed") == {
        keys.job("c1"): '"one"',
        keys.job("c2"): '"two"',
    }
    assert {"event": "waiting", "jobId": "p", "prev": "waiting-children"} in await look.events()


async def test_a_parent_with_a_priority_or_a_delay_goes_to_its_place(hand: Any, look: Any, keys: Any) -> None:
    await family(hand, look, keys, priority=4)
    await hand.step([Finish("c1", "hand:0", "completed", "1"), Finish("c2", "hand:1", "completed", "2")])
    assert await look.places("p") == ["prioritized"]


async def test_a_delayed_parent_waits_its_delay_after_its_children(hand: Any, look: Any, keys: Any) -> None:
    await family(hand, look, keys, delay=SECOND)
    await hand.step([Finish("c1", "hand:0", "completed", "1"), Finish("c2", "hand:1", "completed", "2")])
    assert await look.redis.zscore(keys.delayed, "p") == (NOW + SECOND) * 4096


@pytest.mark.parametrize(
    ("flag", "place", "condemned"),
    [("fpof", "wait", True), ("cpof", "wait", False), ("idof", "waiting-children", False),
     ("rdof", "waiting-children", False), (None, "waiting-children", False)],
)  # fmt: skip
async def test_a_childs_flag_decides_about_its_parent_when_it_fails(
    hand: Any, look: Any, keys: Any, flag: str | None, place: str, condemned: bool
) -> None:
    await family(hand, look, keys, flag)
    await hand.step([failed("c1")])
    assert await look.places("p") == [place]
    assert ("defa" in await look.job("p")) == condemned
    reasons = await look.redis.hgetall(f"{keys.job('p')}:failed")
    assert reasons == ({keys.job("c1"): "no paint"} if flag in ("cpof", "idof") else {})
    pending = await look.redis.smembers(keys.dependencies("p"))
    assert (keys.job("c1") in pending) == (flag is None)


@pytest.mark.parametrize("flag", ["idof", "rdof"])
async def test_the_last_child_that_is_ignored_releases_its_parent(hand: Any, look: Any, keys: Any, flag: str) -> None:
    await family(hand, look, keys, flag)
    await hand.step([failed("c1"), failed("c2", "hand:1")])
    assert await look.places("p") == ["wait"]


async def test_a_child_that_fails_and_is_not_kept_no_longer_holds_its_parent(hand: Any, look: Any, keys: Any) -> None:
    await family(hand, look, keys)
    await hand.step([failed("c1", keep=KEEP_NONE), failed("c2", "hand:1", keep=KEEP_NONE)])
    assert await look.places("p") == ["wait"]


# Deduplication windows that another client opened


async def test_a_window_that_lasts_as_long_as_its_job_ends_with_it(hand: Any, look: Any, keys: Any) -> None:
    await hand.add("a", "b")
    for job_id in ("a", "b"):
        await look.redis.hset(keys.job(job_id), "deid", job_id)
        await look.redis.set(f"{keys.base}:de:{job_id}", job_id)
    await look.redis.pexpire(f"{keys.base}:de:b", 60_000)
    await hand.take(2)
    await hand.step([Finish("a", "hand:0", "completed", "1"), failed("b", "hand:1")])
    assert await look.redis.exists(f"{keys.base}:de:a") == 0
    assert await look.redis.exists(f"{keys.base}:de:b") == 1  # it has a time to live of its own


async def test_a_job_kept_for_after_the_active_one_is_added_when_that_ends(hand: Any, look: Any, keys: Any) -> None:
    await hand.add("a")
    await look.redis.hset(keys.job("a"), "deid", "d")
    await look.redis.set(f"{keys.base}:de:d", "a")
    await look.redis.hset(f"{keys.base}:dn:d", mapping={"name": "next", "data": "5", "opts": "{}", "jid": "b"})
    await hand.take()
    reply = await hand.step([Finish("a", "hand:0", "completed", "1")], 1, token=1)
    assert [(job.id, job.fields["name"], job.fields["data"]) for job in reply.jobs] == [("b", "next", "5")]
    assert await look.redis.get(f"{keys.base}:de:d") == "b"
    assert await look.redis.exists(f"{keys.base}:dn:d") == 0
