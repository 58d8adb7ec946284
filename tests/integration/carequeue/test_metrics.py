"""What a queue tells of itself in numbers, and how its jobs are searched."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from carequeue import InvalidOption, Job, Metrics, NewJob, Queue, WorkerOptions
from carequeue.testing import FakeClock, drain

if TYPE_CHECKING:
    from collections.abc import Callable

    from carequeue import Worker

MINUTE = timedelta(minutes=1)
START = datetime(2040, 1, 1, tzinfo=UTC)

pytestmark = pytest.mark.redis


async def paint(job: Job[Any]) -> None:
    if job.name == "spill":
        raise RuntimeError("no")


async def end(queue: Queue, worker: Worker, completed: int, failed: int = 0) -> None:
    await queue.add_bulk(NewJob("spill" if place < failed else "paint", {}) for place in range(completed + failed))
    await drain(worker)


async def test_metrics_tell_how_many_ended_in_each_minute(queue: Queue, new_worker: Callable[..., Worker]) -> None:
    clock = FakeClock(START)
    async with new_worker(paint, clock=clock, concurrency=7, max_data_points=5) as worker:
        for completed, failed in ((20, 3), (5, 0), (0, 2)):
            await end(queue, worker, completed, failed)
            clock.advance(2 * MINUTE)
        await end(queue, worker, 1)

    completed, failed = await queue.metrics("completed"), await queue.metrics("failed")
    assert (completed.total, list(completed.per_minute), completed.noted_total) == (26, [0, 0, 0, 5, 0], 25)
    assert completed.noted_at == START + 6 * MINUTE
    assert (failed.total, list(failed.per_minute), failed.minutes) == (5, [0, 0, 0, 3], 4)
    assert list((await queue.metrics("failed", start=3)).per_minute) == [3]


async def test_workers_that_are_not_asked_count_nothing(queue: Queue, new_worker: Callable[..., Worker]) -> None:
    await queue.add("paint")
    await drain(new_worker(paint))

    assert await queue.metrics("completed") == Metrics(0, [], 0, None, 0)


async def test_metrics_of_no_minute_are_refused() -> None:
    with pytest.raises(InvalidOption):
        WorkerOptions(max_data_points=0)


async def test_delayed_jobs_are_counted_up_to_an_instant(queue: Queue) -> None:
    for minutes in (10, 20, 20, 30):
        await queue.add("paint", run_at=START + minutes * MINUTE)

    assert await queue.delayed_count() == 4
    assert [await queue.delayed_count(START + minutes * MINUTE) for minutes in (10, 20, 21, 60)] == [0, 1, 3, 4]


async def test_jobs_are_found_by_name_and_by_what_their_data_says(queue: Queue) -> None:
    await queue.add_bulk(NewJob(name, {"n": n}) for n in range(250) for name in ("paint", "dry"))

    named = [job.data["n"] async for job in queue.find("waiting", name="dry", page=100)]
    both = [job async for job in queue.find(["waiting", "delayed"], name="dry", where=lambda job: job.data["n"] > 247)]
    unnamed = [job.name async for job in queue.find("waiting", where=lambda job: job.data["n"] == 100)]

    assert named == list(range(249, -1, -1)), "waiting jobs come newest first"
    assert [(job.name, job.data) for job in both] == [("dry", {"n": 249}), ("dry", {"n": 248})]
    assert unnamed == ["dry", "paint"]


async def test_events_are_trimmed_to_the_newest(queue: Queue) -> None:
    for _ in range(3):
        await queue.add("paint")

    assert await queue.trim_events(2) == 4
    assert await queue.trim_events(2) == 0
    with pytest.raises(InvalidOption):
        await queue.trim_events(-1)
