"""Schedulers: upsert and advance, one run at a time."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from carequeue import InvalidOption, Job, JobKind, JobState, Queue, Repeat, SchedulerBusy, SchedulerOwnsJob
from carequeue import scheduler as schedulers
from carequeue.scheduler import advance, find
from carequeue.store.commands import Commands, Finish, Step
from carequeue.store.scheduling import Scheduling
from carequeue.timetable import Timetable
from carequeue.wire.codec import Codec
from carequeue.wire.schedule import Template
from carequeue.wire.times import from_ms

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from carequeue.wire.schedule import RunRecord

pytestmark = pytest.mark.redis

NOW = 1_795_500_000_000  # 2026-11-24 06:00 UTC, a Tuesday
MINUTE = 60_000
HOUR = 60 * MINUTE
EVERY_MINUTE = Repeat.every(timedelta(minutes=1))
TICK = Template("tick", '{"a":1}', {"attempts": 3})


@pytest.fixture
def scheduling(queue: Queue) -> Scheduling:
    return Scheduling(queue.client, queue.keys)


async def take(queue: Queue, now: int = NOW) -> Job[Any]:
    reply = await Commands(queue.client, queue.keys).step(Step((), 1, now, "hand", 0, 60_000))
    [fetched] = reply.jobs
    codec: Codec[Any] = Codec(queue.name)
    return codec.job(fetched.id, fetched.fields)


async def finish(queue: Queue, job: Job[Any], now: int = NOW) -> None:
    commands = Commands(queue.client, queue.keys)
    assert (await commands.step(Step([Finish(job.id, "hand:0", "completed", "null")], 0, now, "", 0, 1))).codes == [0]


async def upsert(store: Scheduling, scheduler_id: str, repeat: Repeat, template: Template, now: int) -> RunRecord:
    return await schedulers.upsert(store, Timetable(scheduler_id, repeat), template, now)


# Upsert


async def test_a_new_interval_starts_now(queue: Queue, scheduling: Scheduling, redis: Redis) -> None:
    run = await upsert(scheduling, "s", EVERY_MINUTE, TICK, NOW)
    assert run.due == NOW
    assert await redis.zrange(queue.keys.repeat, 0, -1, withscores=True) == [("s", NOW)]
    assert await redis.hgetall(queue.keys.scheduler("s")) == {
        "name": "tick", "every": "60000", "offset": str(NOW % MINUTE), "data": '{"a":1}', "opts": '{"attempts":3}',
        "ic": "1",
    }  # fmt: skip
    job = await queue.get(f"repeat:s:{NOW}")
    assert job is not None
    assert (job.name, job.data, job.scheduler_id) == ("tick", {"a": 1}, "s")
    assert job.raw_options == {
        "attempts": 3, "jobId": f"repeat:s:{NOW}", "delay": 0, "timestamp": NOW, "repeatJobKey": "s",
        "repeat": {"every": MINUTE, "count": 1},
    }  # fmt: skip
    assert await queue.state(job.id) is JobState.WAITING


async def test_a_new_pattern_waits_for_its_time_by_its_zone(queue: Queue, scheduling: Scheduling) -> None:
    repeat = Repeat.cron("0 8 * * *", zone="Europe/Berlin")
    run = await upsert(scheduling, "s", repeat, TICK, NOW)
    assert from_ms(run.due) == datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
    job = await queue.get(f"repeat:s:{run.due}")
    assert job is not None
    assert (job.raw_options["prevMillis"], job.raw_options["repeat"]) == (
        run.due,
        {"pattern": "0 8 * * *", "tz": "Europe/Berlin", "count": 1},
    )
    assert await queue.state(job.id) is JobState.DELAYED


async def test_the_same_times_again_move_nothing_and_change_the_rest(queue: Queue, scheduling: Scheduling) -> None:
    first = await upsert(scheduling, "s", EVERY_MINUTE, TICK, NOW)
    again = await upsert(scheduling, "s", EVERY_MINUTE, Template("tock"), NOW + 10 * MINUTE)
    assert again.due == first.due  # a run that is late is not skipped because a program started again
    counts = await queue.counts()
    assert (counts.waiting, counts.delayed) == (1, 0)
    job = await queue.get(f"repeat:s:{NOW}")
    assert job is not None
    assert (job.name, job.data, job.added_at) == ("tock", {}, from_ms(NOW + 10 * MINUTE))


async def test_other_times_replace_the_run_that_waits(queue: Queue, scheduling: Scheduling, redis: Redis) -> None:
    await upsert(scheduling, "s", Repeat.cron("0 8 * * *"), TICK, NOW)
    run = await upsert(scheduling, "s", Repeat.cron("0 9 * * *"), TICK, NOW)
    assert [job.id for job in await queue.jobs("delayed")] == [f"repeat:s:{run.due}"]
    assert await redis.zcard(queue.keys.repeat) == 1
    assert "removed" not in [event["event"] for _, event in await redis.xrange(queue.keys.events)]


async def test_a_run_that_has_started_is_left_alone_by_a_change(queue: Queue, scheduling: Scheduling) -> None:
    await upsert(scheduling, "s", EVERY_MINUTE, TICK, NOW)
    job = await take(queue)
    for repeat in (EVERY_MINUTE, Repeat.every(timedelta(minutes=2))):
        run = await upsert(scheduling, "s", repeat, TICK, NOW + 1)
        assert run.due > NOW
        assert await queue.state(job.id) is JobState.ACTIVE
    assert (await queue.counts()).pending == 1
    await advance(scheduling, job, NOW + 1)  # the worker that took it comes late: nothing is doubled
    assert (await queue.counts()).pending == 1


async def test_a_slot_that_is_taken_is_passed_over(queue: Queue, scheduling: Scheduling) -> None:
    await queue.add("other", job_id=f"repeat:s:{NOW}")
    assert (await upsert(scheduling, "s", EVERY_MINUTE, TICK, NOW)).due == NOW + MINUTE


async def test_when_every_slot_is_taken_it_is_said(queue: Queue, scheduling: Scheduling) -> None:
    for number in range(40):
        await queue.add("other", job_id=f"repeat:s:{NOW + number * MINUTE}")
    with pytest.raises(SchedulerBusy):
        await upsert(scheduling, "s", EVERY_MINUTE, TICK, NOW)
    assert await find(scheduling, "s") is None


async def test_many_programs_at_once_make_one_scheduler_with_one_run(queue: Queue, scheduling: Scheduling) -> None:
    await asyncio.gather(*(upsert(scheduling, "s", EVERY_MINUTE, TICK, NOW + number) for number in range(20)))
    assert (await queue.counts()).pending == 1
    [scheduler] = await queue.schedulers()
    assert [job.id for job in await queue.jobs(["waiting", "delayed"])] == [
        f"repeat:s:{int(scheduler.next_run.timestamp() * 1000)}"
    ]


async def test_what_would_never_run_is_refused(scheduling: Scheduling) -> None:
    over = Repeat.every(timedelta(minutes=1), end=from_ms(NOW - 1))
    with pytest.raises(InvalidOption, match="would never run"):
        await upsert(scheduling, "s", over, TICK, NOW)
    with pytest.raises(InvalidOption, match="would never run"):
        await upsert(scheduling, "s", Repeat.cron("0 8 * * *", end=from_ms(NOW + HOUR)), TICK, NOW)
    assert await find(scheduling, "s") is None


# Advance


async def test_taking_a_run_adds_the_next_before_it_ends(queue: Queue, scheduling: Scheduling, redis: Redis) -> None:
    await upsert(scheduling, "s", EVERY_MINUTE, TICK, NOW)
    job = await take(queue)
    await advance(scheduling, job, NOW + 5)
    following = await queue.get(f"repeat:s:{NOW + MINUTE}")
    assert following is not None
    assert (following.name, following.data, following.delay) == ("tick", {"a": 1}, timedelta(milliseconds=MINUTE - 5))
    assert following.raw_options["repeat"] == {"every": MINUTE, "count": 2}
    assert await redis.zscore(queue.keys.repeat, "s") == NOW + MINUTE
    assert await redis.hget(queue.keys.scheduler("s"), "ic") == "2"
    assert await queue.state(job.id) is JobState.ACTIVE


async def test_advancing_twice_adds_one_run(queue: Queue, scheduling: Scheduling) -> None:
    await upsert(scheduling, "s", EVERY_MINUTE, TICK, NOW)
    job = await take(queue)
    for _ in range(2):
        await advance(scheduling, job, NOW)
    assert (await queue.counts()).delayed == 1


async def test_runs_missed_in_an_outage_become_one(queue: Queue, scheduling: Scheduling) -> None:
    await upsert(scheduling, "s", EVERY_MINUTE, TICK, NOW)
    late = NOW + 10 * MINUTE + 1
    await advance(scheduling, await take(queue, late), late)
    assert [job.id for job in await queue.jobs("delayed")] == [f"repeat:s:{NOW + 11 * MINUTE}"]


async def test_after_its_last_run_a_scheduler_is_gone(queue: Queue, scheduling: Scheduling, redis: Redis) -> None:
    await upsert(scheduling, "s", Repeat.every(timedelta(minutes=1), limit=2), TICK, NOW)
    for number in range(2):
        now = NOW + number * MINUTE
        job = await take(queue, now)
        await advance(scheduling, job, now)
        await finish(queue, job, now)
    assert (await queue.schedulers(), (await queue.counts()).pending) == ([], 0)
    assert await redis.exists(queue.keys.scheduler("s"), queue.keys.repeat) == 0
    assert (await queue.counts()).completed == 2


@pytest.mark.parametrize(
    "repeat",
    [
        Repeat.every(timedelta(minutes=1), end=from_ms(NOW + MINUTE - 1)),
        Repeat.cron("1 6 24 11 *", end=from_ms(NOW + HOUR), zone="UTC"),
    ],
)
async def test_nothing_runs_after_the_end(queue: Queue, scheduling: Scheduling, repeat: Repeat) -> None:
    run = await upsert(scheduling, "s", repeat, TICK, NOW)
    await advance(scheduling, await take(queue, run.due), run.due)
    assert (await queue.schedulers(), (await queue.counts()).pending) == ([], 0)


async def test_a_taken_slot_does_not_end_the_chain(queue: Queue, scheduling: Scheduling) -> None:
    await upsert(scheduling, "s", EVERY_MINUTE, TICK, NOW)
    await queue.add("other", job_id=f"repeat:s:{NOW + MINUTE}", delay=timedelta(hours=1))
    await advance(scheduling, await take(queue), NOW)
    scheduler = await queue.get_scheduler("s")
    assert scheduler is not None
    assert scheduler.next_run == from_ms(NOW + 2 * MINUTE)


async def test_the_limit_counts_on_over_an_upsert(queue: Queue, scheduling: Scheduling) -> None:
    limited = Repeat.every(timedelta(minutes=1), limit=2)
    await upsert(scheduling, "s", limited, TICK, NOW)
    await advance(scheduling, await take(queue), NOW)
    await upsert(scheduling, "s", limited, TICK, NOW + 1)
    last = await take(queue, NOW + MINUTE)
    assert last.raw_options["repeat"]["count"] == 2
    await advance(scheduling, last, NOW + MINUTE)
    assert await queue.schedulers() == []


async def test_a_job_of_no_scheduler_advances_nothing(queue: Queue, scheduling: Scheduling) -> None:
    await queue.add("paint")
    await advance(scheduling, await take(queue), NOW)
    assert (await queue.counts()).pending == 0


async def test_a_removed_scheduler_does_not_come_back(queue: Queue, scheduling: Scheduling) -> None:
    await upsert(scheduling, "s", EVERY_MINUTE, TICK, NOW)
    job = await take(queue)
    assert await queue.unschedule("s")
    assert await queue.state(job.id) is JobState.ACTIVE
    await advance(scheduling, job, NOW)
    assert (await queue.counts()).pending == 0


async def test_a_pattern_of_another_client_that_we_cannot_follow_is_said(
    queue: Queue, scheduling: Scheduling, redis: Redis
) -> None:
    await upsert(scheduling, "s", Repeat.cron("0 6 * * *"), TICK, NOW)
    await redis.hset(queue.keys.scheduler("s"), "pattern", "0 0 6 * * * 2027")
    job = await take(queue, NOW + 24 * HOUR)
    with pytest.raises(InvalidOption):
        await advance(scheduling, job, NOW)
    [listed] = await queue.schedulers()
    assert (listed.repeat.pattern, listed.repeat.custom) == ("0 0 6 * * * 2027", True)


# By way of Queue


async def test_scheduling_returns_the_next_run_and_removal_takes_it_away(queue: Queue, redis: Redis) -> None:
    kind = JobKind("agenda", dict, attempts=2)
    job = await queue.schedule("a:42", Repeat.cron("0 8 * * *", zone="Europe/Berlin"), kind, {"person": 1}, priority=3)
    stored = await queue.get(job.id)
    assert stored is not None
    assert stored.fields.keys() == job.fields.keys()
    assert (stored.data, stored.priority, stored.options.attempts) == ({"person": 1}, 3, 2)
    with pytest.raises(SchedulerOwnsJob):
        await queue.remove(job.id)
    assert (await queue.unschedule("a:42"), await queue.unschedule("a:42")) == (True, False)
    assert await queue.get(job.id) is None
    [(_, event)] = await redis.xrevrange(queue.keys.events, count=1)
    assert event == {"event": "removed", "jobId": job.id, "prev": "delayed"}


@pytest.mark.parametrize("options", [{"job_id": "a"}, {"delay": timedelta(1)}, {"run_at": datetime.now(UTC)}])
async def test_runs_have_ids_and_times_of_their_own(queue: Queue, options: Any) -> None:
    with pytest.raises(InvalidOption, match="of their own"):
        await queue.schedule("s", EVERY_MINUTE, "tick", **options)


@pytest.mark.parametrize("scheduler_id", ["", "a\nb"])
async def test_a_scheduler_has_an_id(queue: Queue, scheduler_id: str) -> None:
    with pytest.raises(InvalidOption):
        await queue.schedule(scheduler_id, EVERY_MINUTE, "tick")


async def test_the_hash_is_what_other_clients_read(queue: Queue, redis: Redis) -> None:
    end = datetime(2030, 1, 1, tzinfo=UTC)
    await queue.schedule(
        "s", Repeat.cron("0 8 * * *", zone="Europe/Berlin", limit=5, end=end), "tick", lifo=True, keep_logs=3
    )
    fields = await redis.hgetall(queue.keys.scheduler("s"))
    assert json.loads(fields.pop("opts")) == {"lifo": True, "kl": 3}
    assert fields == {
        "name": "tick", "pattern": "0 8 * * *", "tz": "Europe/Berlin", "limit": "5", "endDate": "1893456000000",
        "offset": "0", "ic": "1",
    }  # fmt: skip
