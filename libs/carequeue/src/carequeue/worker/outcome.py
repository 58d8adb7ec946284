"""How a handler ended → what Redis is told about its job. Pure: the clock and chance come in.

The rules, in order: a value completes; `Skip` completes and says why; `RetryAt` runs again at its instant;
`HandBack` hands the job back, `RateLimited` too and stops the queue, or its group, for a time;
`WaitForChildren` runs again when no child is pending;
`Unrecoverable` fails; any other error is tried again after the job's backoff while attempts are left, and fails then.
"""

from __future__ import annotations

import asyncio
import traceback
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from carequeue.backoff import UnknownBackoff, retry_delay
from carequeue.errors import (
    HandBack,
    Instruction,
    PayloadError,
    RateLimited,
    RetryAt,
    Skip,
    Unrecoverable,
    WaitForChildren,
)
from carequeue.store.commands import Finish
from carequeue.wire.codec import decode_backoff, encode_data
from carequeue.wire.json_text import stringify
from carequeue.wire.keep import KEEP_ALL, KeepRule, job_keep_rule
from carequeue.wire.times import span_ms, to_ms

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from carequeue.backoff import BackoffStrategy, Random
    from carequeue.job import Job
    from carequeue.worker.letter_box import LetterBox
    from carequeue.worker.traces import Trace

Kind = Literal["completed", "retrying", "failed", "expired", "parked", "handed_back"]

ZERO = timedelta(0)
NULL = "null"
EXPIRED = "expired"
"""Why a job failed that was taken when its time was over; also how the script says so."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a worker decides for jobs that do not say it themselves."""

    random: Random
    keep_completed: KeepRule = KEEP_ALL
    keep_failed: KeepRule = KEEP_ALL
    strategies: Mapping[str, BackoffStrategy] = field(default_factory=dict[str, "BackoffStrategy"])
    letters: LetterBox | None = None

    def address(self, job: Job[Any]) -> tuple[str, str]:
        """Where a letter about the job goes, as LetterBox says."""
        return ("", "") if self.letters is None else self.letters.address(job)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt that ended: what goes to Redis, and what the hooks hear once Redis has agreed."""

    kind: Kind
    finish: Finish
    job: Job[Any]
    value: Any = None
    error: BaseException | None = None
    seconds: float = 0.0
    delay: float = 0.0
    """Seconds until the next attempt."""
    trace: Trace | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """The attempt that ended: its job, its lock's token, when it ended (ms) and how long it took."""

    job: Job[Any]
    token: str
    now: int
    seconds: float = 0.0


def returned(attempt: Attempt, value: Any, rules: Rules) -> Outcome:
    """The handler returned."""
    if value is None:
        text = NULL
    elif isinstance(value, Instruction):
        return raised(attempt, value, rules)
    else:
        try:
            text = encode_data(None, value)
        except PayloadError as problem:
            # Its work is done: another attempt would do it again and fail again.
            error = Unrecoverable(f"the handler's return value cannot be stored as JSON: {problem}")
            return raised(attempt, error.with_traceback(problem.__traceback__), rules)
    return _completed(attempt, text, value, rules)


def raised(attempt: Attempt, error: BaseException, rules: Rules) -> Outcome:
    """The handler raised."""
    match error:
        case Skip():
            value = {"skipped": error.why}
            return replace(_completed(attempt, stringify(value), value, rules), error=error)
        case RetryAt():
            due = to_ms(error.when)
            finish = Finish(attempt.job.id, attempt.token, "delayed", due_ms=due, counts=error.counts)
            wait = max(0, due - attempt.now) / 1000
            return Outcome("retrying", finish, attempt.job, error=error, seconds=attempt.seconds, delay=wait)
        case WaitForChildren():
            finish = Finish(attempt.job.id, attempt.token, "children", counts=False)
            return Outcome("parked", finish, attempt.job, seconds=attempt.seconds)
        case HandBack():
            return replace(handed_back(attempt), error=error)
        case RateLimited():
            due = attempt.now + span_ms(error.for_)
            finish = Finish(attempt.job.id, attempt.token, "wait", due_ms=due, counts=False, limits_group=error.group)
            return Outcome("handed_back", finish, attempt.job, error=error, seconds=attempt.seconds)
        case Unrecoverable():
            return _failed(attempt, error, rules)
        case _:
            return _retried_or_failed(attempt, error, rules)


def handed_back(attempt: Attempt) -> Outcome:
    """The worker closes before the handler ended: the job waits at the front for another one, no attempt counted."""
    finish = Finish(attempt.job.id, attempt.token, "wait", counts=False)
    return Outcome("handed_back", finish, attempt.job, seconds=attempt.seconds)


