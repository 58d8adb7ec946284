"""Audits: a scheduler whose next run was lost has one again, one that has none left is removed, nothing runs twice."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.carequeue.scheduler_support import NOON, Ran
from tests.waiting import eventually

from carequeue import CatchUp, Job, JobState, Queue, Repeat, SkipLate, Telemetry
from carequeue.store.commands import Commands, Step
from carequeue.testing import FakeClock, Signal, drain
from carequeue.wire.times import to_ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.asyncio import Redis

    from carequeue import Worker

pytestmark = pytest.mark.redis

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
HOURLY = Repeat.cron("0 * * * *")


async def lose_key(queue: Queue, redis: Redis, job: Job[Any]) -> None:
    """The job's hash goes, its place in the queue stays: somebody deleted that one key."""
    await redis.delete(queue.keys.job(job.id))


async def lose_place(queue: Queue, redis: Redis, job: Job[Any]) -> None:
    """The job's place goes, its hash stays."""
    assert await redis.zrem(queue.keys.delayed, job.id) == 1


async def lose_both(queue: Queue, redis: Redis, job: Job[Any]) -> None:
    await lose_key(queue, redis, job)
    await lose_place(queue, redis, job)


lost_somehow = pytest.mark.parametrize("lose", [lose_key, lose_place, lose_both])


@lost_somehow
async def test_a_lost_run_is_there_again_at_its_instant(
    schedules: Queue, redis: Redis, lose: Callable[..., Any], clock: FakeClock, new_worker: Callable[..., Worker]
) -> None:
    job = await schedules.schedule("s", HOURLY, "tick", {"a": 1}, attempts=3)
    before = await redis.hgetall(schedules.keys.scheduler("s"))
    await lose(schedules, redis, job)

    [repair] = await schedules.audit_schedulers()

    assert (repair.scheduler_id, repair.outcome, repair.next_run) == ("s", "repaired", NOON + HOUR)
    again = await schedules.get(job.id)
    assert again is not None
    assert (again.data, again.options.attempts, again.raw_options["repeat"]["count"]) == ({"a": 1}, 3, 1)
    assert [job.id for job in await schedules.jobs("delayed")] == [again.id]
    assert await redis.hgetall(schedules.keys.scheduler("s")) == before
    assert await schedules.audit_schedulers() == []
    clock.advance(HOUR)
    ran = Ran()
    await drain(new_worker(ran, clock=clock))
    assert ran.hours == [13]


async def test_what_is_in_order_is_left_alone(
    schedules: Queue, redis: Redis, clock: FakeClock, new_worker: Callable[..., Worker]
) -> None:
    """Waiting, delayed, prioritized, in a group, running: all of it is a living run."""
    await schedules.schedule("delayed", HOURLY, "tick")
    await schedules.schedule("waiting", Repeat.every(HOUR), "tick")
    await schedules.schedule("prioritized", Repeat.every(HOUR), "tick", priority=5)
    await schedules.schedule("grouped", Repeat.every(HOUR), "tick", group="family")
    assert await schedules.audit_schedulers() == []
    started, release = Signal("started"), asyncio.Event()

    async def hold(job: Job[Any]) -> None:
        started(job)
        await release.wait()

    async with new_worker(hold, clock=clock, concurrency=3):
        await started.wait(3)
        seen = await redis.xlen(schedules.keys.events)
        assert await schedules.audit_schedulers() == []
        assert await redis.xlen(schedules.keys.events) == seen
        release.set()


async def test_a_run_that_a_worker_holds_is_living_even_before_the_next_one_is_made(
    schedules: Queue, redis: Redis, clock: FakeClock, new_worker: Callable[..., Worker]
) -> None:
    asked, answer = Signal("asked"), asyncio.Event()

    async def slow(after: datetime, repeat: Repeat, scheduler_id: str) -> datetime:
        asked(after)
        await answer.wait()
        return after.replace(minute=0, second=0) + HOUR

    await schedules.schedule("s", Repeat.cron("0 * * * *", immediately=True), "tick")
    ran = Ran()
    worker = new_worker(ran, clock=clock, repeat_strategy=slow)
    async with worker:
        await asked.wait()
        assert await schedules.audit_schedulers() == []
        answer.set()
        await worker.wait_until_idle()
    assert ran.hours == [12]
    assert (await schedules.counts()).delayed == 1


