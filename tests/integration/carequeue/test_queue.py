"""Queue: adding and changing jobs as a program does it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from carequeue import (
    Backoff,
    InvalidOption,
    JobKind,
    JobLocked,
    JobNotFound,
    JobOptions,
    JobState,
    KeepJobs,
    NewJob,
    ParentNotFound,
    ParentRef,
    PayloadError,
    Queue,
    QueueNotPaused,
    Repeat,
    WrongState,
)
from carequeue.store.commands import Commands, Finish, Step

if TYPE_CHECKING:
    from redis.asyncio import Redis

pytestmark = pytest.mark.redis

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Remind:
    occurrence_id: UUID
    generation: int


REMIND = JobKind("remind", Remind, attempts=5, backoff=Backoff.fixed(SECOND), keep_completed=KeepJobs(count=100))


async def take(queue: Queue, count: int = 1) -> list[str]:
    """Take jobs as a worker does; the first gets the token hand:0."""
    reply = await Commands(queue.client, queue.keys).step(Step((), count, now_ms(), "hand", 0, 60_000))
    return [job.id for job in reply.jobs]


async def finish(queue: Queue, job_id: str, token: str = "hand:0", verdict: Any = "completed") -> None:  # noqa: S107
    reply = await Commands(queue.client, queue.keys).step(
        Step([Finish(job_id, token, verdict, "null", "[]")], 0, now_ms(), "hand", 0, 60_000)
    )
    assert reply.codes == [0]


def now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


# Adding


async def test_a_job_comes_back_as_it_was_added(queue: Queue) -> None:
    data = Remind(uuid4(), 1)
    before = datetime.now(UTC)
    job = await queue.add(REMIND, data, job_id="x-g1", priority=2)
    stored = await queue.get("x-g1", REMIND)
    assert stored is not None
    assert (job.id, job.name, job.data, job.priority) == ("x-g1", "remind", data, 2)
    assert stored.data == data
    assert stored.fields == job.fields
    assert stored.options == JobOptions(
        job_id="x-g1", priority=2, attempts=5, backoff=Backoff.fixed(SECOND), keep_completed=KeepJobs(count=100)
    )
    assert stored.added_at is not None
    assert before - timedelta(milliseconds=1) <= stored.added_at <= datetime.now(UTC)


async def test_a_plain_name_and_plain_data_will_do(queue: Queue) -> None:
    job = await queue.add("paint", {"colour": "red", "coats": [1, 2]})
    assert (job.id, job.data, await queue.state(job.id)) == ("1", {"colour": "red", "coats": [1, 2]}, JobState.WAITING)
    assert (await queue.add("paint")).data == {}


async def test_a_job_with_an_instant_is_delayed_until_it(queue: Queue, redis: Redis) -> None:
    at = datetime.now(UTC) + HOUR
    job = await queue.add("paint", run_at=at)
    assert await queue.state(job.id) is JobState.DELAYED
    due = await redis.zscore(queue.keys.delayed, job.id)
    assert due is not None
    assert due // 4096 == int(at.timestamp() * 1000)


async def test_an_instant_in_the_past_is_now(queue: Queue) -> None:
    job = await queue.add("paint", run_at=datetime.now(UTC) - HOUR)
    assert await queue.state(job.id) is JobState.WAITING


async def test_a_jobs_options_win_over_the_kinds_and_those_over_the_queues(redis_url: str, queue_name: str) -> None:
    defaults = JobOptions(attempts=1, keep_failed=KeepJobs(count=7), priority=9)
    async with Queue(queue_name, redis_url, default_options=defaults) as queue:
        job = await queue.add(JobKind("paint", dict, attempts=2), {}, priority=0)
        assert (job.options.attempts, job.options.keep_failed, job.priority) == (2, KeepJobs(count=7), 0)


async def test_an_id_that_exists_adds_nothing(queue: Queue) -> None:
    await queue.add("paint", 1, job_id="a")
    job = await queue.add("paint", 2, job_id="a")
    stored = await queue.get(job.id)
    assert stored is not None
    assert (stored.data, (await queue.counts()).waiting) == (1, 1)


async def test_many_are_added_in_few_calls(queue: Queue, redis: Redis) -> None:
    await queue.add("warm up")
    calls = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    jobs = await queue.add_bulk(REMIND.with_id(f"x-g{number}", Remind(uuid4(), number)) for number in range(1000))
    assert [job.id for job in jobs] == [f"x-g{number}" for number in range(1000)]
    assert jobs[7].data.generation == 7
    assert (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"] == calls + 4
    assert await queue.add_bulk([]) == []


async def test_many_keep_their_order_when_the_server_does_not_know_the_script_yet(queue: Queue, redis: Redis) -> None:
    await redis.script_flush()
    await queue.add_bulk(NewJob("paint", {"n": n}) for n in range(1000))
    assert [job.data["n"] async for job in queue.iterate("waiting")] == list(range(999, -1, -1))


async def test_children_are_added_all_or_none_a_thousand_at_a_time(queue: Queue) -> None:
    parent = await queue.add("book", delay=timedelta(hours=1))
    missing = NewJob("page", {}, JobOptions(parent=queue.parent_ref("nobody")))
    children = [NewJob("page", {}, JobOptions(parent=queue.parent_ref(parent.id))) for _ in range(999)]
    with pytest.raises(ParentNotFound):
        await queue.add_bulk([*children, missing])
    assert (await queue.counts()).waiting == 0


async def test_one_wrong_payload_adds_none_of_many(queue: Queue) -> None:
    jobs = [NewJob("paint", {"n": 1}), NewJob("paint", {"n": {1, 2}})]
    with pytest.raises(PayloadError, match=r"data\.n: JSON cannot carry a set"):
        await queue.add_bulk(jobs)
    assert (await queue.counts()).waiting == 0


async def test_wrong_data_is_refused_by_the_name_of_its_field(queue: Queue) -> None:
    wrong: Any = Remind("no uuid", 1)  # type: ignore[arg-type]
    with pytest.raises(PayloadError, match=r"data\.occurrence_id: wants UUID, got str"):
        await queue.add(REMIND, wrong)
    with pytest.raises(PayloadError, match="size_limit is 5"):
        await queue.add("paint", {"text": "long"}, size_limit=5)
    assert (await queue.counts()).waiting == 0


@pytest.mark.parametrize("options", [{"job_id": "7"}, {"priority": -1}, {"delay": -SECOND}])
async def test_wrong_options_are_refused(queue: Queue, options: Any) -> None:
    with pytest.raises(InvalidOption):
        await queue.add("paint", **options)


async def test_a_child_needs_a_parent_that_exists(queue: Queue) -> None:
    with pytest.raises(ParentNotFound):
        await queue.add("paint", parent=ParentRef("gone", queue.keys.base))
    parent = await queue.add("paint")
    child = await queue.add("paint", parent=ParentRef(parent.id, queue.keys.base))
    assert child.parent == ParentRef(parent.id, queue.keys.base)


# Changing one job


async def test_removing_says_whether_there_was_one(queue: Queue) -> None:
    await queue.add("paint", job_id="a")
    assert (await queue.remove("a"), await queue.remove("a")) == (True, False)
    await queue.add("paint", job_id="b")
    await take(queue)
    with pytest.raises(JobLocked):
        await queue.remove("b")


async def test_a_failed_job_is_retried(queue: Queue) -> None:
    await queue.add("paint", job_id="a")
    await take(queue)
    with pytest.raises(WrongState):
        await queue.retry("a")
    await finish(queue, "a", verdict="failed")
    await queue.retry("a", reset_attempts=True)
    job = await queue.get("a")
    assert job is not None
    assert (job.attempts_made, await queue.state("a")) == (0, JobState.WAITING)


async def test_a_delayed_job_is_moved_and_promoted(queue: Queue) -> None:
    await queue.add("paint", job_id="a", delay=HOUR)
    await queue.change_delay("a", 2 * HOUR)
    job = await queue.get("a")
    assert job is not None
    assert job.delay == 2 * HOUR
    await queue.promote("a")
    assert await queue.state("a") is JobState.WAITING
    with pytest.raises(InvalidOption):
        await queue.change_delay("a", -SECOND)


async def test_priority_changes_while_a_job_waits(queue: Queue) -> None:
    await queue.add("paint", job_id="a")
    await queue.change_priority("a", 4)
    assert await queue.state("a") is JobState.PRIORITIZED
    with pytest.raises(InvalidOption):
        await queue.change_priority("a", 2**21)


async def test_data_is_checked_when_it_is_replaced(queue: Queue) -> None:
    await queue.add(REMIND, Remind(uuid4(), 1), job_id="a")
    await queue.update_data("a", Remind(uuid4(), 2), REMIND)
    job = await queue.get("a", REMIND)
    assert job is not None
    assert job.data.generation == 2
    with pytest.raises(PayloadError):
        await queue.update_data("a", {"generation": 3}, REMIND)
    with pytest.raises(JobNotFound):
        await queue.update_data("b", {})


async def test_progress_and_log_rows_are_kept(queue: Queue, redis: Redis) -> None:
    await queue.add("paint", job_id="a")
    await queue.update_progress("a", {"done": 0.5})
    job = await queue.get("a")
    assert job is not None
    assert job.progress == {"done": 0.5}
    [(_, event)] = await redis.xrevrange(queue.keys.events, count=1)
    assert event == {"event": "progress", "jobId": "a", "data": '{"done":0.5}'}

    assert [await queue.log("a", f"row {number}", keep=2) for number in range(3)] == [1, 2, 2]
    assert await queue.logs("a") == ["row 1", "row 2"]
    assert await queue.logs("a", start=1) == ["row 2"]
    for late in (queue.update_progress("b", 1), queue.log("b", "row")):
        with pytest.raises(JobNotFound):
            await late
    with pytest.raises(PayloadError, match="progress: JSON has no nan"):
        await queue.update_progress("a", float("nan"))


# Changing all


async def test_a_paused_queue_gives_nothing_until_it_is_resumed(queue: Queue) -> None:
    await queue.pause()
    await queue.add("paint", job_id="a")
    assert (await queue.is_paused(), await take(queue), (await queue.counts()).paused) == (True, [], True)
    await queue.resume()
    assert (await queue.is_paused(), await take(queue)) == (False, ["a"])


async def test_all_failed_jobs_are_retried_more_than_one_call_takes(queue: Queue) -> None:
    await queue.add_bulk(NewJob("paint", number) for number in range(1200))
    for _ in range(3):
        commands = Commands(queue.client, queue.keys)
        reply = await commands.step(Step((), 400, now_ms(), "hand", 0, 60_000))
        ends = [Finish(job.id, job.token, "failed", "why", "[]") for job in reply.jobs]
        await commands.step(Step(ends, 0, now_ms(), "hand", 0, 60_000))
    assert await queue.retry_all(limit=50) == 50
    assert await queue.retry_all(until=datetime.now(UTC) - HOUR) == 0
    assert await queue.retry_all() == 1150
    assert ((await queue.counts()).failed, (await queue.counts()).waiting) == (0, 1200)


async def test_all_delayed_jobs_are_promoted_with_their_priorities(queue: Queue) -> None:
    await queue.add_bulk(NewJob("paint", n, JobOptions(delay=HOUR, priority=n % 2)) for n in range(1100))
    assert await queue.promote_all() == 1100
    counts = await queue.counts()
    assert (counts.delayed, counts.waiting, counts.prioritized) == (0, 550, 550)
    assert await queue.promote_all() == 0


async def test_draining_leaves_the_delayed_unless_asked(queue: Queue) -> None:
    await queue.add("paint")
    await queue.add("paint", delay=HOUR)
    await queue.drain()
    assert ((await queue.counts()).waiting, (await queue.counts()).delayed) == (0, 1)
    await queue.drain(delayed=True)
    assert (await queue.counts()).pending == 0


async def test_draining_keeps_the_next_runs_of_schedulers(queue: Queue) -> None:
    run = await queue.schedule("s", Repeat.every(HOUR, start=datetime.now(UTC) + HOUR), "tick")
    await queue.drain(delayed=True)
    assert await queue.state(run.id) is JobState.DELAYED


@pytest.mark.parametrize(("grace", "limit", "gone"), [(timedelta(0), 0, 3), (timedelta(0), 2, 2), (HOUR, 0, 0)])
async def test_cleaning_goes_by_age_and_limit(queue: Queue, grace: timedelta, limit: int, gone: int) -> None:
    for number in range(3):
        await queue.add("paint", job_id=f"j{number}")
        await take(queue)
        await finish(queue, f"j{number}")
    removed = await queue.clean(grace, limit, "completed")
    assert removed == [f"j{number}" for number in range(gone)]
    assert (await queue.counts()).completed == 3 - gone


async def test_cleaning_more_than_one_call_takes(queue: Queue) -> None:
    await queue.add_bulk(NewJob("paint", number) for number in range(2100))
    assert len(await queue.clean(timedelta(0), state="waiting")) == 2100


async def test_obliterating_needs_a_paused_queue(queue: Queue, redis: Redis) -> None:
    await queue.add_bulk(NewJob("paint", number) for number in range(1500))
    with pytest.raises(QueueNotPaused):
        await queue.obliterate()
    await queue.pause()
    await queue.obliterate()
    assert [key async for key in redis.scan_iter(f"{queue.keys.base}:*")] == []


async def test_many_producers_at_once_lose_and_double_nothing(queue: Queue) -> None:
    async def produce(first: int) -> None:
        for number in range(first, first + 50):
            await queue.add("paint", number, job_id=f"j{number % 100}")

    await asyncio.gather(*(produce(first) for first in range(0, 500, 50)))
    ids = [job.id async for job in queue.iterate("waiting")]
    assert sorted(ids) == sorted(f"j{number}" for number in range(100))
