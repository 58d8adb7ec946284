"""Jobs: their ids, what they carry, how they are kept, and which row needs a new one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from carecircle.db.due import Waiting
from carecircle.domain.medication import Severity
from carecircle.jobs import REMIND, SEND, Remind, Send, job_id
from carecircle.usecases.enqueueing import is_settled, is_stuck, may_be_stuck, new_job
from carequeue import JobState
from carequeue.job_ids import check_job_id

NOW = datetime(2026, 3, 7, 8, 0, tzinfo=UTC)
ROW = UUID(int=7)


def waiting(
    *, at: float = 0, enqueued: float | None = -3600, held: bool = False, channel: str | None = "email"
) -> Waiting:
    """A row whose job was to run `at` seconds from now and was added `enqueued` seconds from now."""
    added = None if enqueued is None else NOW + timedelta(seconds=enqueued)
    return Waiting(ROW, channel, Severity.CRITICAL, 3, NOW + timedelta(seconds=at), added, held=held)


def test_a_jobs_id_is_the_row_and_its_generation_and_the_queue_accepts_it() -> None:
    assert job_id(ROW, 3) == f"{ROW}-g3"
    check_job_id(job_id(ROW, 3))


@pytest.mark.parametrize("kind", [REMIND, SEND])
def test_sends_are_retried_and_kept_as_promised(kind: object) -> None:
    options = getattr(kind, "options")  # noqa: B009 - the kinds differ in their payload
    assert options.backoff.kind == "exponential"
    assert options.backoff.delay == timedelta(minutes=1)
    assert options.backoff.jitter > 0
    assert options.keep_completed.count == 100
    assert options.keep_failed is True


@pytest.mark.parametrize("severity", Severity)
def test_every_job_has_a_priority_so_that_alerts_overtake(severity: Severity) -> None:
    row = Waiting(ROW, "email", severity, 1, NOW, NOW)
    assert (new_job(row).options.priority or 0) >= 1


def test_the_more_it_matters_the_sooner_it_runs() -> None:
    by_weight = (Severity.CRITICAL, Severity.TIME_CRITICAL, Severity.NORMAL, Severity.INFO)
    rows = [Waiting(ROW, None, severity, 1, NOW, NOW) for severity in by_weight]
    assert [new_job(row).options.priority for row in rows] == [1, 2, 3, 4]


def test_a_job_carries_ids_only_and_waits_for_its_time() -> None:
    send, remind = new_job(waiting(at=60, enqueued=0)), new_job(waiting(at=-60, enqueued=0, channel=None))
    assert (send.name, send.data) == ("send", Send(ROW, 3))
    assert (remind.name, remind.data) == ("remind", Remind(ROW, 3))
    assert timedelta(seconds=60) <= (send.options.delay or timedelta(0)) < timedelta(seconds=61)
    assert remind.options.delay == timedelta(0)


@pytest.mark.parametrize(
    ("row", "may"),
    [
        (waiting(at=-31), True),
        (waiting(at=-29), False),
        (waiting(at=60), False),
        (waiting(at=-3600, enqueued=-10), False),
        (waiting(at=-3600, enqueued=None), False),
        (waiting(at=-1, held=True), True),
        (waiting(at=-20, enqueued=-10, held=True), False),
        (waiting(at=-3600, enqueued=-31, held=True), True),
    ],
    ids=[
        "late",
        "just due",
        "early",
        "late but requeued",
        "never queued",
        "lease over",
        "requeued since",
        "still held",
    ],
)
def test_which_rows_are_looked_at_closely(row: Waiting, may: bool) -> None:
    assert may_be_stuck(row, NOW) is may


@pytest.mark.parametrize(
    ("state", "held", "stuck"),
    [
        (JobState.WAITING, False, False),
        (JobState.PRIORITIZED, False, False),
        (JobState.DELAYED, True, False),
        (JobState.ACTIVE, False, False),
        (JobState.ACTIVE, True, True),
        (JobState.FAILED, False, True),
        (JobState.COMPLETED, False, True),
        (None, False, True),
    ],
)
def test_a_job_that_waits_is_left_alone_and_one_that_ended_is_replaced(
    state: JobState | None, held: bool, stuck: bool
) -> None:
    assert is_stuck(waiting(at=-60, held=held), state) is stuck


def test_a_job_that_is_on_its_way_to_redis_is_not_lost() -> None:
    assert not is_settled(waiting(enqueued=-1), NOW)
    assert is_settled(waiting(enqueued=-3), NOW)
    assert not is_settled(waiting(enqueued=None), NOW)
