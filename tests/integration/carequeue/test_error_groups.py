"""Failed jobs are told, retried and removed by what they failed of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from carequeue import ErrorGroup, Inspector, InvalidOption, Job, JobState, NewJob, Queue, Worker
from carequeue import error_groups as module
from carequeue.testing import FakeClock, Signal, drain

if TYPE_CHECKING:
    from redis.asyncio import Redis

pytestmark = pytest.mark.redis

NewWorker = Callable[..., Worker]
SECOND = timedelta(seconds=1)


async def fail(job: Job[Any]) -> None:
    match job.data:
        case {"to": str(to)}:
            raise ValueError(f"no mailbox for {to!r}")
        case {"number": int(number)}:
            raise LookupError(f"no row {number}")
        case _:
            raise ValueError("empty")


async def fill(queue: Queue, new_worker: NewWorker, *jobs: tuple[str, Any], **options: Any) -> list[Job[Any]]:
    added = await queue.add_bulk(NewJob(name, data) for name, data in jobs)
    await drain(new_worker(fail, **options))
    return added


MIXED = (
    ("mail", {"to": "ada"}), ("row", {"number": 1}), ("mail", {"to": "bob"}), ("mail", None), ("post", {"to": "eve"}),
    ("row", {"number": 2}),
)  # fmt: skip


async def test_failed_jobs_are_grouped_by_error_message_and_place(queue: Queue, new_worker: NewWorker) -> None:
    clock = FakeClock(datetime(2026, 11, 24, 8, tzinfo=UTC))
    for name, data in MIXED:
        await fill(queue, new_worker, (name, data), clock=clock)
        clock.advance(SECOND)
    late = await queue.add("late", expires_at=clock.now - SECOND)
    await drain(new_worker(fail, clock=clock))

    groups = await queue.error_groups()

    assert [(group.error, group.message, group.count) for group in groups][:2] == [
        ("ValueError", "no mailbox for 'eve'", 3),
        ("LookupError", "no row 2", 2),
    ]
    assert {(group.error, group.message, group.count) for group in groups[2:]} == {
        ("ValueError", "empty", 1),
        ("", "expired", 1),
    }
    mailboxes = groups[0]
    assert mailboxes.place == "test_error_groups.py in fail"
    assert mailboxes.job_ids == ("5", "3", "1")
    assert set(mailboxes.names) == {"mail", "post"}
    assert mailboxes.first_seen == datetime(2026, 11, 24, 8, tzinfo=UTC)
    assert mailboxes.last_seen == mailboxes.first_seen + 4 * SECOND
    assert next(group for group in groups if group.message == "expired").job_ids == (late.id,)
    assert len({group.fingerprint for group in groups}) == 4


async def test_a_queue_without_failures_has_none(queue: Queue) -> None:
    assert await queue.error_groups() == []


async def test_who_only_looks_sees_them_too(queue: Queue, new_worker: NewWorker, redis_url: str) -> None:
    await fill(queue, new_worker, *MIXED)
    async with Inspector(queue.name, redis_url) as inspector:
        assert await inspector.error_groups() == await queue.error_groups()
        assert len(await inspector.error_groups(limit=1)) == 1


async def test_very_many_are_read_in_pages_and_told_on_the_way(queue: Queue, new_worker: NewWorker) -> None:
    """All of them in one millisecond, where nothing but the ids tells them apart."""
    jobs = [("row", {"number": number}) for number in range(450)] + [("mail", {"to": "ada"})] * 50
    await fill(queue, new_worker, *jobs, concurrency=50, clock=FakeClock())
    told = [(scan.done, scan.total, sum(group.count for group in scan.groups)) async for scan in queue.scan_errors()]
    assert told == [(200, 500, 200), (400, 500, 400), (500, 500, 500)]
    assert [group.count for group in await queue.error_groups()] == [450, 50]


async def test_the_newest_are_enough_if_one_says_so(queue: Queue, new_worker: NewWorker) -> None:
    clock = FakeClock()
    for name, data in MIXED:
        await fill(queue, new_worker, (name, data), clock=clock)
        clock.advance(SECOND)
    groups = await queue.error_groups(newest=3)
    assert sorted(group.message for group in groups) == ["empty", "no mailbox for 'eve'", "no row 2"]
    assert [(scan.done, scan.total) async for scan in queue.scan_errors(newest=3)] == [(3, 3)]
    with pytest.raises(InvalidOption, match="at least one"):
        await queue.error_groups(newest=0)


async def test_jobs_that_leave_meanwhile_do_not_disturb_it(queue: Queue, new_worker: NewWorker) -> None:
    jobs = await fill(
        queue, new_worker, *[("row", {"number": number}) for number in range(500)], concurrency=50, clock=FakeClock()
    )
    seen = 0
    async for scan in queue.scan_errors():
        if not seen:
            for job in await queue.jobs("failed", end=199):  # the whole page that the next one goes on from, and more
                await queue.retry(job.id)
        seen = scan.done
    assert 300 <= seen <= len(jobs)


async def test_messages_of_a_kind_unknown_end_in_one_group(
    queue: Queue, new_worker: NewWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_GROUPS", 2)
    await fill(queue, new_worker, *[("mail", {"to": "ada"}), ("row", {"number": 1}), ("mail", None), ("mail", None)])
    groups = await queue.error_groups()
    assert sum(group.count for group in groups) == 4
    assert [group.fingerprint for group in groups if group.fingerprint == "others"] == ["others"]


# Groups at once


async def group_of(queue: Queue, error: str) -> ErrorGroup:
    return next(group for group in await queue.error_groups() if group.error == error)


async def test_a_group_is_retried(queue: Queue, new_worker: NewWorker) -> None:
    ran = Signal()
    await fill(queue, new_worker, *MIXED)
    group = await group_of(queue, "LookupError")
    assert await queue.retry_error_group(group.fingerprint, reset_attempts=True) == 2
    counts = await queue.counts()
    assert (counts.waiting, counts.failed) == (2, 4)
    await drain(new_worker(ran))
    assert {job.name for (job,) in ran.calls} == {"row"}
    assert {job.attempts_made for (job,) in ran.calls} == {0}
    assert await queue.retry_error_group(group.fingerprint) == 0


async def test_a_large_group_is_retried_once_though_it_fails_again(queue: Queue, new_worker: NewWorker) -> None:
    await fill(queue, new_worker, *[("row", {"number": number}) for number in range(450)], concurrency=50)
    [group] = await queue.error_groups()
    failed = Signal()
    async with new_worker(fail, concurrency=50) as worker:
        worker.on_failed(failed)
        assert await queue.retry_error_group(group.fingerprint) == 450
        await worker.wait_until_idle()
    assert len(failed.calls) == 450
    assert (await queue.counts()).failed == 450


async def test_some_of_a_group_are_retried_the_newest_first(queue: Queue, new_worker: NewWorker) -> None:
    clock = FakeClock()
    for number in range(3):
        await fill(queue, new_worker, ("row", {"number": number}), clock=clock)
        clock.advance(SECOND)
    [group] = await queue.error_groups()
    assert await queue.retry_error_group(group.fingerprint, limit=1) == 1
    assert await queue.state(group.job_ids[0]) is JobState.WAITING


async def test_a_group_is_removed(queue: Queue, new_worker: NewWorker, redis: Redis) -> None:
    await fill(queue, new_worker, *MIXED)
    group = await group_of(queue, "LookupError")
    assert await queue.remove_error_group(group.fingerprint, limit=1) == 1
    assert await queue.remove_error_group(group.fingerprint) == 1
    assert (await queue.counts()).failed == 4
    assert not await redis.exists(*(queue.keys.job(job_id) for job_id in group.job_ids))


async def test_what_belongs_to_no_group_is_left(queue: Queue, new_worker: NewWorker) -> None:
    await fill(queue, new_worker, *MIXED)
    assert await queue.retry_error_group("others") == 0
    assert await queue.remove_error_group("nothing") == 0
    assert (await queue.counts()).failed == 6


async def test_what_is_stored_oddly_is_grouped_as_it_is(queue: Queue, new_worker: NewWorker, redis: Redis) -> None:
    [one, two] = await fill(queue, new_worker, ("mail", None), ("mail", None))
    await redis.hset(queue.keys.job(one.id), "stacktrace", "no json")
    await redis.hdel(queue.keys.job(two.id), "stacktrace", "failedReason")
    assert sorted(group.message for group in await queue.error_groups()) == ["", "empty"]
