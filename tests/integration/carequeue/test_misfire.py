"""Runs of schedulers that came due while nobody took them: run once, skipped, made up for."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.carequeue.scheduler_support import NOON, Ran

from carequeue import Backoff, CatchUp, Job, JobState, Queue, Repeat, RunOnce, SkipLate, Telemetry
from carequeue.testing import FakeClock, Signal, drain

if TYPE_CHECKING:
    from collections.abc import Callable

    from carequeue import Worker
    from carequeue.misfire import Misfire

pytestmark = pytest.mark.redis

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


async def hourly(queue: Queue, misfire: Misfire, **options: Any) -> None:
    await queue.schedule("s", Repeat.cron("0 * * * *", misfire=misfire), "tick", **options)


async def next_hour(queue: Queue) -> int:
    scheduler = await queue.get_scheduler("s")
    assert scheduler is not None
    return scheduler.next_run.hour


async def test_by_default_one_run_stands_for_all_that_were_missed(
    schedules: Queue, new_worker: Callable[..., Worker], clock: FakeClock
) -> None:
    await hourly(schedules, RunOnce())
    clock.advance(5 * HOUR + MINUTE)
    ran = Ran()
    await drain(new_worker(ran, clock=clock))
    assert (ran.hours, await next_hour(schedules)) == ([13], 18)


async def test_a_run_that_is_too_late_is_skipped_and_told(
    schedules: Queue, new_worker: Callable[..., Worker], clock: FakeClock
) -> None:
    await hourly(schedules, SkipLate(10 * MINUTE))
    clock.advance(5 * HOUR + 30 * MINUTE)
    ran, missed, telemetry, told = Ran(), Signal("missed"), Telemetry(), Signal("telemetry")
    telemetry.subscribe(told, "scheduler.missed")
    worker = new_worker(ran, clock=clock, telemetry=telemetry)
    worker.on_missed(missed)

    await drain(worker)

    assert (ran.hours, await next_hour(schedules)) == ([], 18)
    [(job, late)] = missed.calls
    late_by = 4 * HOUR + 30 * MINUTE
    assert (job.scheduled_for, late) == (NOON + HOUR, late_by)
    fields = {"queue": schedules.name, "scheduler_id": "s", "job_id": job.id, "late": late_by.total_seconds()}
    assert told.calls == [("scheduler.missed", fields)]
    stored = await schedules.get(job.id)
    assert stored is not None
    assert stored.return_value == {"skipped": "it came 4:30:00 late"}
    assert await schedules.state(job.id) is JobState.COMPLETED


async def test_of_the_missed_runs_one_that_is_in_time_runs(
    schedules: Queue, new_worker: Callable[..., Worker], clock: FakeClock
) -> None:
    await hourly(schedules, SkipLate(10 * MINUTE))
    clock.advance(5 * HOUR + 9 * MINUTE)
    ran = Ran()
    await drain(new_worker(ran, clock=clock))
    assert (ran.hours, await next_hour(schedules)) == ([17], 18)


@pytest.mark.parametrize(("most", "expected"), [(9, [13, 14, 15, 16, 17]), (5, [13, 14, 15, 16, 17]), (2, [16, 17])])
async def test_missed_runs_are_made_up_for_each_with_its_own_time(
    schedules: Queue, new_worker: Callable[..., Worker], clock: FakeClock, most: int, expected: list[int]
) -> None:
    await hourly(schedules, CatchUp(most))
    clock.advance(5 * HOUR + MINUTE)
    ran, missed = Ran(), Signal("missed")
    worker = new_worker(ran, clock=clock)
    worker.on_missed(missed)
    await drain(worker)
    assert (ran.hours, await next_hour(schedules)) == (expected, 18)
    assert [job.scheduled_for for job, _ in missed.calls] == ([] if most >= 5 else [NOON + HOUR])


async def test_several_workers_make_up_for_each_run_once(
    schedules: Queue, new_worker: Callable[..., Worker], clock: FakeClock
) -> None:
    await hourly(schedules, CatchUp(50))
    clock.advance(20 * HOUR + MINUTE)
    ran, completed = Ran(), Signal("completed")
    workers = [new_worker(ran, clock=clock, concurrency=5) for _ in range(3)]
    for worker in workers:
        worker.on_completed(completed)
        await worker.start()
    await completed.wait(20)
    for worker in workers:
        await worker.wait_until_idle()
    assert sorted(ran.hours) == sorted((13 + hours) % 24 for hours in range(20))
    assert (await schedules.counts()).completed == 20


async def test_another_attempt_is_late_on_purpose(
    schedules: Queue, new_worker: Callable[..., Worker], clock: FakeClock
) -> None:
    await hourly(schedules, SkipLate(10 * MINUTE), attempts=2, backoff=Backoff.fixed(30 * MINUTE))
    attempts: list[int] = []

    async def fail_once(job: Job[Any]) -> None:
        attempts.append(job.attempts_made)
        if not job.attempts_made:
            raise ValueError("once")

    worker = new_worker(fail_once, clock=clock)
    async with worker:
        clock.advance(HOUR)
        await worker.wait_until_idle()
        clock.advance(30 * MINUTE)
        await worker.wait_until_idle()
    assert attempts == [0, 1]


async def test_a_run_that_was_handed_back_is_skipped_when_it_is_too_late(
    schedules: Queue, new_worker: Callable[..., Worker], clock: FakeClock
) -> None:
    await hourly(schedules, SkipLate(10 * MINUTE))
    started = Signal("started")

    async def never_ends(job: Job[Any]) -> None:
        started(job)
        await asyncio.Event().wait()

    async with new_worker(never_ends, clock=clock, grace=timedelta(0)):
        clock.advance(HOUR)
        [(job,)] = await started.wait()
    assert await schedules.state(job.id) is JobState.WAITING
    clock.advance(20 * MINUTE)
    ran, missed = Ran(), Signal("missed")
    worker = new_worker(ran, clock=clock)
    worker.on_missed(missed)
    await drain(worker)
    assert (ran.hours, [job.id for job, _ in missed.calls]) == ([], [job.id])
    assert await next_hour(schedules) == 14


async def test_the_policy_is_kept_from_run_to_run_and_changed_without_moving_anything(
    schedules: Queue, new_worker: Callable[..., Worker], clock: FakeClock
) -> None:
    await hourly(schedules, CatchUp(3))
    clock.advance(2 * HOUR)
    await drain(new_worker(Ran(), clock=clock))
    [waiting] = await schedules.jobs("delayed")
    assert waiting.raw_options["misfire"] == {"catchUp": 3}
    assert waiting.scheduled_for == NOON + 3 * HOUR
    await hourly(schedules, SkipLate(MINUTE))
    [changed] = await schedules.jobs("delayed")
    assert (changed.id, changed.raw_options["misfire"]) == (waiting.id, {"skipLate": 60_000})
    [scheduler] = await schedules.schedulers()
    assert scheduler.repeat.misfire == SkipLate(MINUTE)
    await hourly(schedules, RunOnce())
    [scheduler] = await schedules.schedulers()
    assert scheduler.repeat.misfire == RunOnce()
    [plain] = await schedules.jobs("delayed")
    assert "misfire" not in plain.raw_options


async def test_the_limit_counts_what_was_skipped(
    schedules: Queue, new_worker: Callable[..., Worker], clock: FakeClock
) -> None:
    await schedules.schedule("s", Repeat.cron("0 * * * *", limit=2, misfire=SkipLate(MINUTE)), "tick")
    ran = Ran()
    worker = new_worker(ran, clock=clock)
    clock.advance(HOUR + 2 * MINUTE)
    async with worker:
        await worker.wait_until_idle()
        clock.advance(58 * MINUTE)
        await worker.wait_until_idle()
    assert ran.hours == [14]
    assert await schedules.schedulers() == []


async def test_only_runs_of_schedulers_are_scheduled_for_something(schedules: Queue) -> None:
    job = await schedules.add("paint", job_id="repeat:s:1")
    assert job.scheduled_for is None


# Strategies of one's own


async def test_a_strategy_of_the_queue_and_its_workers_finds_the_runs(
    queue_name: str, redis_url: str, schedules: Queue, new_worker: Callable[..., Worker], clock: FakeClock
) -> None:
    asked: list[str] = []

    async def tides(after: datetime, repeat: Repeat, scheduler_id: str) -> datetime | None:
        asked.append(scheduler_id)
        assert repeat.pattern == "high tide"
        return next((tide for tide in (NOON + n * 12.4 * HOUR for n in range(1, 4)) if tide > after), None)

    ran: list[datetime | None] = []

    async def sail(job: Job[Any]) -> None:
        ran.append(job.scheduled_for)

    async with Queue(queue_name, redis_url, clock=clock, repeat_strategy=tides) as queue:
        await queue.schedule("harbour", Repeat.by_strategy("high tide", zone="Europe/Berlin"), "sail")
    worker = new_worker(sail, clock=clock, repeat_strategy=tides)
    async with worker:
        for _ in range(3):
            clock.advance(12.4 * HOUR)
            await worker.wait_until_idle()
    assert ran == [NOON + n * 12.4 * HOUR for n in range(1, 4)]
    assert await schedules.schedulers() == []
    assert set(asked) == {"harbour"}


async def test_a_strategy_that_breaks_is_heard_of_and_its_run_runs_all_the_same(
    queue_name: str, redis_url: str, schedules: Queue, new_worker: Callable[..., Worker], clock: FakeClock
) -> None:
    def first_only(after: datetime, repeat: Repeat, scheduler_id: str) -> datetime:
        if after > NOON:
            raise LookupError("no calendar for that day")
        return NOON + HOUR

    async with Queue(queue_name, redis_url, clock=clock, repeat_strategy=first_only) as queue:
        await queue.schedule("s", Repeat.by_strategy("x"), "tick")
    ran, errors = Ran(), Signal("errors")
    worker = new_worker(ran, clock=clock, repeat_strategy=first_only)
    worker.on_error(errors)
    clock.advance(HOUR)
    await drain(worker)
    assert ran.hours == [13]
    [(error,)] = errors.calls
    assert isinstance(error, LookupError)
