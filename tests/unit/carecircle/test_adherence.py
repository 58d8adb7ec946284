"""Adherence of doses: what each counts as, the shares, gaps, streaks and weeks; sums against a plain count."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise, takewhile
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carecircle.domain.adherence import DueDose, Figures, Outcome, Streaks, by_day, figures, outcome, streaks
from carecircle.domain.adherence_gaps import Break, days_off, longest_gap
from carecircle.domain.adherence_series import PartOfDay, adherence, by_week, total
from carecircle.domain.answer import Timing, timing
from carecircle.domain.calendar_rule import CalendarRule, Cycle
from carecircle.domain.dose import Dose
from carecircle.domain.occurrence import OccurrenceState
from carecircle.domain.schedule import SchedulePlan, ZonePolicy

ONE, OTHER = UUID(int=1), UUID(int=2)
BERLIN = ZoneInfo("Europe/Berlin")
HOUR = timedelta(hours=1)


def dose(
    local: str, state: str, after: float | None = None, *, medication: UUID = ONE, zone: ZoneInfo = BERLIN
) -> DueDose:
    """`dose("2026-01-05 08:00", "taken", 0.5)`: half an hour after it was due; on time is within an hour."""
    nominal = datetime.fromisoformat(local)
    due_at = nominal.replace(tzinfo=zone).astimezone(UTC)
    taken_at = None if after is None else due_at + after * HOUR
    return DueDose(medication, nominal, due_at, OccurrenceState(state), taken_at, timed(taken_at, due_at))


def timed(taken_at: datetime | None, due_at: datetime) -> Timing | None:
    missed_at = due_at + 6 * HOUR
    return None if taken_at is None else timing(taken_at, due_at=due_at, missed_at=missed_at, on_time=HOUR)


@pytest.mark.parametrize(
    ("state", "after", "expected"),
    [
        ("taken", 0, Outcome.ON_TIME),
        ("taken", 1, Outcome.ON_TIME),
        ("taken", -1, Outcome.ON_TIME),
        ("taken", 1.001, Outcome.LATE),
        ("taken", 30, Outcome.LATE),
        ("taken", -1.001, Outcome.EARLY),
        ("taken", None, Outcome.LATE),
        ("skipped", None, Outcome.SKIPPED),
        ("missed", None, Outcome.MISSED),
        ("unknown", None, Outcome.UNKNOWN),
        ("on_hold", None, Outcome.ON_HOLD),
        ("planned", None, Outcome.OPEN),
        ("due", None, Outcome.OPEN),
        ("cancelled", None, None),
    ],
)
def test_what_a_dose_counts_as(state: str, after: float | None, expected: Outcome | None) -> None:
    assert outcome(dose("2026-01-05 08:00", state, after)) is expected


def test_unknown_and_on_hold_and_open_count_neither_for_nor_against() -> None:
    counted = [dose("2026-01-05 08:00", "taken", 0), dose("2026-01-06 08:00", "missed")]
    beside = [dose("2026-01-07 08:00", state) for state in ("unknown", "on_hold", "due", "cancelled")]
    found = figures(counted + beside)
    assert (found.due, found.taking_adherence, found.timing_adherence) == (2, 0.5, 0.5)
    assert (found.unknown, found.on_hold, found.open) == (1, 1, 1)
    assert found.confidence == 2 / 3


def test_without_a_due_dose_there_are_no_shares() -> None:
    nothing = figures([])
    assert (nothing.taking_adherence, nothing.timing_adherence, nothing.confidence) == (None, None, None)
    unknown = figures([dose("2026-01-07 08:00", "unknown")])
    assert (unknown.taking_adherence, unknown.confidence) == (None, 0.0)


def test_the_whole_is_of_doses_not_the_mean_of_shares() -> None:
    often = [dose(f"2026-01-05 {hour:02}:00", "missed", medication=OTHER) for hour in (6, 10, 14, 18)]
    found = adherence([dose("2026-01-05 08:00", "taken", 0), *often], date(2026, 1, 5), date(2026, 1, 5))
    assert [one.figures.taking_adherence for one in found.medications.values()] == [1.0, 0.0]
    assert found.overall.figures.taking_adherence == 0.2


# ---- gaps


def test_the_longest_gap_is_elapsed_time_over_a_change_of_clocks() -> None:
    found = longest_gap([dose("2026-03-28 08:00", "taken", 0), dose("2026-03-29 08:00", "taken", 0)])
    assert found is not None
    assert found.length == timedelta(hours=23)
    assert (found.began_taken, found.ended_taken, found.not_taken) == (True, True, 0)


def test_a_missed_dose_makes_a_gap_and_an_unknown_one_is_told() -> None:
    found = longest_gap(
        [
            dose("2026-01-05 08:00", "taken", 1),
            dose("2026-01-06 08:00", "missed"),
            dose("2026-01-07 08:00", "unknown"),
            dose("2026-01-08 08:00", "taken", -0.5),
        ]
    )
    assert found is not None
    assert (found.length, found.not_taken, found.unknown) == (70.5 * HOUR, 1, 1)


def test_a_pause_is_left_out_also_where_nothing_was_planned_any_more() -> None:
    found = longest_gap(
        [
            dose("2026-01-05 08:00", "taken", 0),
            dose("2026-01-06 08:00", "on_hold"),
            dose("2026-01-07 08:00", "on_hold"),  # the pause went on without further rows
            dose("2026-02-01 08:00", "taken", 0),
        ]
    )
    assert found is not None
    assert found.length == 24 * HOUR


def test_a_pause_that_does_not_end_has_no_end_of_a_gap() -> None:
    doses = [dose("2026-01-05 08:00", "taken", 0), dose("2026-01-06 08:00", "on_hold")]
    assert longest_gap(doses) is None


def test_doses_missed_to_the_end_are_a_gap_that_may_go_on() -> None:
    days = [dose(f"2026-01-{day:02} 08:00", "missed") for day in range(6, 16)]
    found = longest_gap([dose("2026-01-05 08:00", "taken", 0), *days])
    assert found is not None
    assert (found.length, found.began_taken, found.ended_taken, found.not_taken) == (240 * HOUR, True, False, 10)


def test_a_period_in_which_nothing_was_taken_is_one_gap() -> None:
    found = longest_gap([dose(f"2026-01-{day:02} 08:00", "missed") for day in range(6, 16)])
    assert found is not None
    assert (found.length, found.began_taken, found.ended_taken) == (216 * HOUR, False, False)
    assert longest_gap([dose("2026-01-05 08:00", "missed")]) is None


def test_doses_missed_before_the_first_are_a_gap_that_began_earlier() -> None:
    found = longest_gap([dose("2026-01-05 08:00", "missed"), dose("2026-01-08 08:00", "taken", 0)])
    assert found is not None
    assert (found.length, found.began_taken, found.ended_taken) == (72 * HOUR, False, True)


def cycle_plan(*, on: int = 21, off: int = 7, start: date = date(2026, 1, 1), end: date | None = None) -> SchedulePlan:
    rule = CalendarRule((time(8),), cycle=Cycle(on, off))
    return SchedulePlan(rule, start, end, None, ZonePolicy.FOLLOW, Dose(Decimal(1), "tablet"))


def test_the_days_off_of_a_cycle_are_left_out() -> None:
    breaks = days_off([cycle_plan()], date(2026, 1, 1), date(2026, 2, 25), BERLIN)
    assert breaks[0] == Break(datetime(2026, 1, 21, 23, tzinfo=UTC), datetime(2026, 1, 28, 23, tzinfo=UTC))
    found = longest_gap([dose("2026-01-21 08:00", "taken", 0), dose("2026-01-29 08:00", "taken", 0)], breaks)
    assert found is not None
    assert found.length == 24 * HOUR


def test_a_day_off_of_one_schedule_is_none_if_another_goes_on() -> None:
    daily = cycle_plan(on=1, off=1, start=date(2026, 1, 22))
    breaks = days_off([cycle_plan(), daily], date(2026, 1, 20), date(2026, 1, 24), BERLIN)
    assert [(one.since.day, one.until.day) for one in breaks] == [(22, 23)]  # the 23rd: 22 is on, 24 is on


# ---- streaks


def test_streaks_are_days_with_every_dose_taken() -> None:
    days = [
        dose("2026-01-05 08:00", "taken", 0),
        dose("2026-01-06 08:00", "taken", 5),
        dose("2026-01-07 08:00", "unknown"),
        dose("2026-01-08 08:00", "on_hold"),
        dose("2026-01-09 08:00", "taken", 0),
        dose("2026-01-10 08:00", "taken", 0),
        dose("2026-01-10 20:00", "skipped"),
        dose("2026-01-11 08:00", "taken", 0),
        dose("2026-01-12 08:00", "taken", 0),
        dose("2026-01-12 20:00", "due"),
    ]
    assert streaks(by_day(days)) == Streaks(longest=3, current=1)


# ---- weeks and parts


def test_weeks_are_iso_weeks_of_local_dates_and_cut_to_the_period() -> None:
    doses = [
        dose("2025-12-31 23:30", "taken", 0),
        dose("2026-01-04 23:30", "missed"),  # a Sunday, whose dose is due on Monday in UTC west of it
        dose("2026-01-05 00:10", "taken", 0),
    ]
    weeks = by_week(doses, date(2025, 12, 31), date(2026, 1, 20))
    assert [(week.name, week.since.isoformat(), week.until.isoformat()) for week in weeks] == [
        ("2026-W01", "2025-12-31", "2026-01-04"),
        ("2026-W02", "2026-01-05", "2026-01-11"),
        ("2026-W03", "2026-01-12", "2026-01-18"),
        ("2026-W04", "2026-01-19", "2026-01-20"),
    ]
    assert [(week.figures.taken, week.figures.missed) for week in weeks] == [(1, 1), (1, 0), (0, 0), (0, 0)]


def test_a_dose_belongs_to_the_date_it_was_planned_for_in_its_own_zone() -> None:
    tokyo = dose("2026-01-05 00:30", "taken", 0, zone=ZoneInfo("Asia/Tokyo"))
    assert tokyo.due_at.date() == date(2026, 1, 4)
    assert [week.figures.due for week in by_week([tokyo], date(2026, 1, 4), date(2026, 1, 5))] == [0, 1]


def test_parts_of_the_day_by_planned_wall_time() -> None:
    times = ("00:00", "05:59", "06:00", "11:59", "12:00", "18:00", "23:59")
    found = adherence([dose(f"2026-01-05 {at}", "missed") for at in times], date(2026, 1, 5), date(2026, 1, 5))
    assert [found.parts_of_day[part].missed for part in PartOfDay] == [2, 2, 1, 2]
    assert [one.missed for one in found.weekdays.values()] == [7, 0, 0, 0, 0, 0, 0]


def test_a_medication_without_doses_has_its_row() -> None:
    found = adherence([], date(2026, 1, 5), date(2026, 1, 5), medication_ids=[OTHER])
    assert found.medications[OTHER].figures == Figures()


# ---- random doses

SINCE = date(2026, 3, 20)
DOSES = st.lists(
    st.builds(
        lambda day, hour, state, after, medication: dose(
            f"{SINCE + timedelta(days=day)} {hour:02}:00",
            state,
            after if state == "taken" else None,
            medication=medication,
        ),
        day=st.integers(0, 40),
        hour=st.integers(0, 23),
        state=st.sampled_from([state.value for state in OccurrenceState]),
        after=st.sampled_from([-30, -1, 0, 0.5, 1, 1.5, 30]),
        medication=st.sampled_from([ONE, OTHER]),
    ),
    max_size=60,
)


@given(doses=DOSES)
def test_sums_agree_with_a_plain_count_however_they_are_grouped(doses: list[DueDose]) -> None:
    until = SINCE + timedelta(days=40)
    found = adherence(doses, SINCE, until)
    whole = found.overall.figures
    taken = [one for one in doses if one.state == "taken"]
    on_time = [one for one in taken if one.taken_at and abs(one.taken_at - one.due_at) <= HOUR]
    assert (whole.taken, whole.on_time) == (len(taken), len(on_time))
    assert whole.due == sum(one.state in {"taken", "skipped", "missed"} for one in doses)
    everything = whole.due + whole.unknown + whole.on_hold + whole.open
    assert everything == sum(one.state != "cancelled" for one in doses)
    for parts in (
        (week.figures for week in by_week(doses, SINCE, until)),
        by_day(doses).values(),
        (one.figures for one in found.medications.values()),
        found.weekdays.values(),
        found.parts_of_day.values(),
    ):
        assert total(parts) == whole
    for share in (whole.taking_adherence, whole.timing_adherence, whole.confidence):
        assert share is None or 0 <= share <= 1


@given(doses=DOSES)
def test_a_longest_gap_has_no_dose_inside_and_no_longer_one_beside_it(doses: list[DueDose]) -> None:
    own = [one for one in doses if one.medication_id == ONE and one.state != "on_hold"]
    found = longest_gap(own)
    taken = sorted(one.taken_at for one in own if one.taken_at is not None)
    between = [later - earlier for earlier, later in pairwise(taken)]
    if found is None:
        assert between == []
        return
    assert found.length == found.until - found.since >= max(between, default=timedelta(0))
    assert not any(found.since < at < found.until for at in taken)


# ---- the page

PAGE = Path(__file__).parents[3] / "docs/adherence.md"


def table(heading: str) -> list[list[str]]:
    """The rows under the heading line of a table on the page."""
    lines = PAGE.read_text("utf-8").split(heading + "\n", 1)[1].splitlines()[1:]
    rows = takewhile(lambda line: line.startswith("|"), lines)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_worked_example_of_the_page() -> None:
    rows = [
        (datetime.fromisoformat(planned), state, at_berlin(datetime.fromisoformat(taken)) if taken else None)
        for planned, state, taken in table("| planned | state | taken |")
    ]
    doses = [
        DueDose(ONE, nominal, at_berlin(nominal), OccurrenceState(state), taken_at, timed(taken_at, at_berlin(nominal)))
        for nominal, state, taken_at in rows
    ]
    summary = adherence(doses, date(2026, 1, 5), date(2026, 1, 9)).overall
    counted = summary.figures
    assert summary.longest_gap is not None
    assert {name: value for name, value, _ in table("| figure | value | why |")} == {
        "due": str(counted.due),
        "taken": str(counted.taken),
        "on_time": str(counted.on_time),
        "late": str(counted.late),
        "early": str(counted.early),
        "taking_adherence": f"{100 * (counted.taking_adherence or 0):.1f} %",
        "timing_adherence": f"{100 * (counted.timing_adherence or 0):.1f} %",
        "confidence": f"{100 * (counted.confidence or 0):.1f} %",
        "longest_gap": f"{summary.longest_gap.length / HOUR} h",
        "longest_streak": str(summary.streaks.longest),
    }


def at_berlin(local: datetime) -> datetime:
    return local.replace(tzinfo=BERLIN).astimezone(UTC)
