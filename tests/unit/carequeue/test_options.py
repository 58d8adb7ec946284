"""Options refuse at construction what the queue could not use, and merge by who said it last."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from carequeue.errors import InvalidOption, RetryAt
from carequeue.kind import JobKind, NewJob
from carequeue.options import UNSAID, Backoff, JobOptions, KeepJobs, check_job_id
from carequeue.worker_options import WorkerOptions

NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 - what is refused
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    "job_id", ["a", "a-g1", "0b7cba3c-1cf5-4ef4-a4bb-4f1ac5b63d0b", "x:y:z", "é", "1a", "waiting", "a b"]
)
def test_ids_that_bullmq_takes(job_id: str) -> None:
    check_job_id(job_id)


@pytest.mark.parametrize(
    "job_id",
    ["", "7", "-7", "0", "0:1", "0:a:b", "a:b", "a:b:c:d", "wait", "events", "meta", "stalled-check", "a\nb", "\ud800"],
)
def test_ids_that_cannot_be_used(job_id: str) -> None:
    with pytest.raises(InvalidOption, match="a job id"):
        JobOptions(job_id=job_id)


@pytest.mark.parametrize(
    "words",
    [
        {"delay": SECOND, "run_at": datetime(2026, 1, 1, tzinfo=UTC)},
        {"delay": -SECOND},
        {"delay": timedelta(days=365 * 101)},
        {"run_at": NAIVE},
        {"timestamp": NAIVE},
        {"priority": -1},
        {"priority": 2**21},
        {"attempts": -1},
        {"keep_logs": -1},
        {"stack_trace_limit": -1},
        {"size_limit": -1},
        {"on_failure": "explode"},
        {"telemetry_metadata": "00-abc-def-01"},
        {"telemetry_metadata": "[]"},
        {"telemetry_metadata": {"traceparent": "00-abc-def-01"}},
        {"timeout": timedelta(0)},
    ],
)
def test_job_options_that_cannot_be_used(words: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption):
        JobOptions(**words)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Backoff(""),
        lambda: Backoff.fixed(-SECOND),
        lambda: Backoff.exponential(SECOND, jitter=1.1),
        lambda: KeepJobs(count=-1),
        lambda: KeepJobs(age=-SECOND),
        lambda: KeepJobs(count=1, limit=0),
        lambda: WorkerOptions(concurrency=0),
        lambda: WorkerOptions(lock_duration=timedelta(0)),
        lambda: WorkerOptions(lock_renew_time=timedelta(minutes=1)),
        lambda: WorkerOptions(max_stalled_count=-1),
        lambda: WorkerOptions(batch=0),
        lambda: WorkerOptions(batch=501),
        lambda: WorkerOptions(grace=-SECOND),
        lambda: WorkerOptions(cancel_grace=-SECOND),
        lambda: WorkerOptions(timeout=timedelta(0)),
        lambda: RetryAt(NAIVE),
        lambda: JobKind("\ud800", dict),
    ],
)
def test_other_values_that_cannot_be_used(make: Any) -> None:
    with pytest.raises(InvalidOption):
        make()


def test_what_is_said_later_wins() -> None:
    defaults = JobOptions(attempts=3, priority=1, keep_failed=True)
    said = JobOptions(attempts=5, delay=SECOND).over(defaults)
    assert said == JobOptions(attempts=5, priority=1, keep_failed=True, delay=SECOND)
    assert UNSAID.over(defaults) is defaults
    assert defaults.over(UNSAID) is defaults


def test_said_zeroes_and_false_win_too() -> None:
    defaults = JobOptions(attempts=3, lifo=True, keep_completed=True)
    assert JobOptions(attempts=0, lifo=False, keep_completed=False).over(defaults) == JobOptions(
        attempts=0, lifo=False, keep_completed=False
    )


def test_an_instant_and_a_delay_replace_each_other() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert JobOptions(run_at=at).over(JobOptions(delay=SECOND)) == JobOptions(run_at=at)
    assert JobOptions(delay=SECOND).over(JobOptions(run_at=at)) == JobOptions(delay=SECOND)


def test_a_kind_gives_its_jobs_type_and_options() -> None:
    kind = JobKind("remind", dict, attempts=5)
    assert kind.job({"a": 1}) == NewJob("remind", {"a": 1}, JobOptions(attempts=5), dict)
    assert kind.with_id("x", {}, attempts=1).options == JobOptions(attempts=1, job_id="x")
    assert JobKind[dict]("remind", dict, attempts=5) == kind
