"""Jobs as BullMQ stores them: names and short names of options, and hashes that others wrote."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from carequeue.errors import InvalidOption, PayloadError
from carequeue.job import Job, JobState
from carequeue.kind import JobKind, NewJob
from carequeue.options import UNSAID, Backoff, JobOptions, KeepJobs, OnFailure, ParentRef
from carequeue.wire.codec import Codec, decode_backoff, decode_options, encode_job, encode_options
from carequeue.wire.keep import KEEP_ALL, KEEP_NONE, KeepRule, job_keep_rule, keep_rule
from carequeue.wire.keys import QueueKeys, split_job_key
from carequeue.wire.times import from_ms, span_ms, to_ms

NOW = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
NOW_MS = 1795492800000
TRACE = '{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}'


@dataclass(frozen=True, slots=True)
class Remind:
    occurrence_id: UUID
    generation: int


ID = UUID("0b7cba3c-1cf5-4ef4-a4bb-4f1ac5b63d0b")
REMIND = JobKind(
    "remind", Remind, attempts=5, backoff=Backoff.exponential(timedelta(minutes=1), jitter=0.2), keep_failed=True
)


def read(**fields: str) -> Job[Any]:
    codec: Codec[Any] = Codec("q")
    return codec.job("7", fields)


def test_a_new_job_is_stored_as_bullmq_stores_it() -> None:
    record = encode_job(REMIND.with_id("x-g1", Remind(ID, 1), run_at=NOW + timedelta(hours=1)), UNSAID, NOW)
    opts = json.loads(record.fields.pop("opts"))
    assert record.fields | {"opts": None} == {
        "name": "remind",
        "data": f'{{"occurrence_id":"{ID}","generation":1}}',
        "timestamp": str(NOW_MS),
        "delay": "3600000",
        "priority": "0",
        "opts": None,
    }
    assert opts == {
        "attempts": 5,
        "backoff": {"type": "exponential", "delay": 60000, "jitter": 0.2},
        "removeOnFail": False,
        "jobId": "x-g1",
        "delay": 3600000,
    }


def test_every_option_has_bullmqs_name() -> None:
    options = JobOptions(
        job_id="x",
        priority=3,
        lifo=True,
        attempts=2,
        backoff=Backoff.fixed(timedelta(seconds=5)),
        keep_completed=KeepJobs(count=10),
        keep_failed=KeepJobs(count=5, age=timedelta(hours=1), limit=100),
        keep_logs=3,
        stack_trace_limit=2,
        size_limit=1000,
        timestamp=NOW,
        parent=ParentRef("p", "bull:parents"),
        on_failure=OnFailure.FAIL_PARENT,
        telemetry_metadata=TRACE,
        omit_context=True,
        timeout=timedelta(seconds=1.5),
    )
    assert encode_options(options) == {
        "jobId": "x",
        "priority": 3,
        "lifo": True,
        "attempts": 2,
        "backoff": {"type": "fixed", "delay": 5000},
        "removeOnComplete": 10,
        "removeOnFail": {"count": 5, "age": 3600.0, "limit": 100},
        "kl": 3,
        "stackTraceLimit": 2,
        "sizeLimit": 1000,
        "timestamp": NOW_MS,
        "parent": {"id": "p", "queue": "bull:parents"},
        "fpof": True,
        "tm": TRACE,
        "omc": True,
        "timeout": 1500,
    }
    assert encode_options(UNSAID) == {"attempts": 0}


def test_options_come_back() -> None:
    options = JobOptions(
        job_id="x",
        delay=timedelta(seconds=3),
        priority=3,
        lifo=False,
        attempts=2,
        keep_completed=True,
        keep_failed=False,
        telemetry_metadata=TRACE,
        omit_context=False,
        timeout=timedelta(seconds=2),
    )
    assert decode_options({"delay": 3000} | encode_options(options)) == options


@pytest.mark.parametrize(
    ("words", "stored"),
    [
        ({}, {"tm": TRACE}),
        ({"omit_context": False}, {"tm": TRACE, "omc": False}),
        ({"omit_context": True}, {"omc": True}),
        ({"telemetry_metadata": "{}"}, {"tm": "{}"}),
        ({"telemetry_metadata": "{}", "omit_context": True}, {"tm": "{}", "omc": True}),
    ],
)
def test_a_job_takes_the_trace_along_unless_it_says_otherwise(words: dict[str, Any], stored: dict[str, Any]) -> None:
    new = NewJob("paint", {}, JobOptions(**words))
    assert json.loads(encode_job(new, UNSAID, NOW, TRACE).opts) == {"attempts": 0} | stored
    assert json.loads(encode_job(NewJob("paint", {}), UNSAID, NOW).opts) == {"attempts": 0}


@pytest.mark.parametrize("raw", [{"tm": False, "omc": True}, {"tm": "my own tracing's", "omc": True}])
def test_a_trace_that_is_none_of_ours_counts_as_none(raw: dict[str, Any]) -> None:
    assert decode_options(raw) == JobOptions(omit_context=True)


def test_options_that_we_would_refuse_count_as_unsaid() -> None:
    raw = {"jobId": "7", "priority": -3, "attempts": 2, "delay": 1e30, "backoff": {"type": "", "delay": 1}, "x": 1}
    assert decode_options(raw | {"delay": 5}) == JobOptions(attempts=2, delay=timedelta(milliseconds=5))


@pytest.mark.parametrize("stored", [0, -1, "5", True, None, float("nan"), float("inf"), 1e-9])
def test_a_timeout_that_is_no_length_of_time_counts_as_unsaid(stored: object) -> None:
    assert decode_options({"timeout": stored}).timeout is None


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (500, Backoff.fixed(timedelta(milliseconds=500))),
        ({"type": "exponential", "delay": 1000, "jitter": 0.5}, Backoff.exponential(timedelta(seconds=1), jitter=0.5)),
        ({"type": "mine"}, Backoff("mine")),
        (None, None),
        (True, None),
        ("x", None),
        ({"type": "fixed", "delay": -1}, None),
        ({"type": "fixed", "delay": "soon"}, None),
    ],
)
def test_backoffs_that_others_wrote(stored: object, expected: Backoff | None) -> None:
    assert decode_backoff(stored) == expected


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (True, KEEP_NONE),
        (False, KEEP_ALL),
        (0, KEEP_NONE),
        (5, KeepRule(5)),
        (-1, KEEP_ALL),
        ({"age": 10}, KeepRule(-1, 10_000)),
        ({"count": 3, "age": 0.5, "limit": 7}, KeepRule(3, 500, 7)),
        ({"count": 0}, KEEP_NONE),
        ({"count": -1}, KEEP_ALL),
        (None, None),
        ("x", None),
    ],
)
def test_keep_rules_that_others_wrote(stored: object, expected: KeepRule | None) -> None:
    assert job_keep_rule(stored) == expected


def test_keep_rules_of_a_worker() -> None:
    assert keep_rule(KeepJobs(count=100)).text == "100/-1/1000"
    assert keep_rule(KeepJobs(age=timedelta(seconds=1), limit=5)).text == "-1/1000/5"
    assert (keep_rule(True), keep_rule(False)) == (KEEP_ALL, KEEP_NONE)


def test_no_data_is_an_empty_object_but_none_of_a_kind_is_null() -> None:
    assert encode_job(NewJob("x", None), UNSAID, NOW).data == "{}"
    assert encode_job(NewJob("x", None, UNSAID, type(None)), UNSAID, NOW).data == "null"


def test_an_instant_that_is_past_is_now() -> None:
    record = encode_job(NewJob("x", {}, JobOptions(run_at=NOW - timedelta(days=1))), UNSAID, NOW)
    assert (record.delay, json.loads(record.opts)["delay"]) == (0, 0)


def test_a_delay_counts_from_the_timestamp() -> None:
    at = NOW - timedelta(minutes=1)
    record = encode_job(NewJob("x", {}, JobOptions(timestamp=at, run_at=NOW)), UNSAID, NOW)
    assert (record.timestamp, record.delay) == (NOW_MS - 60_000, 60_000)


def test_the_size_limit_counts_bytes() -> None:
    data = {"a": "é" * 10}
    encode_job(NewJob("x", data, JobOptions(size_limit=28)), UNSAID, NOW)
    with pytest.raises(PayloadError, match="takes 28 bytes, the job's size_limit is 27"):
        encode_job(NewJob("x", data, JobOptions(size_limit=27)), UNSAID, NOW)


def test_a_parent_is_linked_by_its_key() -> None:
    record = encode_job(NewJob("x", {}, JobOptions(parent=ParentRef("p", "bull:parents"))), UNSAID, NOW)
    assert record.fields["parentKey"] == "bull:parents:p"
    assert json.loads(record.fields["parent"]) == {"id": "p", "queueKey": "bull:parents"}


@pytest.mark.parametrize(("mode", "flag"), list(zip(OnFailure, ["fpof", "cpof", "idof", "rdof"], strict=True)))
def test_what_a_failure_means_stands_beside_the_parent_and_in_the_options(mode: OnFailure, flag: str) -> None:
    options = JobOptions(parent=ParentRef("p", "bull:parents"), on_failure=mode)
    record = encode_job(NewJob("x", {}, options), UNSAID, NOW)
    assert json.loads(record.parent) == {"id": "p", "queueKey": "bull:parents", flag: True}
    assert json.loads(record.opts)[flag] is True
    assert decode_options(json.loads(record.opts)).on_failure == mode
    assert decode_options({flag: False}).on_failure is None


def test_a_stored_job_reads_as_values() -> None:
    job = read(
        name="n",
        data='{"a":1}',
        opts='{"attempts":3}',
        timestamp=str(NOW_MS),
        delay="1500",
        priority="2",
        processedOn=str(NOW_MS + 1),
        finishedOn=str(NOW_MS + 2),
        returnvalue='{"sent":1}',
        failedReason="no: {json}",
        stacktrace='["one","two"]',
        progress="50",
        atm="2",
        ats="3",
        stc="1",
        defa="condemned",
        pb="w1",
        rjk="s",
        deid="d",
        parentKey="bull:p:1",
        unknown="x",
    )
    assert (job.name, job.data, job.attempts_allowed, job.added_at) == ("n", {"a": 1}, 3, NOW)
    assert (job.delay, job.priority) == (timedelta(milliseconds=1500), 2)
    assert (to_ms(job.started_at or NOW), to_ms(job.finished_at or NOW)) == (NOW_MS + 1, NOW_MS + 2)
    assert (job.return_value, job.failed_reason, job.stacktrace) == ({"sent": 1}, "no: {json}", ["one", "two"])
    assert (job.progress, job.attempts_made, job.attempts_started, job.stalled_count) == (50, 2, 3, 1)
    assert (job.condemned, job.worker_name, job.scheduler_id, job.deduplication_id) == ("condemned", "w1", "s", "d")
    assert (job.parent, job.fields["unknown"], job.queue) == (ParentRef("1", "bull:p"), "x", "q")


def test_an_empty_hash_reads_as_nothing_said() -> None:
    job = read()
    assert (job.data, job.options, job.priority, job.attempts_made) == ({}, UNSAID, 0, 0)
    assert (job.added_at, job.progress, job.return_value, job.parent, job.stacktrace) == (None, None, None, None, [])


def test_attempts_by_their_old_name_win() -> None:
    assert read(attemptsMade="4", atm="1").attempts_made == 4


def test_results_that_are_no_json_stay_text() -> None:
    assert (read(returnvalue="oops{").return_value, read(opts="oops{").options) == ("oops{", UNSAID)


def test_data_is_typed_on_demand() -> None:
    job = read(data=f'{{"occurrence_id":"{ID}","generation":1}}')
    assert job.typed(Remind).data == Remind(ID, 1)
    with pytest.raises(PayloadError, match=r"data\.generation: is missing"):
        _ = read(data=f'{{"occurrence_id":"{ID}"}}').typed(Remind).data
    with pytest.raises(PayloadError, match="not JSON"):
        _ = read(data="{").data


def test_a_job_shows_neither_its_data_nor_its_error() -> None:
    assert repr(read(name="n", data='"secret"', failedReason="secret")) == "<Job n 7 of q>"


def test_states_are_their_words() -> None:
    assert JobState("waiting-children") == "waiting-children" == f"{JobState.WAITING_CHILDREN}"


def test_times_round_so_that_nothing_is_early_or_short() -> None:
    at = NOW + timedelta(microseconds=1999)
    assert to_ms(at) == NOW_MS + 1
    assert span_ms(timedelta(microseconds=1001)) == 2
    assert from_ms(NOW_MS) == NOW


@pytest.mark.parametrize(("prefix", "queue"), [("", "q"), ("bull", ""), ("bull", "a:b")])
def test_names_that_cannot_be_keys(prefix: str, queue: str) -> None:
    with pytest.raises(InvalidOption):
        QueueKeys(prefix, queue)


def test_a_job_key_splits_at_its_last_colon() -> None:
    assert split_job_key("{pre}:fix:q:7") == ("{pre}:fix:q", "7")
