"""Groups as users of the queue and its workers see them: whose turn it is, what each may do, and what is to be seen."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.waiting import eventually

from carequeue import (
    Backoff,
    FlowNode,
    FlowProducer,
    Group,
    GroupFull,
    GroupSettings,
    GroupStatus,
    InvalidOption,
    Job,
    JobContext,
    JobKind,
    JobOptions,
    JobState,
    NewJob,
    Queue,
    RateLimit,
    RateLimited,
    Repeat,
    Worker,
)
from carequeue.testing import FakeClock, Signal, drain

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW = timedelta(milliseconds=400)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)

pytestmark = pytest.mark.redis


class Ledger:
    """A handler that notes what started when, how many of each group ran at once, and holds until released."""

    def __init__(self, *, holds: bool = False) -> None:
        self.started = Signal("started")
        self.release = asyncio.Event()
        self.running: Counter[str | None] = Counter()
        self.peak: Counter[str | None] = Counter()
        if not holds:
            self.release.set()

    async def __call__(self, job: Job[Any]) -> None:
        self.running[job.group] += 1
        self.peak[job.group] = max(self.peak[job.group], self.running[job.group])
        self.started(job.id, time.monotonic())
        await asyncio.sleep(0)  # two that start together run together
        await self.release.wait()
        self.running[job.group] -= 1

    async def ids(self, count: int) -> list[str]:
        return [job_id for job_id, _ in await self.started.wait(count)]


async def add_some(queue: Queue, group_id: str, count: int, **options: Any) -> None:
    await queue.add_bulk(
        NewJob("paint", {}, JobOptions(job_id=f"{group_id[0]}{number}", group=group_id, **options))
        for number in range(1, count + 1)
    )


# Turns


async def test_groups_take_turns_and_jobs_without_one_go_first(queue: Queue, new_worker: Callable[..., Worker]) -> None:
    ledger = Ledger()
    await add_some(queue, "a", 4)
    await add_some(queue, "b", 2)
    await queue.add("paint", job_id="plain")
    await drain(new_worker(ledger))
    assert await ledger.ids(7) == ["plain", "a1", "b1", "a2", "b2", "a3", "a4"]
    assert (await queue.counts()).completed == 7


async def test_priority_and_lifo_count_within_a_group(queue: Queue, new_worker: Callable[..., Worker]) -> None:
    ledger = Ledger()
    await queue.add("paint", job_id="third", group="a", priority=2)
    await queue.add("paint", job_id="second", group=Group("a", priority=1), priority=7)
    await queue.add("paint", job_id="zeroth", group="a", lifo=True)
    await queue.add("paint", job_id="first", group="a")
    stored = await queue.get("second")
    assert stored is not None
    assert (stored.group, stored.priority, stored.options.group) == ("a", 1, Group("a", priority=1))
    await queue.change_priority("third", 0, lifo=True)
    await drain(new_worker(ledger))
    assert await ledger.ids(4) == ["third", "zeroth", "first", "second"]


async def test_the_group_of_a_kind_or_a_queue_is_the_group_of_its_jobs(queue: Queue) -> None:
    kind = JobKind("paint", dict, group="a")
    assert (await queue.add(kind, {})).group == "a"
    assert (await queue.add(kind, {}, group="b")).group == "b"
    assert [job.group for job in await queue.jobs("waiting")] == ["b", "a"]


@pytest.mark.parametrize("group", ["", "a\n", 7, Group])
async def test_what_cannot_be_a_group_is_refused(queue: Queue, group: Any) -> None:
    with pytest.raises(InvalidOption, match="printable"):
        await queue.add("paint", group=group)
    with pytest.raises(InvalidOption, match="priority"):
        Group("a", priority=-1)
    with pytest.raises(InvalidOption):
        await queue.pause_group(group)


# Limits


async def test_no_group_has_more_active_jobs_than_it_may_and_all_of_them_run(
    queue: Queue, new_worker: Callable[..., Worker], redis_url: str
) -> None:
    ledger, done = Ledger(), Signal("done")
    await queue.set_group_defaults(concurrency=2)
    await queue.set_group_concurrency("c", 1)

    async def work(job: Job[Any], context: JobContext) -> None:
        await ledger(job)
        if int(job.id[1:]) % 5 == 0 and context.attempt == 1:
            raise RuntimeError("once more")

    workers = [new_worker(work, concurrency=7, batch=3) for _ in range(3)]
    for worker in workers:
        worker.on_completed(done)
    async with workers[0], workers[1], workers[2]:
        for group_id in "abcd":
            await add_some(queue, group_id, 50, attempts=2)
        await done.wait(200)
    assert ledger.peak["c"] == 1
    assert max(ledger.peak.values()) == 2
    assert (await queue.get_group("a")).active == 0


async def test_a_slot_that_becomes_free_in_a_full_group_wakes_an_idle_worker(
    queue: Queue, new_worker: Callable[..., Worker]
) -> None:
    ledger = Ledger(holds=True)
    await queue.set_group_concurrency("a", 1)
    await add_some(queue, "a", 2)
    # the worker that finishes is full of other jobs; the idle one must hear of it long before its drain delay
    busy, idle = new_worker(ledger), new_worker(ledger, drain_delay=MINUTE)
    async with busy:
        await ledger.ids(1)
        async with idle:
            await idle.wait_until_idle()
            busy.pause()
            ledger.release.set()
            assert await ledger.ids(2) == ["a1", "a2"]


async def test_only_so_many_of_a_group_start_in_each_window_and_others_go_on(
    queue: Queue, new_worker: Callable[..., Worker]
) -> None:
    ledger = Ledger()
    await queue.set_group_rate_limit("a", RateLimit(2, WINDOW))
    await add_some(queue, "a", 6)
    await add_some(queue, "b", 4)
    async with new_worker(ledger, concurrency=20, drain_delay=MINUTE):
        starts = await ledger.started.wait(10)
    of_a = [at for job_id, at in starts if job_id.startswith("a")]
    of_b = [at for job_id, at in starts if job_id.startswith("b")]
    gaps = [of_a[place] - of_a[place - 2] for place in (2, 4)]
    assert all(0.35 < gap < 2 for gap in gaps), gaps
    assert max(of_b) < of_a[2]


async def test_a_worker_that_waits_for_a_window_starts_what_was_added_meanwhile(
    queue: Queue, new_worker: Callable[..., Worker]
) -> None:
    ledger = Ledger()
    await queue.set_group_rate_limit("a", RateLimit(1, WINDOW))
    async with new_worker(ledger, drain_delay=MINUTE) as worker:
        await add_some(queue, "a", 1)
        await ledger.ids(1)
        await worker.wait_until_idle()
        await queue.add("paint", job_id="later", group="a")
        starts = await ledger.started.wait(2)
    assert 0.35 < starts[1][1] - starts[0][1] < 2


async def test_a_handler_may_slow_its_group_down_and_leave_the_others_alone(
    queue: Queue, new_worker: Callable[..., Worker]
) -> None:
    starts: list[tuple[str, float]] = []
    done = Signal("done")

    async def call(job: Job[Any], context: JobContext) -> None:
        starts.append((job.id, time.monotonic()))
        if job.id == "a1" and await context.log("refused") == 1:
            raise RateLimited(WINDOW, group=True)

    worker, failed = new_worker(call), Signal("failed")
    worker.on_completed(done)
    worker.on_failed(failed)
    await add_some(queue, "a", 2)
    await add_some(queue, "b", 2)
    async with worker:
        await done.wait(4)
    assert [job_id for job_id, _ in starts] == ["a1", "b1", "b2", "a1", "a2"]
    assert 0.35 < starts[3][1] - starts[0][1] < 2
    job = await queue.get("a1")
    assert job is not None
    assert (job.attempts_made, failed.calls) == (1, [])


async def test_a_job_without_a_group_that_slows_its_group_down_limits_the_queue(
    queue: Queue, new_worker: Callable[..., Worker]
) -> None:
    async def call(job: Job[Any]) -> None:
        raise RateLimited(MINUTE, group=True)

    await queue.add("paint")
    async with new_worker(call) as worker:
        await worker.wait_until_idle()
    assert await queue.rate_limit_ttl() > 50 * SECOND


async def test_a_paused_group_waits_and_resuming_it_wakes_a_worker(
    queue: Queue, new_worker: Callable[..., Worker]
) -> None:
    ledger = Ledger()
    await queue.pause_group("a")
    await add_some(queue, "a", 2)
    await add_some(queue, "b", 1)
    async with new_worker(ledger, drain_delay=MINUTE) as worker:
        await ledger.ids(1)
        await worker.wait_until_idle()
        assert (await queue.get_group("a")).status is GroupStatus.PAUSED
        await queue.resume_group("a")
        assert await ledger.ids(3) == ["b1", "a1", "a2"]


async def test_a_group_that_is_limited_by_hand_waits_for_so_long(
    queue: Queue, new_worker: Callable[..., Worker]
) -> None:
    ledger = Ledger()
    await add_some(queue, "a", 1)
    before = time.monotonic()
    await queue.rate_limit_group("a", WINDOW)
    assert (await queue.get_group("a")).limited_for > WINDOW / 2
    async with new_worker(ledger, drain_delay=MINUTE):
        [(_, at)] = await ledger.started.wait(1)
    assert 0.35 < at - before < 2
    with pytest.raises(InvalidOption):
        await queue.rate_limit_group("a", timedelta(0))


async def test_lifting_a_groups_rate_limit_wakes_a_worker(queue: Queue, new_worker: Callable[..., Worker]) -> None:
    ledger = Ledger()
    await queue.rate_limit_group("a", MINUTE)
    await add_some(queue, "a", 1)
    async with new_worker(ledger, drain_delay=MINUTE) as worker:
        await worker.wait_until_idle()
        assert (await queue.get_group("a")).status is GroupStatus.LIMITED
        assert await queue.lift_group_rate_limit("a")
        assert await ledger.ids(1) == ["a1"]
    assert not await queue.lift_group_rate_limit("a")


async def test_draining_in_tests_leaves_what_may_not_start(queue: Queue, new_worker: Callable[..., Worker]) -> None:
    ledger = Ledger()
    await queue.rate_limit_group("a", MINUTE)
    await queue.pause_group("b")
    for group_id in "abc":
        await add_some(queue, group_id, 1)
    await drain(new_worker(ledger))
    assert [job_id for job_id, _ in ledger.started.calls] == ["c1"]
    assert (await queue.counts()).waiting == 2


async def test_raising_what_all_groups_may_do_wakes_a_worker(queue: Queue, new_worker: Callable[..., Worker]) -> None:
    ledger = Ledger(holds=True)
    await queue.set_group_defaults(concurrency=1)
    for group_id in "ab":
        await add_some(queue, group_id, 3)
    async with new_worker(ledger, concurrency=10, drain_delay=MINUTE):
        await ledger.ids(2)
        await queue.set_group_defaults(concurrency=2)
        assert Counter(job_id[0] for job_id in await ledger.ids(4)) == {"a": 2, "b": 2}
        await queue.set_group_concurrency("b", 9)
        assert (await ledger.ids(5))[4] == "b3"
        ledger.release.set()


async def test_the_limits_of_the_queue_hold_for_groups_too(queue: Queue, new_worker: Callable[..., Worker]) -> None:
    ledger = Ledger(holds=True)
    await queue.set_global_concurrency(3)
    for group_id in "abcd":
        await add_some(queue, group_id, 2)
    async with new_worker(ledger, concurrency=10) as worker:
        await ledger.ids(3)
        assert sum(ledger.running.values()) == 3
        await queue.pause()
        ledger.release.set()
        await worker.wait_until_idle()
        assert len(ledger.started.calls) == 3
        await queue.resume()
        await ledger.ids(8)


async def test_a_full_group_takes_no_more(queue: Queue, new_worker: Callable[..., Worker]) -> None:
    await queue.set_group_max_size("a", 2)
    await add_some(queue, "a", 1)
    with pytest.raises(GroupFull, match="paint"):
        await queue.add_bulk(NewJob("paint", {}, JobOptions(group="a")) for _ in range(2))
    await queue.add("paint", job_id="a2", group="a")
    await queue.add("paint", job_id="a2", group="a")
    with pytest.raises(GroupFull, match="job a3: as many jobs wait"):
        await queue.add("paint", job_id="a3", group="a")
    await drain(new_worker(Ledger()))
    for job_id in ("a2", "a1"):
        await queue.add("paint", job_id=job_id, group="a", when_exists="rerun")
    await queue.add("paint", job_id="b1", group="b")
    with pytest.raises(GroupFull):
        await queue.add("paint", job_id="a3", group="a")


# Ways into a group


async def test_delayed_retried_and_repeated_jobs_come_into_their_group(
    queue: Queue, new_worker: Callable[..., Worker]
) -> None:
    clock, failed = FakeClock(), Signal("failed")

    async def fail(job: Job[Any]) -> None:
        raise RuntimeError("no")

    await queue.add("paint", job_id="later", group="a", delay=MINUTE)
    await queue.add("paint", job_id="again", group="a")
    await queue.schedule("pulse", Repeat.every(timedelta(hours=1)), "paint", group="a", priority=1)
    worker = new_worker(fail, clock=clock)
    worker.on_failed(failed)
    async with worker:
        await failed.wait(2)
        await worker.wait_until_idle()
    assert (await queue.get_group("a")).waiting == 0
    await queue.pause_group("a")
    await queue.promote("later")
    await queue.retry("again")
    await queue.schedule("pulse", Repeat.every(timedelta(seconds=1)), "paint", group="a")
    *others, pulse = await queue.group_jobs("a")
    assert [job.id for job in others] == ["later", "again"]
    assert (pulse.scheduler_id, pulse.group) == ("pulse", "a")
    assert await queue.drain_group("a") == 2
    assert [job.id for job in await queue.group_jobs("a")] == [pulse.id]
    await queue.unschedule("pulse")
    assert await queue.group_jobs("a") == []


async def test_a_job_that_backs_off_leaves_its_place_and_comes_back_into_its_group(
    queue: Queue, new_worker: Callable[..., Worker]
) -> None:
    clock, ledger = FakeClock(), Ledger()

    async def work(job: Job[Any], context: JobContext) -> None:
        await ledger(job)
        if job.id == "a1" and context.attempt == 1:
            raise RuntimeError("once more")

    await queue.set_group_concurrency("a", 1)
    await add_some(queue, "a", 2, attempts=2, backoff=Backoff.fixed(MINUTE))
    async with new_worker(work, clock=clock) as worker:
        assert await ledger.ids(2) == ["a1", "a2"]
        await worker.wait_until_idle()
        await queue.pause_group("a")
        clock.advance(2 * MINUTE)
        await eventually(lambda: waiting(queue, "a"), "a1 is due, and waits in its group")
        await worker.wait_until_idle()
        await queue.resume_group("a")
        assert await ledger.ids(3) == ["a1", "a2", "a1"]


async def waiting(queue: Queue, group_id: str) -> int:
    return (await queue.get_group(group_id)).waiting


async def test_flows_wait_in_groups(
    queue: Queue, pages: Queue, flows: FlowProducer, new_worker: Callable[..., Worker], redis_url: str
) -> None:
    await queue.pause_group("a")
    children = [FlowNode("page", queue=pages.name, group=f"g{number}") for number in range(3)]
    flow = await flows.add(FlowNode("report", queue=queue.name, group="a", children=children))
    assert {group.id async for group in pages.groups()} == {"g0", "g1", "g2"}
    await drain(Worker(pages.name, redis_url, Ledger()))
    assert [job.id for job in await queue.group_jobs("a")] == [flow.job.id]


async def test_a_killed_workers_jobs_come_back_into_their_group(
    queue: Queue, new_worker: Callable[..., Worker], redis: Any
) -> None:
    ledger, stalled = Ledger(holds=True), Signal("stalled")
    await queue.set_group_concurrency("a", 1)
    await add_some(queue, "a", 2)
    other = new_worker(ledger, stalled_interval=timedelta(milliseconds=100))
    other.on_stalled(stalled)
    lost = new_worker(ledger, skip_lock_renewal=True, skip_stalled_check=True)
    async with lost:
        await ledger.ids(1)
        await redis.delete(queue.keys.lock("a1"))
        async with other:
            await stalled.wait()
            assert await ledger.ids(2) == ["a1", "a1"]
            ledger.release.set()
            await ledger.ids(3)


# Looking


async def test_groups_are_seen_with_what_they_have(queue: Queue, new_worker: Callable[..., Worker]) -> None:
    ledger = Ledger(holds=True)
    await queue.set_group_concurrency("a", 1)
    for group_id in ("a", "b:ü", "c"):
        await add_some(queue, group_id, 2)
    await queue.pause_group("c")
    async with new_worker(ledger, concurrency=10):
        await ledger.ids(3)
        seen = {(group.id, group.waiting, group.active, group.status) async for group in queue.groups(page=1)}
        assert seen == {("a", 1, 1, "maxed"), ("b:ü", 0, 2, "ready"), ("c", 2, 0, "paused")}
        assert (await queue.get_group("nobody")).status is GroupStatus.READY
        ledger.release.set()


async def test_jobs_in_groups_are_waiting_jobs(queue: Queue) -> None:
    await queue.add("paint", job_id="plain")
    await add_some(queue, "a", 2, priority=3)
    await add_some(queue, "b", 1)
    assert (await queue.counts()).waiting == 4
    assert await queue.state("a2") is JobState.WAITING
    assert await queue.states(["b1", "nobody"]) == {"b1": JobState.WAITING}
    assert [job.id async for job in queue.iterate("waiting", page=2)] == ["plain", "a1", "a2", "b1"]
    assert [job.id for job in await queue.group_jobs("a", start=1)] == ["a2"]
    assert [job.id for job in await queue.group_jobs("a", start=0, end=0)] == ["a1"]
    with pytest.raises(InvalidOption):
        await queue.group_jobs("a", start=-1)
    assert set(await queue.clean(timedelta(0), state="waiting")) == {"plain", "a1", "a2", "b1"}
    assert [group async for group in queue.groups()] == []


async def test_many_groups_and_jobs_are_read_and_drained_page_by_page(queue: Queue) -> None:
    await queue.add_bulk(NewJob("paint", {}, JobOptions(group=f"g{number}")) for number in range(1200))
    await queue.add_bulk(NewJob("paint", {}, JobOptions(group="big")) for _ in range(1100))
    found = [group.id async for group in queue.groups()]
    assert len(found) == len(set(found)) == 1201
    assert len(await queue.group_jobs("big")) == 1100
    assert await queue.drain_group("big") == 1100
    assert (await queue.counts()).waiting == 1200
    await queue.set_group_defaults(concurrency=1)  # looks at all of them, in more than one call
    await queue.drain()
    assert (await queue.counts()).waiting == 0


async def test_settings_are_told_as_they_hold(queue: Queue) -> None:
    limit, own = RateLimit(10, SECOND), RateLimit(1, MINUTE)
    await queue.set_group_defaults(concurrency=2, rate_limit=limit, max_size=9)
    assert await queue.group_defaults() == GroupSettings(concurrency=2, rate_limit=limit, max_size=9)
    await queue.set_group_rate_limit("a", own)
    await queue.set_group_concurrency("a", 5)
    await queue.pause_group("a")
    assert await queue.group_settings("a") == GroupSettings(concurrency=5, rate_limit=own, max_size=9)
    await queue.set_group_rate_limit("a", None)
    await queue.set_group_concurrency("a", None)
    await queue.resume_group("a")
    assert await queue.group_settings("a") == await queue.group_settings("b") == await queue.group_defaults()
    await queue.set_group_defaults()
    assert await queue.group_defaults() == GroupSettings()
    assert not await queue.client.exists(queue.keys.groups_settings)


@pytest.mark.parametrize("setting", ["set_group_concurrency", "set_group_max_size"])
async def test_settings_that_cannot_be_are_refused(queue: Queue, setting: str) -> None:
    with pytest.raises(InvalidOption, match="at least 1"):
        await getattr(queue, setting)("a", 0)
    with pytest.raises(InvalidOption, match="printable"):
        await getattr(queue, setting)("", 1)
    with pytest.raises(InvalidOption):
        await queue.set_group_defaults(concurrency=0)


# Elsewhere


async def test_in_a_cluster_whatever_a_group_is_called_is_in_the_slot_of_its_queue(own_cluster: str) -> None:
    ids = ["{other}", "a:b:wait", "turns", "§ 7", "wait"]
    async with Queue("{care}-paint", own_cluster) as queue:
        await queue.set_group_defaults(concurrency=1, rate_limit=RateLimit(100, MINUTE), max_size=2)
        for group_id in ids * 2:
            await queue.add("paint", group=group_id)
        assert {(group.id, group.waiting) async for group in queue.groups()} == {(group_id, 2) for group_id in ids}
        ledger = Ledger()
        await drain(Worker(queue.name, own_cluster, ledger))
        assert set(ledger.peak.values()) == {1}
        assert len(ledger.started.calls) == 10
