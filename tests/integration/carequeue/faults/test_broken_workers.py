"""Whole workers whose calls are broken: all jobs complete, each once, whatever call it was."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.carequeue.faults.mix import Mix, insist
from tests.redis_proxy import NAMES, CommandProxy, Fault

from carequeue import Job, Queue
from carequeue.lua.loader import load

if TYPE_CHECKING:
    from redis.asyncio import Redis

pytestmark = [pytest.mark.redis, pytest.mark.slow]

IMPATIENT = 0.4
LONG = int(os.environ.get("CAREQUEUE_FAULT_SEEDS", "0"))
"""How many seeds `make chaos` tries."""
CALLS = [
    *(("step", nth) for nth in (range(1, 16) if LONG else (1, 2, 4, 7))),
    *((name, nth) for name in ("extendLocks", "checkStalled", "getScheduler") for nth in ((1, 2) if LONG else (1,))),
    *(("advanceScheduler", nth) for nth in (range(1, 4) if LONG else (1, 3))),
    *((name, nth) for name in ("updateProgress", "addLog") for nth in ((1, 5, 9) if LONG else (3,))),
]
SHARE = 0.04
"""Of the calls of scripts that are broken at random."""


@pytest.fixture(autouse=True)
async def scripts_are_known(redis: Redis) -> None:
    for name in NAMES:
        await redis.script_load(load(name).text)


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize(("command", "nth"), CALLS)
async def test_one_broken_call_of_a_worker(
    queue: Queue, redis_url: str, redis: Redis, command: str, nth: int, fault: Fault
) -> None:
    async with CommandProxy(redis_url) as proxy:

        async def hold(job: Job[Any]) -> None:
            if job.id == "plain-0":  # held until then: its lock is renewed, the stall check looks
                await proxy.struck.wait()

        mix = Mix(before=hold if command in ("extendLocks", "checkStalled") else None)
        await mix.add(queue)
        proxy.strike(command, fault, nth)
        async with mix.worker(queue.name, proxy.url(IMPATIENT if fault is Fault.REPLY_LATE else None)):
            await mix.end(queue, redis)
            assert proxy.struck.is_set(), f"there was no {nth}. {command}"


@pytest.mark.parametrize("fault", [Fault.REQUEST_LOST, Fault.REPLY_LOST, Fault.REPLY_CUT])
async def test_a_lost_wake_up(queue: Queue, redis_url: str, redis: Redis, fault: Fault) -> None:
    async with CommandProxy(redis_url) as proxy:
        mix = Mix()
        proxy.strike("BZPOPMIN", fault)
        async with mix.worker(queue.name, proxy.url()) as worker:
            await worker.wait_until_idle()
            await mix.add(queue)
            await mix.end(queue, redis)
            assert proxy.struck.is_set()


@pytest.mark.parametrize("seed", range(LONG or 2))
async def test_calls_of_workers_and_producers_broken_at_random(
    queue: Queue, redis_url: str, redis: Redis, seed: int
) -> None:
    """Two workers and a producer whose jobs have ids, so that it may repeat; some calls have each fault."""
    chance = random.Random(seed)  # noqa: S311 - chance, not secrecy
    async with CommandProxy(redis_url) as proxy:
        proxy.choose(lambda name: chance.choice(list(Fault)) if name in NAMES and chance.random() < SHARE else None)
        mix = Mix(size=12)
        url = proxy.url(IMPATIENT)
        broken = Queue(queue.name, url)
        async with mix.worker(queue.name, url), mix.worker(queue.name, url):
            await mix.add(broken, insist)
            await mix.end(queue, redis)
        await broken.close()
        assert proxy.broken, "something was broken"
