"""What a cron pattern may say, and what is said about one that is wrong."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carequeue.cron import Cron
from carequeue.errors import InvalidOption


@pytest.mark.parametrize(
    ("pattern", "after", "expected"),
    [
        ("* * * * *", "2026-01-01T00:00:30", "2026-01-01T00:01:00"),
        ("*/15 * * * *", "2026-01-01T10:46", "2026-01-01T11:00"),
        ("7/20 * * * *", "2026-01-01T10:08", "2026-01-01T10:27"),
        ("10-40/15 * * * *", "2026-01-01T10:26", "2026-01-01T10:40"),
        ("0 8,20 * * *", "2026-01-01T08:01", "2026-01-01T20:00"),
        ("0 22-23 31 12 *", "2026-01-01T00:00", "2026-12-31T22:00"),
        ("30 0 8 * * *", "2026-01-01T08:00:31", "2026-01-02T08:00:30"),
        ("*/10 59 23 * * *", "2026-12-31T23:59:51", "2027-01-01T23:59:00"),
        ("0 8 * * MON-FRI", "2026-11-20T09:00", "2026-11-23T08:00"),
        ("0 8 * * 7", "2026-11-23T00:00", "2026-11-29T08:00"),
        ("0 8 * * sun,3", "2026-11-23T00:00", "2026-11-25T08:00"),
        ("0 8 * * 5-7", "2026-11-23T00:00", "2026-11-27T08:00"),
        ("0 8 ? * 1", "2026-11-24T00:00", "2026-11-30T08:00"),
        ("0 8 1 jan ?", "2026-11-24T00:00", "2027-01-01T08:00"),
        ("0 8 L * *", "2026-02-01T00:00", "2026-02-28T08:00"),
        ("0 8 L 2 *", "2026-03-01T00:00", "2027-02-28T08:00"),
        ("0 8 29 2 *", "2026-01-01T00:00", "2028-02-29T08:00"),
        ("0 8 29 2 *", "2096-03-01T00:00", "2104-02-29T08:00"),
        ("0 8 31 * *", "2026-04-01T00:00", "2026-05-31T08:00"),
        ("0 8 * * 5L", "2026-11-01T00:00", "2026-11-27T08:00"),
        ("0 8 * * FRIL", "2026-11-28T00:00", "2026-12-25T08:00"),
        ("0 8 * * 1#2", "2026-11-01T00:00", "2026-11-09T08:00"),
        ("0 8 * * MON#5", "2026-11-01T00:00", "2026-11-30T08:00"),
        ("0 8 * 2 5#5", "2026-11-01T00:00", "2036-02-29T08:00"),
        ("0 8 13 * 5", "2026-11-07T00:00", "2026-11-13T08:00"),  # either day field is enough
        ("0 8 1-31 * 1", "2026-11-24T00:00", "2026-11-24T08:00"),
        ("0 8 15W * *", "2026-08-01T00:00", "2026-08-14T08:00"),  # the 15th is a Saturday
        ("0 8 1W * *", "2026-08-01T00:00", "2026-08-03T08:00"),  # not into July
        ("0 8 31W * *", "2026-05-01T00:00", "2026-05-29T08:00"),  # a Sunday; not into June
        ("0 8 LW * *", "2026-05-01T00:00", "2026-05-29T08:00"),
        ("@daily", "2026-01-01T00:00:01", "2026-01-02T00:00"),
        ("@weekly", "2026-11-24T00:00", "2026-11-29T00:00"),
        ("@WEEKDAYS", "2026-11-28T00:00", "2026-11-30T00:00"),
        (" @secondly ", "2026-01-01T00:00:01", "2026-01-01T00:00:01"),
        ("0\t8  * * *", "2026-01-01T00:00", "2026-01-01T08:00"),
    ],
)
def test_first_match_at_or_after(pattern: str, after: str, expected: str) -> None:
    assert Cron.parse(pattern).first(datetime.fromisoformat(after)) == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("", "has 5 fields"),
        ("* * * *", "has 4"),
        ("* * * * * * *", "has 7"),
        ("@reboot", "@daily"),
        ("60 * * * *", r"field 1 \(minutes\) .* 60 is not between 0 and 59"),
        ("0 24 * * *", r"field 2 \(hours\) .* 24 is not between 0 and 23"),
        ("0 0 25 * * *", r"field 3 \(hours\)"),
        ("61 0 0 * * *", r"field 1 \(seconds\)"),
        ("0 0 0 * *", r"field 3 \(day of month\) .* 0 is not between 1 and 31"),
        ("0 0 * 13 *", r"field 4 \(month\)"),
        ("0 0 * FOO *", "'FOO' is not a number or one of JAN, FEB"),
        ("0 0 * * 8", r"field 5 \(day of week\)"),
        ("0 0 * * L", "5L is the last Friday"),
        ("0 0 * * 1#6", r"1 to 5"),
        ("0 0 * * #2", r"1 to 5"),
        ("0 0 * * FRI-SUN", "Sunday at the end of a range is 7"),
        ("30-10 * * * *", "runs backwards"),
        ("*/0 * * * *", "a step is between 1 and 59, got 0"),
        ("*/99999999999999999999 * * * *", "a step"),
        ("1,,2 * * * *", "an empty value"),
        (", * * * *", "an empty value"),
        ("1.5 * * * *", "'1.5' is not a value"),
        ("-5 * * * *", "'-5' is not a value"),
        ("\u0665 * * * *", "is not a value"),  # an Arabic-Indic five
        ("99999999999999999999 * * * *", "is not between"),
        ("0 0 31 2 *", "the longest has 29"),
        ("0 0 31 4,6,9,11 *", "the longest has 30"),
        ("0 0 30W 2 *", "the longest has 29"),
        ("H(40-20) * * * *", "runs backwards"),
        ("* * * * *" + " " * 2000, "at most 1000"),
    ],
)
def test_a_wrong_pattern_is_refused_with_the_place_and_the_reason(pattern: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        Cron.parse(pattern)


def test_a_day_that_is_only_one_of_two_choices_may_be_impossible() -> None:
    assert Cron.parse("0 0 31 2 1").first(datetime.fromisoformat("2026-02-01")) == datetime.fromisoformat("2026-02-02")


def test_hashed_values_belong_to_the_seed_and_spread_over_the_seeds() -> None:
    def minute(seed: str) -> int:
        (value,) = Cron.parse("H * * * *", seed=seed).minutes
        return value

    assert minute("agenda-1") == minute("agenda-1")
    assert len({minute(f"agenda-{n}") for n in range(200)}) > 40


@pytest.mark.parametrize("seed", ["a", "b", "c", "d"])
def test_hashed_values_keep_their_range_and_step(seed: str) -> None:
    cron = Cron.parse("H(10-20) H/6 H H(1-3) H", seed=seed)

    assert 10 <= cron.minutes[0] <= 20
    assert [b - a for a, b in zip(cron.hours, cron.hours[1:], strict=False)] == [6, 6, 6]
    assert max(cron.days.numbers) <= 28
    assert cron.months <= {1, 2, 3}
    assert cron.first(datetime.fromisoformat("2026-01-01")) is not None


def test_the_search_ends_with_the_calendar() -> None:
    assert Cron.parse("0 0 29 2 *").first(datetime.fromisoformat("9997-01-01")) is None
    assert Cron.parse("0 0 1 1 *").first(datetime.fromisoformat("9999-01-02")) is None


@given(text=st.text(alphabet="0123456789*/-,LW#?H()@aJnN .\u0661", max_size=30))
def test_any_text_is_read_or_refused_and_never_hangs(text: str) -> None:
    try:
        cron = Cron.parse(text)
    except InvalidOption:
        return
    start = datetime.fromisoformat("2026-01-01")
    found = cron.first(start)
    assert found is None or (found >= start and cron.matches(found.date()))


@given(
    year=st.integers(1970, 2199),
    month=st.integers(1, 12),
    weekday=st.integers(0, 6),
    nth=st.integers(1, 5),
)
def test_nth_and_last_weekdays_agree_with_a_calendar_read_day_by_day(
    year: int, month: int, weekday: int, nth: int
) -> None:
    first = date(year, month, 1)
    month_days = [first + timedelta(n) for n in range(31) if (first + timedelta(n)).month == month]
    wanted = [day.day for day in month_days if day.isoweekday() % 7 == weekday]

    nth_days = Cron.parse(f"0 0 * * {weekday}#{nth}").weekdays.of(year, month)
    last_days = Cron.parse(f"0 0 * * {weekday}L").weekdays.of(year, month)

    assert nth_days == set(wanted[nth - 1 : nth])
    assert last_days == {wanted[-1]}