async def test_a_run_of_a_worker_that_died_is_living_and_comes_back_by_itself(
    schedules: Queue, redis: Redis, clock: FakeClock, new_worker: Callable[..., Worker]
) -> None:
    """It died before it made the next run, and its lock has ended."""
    job = await schedules.schedule("s", Repeat.every(HOUR), "tick")
    [taken] = (await Commands(schedules.client, schedules.keys).step(Step((), 1, clock.now_ms(), "dead", 0, 1))).jobs
    assert taken.id == job.id

    async def unlocked() -> bool:
        return await redis.exists(schedules.keys.lock(job.id)) == 0

    await eventually(unlocked, "the lock of a millisecond has run out")
    assert await schedules.audit_schedulers() == []
    ran, completed = Ran(), Signal("completed")
    worker = new_worker(ran, clock=clock, stalled_interval=timedelta(milliseconds=50))
    worker.on_completed(completed)
    async with worker:
        await completed.wait()
        await worker.wait_until_idle()
    assert ran.hours == [12]
    assert (await schedules.counts()).delayed == 1


@lost_somehow
@pytest.mark.parametrize(
    ("misfire", "expected"), [(None, [13]), (SkipLate(10 * MINUTE), [15]), (CatchUp(9), [13, 14, 15])]
)
async def test_a_run_that_was_lost_before_it_was_due_is_a_missed_one(
    schedules: Queue, redis: Redis, lose: Callable[..., Any], misfire: Any, expected: list[int], clock: FakeClock,
    new_worker: Callable[..., Worker],
) -> None:  # fmt: skip
    options = {} if misfire is None else {"misfire": misfire}
    await lose(schedules, redis, await schedules.schedule("s", Repeat.cron("0 * * * *", **options), "tick"))
    clock.advance(3 * HOUR + MINUTE)
    ran, repaired = Ran(), Signal("repaired")
    worker = new_worker(ran, clock=clock)
    worker.on_scheduler_repaired(repaired)
    async with worker:
        assert await repaired.wait() == [("s", NOON + HOUR)]
        await worker.wait_until_idle()
    assert ran.hours == expected


async def test_after_a_run_that_has_ended_the_chain_goes_on_with_the_next(
    schedules: Queue, redis: Redis, clock: FakeClock, new_worker: Callable[..., Worker]
) -> None:
    """BullMQ's workers leave a scheduler there when the id of its next run is taken ("duplicated")."""
    job = await schedules.schedule("s", HOURLY, "tick")
    clock.advance(HOUR)
    await drain(new_worker(Ran(), clock=clock))
    [ahead] = await schedules.jobs("delayed")
    await lose_both(schedules, redis, ahead)
    await redis.zadd(schedules.keys.repeat, {"s": to_ms(NOON + HOUR)})
    assert await schedules.state(job.id) is JobState.COMPLETED

    [repair] = await schedules.audit_schedulers()

    assert (repair.outcome, repair.next_run) == ("repaired", NOON + 2 * HOUR)
    [following] = await schedules.jobs("delayed")
    assert following.scheduled_for == NOON + 2 * HOUR
    scheduler = await schedules.get_scheduler("s")
    assert scheduler is not None
    assert scheduler.next_run == NOON + 2 * HOUR


