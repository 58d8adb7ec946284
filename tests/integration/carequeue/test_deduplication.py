"""Jobs that are the same are added once: what a user of the queue and its workers sees of it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from carequeue import Deduplication, InvalidOption, Job, JobOptions, JobState, NewJob, ParentRef, Queue, Repeat
from carequeue.testing import Signal, drain

if TYPE_CHECKING:
    from collections.abc import Callable

    from carequeue import Worker

HOUR = timedelta(hours=1)
SAME = Deduplication("door")
KEEP_LAST = Deduplication("door", keep_last_if_active=True)

pytestmark = pytest.mark.redis


async def test_the_second_of_two_is_kept_out_and_its_caller_gets_the_id_of_the_first(queue: Queue) -> None:
    first = await queue.add("paint", {"n": 1}, deduplication=SAME)
    second = await queue.add("paint", {"n": 2}, deduplication=SAME)

    assert second.id == first.id
    assert [job.data for job in await queue.jobs("waiting")] == [{"n": 1}]
    stored = await queue.get(first.id)
    assert stored is not None
    assert (stored.deduplication_id, stored.options.deduplication) == ("door", SAME)


async def test_within_one_bulk_too(queue: Queue) -> None:
    jobs = [NewJob("paint", {"n": n}, JobOptions(deduplication=Deduplication(f"door {n % 2}"))) for n in range(4)]

    added = await queue.add_bulk(jobs)

    assert [job.id for job in added[2:]] == [job.id for job in added[:2]]
    assert (await queue.counts()).waiting == 2


async def test_the_window_ends_with_its_job(queue: Queue, new_worker: Callable[..., Worker]) -> None:
    await queue.add("paint", job_id="a", deduplication=SAME)
    await drain(new_worker(nothing))

    assert await queue.deduplication_job("door") is None
    assert (await queue.add("paint", job_id="b", deduplication=SAME)).id == "b"


async def test_a_throttled_job_keeps_others_out_after_it_ended(queue: Queue, new_worker: Callable[..., Worker]) -> None:
    await queue.add("paint", job_id="a", deduplication=Deduplication.throttle("door", HOUR))
    await drain(new_worker(nothing))

    assert (await queue.add("paint", job_id="b", deduplication=Deduplication.throttle("door", HOUR))).id == "a"
    assert await queue.remove_deduplication("door")
    assert (await queue.add("paint", job_id="b", deduplication=Deduplication.throttle("door", HOUR))).id == "b"


async def test_of_debounced_jobs_the_last_one_stays(queue: Queue) -> None:
    for n in range(3):
        await queue.add("paint", {"n": n}, delay=HOUR, deduplication=Deduplication.debounce("door", HOUR))

    assert [job.data for job in await queue.jobs("delayed")] == [{"n": 2}]


async def test_a_rescheduled_job_moves_to_the_newer_time_with_its_own_data(queue: Queue) -> None:
    rule = Deduplication("door", reschedule=True)
    await queue.add("paint", {"n": 1}, job_id="a", delay=timedelta(days=300), deduplication=rule)
    await queue.add("paint", {"n": 2}, job_id="b", delay=timedelta(days=100), deduplication=rule)
    await queue.add("dry", job_id="c", delay=timedelta(days=200))

    assert [(job.id, job.data) for job in await queue.jobs("delayed", ascending=True)] == [("a", {"n": 1}), ("c", {})]


async def test_the_last_one_that_came_while_it_ran_runs_after_it(
    queue: Queue, new_worker: Callable[..., Worker]
) -> None:
    started, release, ended = Signal("started"), asyncio.Event(), Signal("ended")

    async def paint(job: Job[Any]) -> None:
        started(job.data["n"])
        await release.wait()

    worker = new_worker(paint, concurrency=5)
    worker.on_completed(ended)
    async with worker:
        for n in range(4):
            await queue.add("paint", {"n": n}, job_id=f"j{n}", deduplication=KEEP_LAST)
            await started.wait(1)
        assert await queue.state("j3") is None
        release.set()
        await ended.wait(2)

    assert [call[0] for call in await started.wait(2)] == [0, 3]
    assert await queue.state("j3") is JobState.COMPLETED


async def test_a_rule_that_cannot_work_is_refused(queue: Queue) -> None:
    with pytest.raises(InvalidOption):
        Deduplication("")
    with pytest.raises(InvalidOption):
        Deduplication("door", timedelta(0))
    with pytest.raises(InvalidOption):
        JobOptions(deduplication=SAME, parent=ParentRef("p", "bull:q"))
    with pytest.raises(InvalidOption):
        await queue.schedule("s", Repeat.every(HOUR), "paint", deduplication=SAME)


async def nothing(_: Job[Any]) -> None:
    return
