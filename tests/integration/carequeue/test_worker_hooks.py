"""What the owner of a worker hears, and that it cannot hurt the worker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from carequeue import (
    Backoff,
    Job,
    JobContext,
    NewJob,
    Queue,
    RetryAt,
    Telemetry,
    Unrecoverable,
    WaitForChildren,
    Worker,
)
from carequeue.telemetry import EVENTS
from carequeue.testing import Signal, drain

pytestmark = pytest.mark.redis

NewWorker = Callable[..., Worker]


async def double(job: Job[Any]) -> int:
    return job.data * 2


async def test_completed_hears_the_value_and_the_finished_job(queue: Queue, new_worker: NewWorker) -> None:
    done = Signal()
    worker = new_worker(double)

    @worker.on_completed
    async def note(job: Job[Any], value: int) -> None:
        await asyncio.sleep(0)
        done(job.data, value, job.return_value, job.attempts_made, job.finished_at is not None)

    await queue.add("job", 21)
    await drain(worker)
    assert done.calls == [(21, 42, 42, 1, True)]


async def test_drained_is_heard_when_the_last_job_ended(queue: Queue, new_worker: NewWorker) -> None:
    drained = Signal()
    worker = new_worker(double)
    worker.on_drained(drained)
    for number in range(3):
        await queue.add("job", number)
    await drain(worker)
    assert len(drained.calls) == 1


async def test_progress_is_heard(queue: Queue, new_worker: NewWorker) -> None:
    heard = Signal()

    async def halves(job: Job[Any], context: JobContext) -> None:
        await context.update_progress({"done": 1, "of": 2})

    worker = new_worker(halves)
    worker.on_progress(heard)
    job = await queue.add("job")
    await drain(worker)
    assert [(found.id, value) for found, value in heard.calls] == [(job.id, {"done": 1, "of": 2})]


async def test_a_broken_hook_is_told_and_changes_nothing(
    queue: Queue, new_worker: NewWorker, caplog: pytest.LogCaptureFixture
) -> None:
    errors = Signal()
    worker = new_worker(double)
    worker.on_error(errors)

    @worker.on_completed
    def broken(job: Job[Any], value: int) -> None:
        raise KeyError("hook")

    @worker.on_completed
    async def broken_later(job: Job[Any], value: int) -> None:
        raise LookupError("hook")

    await queue.add("job", 1)
    with caplog.at_level(logging.CRITICAL, "carequeue.worker"):
        counts = await drain(worker)
        await errors.wait(2)
    assert counts.completed == 1
    assert {type(error) for (error,) in errors.calls} == {KeyError, LookupError}


async def test_a_broken_error_hook_is_only_logged(
    queue: Queue, new_worker: NewWorker, caplog: pytest.LogCaptureFixture
) -> None:
    worker = new_worker(double)

    @worker.on_error
    @worker.on_completed
    def broken(*_: Any) -> None:
        raise KeyError("hook")

    await queue.add("job", 1)
    with caplog.at_level(logging.ERROR, "carequeue.worker"):
        assert (await drain(worker)).completed == 1
    assert [record.message for record in caplog.records].count("hook.failed") == 2


async def test_telemetry_tells_the_life_of_a_job_in_the_fields_of_its_table(
    queue: Queue, new_worker: NewWorker
) -> None:
    heard: list[tuple[str, Mapping[str, Any]]] = []
    telemetry = Telemetry()
    telemetry.subscribe(lambda event, fields: heard.append((event, fields)))
    tries = Signal()

    async def second_time_lucky(job: Job[Any], context: JobContext) -> None:
        await context.update_progress(1)
        tries()
        if len(tries.calls) == 1:
            raise ValueError("private")

    job = await queue.add("job", attempts=2)
    await drain(new_worker(second_time_lucky, telemetry=telemetry, name="w"))
    of_job = [event for event, fields in heard if fields.get("job_id") == job.id]
    assert of_job == [
        "job.started",
        "job.progress",
        "job.ended",
        "job.retrying",
        "job.started",
        "job.progress",
        "job.ended",
        "job.completed",
    ]
    for event, fields in heard:
        assert set(fields) == set(EVENTS[event]), event
        assert "private" not in str(fields)
    names = [event for event, _ in heard]
    assert names[0] == "worker.started"
    assert names[-1] == "worker.closed"


async def test_telemetry_tells_the_end_of_every_handler_that_began(queue: Queue, new_worker: NewWorker) -> None:
    """Listeners count what runs: each start has one end, and what never ran has neither."""
    running: list[str] = []
    most: list[int] = []
    telemetry = Telemetry()
    telemetry.subscribe(lambda _, fields: running.append(fields["job_id"]), "job.started")
    telemetry.subscribe(lambda _, fields: most.append(len(running)), "job.ended")
    telemetry.subscribe(lambda _, fields: running.remove(fields["job_id"]), "job.ended")
    worker = new_worker(concurrency=4, telemetry=telemetry)

    @worker.handles("fail")
    async def fail(job: Job[Any]) -> None:
        raise Unrecoverable("no")

    @worker.handles("park")
    async def park(job: Job[Any]) -> None:
        if job.attempts_started == 1:
            raise WaitForChildren

    @worker.handles("thread")
    def thread(job: Job[Any]) -> None:
        raise ValueError("private")

    await queue.add_bulk(NewJob(name, {}) for name in ("fail", "park", "thread", "nobody's"))
    assert (await drain(worker)).failed == 3
    assert len(most) == 4  # the parked one ran twice
    assert max(most) >= 1
    assert running == []


async def test_telemetry_tells_when_a_failed_attempt_is_followed_by_another(
    queue: Queue, new_worker: NewWorker
) -> None:
    telemetry, retrying = Telemetry(), Signal("retrying")
    telemetry.subscribe(lambda _, fields: retrying(fields["error"], round(fields["delay"], 1)), "job.retrying")

    async def later(job: Job[Any]) -> None:
        if job.name == "at":
            raise RetryAt(datetime.now(UTC) + timedelta(hours=1))
        raise ValueError("private")

    await queue.add("at")
    await queue.add("fixed", attempts=2, backoff=Backoff.fixed(timedelta(minutes=2)))
    await drain(new_worker(later, telemetry=telemetry))
    assert sorted(retrying.calls) == [("RetryAt", 3600.0), ("ValueError", 120.0)]