async def test_a_following_run_that_is_there_already_is_taken_as_it_is(
    schedules: Queue, redis: Redis, clock: FakeClock, new_worker: Callable[..., Worker]
) -> None:
    await schedules.schedule("s", HOURLY, "tick")
    clock.advance(HOUR)
    await drain(new_worker(Ran(), clock=clock))
    await redis.zadd(schedules.keys.repeat, {"s": to_ms(NOON + HOUR)})  # the scheduler forgot that it went on

    [repair] = await schedules.audit_schedulers()

    assert (repair.outcome, repair.next_run) == ("repaired", NOON + 2 * HOUR)
    assert (await schedules.counts()).delayed == 1
    clock.advance(HOUR)
    ran = Ran()
    await drain(new_worker(ran, clock=clock))
    assert (ran.hours, (await schedules.counts()).delayed) == ([14], 1)


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("bound", [{"limit": 1}, {"end": NOON + HOUR + MINUTE}])
async def test_one_that_has_ended_is_removed_and_its_last_run_not_run_again(
    schedules: Queue, redis: Redis, clock: FakeClock, new_worker: Callable[..., Worker], bound: Any, *, kept: bool
) -> None:
    """As BullMQ leaves it: the run is over, kept or not, and the scheduler still waits for it."""
    job = await schedules.schedule("s", Repeat.cron("0 * * * *", **bound), "tick")
    if kept:
        fields = await redis.hgetall(schedules.keys.scheduler("s"))
        clock.advance(HOUR)
        await drain(new_worker(Ran(), clock=clock))
        await redis.hset(schedules.keys.scheduler("s"), mapping=fields)
        await redis.zadd(schedules.keys.repeat, {"s": to_ms(NOON + HOUR)})
        assert await schedules.state(job.id) is JobState.COMPLETED
    else:
        await lose_both(schedules, redis, job)
    clock.move_to(NOON + 2 * HOUR)

    [repair] = await schedules.audit_schedulers()

    assert (repair.scheduler_id, repair.outcome, repair.next_run) == ("s", "ended", None)
    assert await schedules.schedulers() == []
    assert await redis.exists(schedules.keys.scheduler("s")) == 0
    assert (await schedules.counts()).pending == 0


@pytest.mark.parametrize("repeat", [HOURLY, Repeat.every(HOUR, start=NOON + HOUR), Repeat.cron("0 * * * *", limit=7)])
async def test_a_scheduler_that_lost_its_hash_is_known_from_its_run(
    schedules: Queue, redis: Redis, repeat: Repeat
) -> None:
    await schedules.schedule("s", repeat, "tick", {"a": 1}, attempts=3, priority=2)
    before = await redis.hgetall(schedules.keys.scheduler("s"))
    await redis.delete(schedules.keys.scheduler("s"))

    [repair] = await schedules.audit_schedulers()

    assert (repair.outcome, repair.next_run) == ("repaired", NOON + HOUR)
    assert await redis.hgetall(schedules.keys.scheduler("s")) == before
    assert (await schedules.counts()).pending == 1


async def test_repeatable_jobs_of_old_are_none_of_its_business(schedules: Queue, redis: Redis) -> None:
    old = "tick:::UTC:0 * * * *"
    await redis.zadd(schedules.keys.repeat, {old: to_ms(NOON), "bare": to_ms(NOON)})
    await redis.hset(schedules.keys.scheduler(old), mapping={"name": "tick", "pattern": "0 * * * *"})
    assert await schedules.audit_schedulers() == []
    assert await redis.zcard(schedules.keys.repeat) == 2


async def test_one_that_nobody_can_follow_is_told_once_and_left(
    schedules: Queue, redis: Redis, clock: FakeClock, new_worker: Callable[..., Worker]
) -> None:
    await lose_both(schedules, redis, await schedules.schedule("s", HOURLY, "tick"))
    await redis.hset(schedules.keys.scheduler("s"), "pattern", "high tide")
    await lose_both(schedules, redis, await schedules.schedule("t", HOURLY, "tick"))
    telemetry, told, errors, repaired = Telemetry(), Signal("told"), Signal("errors"), Signal("repaired")
    telemetry.subscribe(told, "scheduler.stuck", "scheduler.repaired")
    worker = new_worker(Ran(), clock=clock, telemetry=telemetry, stalled_interval=timedelta(milliseconds=20))
    worker.on_error(errors)
    worker.on_scheduler_repaired(repaired)
    async with worker:
        assert await repaired.wait() == [("t", NOON + HOUR)]
        await lose_both(schedules, redis, (await schedules.jobs("delayed"))[0])
        await repaired.wait(2)  # another round was made, and it did not tell of the other one again
        [problem] = [repair.problem for repair in await schedules.audit_schedulers()]
    assert "has 2" in str(problem)
    assert [str(error) for (error,) in errors.calls] == [str(problem)]
    about = {"queue": schedules.name, "scheduler_id": "s", "error": "InvalidOption"}
    assert [call for call in told.calls if call[0] == "scheduler.stuck"] == [("scheduler.stuck", about)]
    assert (await schedules.get_scheduler("s")) is not None


