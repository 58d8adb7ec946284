"""Whatever is done to a queue with groups in whatever order: what must be true of them stays true, and nothing is lost.

The acts are those of `test_store_invariants`; jobs have groups, and groups have limits that come and go.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.carequeue.store.test_store_invariants import IDS, Chaos, check

from carequeue.store.commands import Finish
from carequeue.store.grouping import ALL_GROUPS, Grouping

if TYPE_CHECKING:
    from carequeue.store.administration import Administration

STEPS = 150
GROUPS = ["a", "b", "b:c", "ä"]
MINUTE = 60_000
LATE = 1000
"""ms that the test itself may need between a reply and the look at the server's clock."""


class GroupChaos(Chaos):
    """The same with groups. Workers take a marker before they look, as real ones do."""

    def __init__(self, seed: int, hand: Any, look: Any, administration: Administration, grouping: Grouping) -> None:
        super().__init__(seed, hand, look, administration)
        self.grouping = grouping
        self.looks_at: float = float("inf")
        """When somebody will look without being woken, by the server's clock."""
        self.grouped: set[str] = set()
        """What is held and has a group."""
        self.broken: list[str] = []
        """Limits that a step did not keep."""

    async def act(self) -> str:
        acts = [self.settle_group, self.settle_group, self.end_window, self.drain_group]
        if self.random.random() < 0.2:
            act = self.random.choice(acts)
            return f"{act.__name__}: {await act()}"
        return await super().act()

    async def add(self) -> None:
        group = self.random.choice([*GROUPS, None])
        said: dict[str, Any] = {"attempts": 3, "lifo": self.random.random() < 0.2}
        if group:
            said["group"] = {"id": group}
        changes = {
            "opts": json.dumps(said, ensure_ascii=self.random.random() < 0.5),
            "delay": self.random.choice([0, 0, 0, 1, 700]),
            "priority": self.random.choice([0, 0, 1, 2]),
            "lifo": said["lifo"],
        }
        await self.hand.add(*self.random.sample(IDS, self.random.randrange(1, 4)), now=self.now, **changes)

    async def step(self) -> None:
        ended = self.random.sample(sorted(self.held), min(len(self.held), self.random.randrange(4)))
        finishes = [self.ending(job_id) for job_id in ended]
        fetch = self.random.randrange(4)
        await self.report(finishes, fetch)

    async def report(self, finishes: list[Finish], fetch: int) -> None:
        if fetch:
            await self.look.redis.zrem(self.look.keys.marker, "0")
        locked = {job_id for job_id in self.held if await self.look.redis.exists(self.look.keys.lock(job_id))}
        reply = await self.hand.step(finishes, fetch, now=self.now, token=self.tokens)
        self.tokens += fetch
        for finish, code in zip(finishes, reply.codes, strict=True):
            if code != -4:
                del self.held[finish.job_id]
        ended = {finish.job_id for finish in finishes}
        assert not (locked - ended) & {job.id for job in reply.jobs}, "nobody has a job twice"
        self.held |= {job.id: job.token for job in reply.jobs}
        groups = {job.id: group_of(job.fields["opts"]) for job in reply.jobs}
        self.grouped = (self.grouped - groups.keys()) | {job_id for job_id, group_id in groups.items() if group_id}
        if fetch > len(reply.jobs) and reply.next_due is not None:
            self.looks_at = min(self.looks_at, await server_now(self.look.redis) + reply.next_due - self.now)
        for group_id in {group_id for group_id in groups.values() if group_id}:
            await self.expect_within_limits(group_id)

    async def expect_within_limits(self, group_id: str) -> None:
        group, own, shared = await self.grouping.get(group_id)
        limits = {**shared, **own}
        if "paused" in own:
            self.broken.append(f"{group_id} is paused, and one of its jobs started")
        if group.active > limits.get("concurrency", 1000):
            self.broken.append(f"{group.active} jobs of {group_id} are active")
        started = int(await self.look.redis.get(self.look.keys.group_limiter(group_id)) or 0)
        if "max" in limits and started > limits["max"]:
            self.broken.append(f"{started} jobs of {group_id} started in one window")

    def ending(self, job_id: str) -> Finish:
        finish = super().ending(job_id)
        if finish.verdict == "wait" and job_id in self.grouped and self.random.random() < 0.3:
            return Finish(job_id, finish.token, "wait", due_ms=self.now + MINUTE, limits_group=True)
        return finish

    async def stall(self) -> None:
        await self.look.redis.delete(self.look.keys.groups_checked)  # groups are looked at in this one
        await super().stall()

    async def settle_group(self) -> str:
        group_id = self.random.choice([*GROUPS, ALL_GROUPS])
        rate = self.random.choice([None, 1, 2, 5])
        values: dict[str, int | None] = self.random.choice(
            [
                {"paused": None if group_id == ALL_GROUPS else self.random.choice([None, None, 1])},
                {"concurrency": self.random.choice([None, 1, 1, 2])},
                {"max": rate, "duration": None if rate is None else MINUTE},
                {"size": self.random.choice([None, 2, 4])},
            ]
        )
        await self.grouping.change(group_id, **values)
        if group_id == ALL_GROUPS:
            assert await self.grouping.place("0", 100) == "0"
        return f"{group_id} {values}"

    async def end_window(self) -> str:
        """The rate limit of a group ends, and whoever knew when looks."""
        limited = await self.look.ranked(self.look.keys.groups_limited)
        group_id = self.random.choice([*limited, *GROUPS])
        await self.look.redis.delete(self.look.keys.group_limiter(group_id))
        if group_id in limited:
            await self.look.redis.zadd(self.look.keys.groups_limited, {group_id: 0})
            await self.report([], 1)
        return group_id

    async def drain_group(self) -> str:
        group_id = self.random.choice(GROUPS)
        await self.grouping.drain(group_id, self.now, 0, 2)
        return group_id

    async def let_everything_run(self) -> None:
        """Lift every limit, and be a worker that looks only when it was told to, until nothing is left to do."""
        await self.administration.resume()
        await self.look.redis.hdel(self.look.keys.meta, "concurrency")
        for group_id in [*GROUPS, ALL_GROUPS]:
            await self.look.redis.delete(self.look.keys.group_limiter(group_id))
            await self.grouping.change(group_id, paused=None, concurrency=None, max=None, duration=None)
        await self.grouping.place("0", 100)
        for _ in range(2):  # what has lost its lock comes back
            await self.look.redis.delete(self.look.keys.stalled_check)
            await self.hand.commands.check_stalled(max_stalled=9, interval_ms=1000, now=self.now)
        while self.held or "0" in await self.look.markers():
            finishes = [Finish(job_id, token, "completed", "1") for job_id, token in self.held.items()]
            await self.report(finishes, 2)
            self.held = {job_id: token for job_id, token in self.held.items() if (job_id, token) not in finishes}


