"""Groups in the scripts: who is served when, which limits hold, and that every way out of `active` frees a place."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from tests.waiting import eventually

from carequeue.errors import GroupFull, WrongState
from carequeue.store.commands import Finish, JobRecord
from carequeue.store.flows import Flows, NodeRecord
from carequeue.store.grouping import ALL_GROUPS, Grouping

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from redis.asyncio import Redis

    from carequeue.store.administration import Administration
    from carequeue.store.reading import Reading

NOW = 1_795_500_000_000
SECOND = 1000
INFINITE = float("inf")


@pytest.fixture
def grouping(commands: Any) -> Grouping:
    return Grouping(commands.client, commands.keys)


def opts(group_id: str, **said: Any) -> str:
    return json.dumps({"attempts": 0, **said, "group": {"id": group_id}})


async def add(hand: Any, group_id: str, *job_ids: str, **changes: Any) -> None:
    await hand.add(*job_ids, **{"opts": opts(group_id), **changes})


async def taken(hand: Any, count: int = 1, **changes: Any) -> list[str]:
    return [job.id for job in (await hand.take(count, **changes)).jobs]


async def ready(look: Any) -> list[str]:
    """The groups that may be served, in their order."""
    turns = await look.redis.zrange(look.keys.groups_turns, 0, -1, withscores=True)
    return [group_id for group_id, turn in turns if turn != INFINITE]


async def now_waiting(grouping: Grouping, group_id: str) -> list[str]:
    return [job_id for job_id, _ in (await grouping.jobs(group_id, 0, 100))[1]]


# Whose turn it is


async def test_groups_are_served_in_turn_one_job_of_each_after_those_without_a_group(hand: Any, look: Any) -> None:
    await add(hand, "a", "a1", "a2", "a3")
    await add(hand, "b", "b1")
    await add(hand, "c", "c1", "c2")
    await hand.add("plain")
    await hand.add("ranked", priority=1)

    assert await taken(hand, 3) == ["plain", "ranked", "a1"]
    assert await taken(hand, 10) == ["b1", "c1", "a2", "c2", "a3"]
    assert await look.redis.exists(look.keys.groups_turns, look.keys.groups_waiting) == 0


async def test_one_at_a_time_is_the_same_and_a_group_that_comes_back_is_the_last(hand: Any) -> None:
    await add(hand, "a", "a1", "a2")
    await add(hand, "b", "b1", "b2")
    served = await taken(hand)
    await add(hand, "c", "c1")
    for _ in range(2):
        served += await taken(hand)
    await add(hand, "b", "b3")
    while job_ids := await taken(hand):
        served += job_ids
    assert served == ["a1", "b1", "a2", "c1", "b2", "b3"]


@pytest.mark.parametrize("seed", range(3))
async def test_no_group_is_served_twice_while_another_one_waits(hand: Any, seed: int) -> None:
    # the same told as a plain model: who has waiting jobs stands in a row, who was served goes to its end
    chance = random.Random(seed)  # noqa: S311 - chance, not secrecy
    row: list[str] = []
    waiting: dict[str, list[str]] = {group_id: [] for group_id in "abcde"}
    for turn in range(80):
        if chance.random() < 0.6:
            group_id = chance.choice("aaabbcde")
            for number in range(chance.randrange(1, 4)):
                await add(hand, group_id, f"{group_id}{turn}.{number}")
                waiting[group_id].append(f"{group_id}{turn}.{number}")
            row += [group_id] if group_id not in row else []
        expected: list[str] = []
        count = chance.randrange(1, 6)
        while row and len(expected) < count:
            group_id = row.pop(0)
            expected.append(waiting[group_id].pop(0))
            row += [group_id] if waiting[group_id] else []
        assert await taken(hand, count, token=turn * 10) == expected


async def test_in_a_group_the_first_come_first_within_their_priority_and_lifo_before_those(
    hand: Any, grouping: Grouping
) -> None:
    await add(hand, "a", "p2", priority=2)
    await add(hand, "a", "p1", "p1b", priority=1)
    await add(hand, "a", "p0", "p0b")
    await add(hand, "a", "front", lifo=True, opts=opts("a", lifo=True))
    await add(hand, "a", "front1", lifo=True, priority=1)
    order = ["front", "p0", "p0b", "front1", "p1", "p1b", "p2"]
    assert await now_waiting(grouping, "a") == order
    assert await taken(hand, 10) == order


async def test_a_job_of_a_group_is_one_of_its_hash_and_waits_nowhere_else(hand: Any, look: Any) -> None:
    await add(hand, "tenant 7", "a")
    assert await look.places("a") == ["groups:waiting"]
    assert (await look.job("a"))["gid"] == "tenant 7"
    assert await look.redis.exists(look.keys.wait, look.keys.prioritized) == 0
    assert await look.markers() == {"0": 0}
    assert await look.events() == [
        {"event": "added", "jobId": "a", "name": "paint"},
        {"event": "waiting", "jobId": "a"},
    ]


async def test_the_number_of_an_id_is_its_text_and_what_is_no_group_is_none(hand: Any, look: Any) -> None:
    await hand.add("a", opts='{"attempts":0,"group":{"id":7}}')
    await hand.add("b", opts='{"attempts":0,"group":"7"}')
    await hand.add("c", opts='{"attempts":0,"jobId":"group","x":"\\"group\\""}')
    for job_id, strange in (("d", ""), ("e", "a\x00b"), ("f", "a\nb"), ("g", ["a"]), ("h", None)):
        await hand.add(job_id, opts=json.dumps({"attempts": 0, "group": {"id": strange}}))
    assert (await look.job("a"))["gid"] == "7"
    assert await look.waiting() == ["b", "c", "d", "e", "f", "g", "h"]


# Limits


async def test_a_full_group_waits_for_one_of_its_own_and_wakes_somebody_then(
    hand: Any, look: Any, grouping: Grouping
) -> None:
    await grouping.change("a", concurrency=1)
    await add(hand, "a", "a1", "a2")
    await add(hand, "b", "b1", "b2")

    assert await taken(hand, 10) == ["a1", "b1", "b2"]
    assert await ready(look) == []
    assert (await grouping.get("a"))[0].status == "maxed"
    await look.redis.delete(look.keys.marker)
    assert await hand.complete("b1", "hand:1") == 0
    assert await look.markers() == {}
    assert await hand.complete("a1", "hand:0") == 0
    assert await look.markers() == {"0": 0}
    assert await taken(hand, 10) == ["a2"]


async def test_adding_to_a_full_or_paused_group_wakes_nobody(hand: Any, look: Any, grouping: Grouping) -> None:
    await grouping.change("a", concurrency=1)
    await grouping.change("b", paused=1)
    await add(hand, "a", "a1")
    await hand.take()
    await look.redis.delete(look.keys.marker)
    await add(hand, "a", "a2")
    await add(hand, "b", "b1")
    assert await look.markers() == {}
    await grouping.change("b", paused=None)
    assert await look.markers() == {"0": 0}


async def test_adding_to_a_group_that_may_be_served_wakes_somebody_each_time(hand: Any, look: Any) -> None:
    for job_id in ("a1", "a2"):
        await add(hand, "a", job_id)
        assert await look.markers() == {"0": 0}
        await look.redis.delete(look.keys.marker)


async def test_the_worker_that_reports_a_job_takes_the_next_of_its_full_group(hand: Any, grouping: Grouping) -> None:
    await grouping.change(ALL_GROUPS, concurrency=1)
    await add(hand, "a", "a1", "a2")
    await hand.take()
    reply = await hand.step([Finish("a1", "hand:0", "completed", "1")], 1, token=1)
    assert [job.id for job in reply.jobs] == ["a2"]


async def test_only_so_many_of_a_group_start_in_a_window_and_the_reply_says_when_to_look_again(
    hand: Any, look: Any, grouping: Grouping
) -> None:
    await grouping.change("a", max=2, duration=60 * SECOND)
    await add(hand, "a", "a1", "a2", "a3")
    await add(hand, "b", "b1")

    reply = await hand.take(10)
    assert [job.id for job in reply.jobs] == ["a1", "b1", "a2"]
    assert reply.next_due is not None
    assert NOW + 55 * SECOND < reply.next_due <= NOW + 60 * SECOND + 1
    group, _, _ = await grouping.get("a")
    assert (group.status, group.limited_for > 55 * SECOND) == ("limited", True)
    assert (await hand.take()).next_due is not None

    await hand.step([Finish(job.id, job.token, "completed", "1") for job in reply.jobs])
    assert await look.redis.zscore(look.keys.groups_turns, "a") == INFINITE


async def test_a_group_goes_on_when_its_window_has_ended(hand: Any, look: Any, grouping: Grouping) -> None:
    await grouping.change("a", max=1, duration=30)
    await add(hand, "a", "a1", "a2")
    reply = await hand.take(2)
    assert [job.id for job in reply.jobs] == ["a1"]
    assert reply.next_due is not None
    assert NOW < reply.next_due <= NOW + 31

    async def starts() -> bool:
        return await taken(hand) == ["a2"]

    await eventually(starts, "the window of 30 ms ends")
    assert await look.redis.exists(look.keys.groups_limited) == 0


async def test_what_is_added_to_a_limited_group_tells_a_worker_when_to_come_back(
    hand: Any, look: Any, grouping: Grouping
) -> None:
    await grouping.change("a", max=1, duration=60 * SECOND)
    await add(hand, "a", "a1")
    await hand.take()
    await look.redis.delete(look.keys.marker)
    await add(hand, "a", "a2")
    assert await look.markers() == {"0": 0}  # nobody knows of the window yet: one has to look
    await look.redis.delete(look.keys.marker)
    await add(hand, "a", "a3")
    assert await look.markers() == {}  # somebody did


async def test_a_worker_that_leaves_lets_another_one_know_of_limited_groups(
    hand: Any, look: Any, grouping: Grouping
) -> None:
    await grouping.change("a", max=1, duration=60 * SECOND)
    await add(hand, "a", "a1", "a2")
    await hand.take(2)
    await look.redis.delete(look.keys.marker)
    await hand.step([], 0)
    assert await look.markers() == {"0": 0}


async def test_a_group_can_be_limited_by_hand_and_by_a_job_that_is_handed_back(
    hand: Any, look: Any, grouping: Grouping
) -> None:
    await add(hand, "a", "a1", "a2")
    await add(hand, "b", "b1")
    [job] = (await hand.take()).jobs
    finish = Finish(job.id, job.token, "wait", due_ms=NOW + 60 * SECOND, limits_group=True)
    reply = await hand.step([finish], 5, token=1)

    assert [job.id for job in reply.jobs] == ["b1"]
    assert reply.limited_for == 0
    assert await now_waiting(grouping, "a") == ["a1", "a2"]
    assert await look.ranked(look.keys.groups_limited) == ["a"]
    await look.redis.delete(look.keys.marker)
    await grouping.limit("b", 60 * SECOND)
    assert await look.markers() == {}  # nobody waits in there
    await add(hand, "b", "b2")
    assert await taken(hand) == []


async def test_a_limited_group_is_served_at_once_when_its_limit_is_removed(
    hand: Any, look: Any, grouping: Grouping
) -> None:
    await grouping.change("a", max=1, duration=60 * SECOND)
    await add(hand, "a", "a1", "a2")
    await hand.take(2)
    await look.redis.delete(look.keys.marker)
    await grouping.change("a", max=None, duration=None)
    assert await look.markers() == {"0": 0}
    assert await look.ranked(look.keys.groups_limited) == []
    assert await taken(hand, 2, token=2) == ["a2"]


async def test_a_limit_that_ends_sooner_than_was_known_tells_a_worker_and_a_later_end_does_not(
    hand: Any, look: Any, grouping: Grouping
) -> None:
    await add(hand, "a", "a1")
    for span, told in ((60, {"0": 0}), (600, {}), (10, {"0": 0}), (20, {})):
        await look.redis.delete(look.keys.marker)
        await grouping.limit("a", span * SECOND)
        assert await look.markers() == told
    reply = await hand.take()
    assert 19 * SECOND < reply.next_due - NOW <= 20 * SECOND + 1


async def test_a_window_can_be_ended_and_the_limit_stays(hand: Any, look: Any, grouping: Grouping) -> None:
    await grouping.change("a", max=1, duration=60 * SECOND)
    await add(hand, "a", "a1", "a2", "a3")
    assert await taken(hand, 3) == ["a1"]
    await look.redis.delete(look.keys.marker)
    assert await grouping.remove_limit("a")
    assert await look.markers() == {"0": 0}
    assert await taken(hand, 3, token=3) == ["a2"]
    await grouping.change("b", paused=1)
    await add(hand, "b", "b1")
    await grouping.limit("b", SECOND)
    await look.redis.delete(look.keys.marker)
    assert await grouping.remove_limit("b")
    assert await look.markers() == {}  # it is paused all the same
    assert not await grouping.remove_limit("b")


async def test_settings_of_a_group_win_over_those_of_all(grouping: Grouping, hand: Any) -> None:
    await grouping.change(ALL_GROUPS, concurrency=1, max=5, duration=SECOND, size=9)
    await grouping.change("a", concurrency=2)
    await grouping.change("b", max=1, duration=60 * SECOND)
    _, own, shared = await grouping.get("a")
    assert own == {"concurrency": 2}
    assert shared == {"concurrency": 1, "max": 5, "duration": SECOND, "size": 9}
    for group_id in ("a", "b", "c"):
        await add(hand, group_id, *(f"{group_id}{n}" for n in range(3)))
    assert await taken(hand, 10) == ["a0", "b0", "c0", "a1"]
    assert [(await grouping.get(group_id))[0].status for group_id in ("a", "b", "c")] == ["maxed", "maxed", "maxed"]


async def test_a_change_for_all_groups_reaches_those_that_wait_and_wakes_somebody(
    hand: Any, look: Any, grouping: Grouping
) -> None:
    await grouping.change(ALL_GROUPS, concurrency=1)
    for group_id in "abcdef":
        await add(hand, group_id, f"{group_id}1", f"{group_id}2")
    await hand.take(10)
    await look.redis.delete(look.keys.marker)
    await grouping.change(ALL_GROUPS, concurrency=2)
    cursor = "0"
    while (cursor := await grouping.place(cursor, 2)) != "0":
        pass
    assert len(await ready(look)) == 6
    assert await look.markers() == {"0": 0}


async def test_a_limit_holds_before_all_groups_were_looked_at(hand: Any, look: Any, grouping: Grouping) -> None:
    await add(hand, "a", "a1", "a2")
    await hand.take()
    await grouping.change(ALL_GROUPS, concurrency=1)
    assert await ready(look) == ["a"]
    assert await taken(hand) == []
    assert await ready(look) == []


async def test_a_full_group_refuses_new_jobs_and_nothing_of_the_call_is_added(
    hand: Any, look: Any, grouping: Grouping
) -> None:
    await grouping.change("a", size=3)
    await add(hand, "a", "a1", "a2")
    with pytest.raises(GroupFull) as full:
        await add(hand, "a", "a3", "a4")
    assert full.value.job_id == "a4"
    assert await look.job("a3") == {}
    await add(hand, "a", "a3", "a1")  # one is there already, and takes no place
    await add(hand, "a", "later", delay=SECOND)
    assert await taken(hand) == ["a1"]
    await add(hand, "a", "a4")
    with pytest.raises(GroupFull):
        await add(hand, "a", "a5")
    # what comes back is never refused
    assert len(await taken(hand, 1, now=NOW + 2 * SECOND)) == 1
    assert await now_waiting(grouping, "a") == ["a3", "a4", "later"]


async def test_many_blocked_groups_cost_a_step_nothing(hand: Any, look: Any, grouping: Grouping, commands: Any) -> None:
    await grouping.change(ALL_GROUPS, concurrency=1)
    records = [
        JobRecord(id=f"{number}-{place}", name="paint", data="{}", opts=opts(f"g{number}"), timestamp=NOW)
        for place in range(2)
        for number in range(1000)
    ]
    await commands.add(records, NOW)
    for first in (0, 500):
        assert len((await hand.take(500, token=first)).jobs) == 500
    assert await ready(look) == []

    before = await calls(look.redis)
    assert await taken(hand) == []
    assert await calls(look.redis) - before < 60
    # the same if they are not known to be blocked yet: a call looks at some, and says that there are others
    await look.redis.zadd(look.keys.groups_turns, {f"g{number}": number for number in range(1000)})
    before = await calls(look.redis)
    reply = await hand.take(1, token=2000)
    assert await calls(look.redis) - before < 1500
    assert reply.next_due == NOW + 1
    assert len(await ready(look)) < 950


async def calls(redis: Redis) -> int:
    stats = await redis.info("commandstats")
    return sum(command["calls"] for name, command in stats.items() if not name.startswith("cmdstat_info"))


# The ways out of `active`


@pytest.mark.parametrize("verdict", ["completed", "failed", "expired", "retry", "delayed", "wait", "children"])
async def test_a_job_that_ends_gives_its_place_back(hand: Any, look: Any, grouping: Grouping, verdict: Any) -> None:
    await grouping.change("a", concurrency=1)
    await add(hand, "a", "a1", "a2")
    await hand.take()
    assert (await grouping.get("a"))[0].active == 1
    if verdict == "children":
        await look.redis.sadd(look.keys.dependencies("a1"), "bull:other:1")
    reply = await hand.step([Finish("a1", "hand:0", verdict, "1", "[]", due_ms=NOW + SECOND)], 0)

    assert reply.codes == [0]
    assert (await grouping.get("a"))[0].active == 0
    expected = {"retry": ["a2", "a1"], "wait": ["a1", "a2"]}
    assert await now_waiting(grouping, "a") == expected.get(verdict, ["a2"])


@pytest.mark.parametrize("way", ["remove", "clean", "stall", "obliterate"])
async def test_a_job_that_is_taken_from_its_worker_gives_its_place_back(
    hand: Any, look: Any, grouping: Grouping, administration: Administration, way: str
) -> None:
    await grouping.change("a", concurrency=1)
    await add(hand, "a", "a1", "a2")
    await hand.take()
    await look.redis.delete(look.keys.lock("a1"), look.keys.marker)
    match way:
        case "remove":
            await administration.remove("a1", NOW, children=False)
        case "clean":
            assert await administration.clean(NOW, "active", NOW, 10, 0) == (["a1"], 1)
        case "stall":
            await stall_check(hand, look)
            assert await stall_check(hand, look) == ["a1"]
        case _:
            await administration.pause()
            await administration._run("obliterate", NOW, 2, "1")
    assert (await grouping.get("a"))[0].active == 0
    if way == "obliterate":
        return
    assert await look.markers() == {"0": 0}
    assert await taken(hand) == ["a1" if way == "stall" else "a2"]


async def stall_check(hand: Any, look: Any) -> list[str]:
    await look.redis.delete(look.keys.stalled_check, look.keys.groups_checked)
    return await hand.commands.check_stalled(max_stalled=1, interval_ms=SECOND, now=NOW)  # type: ignore[no-any-return]


# The ways into a group


async def test_a_delayed_job_goes_to_its_group_when_it_is_due(hand: Any, look: Any, grouping: Grouping) -> None:
    await add(hand, "a", "a1", delay=SECOND, priority=3)
    assert await look.places("a1") == ["delayed"]
    assert (await grouping.get("a"))[0].waiting == 0
    await grouping.change("a", paused=1)
    assert await taken(hand, now=NOW + SECOND) == []
    assert await look.places("a1") == ["groups:waiting"]


@pytest.mark.parametrize("way", ["promote", "promote_all", "retry", "retry_all"])
async def test_what_is_let_run_again_waits_in_its_group(
    hand: Any, look: Any, administration: Administration, way: str
) -> None:
    await add(hand, "a", "a1", delay=SECOND if way.startswith("promote") else 0)
    if way.startswith("retry"):
        await hand.take()
        await hand.step([Finish("a1", "hand:0", "failed", "why", "[]")])
    ways: dict[str, Callable[[], Awaitable[Any]]] = {
        "promote": lambda: administration.promote("a1"),
        "promote_all": lambda: administration.promote_all(5),
        "retry": lambda: administration.retry("a1", NOW, reset_attempts=False),
        "retry_all": lambda: administration.retry_all("failed", NOW, until=NOW, limit=5),
    }
    await ways[way]()
    assert await look.places("a1") == ["groups:waiting"]
    assert await taken(hand, token=1) == ["a1"]


async def test_a_parent_is_released_into_its_group(hand: Any, look: Any, client: Any, keys: Any) -> None:
    def node(job_id: str, **changes: Any) -> NodeRecord:
        place = changes.pop("place")
        return NodeRecord(keys.base, JobRecord(job_id, "paint", "{}", opts("a"), NOW, **changes), place)

    link = {"parent_key": keys.job("parent"), "parent": json.dumps({"id": "parent", "queueKey": keys.base})}
    await Flows(client, keys).add([node("parent", place="parent"), node("child", place="child", **link)], NOW)
    assert await look.places("parent") == ["waiting-children"]
    assert await taken(hand) == ["child"]
    await hand.complete("child")
    assert await look.places("parent") == ["groups:waiting"]
    assert await look.markers() == {"0": 0}


async def test_a_flow_with_a_child_for_a_full_group_is_refused(client: Any, keys: Any, grouping: Grouping) -> None:
    await grouping.change("a", size=1)
    parent = NodeRecord(keys.base, JobRecord("parent", "paint", "{}", "{}", NOW), "parent")
    link = {"parent_key": keys.job("parent"), "parent": json.dumps({"id": "parent", "queueKey": keys.base})}
    children = [
        NodeRecord(keys.base, JobRecord(f"c{n}", "paint", "{}", opts("a"), NOW, **link), "child") for n in range(2)
    ]
    with pytest.raises(GroupFull):
        await Flows(client, keys).add([parent, *children], NOW)
    await Flows(client, keys).add([parent, children[0]], NOW)


async def test_the_job_kept_for_after_the_active_one_waits_in_its_group(hand: Any, look: Any) -> None:
    rule = {"id": "door", "keepLastIfActive": True}
    kept = opts("b", de=rule, lifo=True)
    await add(hand, "b", "a1", opts=kept, deduplication=json.dumps(rule))
    await hand.take()
    await add(hand, "b", "a2", opts=kept, deduplication=json.dumps(rule))
    await add(hand, "b", "b1")
    await hand.complete("a1")
    assert await look.places("a2") == ["groups:waiting"]
    assert await taken(hand, 5, token=1) == ["a2", "b1"]


# What an administrator does


async def test_changing_a_priority_moves_a_job_within_its_group(
    hand: Any, grouping: Grouping, administration: Administration
) -> None:
    await add(hand, "a", "a1", "a2", "a3")
    await administration.change_priority("a1", 2, at_front=False)
    await administration.change_priority("a3", 0, at_front=True)
    assert await now_waiting(grouping, "a") == ["a3", "a2", "a1"]


@pytest.mark.parametrize("way", ["remove", "drain", "clean", "drain_group"])
async def test_a_job_that_is_removed_leaves_its_group(
    hand: Any, look: Any, grouping: Grouping, administration: Administration, way: str
) -> None:
    await add(hand, "a", "a1")
    match way:
        case "remove":
            await administration.remove("a1", NOW, children=False)
            assert (await look.last_events(1))[0]["prev"] == "wait"
        case "drain":
            assert await administration.drain(NOW, "groups:waiting", 10) == (1, 0)
        case "clean":
            assert await administration.clean(NOW, "groups:waiting", NOW, 10, 0) == (["a1"], 1)
        case _:
            assert await grouping.drain("a", NOW, 0, 10) == (1, 1)
    assert await look.job("a1") == {}
    left = [key async for key in look.redis.scan_iter(f"{look.keys.base}:groups*")]
    assert left == []


async def test_obliterating_takes_groups_along(
    hand: Any, look: Any, grouping: Grouping, administration: Administration
) -> None:
    await grouping.change("a", concurrency=1)
    await grouping.change("b", paused=1)
    for number in range(4):
        await add(hand, "ab"[number % 2], f"j{number}")
    await hand.take()
    await administration.pause()
    while await administration._run("obliterate", NOW, 1, "1") == 1:
        pass
    assert [key async for key in look.redis.scan_iter(f"{look.keys.base}:*")] == []


async def test_counts_states_and_pages_know_what_waits_in_groups(hand: Any, reading: Reading) -> None:
    await hand.add("plain")
    await add(hand, "a", "a1", "a2")
    await add(hand, "b", "b1")
    assert (await reading.counts())[0] == 4
    assert await reading.state("a2") == "waiting"
    assert await reading.states(["b1", "none", "plain"]) == ["waiting", "", "waiting"]
    places, page = await reading.page(["wait", "paused", "groups:waiting"], 1, 2, ascending=True)
    assert (places, [job_id for job_id, _ in page]) == (3, ["a1", "a2"])


async def test_resuming_the_queue_wakes_somebody_for_groups(
    hand: Any, look: Any, administration: Administration
) -> None:
    await administration.pause()
    await add(hand, "a", "a1")
    assert await look.markers() == {}
    assert await taken(hand) == []
    await administration.resume()
    assert await look.markers() == {"0": 0}


async def test_a_queue_whose_groups_still_have_jobs_has_not_run_dry(hand: Any, grouping: Grouping) -> None:
    await grouping.change("a", paused=1)
    await add(hand, "a", "a1")
    await hand.add("plain")
    await hand.take()
    reply = await hand.step([Finish("plain", "hand:0", "completed", "1")], 1, token=1)
    assert not reply.drained
    await grouping.drain("a", NOW, 0, 10)
    await hand.add("plain2")
    await hand.take(token=2)
    assert (await hand.step([Finish("plain2", "hand:2", "completed", "1")], 1, token=3)).drained


async def test_a_page_of_groups_holds_those_with_waiting_jobs_and_then_those_with_active_ones(
    hand: Any, grouping: Grouping
) -> None:
    await grouping.change("b", paused=1)
    for group_id in ("a", "b", "c:d", "c", "é"):
        await add(hand, group_id, f"{group_id[0]}{len(group_id)}")
    await add(hand, "é", "more")
    await hand.take(3)
    found: dict[str, tuple[int, int, str]] = {}
    cursor = ""
    while True:
        cursor, page = await grouping.page(cursor, 2)
        assert not found.keys() & {group.id for group in page}
        found |= {group.id: (group.waiting, group.active, group.status) for group in page}
        if cursor == "":
            break
    assert found == {
        "a": (0, 1, "ready"), "b": (1, 0, "paused"), "c:d": (0, 1, "ready"), "c": (0, 1, "ready"), "é": (2, 0, "ready"),
    }  # fmt: skip


# What others do who know nothing of groups


async def test_a_job_that_bullmq_removed_is_passed_over(hand: Any, look: Any, grouping: Grouping) -> None:
    await add(hand, "a", "gone", "a2")
    await add(hand, "b", "gone too")
    await look.redis.delete(look.keys.job("gone"), look.keys.job("gone too"))
    assert await taken(hand, 5) == ["a2"]
    assert await look.redis.exists(look.keys.groups_turns, look.keys.groups_waiting) == 0
    assert (await grouping.get("a"))[0].active == 1


@pytest.mark.parametrize("again", ["without a group", "in another group", "in its group", "delayed", "finished"])
async def test_a_job_that_bullmq_removed_and_somebody_added_again_runs_once(
    hand: Any, look: Any, administration: Administration, again: str
) -> None:
    await add(hand, "a", "x")
    await look.redis.delete(look.keys.job("x"))
    match again:
        case "without a group" | "finished":
            await hand.add("x")
        case "in another group":
            await add(hand, "b", "x")
        case "in its group":
            await add(hand, "a", "x")
        case _:
            await add(hand, "a", "x", delay=SECOND)
    if again == "finished":
        await look.redis.lrem(look.keys.wait, 0, "x")
        await look.redis.zadd(look.keys.completed, {"x": NOW})
        await administration.drain(NOW, "groups:waiting", 10)  # which takes no finished job along
    assert await taken(hand, 5) == ([] if again in ("delayed", "finished") else ["x"])
    assert (await look.job("x")) != {}
    assert await taken(hand, 5, now=NOW + SECOND, token=9) == (["x"] if again == "delayed" else [])


async def test_places_of_jobs_that_bullmq_moved_are_given_back_by_the_stall_check(
    hand: Any, look: Any, grouping: Grouping
) -> None:
    await grouping.change("a", concurrency=1)
    await add(hand, "a", "a1", "a2")
    await hand.take()
    await look.redis.lrem(look.keys.active, 0, "a1")  # as a worker of BullMQ does with a stalled job
    await look.redis.rpush(look.keys.wait, "a1")
    await look.redis.delete(look.keys.lock("a1"), look.keys.marker, look.keys.groups_checked)
    await look.redis.set(look.keys.stalled_check, "1", px=60 * SECOND)  # and it did the check itself

    assert await hand.commands.check_stalled(max_stalled=1, interval_ms=SECOND, now=NOW) == []

    assert (await grouping.get("a"))[0].active == 0
    assert await look.markers() == {"0": 0}
    assert await taken(hand, 5, token=1) == ["a1", "a2"]


async def test_a_group_that_is_kept_out_for_no_reason_is_let_in_by_the_stall_check(hand: Any, look: Any) -> None:
    await add(hand, "a", "a1")
    await look.redis.zadd(look.keys.groups_turns, {"a": INFINITE})
    await stall_check(hand, look)
    assert await ready(look) == ["a"]


async def test_what_was_lost_of_a_group_is_found_by_the_stall_check(hand: Any, look: Any, grouping: Grouping) -> None:
    await add(hand, "a", "a1", "a2")
    await add(hand, "b", "b1", "b2", priority=2)
    await add(hand, "b", "b3", priority=3)
    await look.redis.zrem(look.keys.groups_turns, "a")
    await look.redis.zrem(look.keys.group_wait("b"), "b1")
    await look.redis.delete(look.keys.marker)
    await stall_check(hand, look)
    assert await look.markers() == {"0": 0}
    assert await now_waiting(grouping, "b") == ["b2", "b1", "b3"]
    assert await taken(hand, 9) == ["b2", "a1", "b1", "a2", "b3"]


async def test_what_bullmq_removed_is_counted_until_the_stall_check(
    hand: Any, look: Any, grouping: Grouping, reading: Reading
) -> None:
    await grouping.change("a", paused=1)
    await add(hand, "a", "a1", "gone")
    await look.redis.delete(look.keys.job("gone"))
    assert (await reading.counts())[0] == 2
    await stall_check(hand, look)
    assert (await reading.counts())[0] == 1
    await grouping.change("a", paused=None)
    assert await taken(hand, 9) == ["a1"]
    assert [key async for key in look.redis.scan_iter(f"{look.keys.base}:groups:*:wait")] == []


async def test_ids_that_cannot_be_changed_in_a_group_are_told(hand: Any, administration: Administration) -> None:
    await add(hand, "a", "a1")
    with pytest.raises(WrongState):
        await administration.promote("a1")