async def test_a_strategy_that_works_again_goes_on_after_the_run_that_ran(
    queue_name: str, redis_url: str, clock: FakeClock, schedules: Queue, new_worker: Callable[..., Worker]
) -> None:
    """The run ran and is kept by nobody: it must not run again."""
    broken = True

    def strategy(after: datetime, repeat: Repeat, scheduler_id: str) -> datetime:
        if after > NOON and broken:
            raise LookupError("no calendar")
        return after.replace(minute=0, second=0, microsecond=0) + HOUR

    async with Queue(queue_name, redis_url, clock=clock, repeat_strategy=strategy) as queue:
        await queue.schedule("s", Repeat.by_strategy("x"), "tick", keep_completed=False)
        clock.advance(HOUR)
        ran = Ran()
        await drain(new_worker(ran, clock=clock, repeat_strategy=strategy))
        assert (ran.hours, (await queue.counts()).pending) == ([13], 0)
        assert [repair.outcome for repair in await queue.audit_schedulers()] == ["stuck"]
        broken = False
        [repair] = await queue.audit_schedulers()
        assert (repair.outcome, repair.next_run) == ("repaired", NOON + 2 * HOUR)
        [waiting] = await queue.jobs("delayed")
        assert waiting.scheduled_for == NOON + 2 * HOUR


async def test_audits_at_once_repair_each_once(
    schedules: Queue, redis: Redis, clock: FakeClock, new_worker: Callable[..., Worker]
) -> None:
    for number in range(20):
        await lose_both(schedules, redis, await schedules.schedule(f"s{number}", HOURLY, "tick"))
    rounds = await asyncio.gather(*(schedules.audit_schedulers() for _ in range(5)))
    assert sorted(repair.scheduler_id for repairs in rounds for repair in repairs) == sorted(
        f"s{number}" for number in range(20)
    )
    assert (await schedules.counts()).delayed == 20
    clock.advance(HOUR)
    ran, completed = Ran(), Signal("completed")
    workers = [new_worker(ran, clock=clock, concurrency=4) for _ in range(2)]
    for worker in workers:
        worker.on_completed(completed)
        await worker.start()
    await completed.wait(20)
    for worker in workers:
        await worker.wait_until_idle()
    assert ran.hours == [13] * 20


@pytest.mark.parametrize("options", [{}, {"priority": 3}, {"group": "family"}])
async def test_audits_beside_busy_workers_lose_nothing_and_double_nothing(
    queue: Queue, new_worker: Callable[..., Worker], options: Any
) -> None:
    """Nothing is kept, so a run that ended left no trace: an audit that took it for lost would run it again."""
    schedulers, limit = 4, 25
    ran, over, ended = list[tuple[str | None, datetime | None]](), asyncio.Event(), Signal("ended")

    async def note(job: Job[Any]) -> None:
        ran.append((job.scheduler_id, job.scheduled_for))

    async def look() -> list[Any]:
        found: list[Any] = []
        while not over.is_set():
            found += await queue.audit_schedulers()
        return found

    workers = [new_worker(note, concurrency=3, stalled_interval=timedelta(milliseconds=20)) for _ in range(2)]
    repaired, interval = Signal("repaired"), timedelta(milliseconds=20)
    for worker in workers:
        worker.on_completed(ended)
        worker.on_scheduler_repaired(repaired)
    for number in range(schedulers):
        repeat = Repeat.every(interval, limit=limit)
        await queue.schedule(f"s{number}", repeat, "tick", keep_completed=False, **options)
    async with asyncio.TaskGroup() as group, workers[0], workers[1]:
        looks = [group.create_task(look()) for _ in range(2)]
        await ended.wait(schedulers * limit, timeout=30)
        over.set()
    assert [look.result() for look in looks] == [[], []]
    assert repaired.calls == []
    assert len(ran) == len(set(ran)) == schedulers * limit
    assert (await queue.schedulers(), (await queue.counts()).pending) == ([], 0)


