"""Whatever is done to a queue in whatever order: what must be true of it stays true after every single step."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from carequeue.errors import JobError
from carequeue.store.commands import Finish
from carequeue.wire.keep import KEEP_ALL, KEEP_NONE, KeepRule

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from carequeue.store.administration import Administration

NOW = 1_795_500_000_000
STEPS = 150
IDS = [f"j{number}" for number in range(12)]
STATES = ("wait", "prioritized", "delayed", "waiting-children", "active", "completed", "failed")


class Chaos:
    """Does something random to a queue, as workers, producers and administrators would."""

    def __init__(self, seed: int, hand: Any, look: Any, administration: Administration) -> None:
        self.random = random.Random(seed)  # noqa: S311 - chance, not secrecy
        self.hand = hand
        self.look = look
        self.administration = administration
        self.now = NOW
        self.tokens = 0
        self.held: dict[str, str] = {}

    async def act(self) -> str:
        self.now += self.random.choice([0, 1, 500])
        act = self.random.choice(
            [self.add, self.add, self.step, self.step, self.step, self.pause, self.stall, self.change, self.change]
        )
        try:
            await act()
        except JobError as refused:
            return f"{act.__name__}: {refused}"
        return act.__name__

    def any_id(self) -> str:
        return self.random.choice(IDS)

    async def add(self) -> None:
        changes: dict[str, Any] = {
            "delay": self.random.choice([0, 0, 1, 700]),
            "priority": self.random.choice([0, 0, 1, 2]),
            "lifo": self.random.random() < 0.2,
            "rerun": self.random.random() < 0.4,
            "opts": self.random.choice(['{"attempts":3}', '{"lifo":true}', '{"expireAfter":400}', "no json"]),
        }
        if self.random.random() < 0.3:
            parent = self.any_id()
            link = {"id": parent, "queueKey": self.look.keys.base} | self.random.choice(
                [{}, {"fpof": True}, {"cpof": True}, {"idof": True}, {"rdof": True}]
            )
            changes |= {"parent_key": self.look.keys.job(parent), "parent": json.dumps(link)}
        await self.hand.add(*self.random.sample(IDS, 2), now=self.now, **changes)

    async def step(self) -> None:
        ended = self.random.sample(sorted(self.held), min(len(self.held), self.random.randrange(4)))
        finishes = [self.ending(job_id) for job_id in ended]
        fetch = self.random.randrange(4)
        reply = await self.hand.step(finishes, fetch, now=self.now, token=self.tokens)
        self.tokens += fetch
        for finish, code in zip(finishes, reply.codes, strict=True):
            if code != -4:
                del self.held[finish.job_id]
        self.held |= {job.id: job.token for job in reply.jobs}

    def ending(self, job_id: str) -> Finish:
        verdict = self.random.choice(["completed", "failed", "expired", "retry", "delayed", "wait"])
        keep = self.random.choice([KEEP_ALL, KEEP_NONE, KeepRule(1), KeepRule(-1, 400)])
        due = self.now + self.random.choice([-5, 0, 600])
        if verdict == "wait":
            due = 0  # a later instant limits the whole queue's rate, and then nobody is woken
        return Finish(job_id, self.held[job_id], verdict, "1", "[]", due_ms=due, keep=keep)  # type: ignore[arg-type]

    async def pause(self) -> None:
        await self.random.choice([self.administration.pause, self.administration.resume])()

    async def stall(self) -> None:
        if self.held and self.random.random() < 0.5:
            await self.look.redis.delete(self.look.keys.lock(self.random.choice(sorted(self.held))))
        await self.look.redis.delete(self.look.keys.stalled_check)
        await self.hand.commands.check_stalled(max_stalled=1, interval_ms=1000, now=self.now)

    async def change(self) -> None:
        admin, now = self.administration, self.now
        acts: list[Callable[[], Awaitable[Any]]] = [
            lambda: admin.remove(self.any_id(), now, children=self.random.random() < 0.5),
            lambda: admin.retry(self.any_id(), now, reset_attempts=False),
            lambda: admin.retry_all("completed", now, until=now, limit=2),
            lambda: admin.promote(self.any_id()),
            lambda: admin.promote_all(2),
            lambda: admin.change_priority(self.any_id(), self.random.randrange(3), at_front=self.random.random() < 0.5),
            lambda: admin.change_delay(self.any_id(), now, 300),
            lambda: admin.clean(now, self.random.choice(STATES), now - 200, 2, 0),  # type: ignore[arg-type]
            lambda: admin.drain(now, self.random.choice(("wait", "wait", "prioritized", "delayed")), 3),  # type: ignore[arg-type]
        ]
        await self.random.choice(acts)()


async def check(look: Any) -> None:
    keys = look.keys
    pipeline = look.redis.pipeline()
    pipeline.lrange(keys.wait, 0, -1).lrange(keys.active, 0, -1).zrange(keys.prioritized, 0, -1, withscores=True)
    held = (keys.delayed, keys.waiting_children, keys.completed, keys.failed, keys.groups_waiting)
    for key in (*held, keys.marker):
        pipeline.zrange(key, 0, -1)
    pipeline.hgetall(keys.meta)
    for job_id in IDS:
        pipeline.hgetall(keys.job(job_id)).exists(keys.lock(job_id))
    wait, active, prioritized, *ranked, markers, meta = (replies := await pipeline.execute())[:10]
    stored = dict(zip(IDS, zip(replies[10::2], replies[11::2], strict=True), strict=True))
    ranks = dict(prioritized)

    listed = [*wait, *active, *ranks, *(job_id for members in ranked for job_id in members)]
    assert len(listed) == len(set(listed)), "a job is in one place"
    assert set(listed) == {job_id for job_id in IDS if stored[job_id][0]}, "what is in a place is a job, and all are"
    assert not [job_id for job_id in IDS if stored[job_id][1] and job_id not in active], "only active jobs are locked"
    for job_id in active:
        fields = stored[job_id][0]
        assert {"processedOn", "ats"} <= fields.keys() or "expire" in fields["opts"], "what is active was started"
    for job_id, rank in ranks.items():
        assert rank // 2**32 == int(stored[job_id][0]["priority"]) > 0, "the hash knows the priority of the rank"
    if (wait or ranks) and "paused" not in meta and len(active) < int(meta.get("concurrency", 1000)):
        assert "0" in markers, "work that may be taken wakes somebody"


@pytest.mark.parametrize("seed", range(12))
async def test_what_must_be_true_stays_true(hand: Any, look: Any, administration: Administration, seed: int) -> None:
    chaos = Chaos(seed, hand, look, administration)
    if seed % 3:
        await look.redis.hset(look.keys.meta, "concurrency", seed % 3)
    done: list[str] = []
    for _ in range(STEPS):
        done.append(await chaos.act())
        try:
            await check(look)
        except AssertionError as error:
            error.add_note("after " + " | ".join(done[-8:]))
            raise