def group_of(opts: str) -> str | None:
    found = json.loads(opts).get("group")
    return found["id"] if found else None


async def server_now(redis: Any) -> int:
    seconds, micro = await redis.time()
    return int(seconds) * 1000 + int(micro) // 1000


async def check_groups(chaos: GroupChaos) -> None:
    look, keys = chaos.look, chaos.look.keys
    waiting = set(await look.ranked(keys.groups_waiting))
    active = await look.active()
    turns = dict(await look.redis.zrange(keys.groups_turns, 0, -1, withscores=True))
    in_groups: list[str] = []
    for group_id in GROUPS:
        mine = await look.ranked(keys.group_wait(group_id))
        in_groups += mine
        assert bool(mine) == (group_id in turns), "a group takes part in the turns if jobs wait in it"
        for job_id in mine:
            assert (await look.job(job_id))["gid"] == group_id, "the hash knows the group"
        described, _, _ = await chaos.grouping.get(group_id)
        limited = await look.redis.zscore(keys.groups_limited, group_id)
        if limited == 0:
            assert mine, "a group whose window has ended waits for somebody to look"
            continue
        if mine:
            assert (turns[group_id] == float("inf")) == (described.status != "ready"), f"{described} {turns}"
        assert (limited is not None) == bool(mine and described.status == "limited"), f"{described} {limited}"
    assert sorted(in_groups) == sorted(waiting), "the queue knows all that waits in groups"
    places = {place.partition("\0")[::2] for place in await look.ranked(keys.groups_active)}
    really = {((await look.job(job_id)).get("gid"), job_id) for job_id in active}
    assert places == {place for place in really if place[0] is not None}, (
        "places are held by active jobs, by all of them"
    )
    await check_wake_ups(chaos, turns, len(active))


async def check_wake_ups(chaos: GroupChaos, turns: dict[str, float], active: int) -> None:
    look, keys = chaos.look, chaos.look.keys
    meta = await look.redis.hgetall(keys.meta)
    if "paused" in meta or active >= int(meta.get("concurrency", 1000)):
        return
    woken = "0" in await look.markers()
    if any(turn != float("inf") for turn in turns.values()):
        assert woken, f"a group that may be served wakes somebody: {turns}"
    opening = await look.redis.zrange(keys.groups_limited, 0, 0, withscores=True)
    if opening:
        assert woken or chaos.looks_at <= opening[0][1] + LATE, f"somebody knows when {opening} may be served again"


@pytest.fixture
def grouping(commands: Any) -> Grouping:
    return Grouping(commands.client, commands.keys)


@pytest.mark.parametrize("seed", range(8))
async def test_what_must_be_true_of_groups_stays_true_and_all_jobs_run(
    hand: Any, look: Any, administration: Administration, grouping: Grouping, seed: int
) -> None:
    chaos = GroupChaos(seed, hand, look, administration, grouping)
    if seed % 3:
        await look.redis.hset(look.keys.meta, "concurrency", 2 * (seed % 3))
    done: list[str] = []
    try:
        for _ in range(STEPS):
            done.append(await chaos.act())
            await check(look)
            await check_groups(chaos)
            assert chaos.broken == []
        await chaos.let_everything_run()
    except AssertionError as error:
        error.add_note("after " + " | ".join(done[-8:]))
        raise
    left = [job_id for job_id in IDS if set(await look.places(job_id)) - {"completed", "failed", "delayed"}]
    assert left == []
    assert await look.ranked(look.keys.groups_active) == []
