"""Repeat and next_run: intervals, bounds, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from carequeue.errors import InvalidOption
from carequeue.repeat import Repeat, next_run

if TYPE_CHECKING:
    from collections.abc import Callable

MINUTE = timedelta(minutes=1)
TEN = timedelta(minutes=10)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


NOON = at("2026-11-24T12:00")
NAIVE = datetime.fromisoformat("2026-01-01T00:00")


def test_an_interval_starts_at_once() -> None:
    assert next_run(Repeat.every(TEN), after=NOON) == NOON


def test_an_interval_starts_at_its_start() -> None:
    assert next_run(Repeat.every(TEN, start=NOON + MINUTE), after=NOON) == NOON + MINUTE


def test_an_interval_with_an_offset_lies_on_multiples_of_itself() -> None:
    repeat = Repeat.every(TEN, offset=3 * MINUTE)

    assert next_run(repeat, after=NOON) == NOON + 3 * MINUTE
    assert next_run(repeat, after=NOON + 3 * MINUTE) == NOON + 3 * MINUTE
    assert next_run(repeat, after=NOON + 4 * MINUTE) == NOON + 13 * MINUTE


def test_an_interval_goes_on_from_the_run_before() -> None:
    assert next_run(Repeat.every(TEN), after=NOON + 3 * MINUTE, previous=NOON) == NOON + TEN


def test_an_interval_that_was_fetched_early_still_moves_on() -> None:
    assert next_run(Repeat.every(TEN), after=NOON - MINUTE, previous=NOON) == NOON + TEN


def test_runs_missed_in_an_outage_are_not_made_up_for() -> None:
    late = NOON + timedelta(hours=5, minutes=3)

    assert next_run(Repeat.every(TEN), after=late, previous=NOON) == NOON + timedelta(hours=5, minutes=10)
    assert next_run(Repeat.cron("*/10 * * * *"), after=late, previous=NOON) == at("2026-11-24T17:10")


def test_a_pattern_runs_strictly_after_now_and_after_the_run_before() -> None:
    repeat = Repeat.cron("0 12 * * *")

    assert next_run(repeat, after=NOON) == NOON + timedelta(days=1)
    assert next_run(repeat, after=NOON - MINUTE) == NOON
    assert next_run(repeat, after=NOON - MINUTE, previous=NOON) == NOON + timedelta(days=1)


def test_fractions_of_a_second_neither_skip_nor_repeat_a_run() -> None:
    repeat = Repeat.cron("* * * * * *")
    tick = timedelta(microseconds=1)

    assert next_run(repeat, after=NOON - tick) == NOON
    assert next_run(repeat, after=NOON) == NOON + timedelta(seconds=1)
    assert next_run(repeat, after=NOON + tick) == NOON + timedelta(seconds=1)


def test_start_and_end_are_both_included() -> None:
    repeat = Repeat.cron("0 12 * * *", start=NOON, end=NOON + timedelta(days=1))

    assert next_run(repeat, after=NOON - timedelta(days=9)) == NOON
    assert next_run(repeat, after=NOON) == NOON + timedelta(days=1)
    assert next_run(repeat, after=NOON + timedelta(days=1)) is None


def test_an_interval_ends() -> None:
    repeat = Repeat.every(TEN, end=NOON + TEN)

    assert next_run(repeat, after=NOON, previous=NOON) == NOON + TEN
    assert next_run(repeat, after=NOON + TEN, previous=NOON + TEN) is None


def test_immediately_is_only_about_the_first_run() -> None:
    repeat = Repeat.cron("0 8 * * *", immediately=True)

    assert next_run(repeat, after=NOON) == NOON
    assert next_run(repeat, after=NOON, previous=NOON) == at("2026-11-25T08:00")


def test_hashed_patterns_follow_the_seed() -> None:
    repeat = Repeat.cron("H H * * *")
    runs = {next_run(repeat, after=NOON, seed=f"agenda-{n}") for n in range(50)}

    assert len(runs) > 40
    assert next_run(repeat, after=NOON, seed="agenda-1") in runs


def test_the_answer_is_in_utc_whatever_the_question_was() -> None:
    berlin = NOON.astimezone(datetime.fromisoformat("2026-11-24T00:00+01:00").tzinfo)
    run = next_run(Repeat.cron("30 13 * * *", zone="Europe/Berlin"), after=berlin)

    assert run == at("2026-11-24T12:30")
    assert run is not None
    assert run.tzinfo is UTC


@pytest.mark.parametrize("repeat", [Repeat.every(timedelta(days=36000)), Repeat.cron("0 0 1 1 *")])
def test_the_end_of_the_calendar_is_an_end(repeat: Repeat) -> None:
    last = datetime(9999, 12, 31, 23, tzinfo=UTC)

    assert next_run(repeat, after=last, previous=last) is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Repeat(), "Repeat.cron or Repeat.every"),
        (lambda: Repeat(pattern="* * * * *", interval=TEN), "Repeat.cron or Repeat.every"),
        (lambda: Repeat.every(timedelta(0)), "between 1 ms and"),
        (lambda: Repeat.every(-TEN), "between 1 ms and"),
        (lambda: Repeat.every(timedelta(days=365 * 200)), "between 1 ms and"),
        (lambda: Repeat.every(timedelta(microseconds=1500)), "whole milliseconds"),
        (lambda: Repeat.every(TEN, offset=TEN), "an offset lies between"),
        (lambda: Repeat.every(TEN, offset=-MINUTE), "an offset lies between"),
        (lambda: Repeat.every(TEN, limit=0), "at least 1 run"),
        (lambda: Repeat.every(TEN, start=NAIVE), "start wants an aware datetime"),
        (lambda: Repeat.every(TEN, end=NAIVE), "end wants an aware datetime"),
        (lambda: Repeat.cron("* * * * *", start=NOON, end=NOON - MINUTE), "before it starts"),
        (lambda: Repeat.cron("* * * *"), "has 5 fields"),
        (lambda: Repeat.cron("0 8 * * *", zone="Europe/Berlyn"), "did you mean 'Europe/Berlin'"),
        (lambda: Repeat.cron("0 8 * * *", zone="UTC+2"), "not an IANA time zone"),
        (lambda: Repeat.cron("0 8 * * *", zone=""), "not an IANA time zone"),
        (lambda: Repeat.cron("0 8 * * *", zone="../etc/passwd"), "not an IANA time zone"),
    ],
)
def test_what_cannot_repeat_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        make()


def test_a_naive_now_is_refused() -> None:
    with pytest.raises(InvalidOption, match="after wants an aware datetime"):
        next_run(Repeat.every(TEN), after=NAIVE)
