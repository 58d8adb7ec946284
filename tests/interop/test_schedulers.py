"""A scheduler that either side made is advanced by whoever takes its run, in the same slots."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from tests.interop.acting import Painter
from tests.waiting import eventually

from carequeue import CatchUp, Queue, Repeat, RunOnce, SkipLate, Worker, WorkerOptions, next_run
from carequeue.testing import FakeClock, Signal
from carequeue.wire.schedule import encode_misfire
from carequeue.wire.times import to_ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.asyncio import Redis
    from tests.interop.support import Node

    from carequeue import RepeatStrategy

pytestmark = [pytest.mark.node, pytest.mark.redis]

EVERY_MS = 200
EVERY_SECOND = "* * * * * *"
ZONE = "Australia/Lord_Howe"


async def work(queue: Queue, redis_url: str, runs: int, strategy: RepeatStrategy | None = None) -> list[int]:
    """Let our worker run so many jobs; returns the slots in their ids."""
    completed = Signal("completed")
    worker = Worker(queue.name, redis_url, Painter(), options=WorkerOptions(repeat_strategy=strategy))
    worker.on_completed(completed)
    async with worker:
        calls = await completed.wait(runs)
    return [slot(job.id) for job, _ in calls]


async def node_works(node: Node, queue: Queue, runs: int, **options: Any) -> list[int]:
    before = len(node.seen("w", "completed"))
    await node.make("Worker", "w", queue.name, options)
    ended = await node.wait_for("w", "completed", before + runs)
    await node.drop("w")
    return [slot(job["id"]) for job, *_ in ended[before : before + runs]]


def slot(job_id: str) -> int:
    assert job_id.startswith("repeat:")
    return int(job_id.rpartition(":")[2])


def on_slots(slots: list[int], every_ms: int) -> bool:
    """Each later than the one before, by whole intervals: on a busy machine some are passed over."""
    return all(later > earlier and (later - earlier) % every_ms == 0 for earlier, later in pairwise(slots))


async def test_we_advance_an_interval_that_node_made(node: Node, queue: Queue, redis_url: str) -> None:
    await node.make("Queue", "q", queue.name)
    template = {"name": "tick", "data": {"acts": [{"return": 1}]}}
    await node.call("q", "upsertJobScheduler", "s", {"every": EVERY_MS}, template)

    slots = await work(queue, redis_url, 3)

    assert on_slots(slots, EVERY_MS)
    scheduler = await node.call("q", "getJobScheduler", "s")
    assert (scheduler["iterationCount"], scheduler["every"], scheduler["name"]) == (4, EVERY_MS, "tick")
    assert (scheduler["next"] - slots[0]) % EVERY_MS == 0


async def test_node_advances_an_interval_that_we_made(node: Node, queue: Queue) -> None:
    repeat = Repeat.every(timedelta(milliseconds=EVERY_MS))
    await queue.schedule("s", repeat, "tick", {"acts": [{"return": 1}]})

    slots = await node_works(node, queue, 3)

    assert on_slots(slots, EVERY_MS)
    scheduler = await queue.get_scheduler("s")
    assert scheduler is not None
    assert (scheduler.runs, scheduler.name, scheduler.data) == (4, "tick", {"acts": [{"return": 1}]})


async def test_we_advance_a_pattern_that_node_made(node: Node, queue: Queue, redis_url: str) -> None:
    await node.make("Queue", "q", queue.name)
    template = {"name": "tick", "data": {"n": 1}, "opts": {"attempts": 3, "removeOnComplete": 10}}
    await node.call("q", "upsertJobScheduler", "s", {"pattern": EVERY_SECOND, "tz": ZONE}, template)

    slots = await work(queue, redis_url, 2)

    assert on_slots(slots, 1000)
    scheduler = await node.call("q", "getJobScheduler", "s")
    assert (scheduler["pattern"], scheduler["tz"], scheduler["iterationCount"]) == (EVERY_SECOND, ZONE, 3)
    [waiting] = await queue.jobs(["delayed", "waiting"])
    assert (waiting.data, waiting.options.attempts) == ({"n": 1}, 3)


async def test_node_advances_a_pattern_that_we_made(node: Node, queue: Queue) -> None:
    await queue.schedule("s", Repeat.cron(EVERY_SECOND, zone=ZONE), "tick", {"n": 1}, attempts=3)

    slots = await node_works(node, queue, 2)

    assert on_slots(slots, 1000)
    scheduler = await queue.get_scheduler("s")
    assert scheduler is not None
    assert (scheduler.repeat.pattern, scheduler.repeat.zone, scheduler.runs) == (EVERY_SECOND, ZONE, 3)
    [waiting] = await queue.jobs(["delayed", "waiting"])
    assert (waiting.data, waiting.options.attempts) == ({"n": 1}, 3)


async def test_they_take_turns_and_keep_one_count(node: Node, queue: Queue, redis_url: str) -> None:
    await queue.schedule("s", Repeat.every(timedelta(milliseconds=EVERY_MS), limit=6), "tick", {"acts": [{}]})

    slots = [
        *await work(queue, redis_url, 2),
        *await node_works(node, queue, 2),
        *await work(queue, redis_url, 2),
    ]

    assert len(set(slots)) == 6
    assert on_slots(slots, EVERY_MS)
    counts = await queue.counts()
    assert (counts.completed, counts.pending) == (6, 0)
    assert await queue.schedulers() == []


@pytest.mark.parametrize("pattern", ["0 8 * * *", "*/10 9-17 * * 1-5", "0 0 L * *", "0 12 * * 5L", "15 6 * 2,8 1#1"])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])
async def test_both_see_the_same_next_slot(node: Node, queue: Queue, pattern: str, zone: str) -> None:
    await node.make("Queue", "q", queue.name)
    await node.call("q", "upsertJobScheduler", "theirs", {"pattern": pattern, "tz": zone}, {"name": "tick"})

    await queue.schedule("ours", Repeat.cron(pattern, zone=zone), "tick")

    theirs, ours = await node.call("q", "getJobScheduler", "theirs"), await queue.get_scheduler("ours")
    assert ours is not None
    assert ours.next_run == datetime.fromtimestamp(theirs["next"] / 1000, UTC)


async def test_each_lists_changes_and_removes_those_of_the_other(node: Node, queue: Queue) -> None:
    await node.make("Queue", "q", queue.name)
    yearly: dict[str, Any] = {"pattern": "0 0 1 1 *", "tz": "UTC"}
    await node.call("q", "upsertJobScheduler", "theirs", yearly, {"name": "tick"})
    await queue.schedule("ours", Repeat.cron("0 0 1 1 *"), "tick")
    assert {one.id for one in await queue.schedulers()} == {"theirs", "ours"}
    assert {one["key"] for one in await node.call("q", "getJobSchedulers")} == {"theirs", "ours"}

    await queue.schedule("theirs", Repeat.cron("0 0 1 6 *"), "tock")
    await node.call("q", "upsertJobScheduler", "ours", {**yearly, "pattern": "0 0 1 6 *"}, {"name": "tock"})
    assert {(one.name, one.repeat.pattern) for one in await queue.schedulers()} == {("tock", "0 0 1 6 *")}
    assert (await queue.counts()).delayed == 2

    assert await queue.unschedule("theirs")
    assert await node.call("q", "removeJobScheduler", "ours")
    assert await queue.schedulers() == []
    assert (await queue.counts()).pending == 0


@pytest.mark.parametrize("misfire", [CatchUp(7), SkipLate(timedelta(minutes=1))])
async def test_a_misfire_policy_survives_runs_that_node_takes(
    node: Node, queue: Queue, misfire: CatchUp | SkipLate
) -> None:
    repeat = Repeat.every(timedelta(milliseconds=EVERY_MS), misfire=misfire)
    await queue.schedule("s", repeat, "tick", {"acts": [{"return": 1}]})

    await node_works(node, queue, 2)

    [waiting] = await queue.jobs(["delayed", "waiting"])
    assert waiting.raw_options["misfire"] == encode_misfire(misfire)["misfire"]
    scheduler = await queue.get_scheduler("s")
    assert scheduler is not None
    assert scheduler.repeat.misfire == misfire


@pytest.mark.parametrize("misfire", [CatchUp(7), SkipLate(timedelta(minutes=1))])
async def test_node_takes_a_missed_run_as_it_takes_every_late_run_and_no_run_is_doubled(
    node: Node, queue: Queue, redis_url: str, misfire: CatchUp | SkipLate
) -> None:
    """It runs late and stands for all that were missed; the policy holds again for what our workers take."""
    clock = FakeClock(datetime.now(UTC) - timedelta(minutes=10))
    async with Queue(queue.name, redis_url, clock=clock) as past:
        missed = await past.schedule("s", Repeat.cron("* * * * *", misfire=misfire), "tick", {"acts": [{}]})
        assert missed.scheduled_for is not None
    before = datetime.now(UTC)

    [late] = await node_works(node, queue, 1)

    assert late == to_ms(missed.scheduled_for)
    [following] = await queue.jobs(["delayed", "waiting"])
    assert following.scheduled_for is not None
    assert before < following.scheduled_for <= datetime.now(UTC) + timedelta(minutes=1)
    assert await queue.audit_schedulers() == []
    later = FakeClock(following.scheduled_for + timedelta(minutes=3, seconds=30))
    ran = Signal("ran")
    worker = Worker(queue.name, redis_url, lambda job: ran(job.scheduled_for), clock=later)
    async with worker:
        await worker.wait_until_idle()
    runs = [following.scheduled_for + timedelta(minutes=number) for number in range(4)]
    assert [at for (at,) in ran.calls] == (runs if isinstance(misfire, CatchUp) else runs[3:])


async def test_a_scheduler_that_node_writes_anew_has_no_misfire_policy_any_more(node: Node, queue: Queue) -> None:
    await node.make("Queue", "q", queue.name)
    await queue.schedule("s", Repeat.cron("0 0 1 1 *", misfire=SkipLate(timedelta(minutes=1))), "tick")
    listed = await node.call("q", "getJobScheduler", "s")
    assert (listed["pattern"], listed["template"]["opts"]) == ("0 0 1 1 *", {"misfire": {"skipLate": 60_000}})

    await node.call("q", "upsertJobScheduler", "s", {"pattern": "0 0 1 1 *", "tz": "UTC"}, {"name": "tick"})

    scheduler = await queue.get_scheduler("s")
    assert scheduler is not None
    assert scheduler.repeat.misfire == RunOnce()


async def test_what_node_makes_for_after_the_end_does_not_run(node: Node, queue: Queue, redis_url: str) -> None:
    """BullMQ looks at the end only when it computes the run after the next one: `every` runs once more after it."""
    await node.make("Queue", "q", queue.name)
    end = datetime.now(UTC) + timedelta(seconds=1)
    rule = {"every": 1500, "endDate": int(end.timestamp() * 1000)}
    await node.call("q", "upsertJobScheduler", "s", rule, {"name": "tick", "data": {"acts": [{"return": 1}]}})
    assert len(await node_works(node, queue, 1)) == 1
    [beyond] = await queue.jobs(["delayed", "waiting"])
    assert beyond.scheduled_for is not None
    assert beyond.scheduled_for > end

    completed, missed = Signal("completed"), Signal("missed")
    worker = Worker(queue.name, redis_url, Painter())
    worker.on_completed(completed)
    worker.on_missed(missed)
    async with worker:
        [(_, value)] = await completed.wait()

    assert value == {"skipped": "its scheduler had ended before it was due"}
    assert [job.id for job, _ in missed.calls] == [beyond.id]
    assert await queue.schedulers() == []


async def test_a_run_that_node_lost_is_made_again_and_node_goes_on(node: Node, queue: Queue, redis: Redis) -> None:
    await node.make("Queue", "q", queue.name)
    template = {"name": "tick", "data": {"acts": [{"return": 1}]}, "opts": {"attempts": 2}}
    await node.call("q", "upsertJobScheduler", "s", {"every": EVERY_MS}, template)
    [lost] = await queue.jobs(["delayed", "waiting"])
    await redis.delete(queue.keys.wait, queue.keys.delayed, queue.keys.job(lost.id))

    [repair] = await queue.audit_schedulers()

    assert (repair.scheduler_id, repair.outcome, repair.next_run) == ("s", "repaired", lost.scheduled_for)
    slots = await node_works(node, queue, 3)
    assert slots[0] == slot(lost.id)
    assert on_slots(slots, EVERY_MS)
    [waiting] = await queue.jobs(["delayed", "waiting"])
    assert (waiting.data, waiting.options.attempts) == ({"acts": [{"return": 1}]}, 2)


async def test_what_node_leaves_of_a_scheduler_that_has_ended_is_removed(node: Node, queue: Queue) -> None:
    await node.make("Queue", "q", queue.name)
    for name, kept in (("kept", 10), ("gone", True)):
        template = {"name": "tick", "data": {"acts": [{}]}, "opts": {"removeOnComplete": kept}}
        await node.call("q", "upsertJobScheduler", name, {"every": EVERY_MS, "limit": 2}, template)
    assert await queue.audit_schedulers() == []
    await node_works(node, queue, 4)
    assert {one.id for one in await queue.schedulers()} == {"kept", "gone"}  # BullMQ lists them for ever

    repairs = await queue.audit_schedulers()

    assert {(repair.scheduler_id, repair.outcome) for repair in repairs} == {("kept", "ended"), ("gone", "ended")}
    assert await node.call("q", "getJobSchedulers") == []
    assert (await queue.counts()).pending == 0


async def test_schedulers_that_node_works_on_are_left_alone(node: Node, queue: Queue, redis: Redis) -> None:
    await node.make("Queue", "q", queue.name)
    template = {"name": "tick", "data": {"acts": [{}]}, "opts": {"removeOnComplete": True}}
    await node.call("q", "upsertJobScheduler", "every", {"every": 50}, template)
    await node.call("q", "upsertJobScheduler", "cron", {"pattern": EVERY_SECOND, "tz": ZONE}, template)
    await node.make("Worker", "w", queue.name)
    ended = 0
    while ended < 30:
        assert await queue.audit_schedulers() == []
        ended = len(await node.wait_for("w", "completed", ended + 1))
    await node.drop("w")
    assert await queue.audit_schedulers() == []
    ids = [job["id"] for job, *_ in node.seen("w", "completed")]
    assert len(set(ids)) == len(ids)


PATTERNS = [
    "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@hourly", "@weekdays", "@weekends", "0 8 ? * *",
    "0 8 1 * ?", "30 15 8 * * *", "0 8 * JAN-MAR MON-FRI", "0 8 * * 7", "0 8 * * 0", "0 8 L * *", "0 8 * * 5L",
    "0 8 * * 1#2", "0 8 * * MON#2", "7/20 8 * * *", "10-50/20 8 * * *", "0 8,20 1,15 * *", "0 8 13 * 5", "0 0 29 2 *",
]  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
async def test_both_read_a_pattern_alike(node: Node, queue: Queue, pattern: str) -> None:
    await node.make("Queue", "q", queue.name)
    await node.call("q", "upsertJobScheduler", "theirs", {"pattern": pattern, "tz": "UTC"}, {"name": "tick"})

    await queue.schedule("ours", Repeat.cron(pattern, zone="UTC"), "tick")

    theirs, ours = await node.call("q", "getJobScheduler", "theirs"), await queue.get_scheduler("ours")
    assert ours is not None
    assert ours.next_run == datetime.fromtimestamp(theirs["next"] / 1000, UTC)


async def test_both_start_an_interval_with_an_offset_in_the_same_slot(node: Node, queue: Queue) -> None:
    await node.make("Queue", "q", queue.name)
    hour, offset = 3_600_000, 120_000
    await node.call("q", "upsertJobScheduler", "theirs", {"every": hour, "offset": offset}, {"name": "tick"})

    await queue.schedule("ours", Repeat.every(timedelta(hours=1), offset=timedelta(minutes=2)), "tick")

    theirs, ours = await node.call("q", "getJobScheduler", "theirs"), await queue.get_scheduler("ours")
    assert ours is not None
    assert theirs["next"] == ours.next_run.timestamp() * 1000
    assert theirs["offset"] == offset


async def test_both_run_a_pattern_immediately(node: Node, queue: Queue) -> None:
    await node.make("Queue", "q", queue.name)
    before = datetime.now(UTC)
    rule = {"pattern": "0 0 1 1 *", "tz": "UTC", "immediately": True}
    await node.call("q", "upsertJobScheduler", "theirs", rule, {"name": "tick"})
    await queue.schedule("ours", Repeat.cron("0 0 1 1 *", immediately=True), "tick")
    for job in await queue.jobs(["delayed", "waiting"]):
        assert job.scheduled_for is not None
        assert abs(job.scheduled_for - before) < timedelta(seconds=20)
        assert "immediately" not in job.raw_options["repeat"]


@pytest.mark.parametrize(
    ("rule", "make"),
    [
        ({"every": 3_600_000}, lambda start: Repeat.every(timedelta(hours=1), start=start)),
        ({"pattern": "30 8 * * *", "tz": ZONE}, lambda start: Repeat.cron("30 8 * * *", zone=ZONE, start=start)),
    ],
)
async def test_both_begin_at_the_start(
    node: Node, queue: Queue, rule: dict[str, Any], make: Callable[[datetime], Repeat]
) -> None:
    await node.make("Queue", "q", queue.name)
    start = (datetime.now(UTC) + timedelta(days=40)).replace(microsecond=0)
    await node.call("q", "upsertJobScheduler", "theirs", {**rule, "startDate": to_ms(start)}, {"name": "tick"})
    await queue.schedule("ours", make(start), "tick")

    found = {scheduler.id: scheduler for scheduler in await queue.schedulers()}

    assert found["ours"].next_run == found["theirs"].next_run >= start
    assert found["ours"].repeat == found["theirs"].repeat


async def test_we_end_a_pattern_that_node_made_at_its_end(node: Node, queue: Queue, redis_url: str) -> None:
    await node.make("Queue", "q", queue.name)
    end = datetime.now(UTC) + timedelta(seconds=2.5)
    rule = {"pattern": EVERY_SECOND, "tz": ZONE, "endDate": to_ms(end)}
    await node.call("q", "upsertJobScheduler", "s", rule, {"name": "tick", "data": {"acts": [{}]}})
    async with Worker(queue.name, redis_url, Painter()):

        async def over() -> bool:
            return await queue.schedulers() == []

        await eventually(over, "the scheduler has ended")
    slots = [slot(job.id) for job in await queue.jobs("completed")]
    assert slots
    assert max(slots) <= to_ms(end)
    assert (await queue.counts()).pending == 0


async def test_we_keep_to_the_limit_of_one_that_node_made(node: Node, queue: Queue, redis_url: str) -> None:
    await node.make("Queue", "q", queue.name)
    await node.call("q", "upsertJobScheduler", "s", {"every": EVERY_MS, "limit": 3}, {"name": "tick"})

    slots = await work(queue, redis_url, 3)

    assert on_slots(slots, EVERY_MS)
    assert (await queue.schedulers(), (await queue.counts()).pending) == ([], 0)


async def test_a_hashed_pattern_that_node_made_keeps_its_place_with_us(
    node: Node, queue: Queue, redis_url: str
) -> None:
    """The id of the scheduler decides: each run that we make is a minute after the one before."""
    await node.make("Queue", "q", queue.name)
    rule = {"pattern": "H * * * * *", "tz": "UTC", "limit": 5}
    await node.call("q", "upsertJobScheduler", "s", rule, {"name": "tick"})
    ran, clock = Signal("ran"), FakeClock(datetime.now(UTC) + timedelta(minutes=1))
    worker = Worker(queue.name, redis_url, lambda job: ran(job.scheduled_for), clock=clock)
    async with worker:
        for _ in range(5):
            await worker.wait_until_idle()
            clock.advance(timedelta(minutes=1))
    made = [at for (at,) in ran.calls][1:]
    assert len(made) == 4
    assert {later - earlier for earlier, later in pairwise(made)} == {timedelta(minutes=1)}
    assert made[0].second == next_run(Repeat.cron("H * * * * *"), after=clock.now, seed="s").second


@pytest.mark.parametrize("first", ["node", "we"])
@pytest.mark.parametrize("waits", [True, False])
async def test_both_take_turns_with_a_strategy_of_their_owners(
    node: Node, queue: Queue, redis_url: str, first: str, *, waits: bool
) -> None:
    """Ours as a plain function and as a coroutine function; Node's is one that waits."""
    every = timedelta(milliseconds=EVERY_MS)

    def plain(after: datetime, repeat: Repeat, scheduler_id: str) -> datetime:
        assert (repeat.pattern, scheduler_id) == ("high tide", "s")
        return after + every - timedelta(milliseconds=to_ms(after) % EVERY_MS, microseconds=after.microsecond % 1000)

    async def waiting(after: datetime, repeat: Repeat, scheduler_id: str) -> datetime:
        return plain(after, repeat, scheduler_id)

    strategy = waiting if waits else plain
    if first == "node":
        await node.make("Queue", "q", queue.name, {"slotMs": EVERY_MS})
        await node.call("q", "upsertJobScheduler", "s", {"pattern": "high tide"}, {"name": "tick"})
    else:
        async with Queue(queue.name, redis_url, repeat_strategy=strategy) as scheduling:
            await scheduling.schedule("s", Repeat.by_strategy("high tide"), "tick", {})

    slots = [
        *await work(queue, redis_url, 2, strategy),
        *await node_works(node, queue, 2, slotMs=EVERY_MS),
        *await work(queue, redis_url, 2, strategy),
    ]

    assert len(set(slots)) == 6
    assert on_slots(slots, EVERY_MS)
    assert all(at % EVERY_MS == 0 for at in slots)
