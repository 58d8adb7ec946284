"""A job whose time is over does not run: it fails as "expired", and everybody who should hear of it does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from carequeue import (
    Backoff,
    Deduplication,
    FlowNode,
    FlowProducer,
    InvalidOption,
    Job,
    JobFailed,
    JobKind,
    JobState,
    KeepJobs,
    OnFailure,
    Queue,
    QueueEvents,
    RateLimit,
    Repeat,
    RetryAt,
    Telemetry,
    Worker,
)
from carequeue.testing import FakeClock, Signal, drain

if TYPE_CHECKING:
    from redis.asyncio import Redis

pytestmark = pytest.mark.redis

NewWorker = Callable[..., Worker]
MINUTE = timedelta(minutes=1)
MOMENT = timedelta(milliseconds=1)


def later(by: timedelta) -> FakeClock:
    """A clock that is ahead of the one by which jobs are added."""
    return FakeClock(datetime.now(UTC) + by)


async def ended(queue: Queue, job_id: str) -> tuple[JobState | None, str | None]:
    job = await queue.get(job_id)
    return await queue.state(job_id), job.failed_reason if job else None


async def test_a_job_that_waited_too_long_fails_without_running(queue: Queue, new_worker: NewWorker) -> None:
    ran = Signal()
    job = await queue.add("remind", attempts=3, expires_after=MINUTE)
    other = await queue.add("remind")

    await drain(new_worker(ran, clock=later(2 * MINUTE)))

    assert [one.id for (one,) in ran.calls] == [other.id]
    assert await ended(queue, job.id) == (JobState.FAILED, "expired")
    found = await queue.get(job.id)
    assert found is not None
    assert (found.attempts_made, found.attempts_started, found.started_at) == (0, 0, None)
    assert found.finished_at is not None


@pytest.mark.parametrize(
    "options",
    [
        {"expires_after": MINUTE},
        {"expires_after": MINUTE, "priority": 3},
        {"expires_after": MINUTE, "delay": MINUTE},
        {"expires_at": datetime.now(UTC) + timedelta(days=400)},
    ],
)
async def test_a_job_that_is_in_time_runs(queue: Queue, new_worker: NewWorker, options: dict[str, Any]) -> None:
    ran = Signal()
    await queue.add("remind", **options)
    await drain(new_worker(ran, clock=later(options.get("delay", timedelta(0)) + MINUTE / 2)))
    assert len(ran.calls) == 1


@pytest.mark.parametrize("options", [{"priority": 3}, {"delay": MINUTE}, {"lifo": True}])
async def test_it_holds_wherever_a_job_waits(queue: Queue, new_worker: NewWorker, options: dict[str, Any]) -> None:
    ran = Signal()
    job = await queue.add("remind", expires_after=MINUTE, **options)
    await drain(new_worker(ran, clock=later(3 * MINUTE)))
    assert ran.calls == []
    assert await ended(queue, job.id) == (JobState.FAILED, "expired")


async def test_the_time_counts_to_the_millisecond_from_when_a_delayed_job_is_due(
    queue: Queue, new_worker: NewWorker
) -> None:
    ran = Signal()
    added = datetime.now(UTC).replace(microsecond=0)
    late = {"timestamp": added, "delay": MINUTE, "expires_after": MINUTE}
    await queue.add("last moment", **late)
    await drain(new_worker(ran, clock=FakeClock(added + 2 * MINUTE)))
    assert len(ran.calls) == 1
    await queue.add("a moment later", **late)
    await drain(new_worker(ran, clock=FakeClock(added + 2 * MINUTE + MOMENT)))
    assert len(ran.calls) == 1


async def test_an_instant_does_not_move_with_the_delay(queue: Queue, new_worker: NewWorker) -> None:
    ran = Signal()
    noon = datetime.now(UTC) + timedelta(hours=1)
    job = await queue.add("remind", delay=10 * MINUTE, expires_at=noon)
    await queue.change_delay(job.id, timedelta(hours=2))
    await drain(new_worker(ran, clock=FakeClock(noon + timedelta(hours=3))))
    assert ran.calls == []
    assert await ended(queue, job.id) == (JobState.FAILED, "expired")


async def test_a_changed_delay_takes_the_time_along(queue: Queue, new_worker: NewWorker) -> None:
    ran = Signal()
    job = await queue.add("remind", delay=MINUTE, expires_after=MINUTE)
    await queue.change_delay(job.id, timedelta(hours=1))
    await drain(new_worker(ran, clock=later(timedelta(hours=1) + MINUTE / 2)))
    assert [one.id for (one,) in ran.calls] == [job.id]


async def test_a_delay_moved_by_deduplication_takes_the_time_along(queue: Queue, new_worker: NewWorker) -> None:
    ran = Signal()
    rule = Deduplication("visit", reschedule=True)
    first = await queue.add("remind", delay=MINUTE, expires_after=MINUTE, deduplication=rule)
    await queue.add("remind", delay=timedelta(hours=1), deduplication=rule)
    await drain(new_worker(ran, clock=later(timedelta(hours=1) + MINUTE / 2)))
    assert [one.id for (one,) in ran.calls] == [first.id]


async def test_no_attempt_starts_after_the_time(queue: Queue, new_worker: NewWorker) -> None:
    clock = later(timedelta(0))
    failed, expired = Signal(), Signal()

    async def fail(job: Job[Any]) -> None:
        raise ValueError("no answer")

    worker = new_worker(fail, clock=clock)
    worker.on_failed(failed)
    worker.on_expired(expired)
    job = await queue.add("remind", attempts=9, backoff=Backoff.fixed(MINUTE), expires_after=MINUTE + MINUTE / 2)
    async with worker:
        await drain(worker)
        clock.advance(MINUTE + 10 * MOMENT)
        await failed.wait(2)
        clock.advance(2 * MINUTE)
        await expired.wait()
    found = await queue.get(job.id)
    assert found is not None
    assert (found.failed_reason, found.attempts_made, len(found.stacktrace)) == ("expired", 2, 2)
    assert len(failed.calls) == 2
    [(heard,)] = expired.calls
    assert (heard.id, heard.failed_reason, heard.attempts_made) == (job.id, "expired", 2)
    assert heard.finished_at is not None


async def test_a_handler_that_puts_it_off_beyond_its_time_ends_it(queue: Queue, new_worker: NewWorker) -> None:
    clock, expired = later(timedelta(0)), Signal()

    async def tomorrow(job: Job[Any]) -> None:
        raise RetryAt(clock.now + timedelta(days=1))

    worker = new_worker(tomorrow, clock=clock)
    worker.on_expired(expired)
    job = await queue.add("remind", expires_after=MINUTE)
    async with worker:
        await drain(worker)
        clock.advance(timedelta(days=1, minutes=1))
        await expired.wait()
    assert await ended(queue, job.id) == (JobState.FAILED, "expired")


async def test_everybody_hears_of_it(queue: Queue, queue_name: str, redis_url: str, new_worker: NewWorker) -> None:
    telemetry, heard, failed = Telemetry(), Signal(), Signal()
    telemetry.subscribe(heard, "job.expired", "job.failed", "job.started")
    job = await queue.add("remind", expires_after=MINUTE)
    async with QueueEvents(queue_name, redis_url) as events:
        worker = new_worker(Signal(), clock=later(2 * MINUTE), telemetry=telemetry)
        worker.on_failed(failed)
        await drain(worker)
        with pytest.raises(JobFailed, match="expired"):
            await queue.wait_until_finished(job, events, timedelta(seconds=10))
        names = []
        while (event := await anext(events)).name != "drained":
            names.append((event.name, event.job_id, event.reason))
    assert names == [
        ("active", job.id, None),
        ("expired", job.id, None),
        ("failed", job.id, "expired"),
    ]
    assert heard.calls == [("job.expired", {"queue": queue_name, "job_id": job.id, "name": "remind"})]
    assert failed.calls == []


@pytest.mark.parametrize(
    ("job", "worker", "kept"),
    [({}, {}, True), ({"keep_failed": False}, {}, False), ({}, {"keep_failed": False}, False)],
)
async def test_the_rules_of_keeping_hold(
    queue: Queue, new_worker: NewWorker, job: dict[str, Any], worker: dict[str, Any], *, kept: bool
) -> None:
    added = await queue.add("remind", expires_after=MINUTE, **job)
    await drain(new_worker(Signal(), clock=later(2 * MINUTE), **worker))
    assert (await queue.get(added.id) is not None) is kept


async def test_it_frees_its_deduplication(queue: Queue, new_worker: NewWorker) -> None:
    rule = Deduplication("visit")
    await queue.add("remind", expires_after=MINUTE, deduplication=rule)
    await drain(new_worker(Signal(), clock=later(2 * MINUTE)))
    assert await queue.deduplication_job("visit") is None


async def test_a_parent_is_told_as_of_any_failure(
    queue: Queue, pages: Queue, flows: FlowProducer, redis_url: str, new_worker: NewWorker
) -> None:
    page = FlowNode(
        "page", queue=pages.name, job_id="page", expires_after=MINUTE, on_failure=OnFailure.IGNORE_DEPENDENCY
    )
    await flows.add(FlowNode("book", queue=queue.name, job_id="book", children=[page]))
    blocking = FlowNode("page", queue=pages.name, job_id="mute", expires_after=MINUTE)
    await flows.add(FlowNode("book", queue=queue.name, job_id="stuck", children=[blocking]))
    blocked, ran = Signal(), Signal()
    worker = Worker(pages.name, redis_url, Signal(), clock=later(2 * MINUTE), concurrency=2)
    worker.on_blocked(blocked)
    await drain(worker)
    await drain(new_worker(ran))
    assert [job.id for (job,) in ran.calls] == ["book"]
    assert list((await queue.children("book").ignored()).values()) == ["expired"]
    assert [(child.id, parent.id) for child, parent in blocked.calls] == [("mute", "stuck")]


async def test_the_time_of_a_parent_counts_from_when_its_children_are_done(
    queue: Queue, pages: Queue, flows: FlowProducer, redis_url: str, new_worker: NewWorker
) -> None:
    ran = Signal()
    children = [FlowNode("page", queue=pages.name)]
    await flows.add(FlowNode("book", queue=queue.name, expires_after=MINUTE, children=children))
    await drain(Worker(pages.name, redis_url, Signal(), clock=later(timedelta(hours=1))))
    await drain(new_worker(ran, clock=later(timedelta(hours=1) + MINUTE / 2)))
    assert len(ran.calls) == 1


async def test_a_retried_job_has_its_time_once_more(queue: Queue, new_worker: NewWorker, redis: Redis) -> None:
    ran = Signal()
    long_ago = datetime.now(UTC) - timedelta(days=1)
    jobs = [await queue.add("remind", timestamp=long_ago, expires_after=MINUTE) for _ in range(3)]
    await drain(new_worker(ran))
    assert ran.calls == []
    await queue.retry(jobs[0].id)
    assert await queue.retry_all("failed") == 2
    await drain(new_worker(ran))
    assert {job.id for (job,) in ran.calls} == {job.id for job in jobs}


async def test_a_scheduler_goes_on_after_a_run_that_expired(queue: Queue, new_worker: NewWorker) -> None:
    ran, expired = Signal(), Signal()
    await queue.schedule("pulse", Repeat.every(timedelta(hours=1)), "pulse", expires_after=MINUTE)
    await drain(new_worker(ran))  # the first run is due at once
    clock = later(timedelta(hours=1, minutes=30))
    worker = new_worker(ran, clock=clock)
    worker.on_expired(expired)
    async with worker:
        await expired.wait()
        await drain(worker)
        assert len(ran.calls) == 1
        clock.advance(timedelta(minutes=30, seconds=20))
        await ran.wait(2)
    [scheduler] = await queue.schedulers()
    assert scheduler.next_run > clock.now


async def test_it_costs_nothing_of_a_rate_limit(queue: Queue, new_worker: NewWorker) -> None:
    ran = Signal()
    for _ in range(5):
        await queue.add("old", timestamp=datetime.now(UTC) - timedelta(hours=1), expires_after=MINUTE)
    await queue.add("new")
    await drain(new_worker(ran, limiter=RateLimit(1, timedelta(hours=1)), clock=later(timedelta(0))))
    assert [job.name for (job,) in ran.calls] == ["new"]


async def test_options_that_only_mention_it_change_nothing(queue: Queue, new_worker: NewWorker) -> None:
    ran = Signal()
    await queue.add("remind", timestamp=datetime.now(UTC) - timedelta(days=1), job_id='"expireAfter')
    await drain(new_worker(ran))
    assert len(ran.calls) == 1


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"expires_after": timedelta(0)}, "longer than nothing"),
        ({"expires_after": timedelta(days=365 * 101)}, "at most"),
        ({"expires_at": datetime(2030, 1, 1)}, "aware"),  # noqa: DTZ001 - that is the point
        ({"expires_after": MINUTE, "expires_at": datetime.now(UTC)}, "not both"),
        ({"run_at": datetime.now(UTC) + MINUTE, "expires_at": datetime.now(UTC)}, "cannot run"),
    ],
)
async def test_what_makes_no_sense_is_refused(queue: Queue, options: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidOption, match=why):
        await queue.add("remind", **options)


async def test_a_scheduler_takes_no_instant(queue: Queue) -> None:
    with pytest.raises(InvalidOption, match="times of their own"):
        await queue.schedule("pulse", Repeat.every(MINUTE), "pulse", expires_at=datetime.now(UTC))


async def test_a_jobs_own_word_wins_over_its_kinds(queue: Queue) -> None:
    kind = JobKind("remind", dict, expires_after=MINUTE, keep_failed=KeepJobs(count=3))
    noon = datetime(2040, 1, 1, 12, tzinfo=UTC)
    added = await queue.add(kind, {}, expires_at=noon)
    found = await queue.get(added.id)
    assert found is not None
    assert (found.options.expires_at, found.options.expires_after) == (noon, None)
    assert (await queue.add(kind, {})).options.expires_after == MINUTE
