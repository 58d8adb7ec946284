"""How a handler ended → what Redis is told. Pure, so every row of the rules is a case."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from carequeue import Backoff, Job, KeepJobs, RateLimited, RetryAt, Skip, Unrecoverable, WaitForChildren
from carequeue.testing import make_job
from carequeue.wire.keep import KEEP_ALL, KEEP_NONE, KeepRule
from carequeue.worker.outcome import Attempt, Rules, handed_back, raised, reason_of, returned, stacktrace_of

NOW = 1_800_000_000_000
RULES = Rules(random=lambda: 0.5)


@dataclass(frozen=True, slots=True)
class Receipt:
    sent: int


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def attempt(made: int = 0, **options: Any) -> Attempt:
    return Attempt(make_job("job", **options).with_fields({"atm": str(made)}), "token:1", NOW, 0.5)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (0, "0"), ({"sent": [1, "x"]}, '{"sent":[1,"x"]}'), (Receipt(2), '{"sent":2}'), ("é", '"é"')],
)
def test_a_value_completes_as_its_json(value: object, text: str) -> None:
    outcome = returned(attempt(), value, RULES)
    assert (outcome.kind, outcome.finish.verdict, outcome.finish.value) == ("completed", "completed", text)
    assert outcome.value == value
    assert (outcome.finish.job_id, outcome.finish.token) == ("1", "token:1")


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), {"deep": [b"bytes"]}, {1: "key"}])
def test_a_value_that_json_cannot_carry_fails_for_good(value: object) -> None:
    outcome = returned(attempt(attempts=5), value, RULES)
    assert outcome.kind == "failed"
    assert outcome.finish.value.startswith("the handler's return value cannot be stored as JSON")
    assert outcome.finish.attempts == 5


def test_skip_completes_with_its_reason() -> None:
    for outcome in (raised(attempt(), Skip("expired"), RULES), returned(attempt(), Skip("expired"), RULES)):
        assert (outcome.kind, outcome.finish.value) == ("completed", '{"skipped":"expired"}')
        assert outcome.value == {"skipped": "expired"}


def test_waiting_for_children_is_no_attempt_and_keeps_no_error() -> None:
    for outcome in (raised(attempt(), WaitForChildren(), RULES), returned(attempt(), WaitForChildren(), RULES)):
        assert (outcome.kind, outcome.finish.verdict, outcome.finish.counts) == ("parked", "children", False)
        assert (outcome.finish.value, outcome.finish.stacktrace) == ("", "")


def test_retry_at_is_due_at_its_instant_even_without_attempts_left() -> None:
    when = datetime(2030, 1, 1, tzinfo=UTC)
    outcome = raised(attempt(made=9, attempts=1), RetryAt(when), RULES)
    assert (outcome.kind, outcome.finish.verdict, outcome.finish.due_ms) == ("retrying", "delayed", 1_893_456_000_000)
    assert (outcome.finish.value, outcome.finish.stacktrace, outcome.finish.counts) == ("", "", True)


@pytest.mark.parametrize(
    ("made", "options", "verdict", "due"),
    [
        (0, {}, "failed", 0),
        (0, {"attempts": 1}, "failed", 0),
        (0, {"attempts": 2}, "retry", NOW),
        (1, {"attempts": 2}, "failed", 0),
        (0, {"attempts": 3, "backoff": Backoff.fixed(timedelta(seconds=5))}, "delayed", NOW + 5000),
        (1, {"attempts": 3, "backoff": Backoff.exponential(timedelta(seconds=5))}, "delayed", NOW + 10_000),
        (1, {"attempts": 3, "backoff": Backoff.exponential(timedelta(seconds=5), jitter=1)}, "delayed", NOW + 5000),
        (0, {"attempts": 3, "backoff": Backoff.fixed(timedelta(0))}, "retry", NOW),
        (0, {"attempts": 3, "backoff": Backoff("nobody knows")}, "failed", 0),
        (0, {"attempts": 3, "backoff": Backoff("broken")}, "failed", 0),
        (0, {"attempts": 3, "backoff": Backoff("stop")}, "failed", 0),
        (0, {"attempts": 3, "backoff": Backoff("soon")}, "delayed", NOW + 1),
    ],
)
def test_an_error_is_tried_again_while_attempts_are_left(
    made: int, options: dict[str, Any], verdict: str, due: int
) -> None:
    def broken(*_: Any) -> timedelta:
        raise ZeroDivisionError

    strategies = {"stop": lambda *_: None, "soon": lambda *_: timedelta(microseconds=1), "broken": broken}
    rules = Rules(random=lambda: 0.5, strategies=strategies)  # type: ignore[arg-type]
    outcome = raised(attempt(made, **options), ValueError("boom"), rules)
    assert (outcome.finish.verdict, outcome.finish.due_ms) == (verdict, due)
    assert outcome.finish.value.startswith("boom")
    assert "ValueError: boom" in json.loads(outcome.finish.stacktrace)[-1]


def test_unrecoverable_fails_with_attempts_left() -> None:
    outcome = raised(attempt(attempts=9), Unrecoverable("gone"), RULES)
    assert (outcome.kind, outcome.finish.verdict, outcome.finish.value) == ("failed", "failed", "gone")


def test_handing_back_counts_nothing() -> None:
    outcome = handed_back(attempt())
    assert (outcome.kind, outcome.finish.verdict, outcome.finish.counts) == ("handed_back", "wait", False)


@pytest.mark.parametrize(
    ("own", "workers", "kept"),
    [
        (None, KEEP_NONE, KEEP_NONE),
        (True, KEEP_NONE, KEEP_ALL),
        (False, KEEP_ALL, KEEP_NONE),
        (KeepJobs(count=0), KEEP_ALL, KEEP_NONE),
        (KeepJobs(count=5), KEEP_ALL, KeepRule(5)),
    ],
)
def test_the_jobs_own_rule_of_keeping_replaces_the_workers(own: Any, workers: KeepRule, kept: KeepRule) -> None:
    rules = Rules(lambda: 0.0, keep_completed=workers, keep_failed=workers)
    done = returned(attempt(keep_completed=own), 1, rules)
    failed = raised(attempt(keep_failed=own), ValueError(), rules)
    assert done.finish.keep == failed.finish.keep == kept


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("boom"), "boom"),
        (ValueError(), "ValueError"),
        (Unprintable(), "Unprintable"),
        (ValueError("half \ud83d"), "half \\ud83d"),
    ],
)
def test_the_reason_is_the_errors_text_or_else_its_name(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason


@pytest.mark.parametrize(("limit", "kept"), [(None, 3), (0, 0), (1, 1), (2, 2), (9, 3)])
def test_stack_traces_are_the_newest_up_to_the_limit(limit: int | None, kept: int) -> None:
    job: Job[Any] = make_job("job", stack_trace_limit=limit).with_fields({"stacktrace": '["one","two"]'})
    traces = json.loads(stacktrace_of(job, ValueError("three")))
    assert len(traces) == kept
    assert not traces or "three" in traces[-1]


def test_a_rate_limit_hands_the_job_back_and_says_until_when_nothing_starts() -> None:
    outcome = raised(attempt(made=4, attempts=5), RateLimited(timedelta(seconds=9)), RULES)
    finish = outcome.finish
    assert (outcome.kind, finish.verdict, finish.due_ms, finish.counts) == ("handed_back", "wait", NOW + 9000, False)
    assert (finish.value, finish.limits_group) == ("", False)
    assert raised(attempt(), RateLimited(timedelta(seconds=9), group=True), RULES).finish.limits_group
