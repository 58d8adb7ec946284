"""Timetables: what becomes of runs that come late, by each policy, and strategies of one's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carequeue import CatchUp, InvalidOption, Repeat, RunOnce, SkipLate, next_run
from carequeue.timetable import Timetable, Turn
from carequeue.wire.schedule import decode_misfire, encode_misfire

if TYPE_CHECKING:
    from collections.abc import Callable

    from carequeue.misfire import Misfire

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def hourly(misfire: Misfire) -> Timetable:
    return Timetable("s", Repeat.cron("0 * * * *", misfire=misfire))


def by_interval(misfire: Misfire) -> Timetable:
    return Timetable("s", Repeat.every(HOUR, misfire=misfire))


both = pytest.mark.parametrize("make", [hourly, by_interval])


@both
async def test_a_run_in_time_is_followed_by_the_next_whatever_the_policy(make: Callable[..., Timetable]) -> None:
    for misfire in (RunOnce(), SkipLate(MINUTE), CatchUp(3)):
        assert await make(misfire).take(NOON, NOON + SECOND) == Turn(skipped=False, following=NOON + HOUR)


@both
async def test_by_default_one_late_run_stands_for_all(make: Callable[..., Timetable]) -> None:
    turn = await make(RunOnce()).take(NOON, NOON + 5 * HOUR + MINUTE)
    assert turn == Turn(skipped=False, following=NOON + 6 * HOUR)


@both
async def test_what_is_too_late_is_skipped_up_to_the_next_in_time(make: Callable[..., Timetable]) -> None:
    timetable = make(SkipLate(10 * MINUTE))
    assert await timetable.take(NOON, NOON + 10 * MINUTE) == Turn(skipped=False, following=NOON + HOUR)
    assert await timetable.take(NOON, NOON + 11 * MINUTE) == Turn(skipped=True, following=NOON + HOUR)
    assert await timetable.take(NOON, NOON + 5 * HOUR + 11 * MINUTE) == Turn(skipped=True, following=NOON + 6 * HOUR)


@both
async def test_a_missed_run_that_is_not_too_late_is_not_skipped_with_the_others(make: Callable[..., Timetable]) -> None:
    late = NOON + 5 * HOUR + 10 * MINUTE
    assert await make(SkipLate(10 * MINUTE)).take(NOON, late) == Turn(skipped=True, following=NOON + 5 * HOUR)


@both
async def test_a_run_that_is_late_within_bounds_stands_for_the_others(make: Callable[..., Timetable]) -> None:
    turn = await make(SkipLate(3 * HOUR)).take(NOON, NOON + 2 * HOUR + MINUTE)
    assert turn == Turn(skipped=False, following=NOON + 3 * HOUR)


@both
async def test_missed_runs_are_made_up_for_one_by_one(make: Callable[..., Timetable]) -> None:
    timetable, late = make(CatchUp(6)), NOON + 5 * HOUR + MINUTE
    due, made = NOON, list[datetime]()
    while due <= late:
        turn = await timetable.take(due, late)
        assert not turn.skipped
        assert turn.following is not None
        made.append(due)
        due = turn.following
    assert made == [NOON + hours * HOUR for hours in range(6)]
    assert due == NOON + 6 * HOUR


@both
async def test_of_too_many_missed_runs_the_newest_are_made_up_for(make: Callable[..., Timetable]) -> None:
    late = NOON + 5 * HOUR + MINUTE
    assert await make(CatchUp(2)).take(NOON, late) == Turn(skipped=True, following=NOON + 4 * HOUR)
    assert await make(CatchUp(5)).take(NOON, late) == Turn(skipped=True, following=NOON + HOUR)
    assert await make(CatchUp(6)).take(NOON, late) == Turn(skipped=False, following=NOON + HOUR)
    assert await make(CatchUp(1)).take(NOON, NOON + HOUR) == Turn(skipped=True, following=NOON + HOUR)


async def test_the_newest_of_a_week_of_seconds_are_found() -> None:
    timetable = Timetable("s", Repeat.cron("* * * * * *", misfire=CatchUp(7)))
    turn = await timetable.take(NOON, NOON + 7 * DAY)
    assert turn == Turn(skipped=True, following=NOON + 7 * DAY - 6 * SECOND)


@settings(max_examples=60, deadline=None)
@given(
    pattern=st.sampled_from(["*/7 * * * *", "0 8 * * *", "*/5 8-9 * * 1,3", "0 2 * * *", "30 2 29 3 *", "* * * * * 0"]),
    outage=st.integers(0, 30 * 24 * 60),
    most=st.integers(1, 9),
)
async def test_the_newest_are_those_that_a_walk_from_the_first_finds(pattern: str, outage: int, most: int) -> None:
    timetable = Timetable("s", Repeat.cron(pattern, zone="Europe/Berlin", misfire=CatchUp(most)))
    due = await timetable.next(after=datetime(2026, 3, 10, tzinfo=UTC))
    assert due is not None
    now = due + outage * MINUTE
    missed = [due]
    while (following := await timetable.next(after=missed[-1])) is not None and following <= now:
        missed.append(following)

    turn = await timetable.take(due, now)

    if len(missed) <= most:
        assert turn == Turn(skipped=False, following=missed[1] if len(missed) > 1 else following)
    else:
        assert turn == Turn(skipped=True, following=missed[-most])


async def test_nothing_follows_the_end() -> None:
    for misfire in (RunOnce(), SkipLate(MINUTE), CatchUp(3)):
        timetable = Timetable("s", Repeat.every(HOUR, end=NOON + MINUTE, misfire=misfire))
        assert (await timetable.take(NOON, NOON + 5 * HOUR)).following is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SkipLate(timedelta(0)), "late by 1 ms at least"),
        (lambda: SkipLate(-MINUTE), "late by 1 ms at least"),
        (lambda: CatchUp(0), "1 to 1000 missed runs"),
        (lambda: CatchUp(1001), "1 to 1000 missed runs"),
        (lambda: Repeat.by_strategy(""), "a pattern is printable text"),
        (lambda: Repeat.by_strategy("a\nb"), "a pattern is printable text"),
        (lambda: Repeat.by_strategy("moon", zone="Moon"), "not an IANA time zone"),
    ],
)
def test_what_cannot_be_a_policy_or_pattern_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        make()


@pytest.mark.parametrize("misfire", [RunOnce(), SkipLate(90 * SECOND), CatchUp(4)])
def test_a_policy_is_kept_on_the_wire(misfire: Misfire) -> None:
    assert decode_misfire(encode_misfire(misfire)) == misfire


@pytest.mark.parametrize("stored", [None, 7, "skipLate", {}, {"skipLate": -1}, {"catchUp": 0}, {"catchUp": "x"}])
def test_a_policy_that_cannot_be_read_is_the_default(stored: object) -> None:
    assert decode_misfire({"misfire": stored}) == RunOnce()


# Strategies of one's own


def full_moons(after: datetime, repeat: Repeat, scheduler_id: str) -> datetime | None:
    assert (repeat.pattern, scheduler_id) == ("full moon", "s")
    moons = [NOON + days * DAY for days in (0, 29, 59)]
    return next((moon for moon in moons if moon > after), None)


async def test_a_strategy_decides_when_a_pattern_runs() -> None:
    timetable = Timetable("s", Repeat.by_strategy("full moon", misfire=CatchUp(2)), full_moons)
    assert await timetable.next(after=NOON - SECOND) == NOON
    assert await timetable.take(NOON, NOON) == Turn(skipped=False, following=NOON + 29 * DAY)
    assert await timetable.take(NOON, NOON + 99 * DAY) == Turn(skipped=True, following=NOON + 29 * DAY)
    assert await timetable.take(NOON + 59 * DAY, NOON + 59 * DAY) == Turn(skipped=False, following=None)


async def test_a_strategy_may_wait_and_keeps_to_start_and_end() -> None:
    async def asked(after: datetime, repeat: Repeat, scheduler_id: str) -> datetime | None:
        return full_moons(after, repeat, scheduler_id)

    timetable = Timetable("s", Repeat.by_strategy("full moon", start=NOON + DAY, end=NOON + 29 * DAY), asked)
    found = [moon async for moon in timetable.slots(await timetable.next(after=NOON - DAY), 9)]
    assert found == [NOON + 29 * DAY]


async def test_a_strategy_may_leave_out_days_of_a_cron_pattern() -> None:
    def no_sundays(after: datetime, repeat: Repeat, scheduler_id: str) -> datetime:
        run = next_run(repeat, after=after, seed=scheduler_id)
        while run is not None and run.isoweekday() == 7:
            run = next_run(repeat, after=run, seed=scheduler_id)
        assert run is not None
        return run

    timetable = Timetable("s", Repeat.cron("0 8 * * *"), no_sundays)
    runs = [run async for run in timetable.slots(await timetable.next(after=NOON), 14)]
    assert {run.isoweekday() for run in runs} == {1, 2, 3, 4, 5, 6}
    assert all(later > earlier for earlier, later in pairwise(runs))


async def test_intervals_and_a_first_run_at_once_need_no_strategy() -> None:
    assert await Timetable("s", Repeat.every(HOUR), full_moons).next(after=NOON) == NOON
    at_once = Timetable("s", Repeat.by_strategy("full moon", immediately=True), full_moons)
    assert await at_once.next(after=NOON + HOUR) == NOON + HOUR
    assert await at_once.next(after=NOON + HOUR, previous=NOON + HOUR) == NOON + 29 * DAY


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (NOON, "not later than"),
        (NOON - DAY, "not later than"),
        (datetime(2027, 1, 1), "aware"),  # noqa: DTZ001 - that is the mistake
        (7, "answers a datetime or None, got int"),
    ],
)
async def test_a_strategy_that_does_not_keep_its_word_is_told(answer: Any, message: str) -> None:
    timetable = Timetable("s", Repeat.by_strategy("x"), lambda *_: answer)
    with pytest.raises(InvalidOption, match=message):
        await timetable.next(after=NOON)


async def test_a_pattern_that_is_no_cron_needs_a_strategy() -> None:
    with pytest.raises(InvalidOption, match="needs a strategy"):
        await Timetable("s", Repeat.by_strategy("full moon")).next(after=NOON)
