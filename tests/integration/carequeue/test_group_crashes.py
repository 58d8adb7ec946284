"""Workers that are killed in the middle of groups: no place of a group is lost or taken twice, and every job runs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from carequeue import JobOptions, NewJob
from carequeue.testing import Signal

if TYPE_CHECKING:
    from collections.abc import Callable

    from carequeue import Job, Queue, Worker

pytestmark = pytest.mark.redis

PLACES = 2
QUICK = timedelta(milliseconds=200)
VICTIM = """
import asyncio, sys
from datetime import timedelta
from carequeue import Worker

hangs = sys.argv[3] == "hangs"

async def work(job):
    print(job.group, flush=True)
    if hangs:
        await asyncio.Event().wait()

span = timedelta(milliseconds=200)
short = {"lock_duration": span, "stalled_interval": span, "max_stalled_count": 9, "drain_delay": span}
asyncio.run(Worker(sys.argv[1], sys.argv[2], work, concurrency=8, **short).run())
"""


@pytest.mark.parametrize(("what", "kills"), [("hangs", [6, 6, 6]), ("runs", [1, 7, 23, 40])])
async def test_places_of_killed_workers_come_back_and_every_job_runs(
    queue: Queue, new_worker: Callable[..., Worker], redis_url: str, what: str, kills: list[int]
) -> None:
    await queue.set_group_defaults(concurrency=PLACES)
    groups = ["a", "b", "c"]
    jobs = await queue.add_bulk(NewJob("paint", {}, JobOptions(group=group)) for group in groups for _ in range(60))
    for count in kills:
        started = await kill_after(count, queue.name, redis_url, what)
        if what == "hangs":
            assert started == Counter(dict.fromkeys(groups, PLACES))
        await expect_places_of_active_jobs(queue)

    done, running, peak = Signal("done"), Counter[str | None](), Counter[str | None]()

    async def paint(job: Job[Any]) -> None:
        running[job.group] += 1
        peak[job.group] = max(peak[job.group], running[job.group])
        await asyncio.sleep(0)
        running[job.group] -= 1

    left = len(jobs) - (await queue.counts()).completed
    worker = new_worker(paint, concurrency=9, stalled_interval=QUICK, drain_delay=QUICK, max_stalled_count=9)
    worker.on_completed(done)
    async with worker:
        await done.wait(left)
    assert set((await queue.states([job.id for job in jobs])).values()) == {"completed"}
    assert max(peak.values()) <= PLACES
    left_over = set(await queue.client.keys(f"{queue.keys.base}:groups:*"))
    assert left_over - {queue.keys.groups_checked} == {queue.keys.groups_settings}


async def kill_after(count: int, queue: str, url: str, what: str) -> Counter[str]:
    """Start a worker, and kill it when so many of its handlers have begun; the groups of these."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", VICTIM, queue, url, what, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            return Counter([(await process.stdout.readline()).decode().strip() for _ in range(count)])
    finally:
        process.kill()
        await process.communicate()


async def expect_places_of_active_jobs(queue: Queue) -> None:
    active = await queue.client.lrange(queue.keys.active, 0, -1)
    places = await queue.client.zrange(queue.keys.groups_active, 0, -1)
    assert sorted(place.partition("\0")[2] for place in places) == sorted(active)
    assert max([group.active async for group in queue.groups()]) <= PLACES
