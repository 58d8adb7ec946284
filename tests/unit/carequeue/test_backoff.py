"""The delay before a retry, and before a reconnect."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carequeue.backoff import UnknownBackoff, reconnect_delay, retry_delay
from carequeue.options import MAX_DELAY, Backoff

SECOND = timedelta(seconds=1)
ERROR = ValueError("boom")


def delay(
    backoff: Backoff | None, attempts_made: int, *, chance: float = 0.0, **strategies: object
) -> timedelta | None:
    return retry_delay(
        backoff,
        attempts_made,
        random=lambda: chance,
        strategies=strategies,  # type: ignore[arg-type]
        error=ERROR,
        job="the job",
    )


def test_without_a_backoff_the_next_attempt_is_at_once() -> None:
    assert delay(None, 1) == timedelta(0)


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 3), (2, 3), (9, 3)])
def test_fixed_waits_the_same_each_time(attempts: int, seconds: int) -> None:
    assert delay(Backoff.fixed(3 * SECOND), attempts) == seconds * SECOND


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 1), (2, 2), (3, 4), (6, 32)])
def test_exponential_doubles_from_the_first_attempt(attempts: int, seconds: int) -> None:
    assert delay(Backoff.exponential(SECOND), attempts) == seconds * SECOND


def test_exponential_never_grows_past_the_longest_delay() -> None:
    assert delay(Backoff.exponential(SECOND), 10_000) == MAX_DELAY


@pytest.mark.parametrize(
    ("chance", "milliseconds"),
    [(0.0, 800), (0.5, 900), (0.999999, 999)],  # jitter 0.2 leaves at least 80 %, and rounds down as BullMQ does
)
def test_jitter_takes_away_a_random_part_up_to_its_share(chance: float, milliseconds: int) -> None:
    assert delay(Backoff.fixed(SECOND, jitter=0.2), 1, chance=chance) == timedelta(milliseconds=milliseconds)


@given(st.floats(0, 1), st.floats(0, 1, exclude_max=True), st.integers(1, 12))
def test_jitter_stays_between_its_bounds(jitter: float, chance: float, attempts: int) -> None:
    full = SECOND * 2 ** (attempts - 1)
    got = delay(Backoff.exponential(SECOND, jitter=jitter), attempts, chance=chance)
    assert got is not None
    assert full * (1 - jitter) - timedelta(milliseconds=1) <= got <= full


def test_a_strategy_of_the_worker_decides_by_attempt_error_and_job() -> None:
    seen: list[object] = []

    def slowly(attempts_made: int, error: BaseException, job: object) -> timedelta:
        seen.extend([attempts_made, error, job])
        return 7 * SECOND

    assert delay(Backoff("slowly"), 2, slowly=slowly) == 7 * SECOND
    assert seen == [2, ERROR, "the job"]


def test_a_strategy_may_give_up() -> None:
    assert delay(Backoff("never"), 1, never=lambda *_: None) is None


def test_a_strategy_replaces_a_built_in_one_of_its_name() -> None:
    assert delay(Backoff.fixed(SECOND), 1, fixed=lambda *_: 2 * SECOND) == 2 * SECOND


def test_an_unknown_strategy_says_which_ones_there_are() -> None:
    with pytest.raises(UnknownBackoff, match=r"'sideways'.*exponential, fixed, slowly.*backoff_strategies"):
        delay(Backoff("sideways"), 1, slowly=lambda *_: SECOND)


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_reconnecting_waits_a_little_and_never_long(failures: int, chance: float) -> None:
    seconds = reconnect_delay(failures, random=lambda: chance)
    assert 0.004 < seconds <= 3.0


def test_reconnecting_waits_longer_after_more_failures() -> None:
    ceilings = [reconnect_delay(failures, random=lambda: 1.0) for failures in range(10)]
    assert ceilings == sorted(ceilings)
    assert ceilings[-1] == 3.0