def expired(attempt: Attempt, rules: Rules) -> Outcome:
    """The job was taken when its time was over: it fails without an attempt."""
    job = attempt.job
    keep = _own_keep_rule(job, "removeOnFail") or rules.keep_failed
    traces = stringify(list(job.stacktrace))
    letters, note = rules.address(job)
    finish = Finish(
        job.id, attempt.token, "expired", EXPIRED + note, traces, keep=keep, counts=False, dead_letters=letters
    )
    return Outcome("expired", finish, job, seconds=attempt.seconds)


def traced(outcome: Outcome, trace: Trace) -> Outcome:
    """The same with its trace, to which the next attempt points if this one failed."""
    trace.ended(outcome.kind, outcome.error, outcome.delay)
    if trace.omits or outcome.kind not in ("retrying", "failed"):
        return replace(outcome, trace=trace)
    return replace(outcome, finish=replace(outcome.finish, trace=trace.carrier), trace=trace)


def postponed(attempt: Attempt, when: datetime) -> Outcome:
    """Whoever holds it says that it is too early: it runs again at `when`, no attempt counted."""
    due = max(to_ms(when), attempt.now)
    finish = Finish(attempt.job.id, attempt.token, "delayed", due_ms=due, counts=False)
    return Outcome("handed_back", finish, attempt.job, seconds=attempt.seconds)


def reason_of(error: BaseException) -> str:
    """The text of an error as Redis can hold it: lone surrogates are no UTF-8."""
    if isinstance(error, asyncio.CancelledError):
        return "the handler was cancelled by something that it waited for"
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a broken __str__ must not hide that the job failed
        text = ""
    return (text or type(error).__name__).encode("utf-8", "backslashreplace").decode()


def _completed(attempt: Attempt, text: str, value: Any, rules: Rules) -> Outcome:
    job = attempt.job
    keep = _own_keep_rule(job, "removeOnComplete") or rules.keep_completed
    finish = Finish(job.id, attempt.token, "completed", text, keep=keep)
    return Outcome("completed", finish, job, value, seconds=attempt.seconds)


def _retried_or_failed(attempt: Attempt, error: BaseException, rules: Rules) -> Outcome:
    job = attempt.job
    made = job.attempts_made + 1
    if made >= job.attempts_allowed:
        return _failed(attempt, error, rules)
    backoff = decode_backoff(job.raw_options.get("backoff"))
    try:
        delay = retry_delay(backoff, made, random=rules.random, strategies=rules.strategies, error=error, job=job)
    except Exception as problem:  # noqa: BLE001 - a strategy is the owner's code; the job fails and says why
        return _failed(attempt, error, rules, note=_strategy_problem(problem))
    if delay is None:
        return _failed(attempt, error, rules)
    verdict = "delayed" if delay > ZERO else "retry"
    due = attempt.now + span_ms(delay)
    finish = Finish(job.id, attempt.token, verdict, reason_of(error), stacktrace_of(job, error), due)
    return Outcome("retrying", finish, job, error=error, seconds=attempt.seconds, delay=delay.total_seconds())


def _failed(attempt: Attempt, error: BaseException, rules: Rules, note: str = "") -> Outcome:
    job = attempt.job
    letters, more = rules.address(job)
    finish = Finish(
        job.id,
        attempt.token,
        "failed",
        reason_of(error) + note + more,
        stacktrace_of(job, error),
        keep=_own_keep_rule(job, "removeOnFail") or rules.keep_failed,
        attempts=job.attempts_allowed,
        dead_letters=letters,
    )
    return Outcome("failed", finish, job, error=error, seconds=attempt.seconds)


def _own_keep_rule(job: Job[Any], word: str) -> KeepRule | None:
    # Hardly any job says it, and looking for the word costs a tenth of reading the options.
    return job_keep_rule(job.raw_options.get(word)) if word in job.fields.get("opts", "") else None


def _strategy_problem(problem: Exception) -> str:
    if isinstance(problem, UnknownBackoff):
        return f" (not tried again: {problem})"
    return f" (not tried again: the backoff strategy raised {type(problem).__name__}: {reason_of(problem)})"


def stacktrace_of(job: Job[Any], error: BaseException) -> str:
    """The stack traces of all attempts so far as a JSON array, the newest last, as many as the job keeps."""
    limit = job.raw_options.get("stackTraceLimit")
    if limit == 0:
        return "[]"
    traces = [*job.stacktrace, _trace(error)]
    return stringify(traces[-limit:] if isinstance(limit, int) and limit > 0 else traces)


def _trace(error: BaseException) -> str:
    try:
        text = "".join(traceback.format_exception(error))
    except Exception:  # noqa: BLE001 - as in reason_of
        text = type(error).__name__
    return text.encode("utf-8", "backslashreplace").decode()