async def test_one_worker_in_each_interval_looks(
    schedules: Queue, redis: Redis, clock: FakeClock, new_worker: Callable[..., Worker]
) -> None:
    repaired = Signal("repaired")
    workers = [new_worker(Ran(), clock=clock) for _ in range(3)]
    await lose_both(schedules, redis, await schedules.schedule("s", HOURLY, "tick"))
    for worker in workers:
        worker.on_scheduler_repaired(repaired)
        await worker.start()
    await repaired.wait()
    assert 0 < await redis.pttl(schedules.keys.housekeeping) <= 30_000
    await lose_both(schedules, redis, (await schedules.jobs("delayed"))[0])
    await asyncio.gather(*(worker.wait_until_idle() for worker in workers))
    assert len(repaired.calls) == 1


async def test_many_that_are_due_at_one_instant_are_all_looked_at(schedules: Queue, redis: Redis) -> None:
    names = [f"s{number:04}" for number in range(450)]
    await asyncio.gather(*(schedules.schedule(name, HOURLY, "tick") for name in names))
    lost = [f"repeat:{name}:{to_ms(NOON + HOUR)}" for name in names[::7]]
    await redis.zrem(schedules.keys.delayed, *lost)
    repairs = await schedules.audit_schedulers()
    assert sorted(repair.scheduler_id for repair in repairs) == names[::7]
    assert (await schedules.counts()).delayed == 450


@pytest.mark.parametrize("due", [True, False])
async def test_a_lost_run_of_a_group_is_there_again_and_runs_once(
    schedules: Queue, redis: Redis, clock: FakeClock, new_worker: Callable[..., Worker], *, due: bool
) -> None:
    """Its place in the group outlived its key."""
    repeat = Repeat.every(HOUR) if due else HOURLY
    job = await schedules.schedule("s", repeat, "tick", {"a": 1}, group="family")
    assert await schedules.audit_schedulers() == []
    await lose_key(schedules, redis, job)

    [repair] = await schedules.audit_schedulers()

    assert (repair.outcome, repair.next_run) == ("repaired", job.scheduled_for)
    assert await schedules.audit_schedulers() == []
    clock.advance(MINUTE if due else HOUR)
    ran = Ran()
    await drain(new_worker(ran, clock=clock))
    assert ran.hours == [12 if due else 13]
    assert (await schedules.counts()).pending == 1
    group = await schedules.get_group("family")
    assert (group.waiting, group.active) == (0, 0)


async def test_scheduling_again_brings_a_lost_run_back_at_its_instant(
    schedules: Queue, redis: Redis, clock: FakeClock
) -> None:
    job = await schedules.schedule("s", HOURLY, "tick")
    await lose_place(schedules, redis, job)
    clock.advance(HOUR + MINUTE)
    again = await schedules.schedule("s", HOURLY, "tick")
    assert again.id == job.id
    assert (await schedules.counts()).waiting == 1


async def test_a_paused_queue_is_looked_at_as_well(schedules: Queue, redis: Redis) -> None:
    await schedules.pause()
    await lose_both(schedules, redis, await schedules.schedule("s", HOURLY, "tick"))
    assert [repair.outcome for repair in await schedules.audit_schedulers()] == ["repaired"]
    assert (await schedules.counts()).delayed == 1
