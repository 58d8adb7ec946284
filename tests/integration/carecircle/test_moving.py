"""One dose at another time, this once: on a real PostgreSQL, through everything that plans doses anew."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from carecircle.domain.errors import Invalid, NotAllowed, NotFound
from carecircle.domain.interval_rule import Anchor, EveryTime, IntervalRule, TimeUnit
from carecircle.domain.moving import MovedMeanwhile, NotMovable, TooClose
from carecircle.domain.occurrence import AdministrationStatus
from carecircle.usecases.doses import record_administration, snooze, undo_administration
from carecircle.usecases.medications import change_medication
from carecircle.usecases.moving import move_back, reschedule
from carecircle.usecases.overview import view_schedule
from carecircle.usecases.patients import change_patient
from carecircle.usecases.planning import plan_ahead
from carecircle.usecases.previewing import explain_occurrence, preview_schedule
from carecircle.usecases.schedules import create_schedule, revise_schedule
from carecircle.usecases.zone_data import correct_due_times

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.occurrences import OccurrenceRow

pytestmark = pytest.mark.postgres

TAKEN, SKIPPED = AdministrationStatus.TAKEN, AdministrationStatus.SKIPPED
HOUR = timedelta(hours=1)
# Twice a day in Berlin, seen at 10:00 there: the first open dose is that of 20:00, the next at 08:00.
DUE = datetime(2026, 4, 10, 18, 0, tzinfo=UTC)
LATER = DUE + 90 * timedelta(minutes=1)


@pytest.fixture
async def dose(session: AsyncSession, circle: Any, kit: Any) -> OccurrenceRow:
    await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan(), kit.now)
    first: OccurrenceRow = (await circle.occurrences(session))[0]
    assert first.due_at == DUE
    return first


async def test_window_and_reminder_go_along_and_the_identity_stays(
    session: AsyncSession, circle: Any, kit: Any, dose: OccurrenceRow
) -> None:
    identity = (dose.id, dose.schedule_id, dose.revision, dose.nominal_local, dose.zone)
    dose.enqueued_at = kit.now

    view = await reschedule(session, circle.ben, dose.id, LATER, kit.now)

    assert (view.due_at, view.remind_at, view.moved_from) == (LATER, LATER, DUE)
    assert view.missed_at == LATER + (datetime(2026, 4, 11, 6, tzinfo=UTC) - LATER) / 2
    assert (dose.id, dose.schedule_id, dose.revision, dose.nominal_local, dose.zone) == identity
    assert (dose.enqueued_at, dose.state) == (None, "planned")
    assert await circle.planned(session) == ["10T19:30", "11T06:00", "11T18:00", "12T06:00"]
    entry = (await circle.audit(session))[-1]
    assert entry.action == "occurrence.rescheduled"
    assert entry.details["after"] == {"due_at": LATER.isoformat()}


async def test_a_local_time_is_that_of_the_dose(
    session: AsyncSession, circle: Any, kit: Any, dose: OccurrenceRow
) -> None:
    view = await reschedule(session, circle.ben, dose.id, datetime(2026, 4, 10, 21, 30), kit.now)  # noqa: DTZ001 - wall
    assert view.due_at == LATER


async def test_back_to_where_it_belongs_is_no_move(
    session: AsyncSession, circle: Any, kit: Any, dose: OccurrenceRow
) -> None:
    before = (dose.due_at, dose.missed_at, dose.remind_at)
    await reschedule(session, circle.ben, dose.id, LATER, kit.now)

    view = await move_back(session, circle.anna, dose.id, kit.now)
    assert (view.due_at, view.missed_at, view.remind_at, view.moved_from) == (*before, None)

    await reschedule(session, circle.ben, dose.id, LATER, kit.now)
    view = await reschedule(session, circle.ben, dose.id, DUE, kit.now)
    assert (view.due_at, view.missed_at, view.remind_at, view.moved_from) == (*before, None)
    assert (await move_back(session, circle.ben, dose.id, kit.now)).due_at == DUE, "moving back twice is once"


async def test_a_dose_moved_away_comes_back_late_but_not_after_its_window(
    session: AsyncSession, circle: Any, kit: Any, dose: OccurrenceRow
) -> None:
    await reschedule(session, circle.ben, dose.id, DUE + 5 * HOUR, kit.now)

    view = await move_back(session, circle.ben, dose.id, DUE + HOUR)
    assert (view.due_at, view.remind_at, view.state) == (DUE, DUE, "planned")

    await reschedule(session, circle.ben, dose.id, DUE + 5 * HOUR, DUE + HOUR)
    with pytest.raises(NotMovable):
        await move_back(session, circle.ben, dose.id, DUE + 7 * HOUR)


@pytest.mark.parametrize(
    ("to", "earliest", "latest"),
    [
        (datetime(2026, 4, 11, 1, 0, tzinfo=UTC), None, datetime(2026, 4, 11, 0, 0, tzinfo=UTC)),
        (datetime(2026, 4, 11, 6, 0, tzinfo=UTC), None, datetime(2026, 4, 11, 0, 0, tzinfo=UTC)),
        (datetime(2026, 4, 13, 7, 0, tzinfo=UTC), None, datetime(2026, 4, 11, 0, 0, tzinfo=UTC)),
    ],
    ids=["too close", "onto the next", "beyond it"],
)
async def test_never_near_or_past_the_next_dose(
    session: AsyncSession,
    circle: Any,
    kit: Any,
    dose: OccurrenceRow,
    to: datetime,
    earliest: datetime | None,
    latest: datetime,
) -> None:
    with pytest.raises(TooClose) as refused:
        await reschedule(session, circle.ben, dose.id, to, kit.now)

    assert (refused.value.room.earliest, refused.value.room.latest) == (earliest, latest)
    assert "until 2026-04-11 00:00 UTC" in refused.value.message
    assert dose.due_at == DUE


async def test_the_dose_before_counts_from_when_it_was_taken(
    session: AsyncSession, circle: Any, kit: Any, dose: OccurrenceRow
) -> None:
    second = (await circle.occurrences(session))[1]
    taken_at = DUE + 3 * HOUR
    await record_administration(session, circle.ben, dose.id, status=TAKEN, at=taken_at, reason=None, now=taken_at)

    with pytest.raises(TooClose) as refused:
        await reschedule(session, circle.ben, second.id, taken_at + 5 * HOUR, taken_at)
    assert refused.value.room.earliest == taken_at + 6 * HOUR
    await reschedule(session, circle.ben, second.id, taken_at + 6 * HOUR, taken_at)


async def test_a_skipped_dose_asks_for_no_distance(
    session: AsyncSession, circle: Any, kit: Any, dose: OccurrenceRow
) -> None:
    second = (await circle.occurrences(session))[1]
    await record_administration(session, circle.ben, dose.id, status=SKIPPED, at=DUE, reason=None, now=DUE)
    assert (await reschedule(session, circle.ben, second.id, DUE + HOUR, DUE)).due_at == DUE + HOUR


async def test_the_next_dose_counts_also_before_it_is_planned(session: AsyncSession, circle: Any, kit: Any) -> None:
    plan = kit.make_plan("08:00", days="mon", min_gap=timedelta(days=2))
    await create_schedule(session, circle.anna, circle.medication.id, plan, datetime(2026, 4, 12, 8, tzinfo=UTC))
    [monday] = await circle.occurrences(session)
    now = datetime(2026, 4, 12, 9, tzinfo=UTC)

    await reschedule(session, circle.ben, monday.id, datetime(2026, 4, 18, 6, tzinfo=UTC), now)
    with pytest.raises(TooClose) as refused:
        await reschedule(session, circle.ben, monday.id, datetime(2026, 4, 18, 7, tzinfo=UTC), now)
    assert refused.value.room.latest == datetime(2026, 4, 18, 6, tzinfo=UTC)


async def test_a_wish_of_a_smaller_gap_counts(session: AsyncSession, circle: Any, kit: Any) -> None:
    await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan(min_gap=HOUR), kit.now)
    first = (await circle.occurrences(session))[0]
    assert (await reschedule(session, circle.ben, first.id, DUE + 11 * HOUR, kit.now)).due_at == DUE + 11 * HOUR


@pytest.mark.parametrize("to", [datetime(2026, 4, 10, 7, tzinfo=UTC), datetime(2026, 9, 10, tzinfo=UTC)])
async def test_neither_into_the_past_nor_for_months(
    session: AsyncSession, circle: Any, kit: Any, dose: OccurrenceRow, to: datetime
) -> None:
    with pytest.raises(Invalid) as refused:
        await reschedule(session, circle.ben, dose.id, to, kit.now)
    assert refused.value.field == "to"


async def test_only_open_doses_move(session: AsyncSession, circle: Any, kit: Any, dose: OccurrenceRow) -> None:
    with pytest.raises(NotMovable):
        await reschedule(session, circle.ben, dose.id, LATER + 9 * HOUR, dose.missed_at)
    for state in ("taken", "skipped", "missed", "on_hold", "cancelled"):
        dose.state = state
        await session.flush()
        with pytest.raises(NotMovable):
            await reschedule(session, circle.ben, dose.id, LATER, kit.now)


async def test_who_may(session: AsyncSession, circle: Any, kit: Any, dose: OccurrenceRow) -> None:
    with pytest.raises(NotAllowed):
        await reschedule(session, circle.viewer, dose.id, LATER, kit.now)
    with pytest.raises(NotFound):
        await reschedule(session, circle.stranger, dose.id, LATER, kit.now)
    with pytest.raises(NotFound):
        await move_back(session, circle.stranger, dose.id, kit.now)


async def test_a_second_mover_who_saw_the_old_time_is_told(
    session: AsyncSession, circle: Any, kit: Any, dose: OccurrenceRow
) -> None:
    await reschedule(session, circle.ben, dose.id, LATER, kit.now, seen_due_at=DUE)
    with pytest.raises(MovedMeanwhile):
        await reschedule(session, circle.anna, dose.id, LATER + HOUR, kit.now, seen_due_at=DUE)
    assert dose.due_at == LATER


async def test_what_waited_to_leave_is_called_off_and_the_new_time_has_its_own_message(
    session: AsyncSession, circle: Any, kit: Any, dose: OccurrenceRow
) -> None:
    dose.state, dose.reminded_step = "due", 0
    waiting = await kit.add_delivery(session, dose, circle.ben)
    gone = await kit.add_delivery(session, dose, circle.anna, state="sent")

    await reschedule(session, circle.ben, dose.id, LATER, DUE + timedelta(minutes=2))

    assert await kit.delivery_outcome(session, waiting) == ("cancelled", "moved")
    assert await kit.delivery_outcome(session, gone) == ("sent", None)
    assert (dose.reminder_step, dose.reminded_step, dose.remind_at) == (1, 0, LATER)


async def test_a_snooze_ends_with_the_move(session: AsyncSession, circle: Any, kit: Any, dose: OccurrenceRow) -> None:
    await snooze(session, circle.ben, dose.id, 30, DUE)
    await reschedule(session, circle.ben, dose.id, LATER, DUE)
    assert dose.remind_at == LATER


async def test_who_handled_it_at_the_old_time_does_not_at_the_new_one(
    session: AsyncSession, circle: Any, kit: Any, dose: OccurrenceRow
) -> None:
    dose.acknowledged_by, dose.acknowledged_at = circle.anna.account_id, DUE
    dose.acknowledged_until = DUE + HOUR
    view = await reschedule(session, circle.ben, dose.id, LATER, DUE)
    assert (view.acknowledged, dose.acknowledged_until) == (None, None)


async def test_the_window_before_ends_where_the_moved_dose_begins(
    session: AsyncSession, circle: Any, kit: Any, dose: OccurrenceRow
) -> None:
    second = (await circle.occurrences(session))[1]
    await reschedule(session, circle.ben, second.id, DUE + 8 * HOUR, DUE)
    assert dose.missed_at == DUE + 4 * HOUR
    await session.refresh(dose)
    await move_back(session, circle.ben, second.id, DUE)
    assert dose.missed_at == DUE + 6 * HOUR


async def test_the_planner_neither_undoes_nor_doubles_it(
    session: AsyncSession, circle: Any, kit: Any, dose: OccurrenceRow
) -> None:
    await reschedule(session, circle.ben, dose.id, LATER, kit.now)
    while await plan_ahead(session, timedelta(hours=72), kit.now + 13 * HOUR, 10):
        pass
    assert (await circle.planned(session))[:2] == ["10T19:30", "11T06:00"]


async def test_new_zone_data_moves_where_it_came_from_only(
    session: AsyncSession, circle: Any, kit: Any, dose: OccurrenceRow
) -> None:
    await reschedule(session, circle.ben, dose.id, LATER, kit.now)
    window = dose.missed_at

    await correct_due_times(session, kit.now, lambda _: ZoneInfo("Africa/Lagos"))  # an hour ahead of UTC all year

    await session.refresh(dose)
    assert (dose.due_at, dose.missed_at, dose.moved_from) == (LATER, window, DUE + HOUR)
    assert (await move_back(session, circle.ben, dose.id, kit.now)).due_at == DUE + HOUR


async def test_an_edit_of_other_times_keeps_the_move(
    session: AsyncSession, circle: Any, kit: Any, dose: OccurrenceRow
) -> None:
    await reschedule(session, circle.ben, dose.id, LATER, kit.now)

    revision = await revise_schedule(
        session, circle.anna, dose.schedule_id, kit.make_plan("09:00 20:00"), kit.now + timedelta(minutes=1)
    )

    assert revision.past_slots_today == [datetime(2026, 4, 10, 9, 0)]  # noqa: DTZ001 - a wall time
    await session.refresh(dose)
    assert (dose.revision, dose.due_at, dose.moved_from, dose.state) == (2, LATER, DUE, "planned")
    assert (await circle.planned(session))[:2] == ["10T19:30", "11T07:00"]


async def test_a_moved_dose_of_a_time_that_is_past_is_kept_by_an_edit_and_needs_no_decision(
    session: AsyncSession, circle: Any, kit: Any, dose: OccurrenceRow
) -> None:
    await reschedule(session, circle.ben, dose.id, LATER, kit.now)
    revision = await revise_schedule(
        session, circle.anna, dose.schedule_id, kit.make_plan("09:00 20:00"), DUE + timedelta(minutes=10)
    )
    assert [at.hour for at in revision.past_slots_today] == [9]
    assert (await circle.planned(session))[:2] == ["10T19:30", "11T07:00"]


@pytest.mark.parametrize(
    ("times", "planned"),
    [("08:00 21:00", ["10T19:00", "11T06:00"]), ("08:00 20:00 22:00", ["10T18:00", "10T20:00"])],
    ids=["its time is gone", "a new time is too close"],
)
async def test_an_edit_that_leaves_no_place_for_the_move_ends_it(
    session: AsyncSession, circle: Any, kit: Any, dose: OccurrenceRow, times: str, planned: list[str]
) -> None:
    await reschedule(session, circle.ben, dose.id, LATER, kit.now)
    await revise_schedule(session, circle.anna, dose.schedule_id, kit.make_plan(times), kit.now + HOUR)
    assert (await circle.planned(session))[:2] == planned


async def test_a_pause_keeps_the_move(session: AsyncSession, circle: Any, kit: Any, dose: OccurrenceRow) -> None:
    await reschedule(session, circle.ben, dose.id, LATER, kit.now)
    await change_medication(session, circle.anna, circle.medication.id, {"status": "on_hold"}, kit.now)
    with pytest.raises(NotMovable):
        await reschedule(session, circle.ben, dose.id, LATER + HOUR, kit.now)

    # Resumed after the planned time and before the new one: it is asked for once, at the new one.
    now = DUE + timedelta(minutes=30)
    await change_medication(session, circle.anna, circle.medication.id, {"status": "active"}, now)
    assert (await circle.planned(session))[:2] == ["10T19:30", "11T06:00"]


async def test_a_dose_moved_into_a_pause_stays_there(session: AsyncSession, circle: Any, kit: Any) -> None:
    await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan(min_gap=HOUR), kit.now)
    dose = (await circle.occurrences(session))[0]
    await reschedule(session, circle.ben, dose.id, kit.now + 2 * HOUR, kit.now)
    await change_medication(session, circle.anna, circle.medication.id, {"status": "on_hold"}, kit.now + HOUR)
    await change_medication(session, circle.anna, circle.medication.id, {"status": "active"}, kit.now + 3 * HOUR)
    assert (await circle.planned(session))[:1] == ["11T06:00"], "not asked for a second time at 20:00"


async def test_an_answer_taken_back_opens_it_where_it_was_moved(
    session: AsyncSession, circle: Any, kit: Any, dose: OccurrenceRow
) -> None:
    await reschedule(session, circle.ben, dose.id, LATER, kit.now)
    given = await record_administration(session, circle.ben, dose.id, status=TAKEN, at=DUE, reason=None, now=DUE)
    view = await undo_administration(session, circle.ben, dose.id, given.id, DUE)
    assert (view.state, view.due_at, view.moved_from) == ("planned", LATER, DUE)


async def test_a_journey_keeps_a_move_that_has_room_and_never_asks_twice(
    session: AsyncSession, circle: Any, kit: Any, dose: OccurrenceRow
) -> None:
    await reschedule(session, circle.ben, dose.id, LATER, kit.now)
    await change_patient(session, circle.anna, circle.patient.id, {"zone": "Europe/London"}, kit.now + HOUR)
    # 20:00 and 08:00 are an hour later in London; the moved dose stays at the instant that somebody chose.
    assert (await circle.planned(session))[:2] == ["10T19:30", "11T07:00"]
    assert (dose.zone, dose.moved_from) == ("Europe/London", DUE + HOUR)


async def test_a_journey_that_leaves_no_room_ends_the_move(
    session: AsyncSession, circle: Any, kit: Any, dose: OccurrenceRow
) -> None:
    await reschedule(session, circle.ben, dose.id, DUE + 6 * HOUR, kit.now)  # 02:00 in Berlin
    await change_patient(session, circle.anna, circle.patient.id, {"zone": "Asia/Kolkata"}, kit.now + HOUR)
    assert (await circle.planned(session))[:2] == ["10T14:30", "11T02:30"]


async def test_counting_from_the_last_dose_starts_where_the_moved_one_was_taken(
    session: AsyncSession, circle: Any, kit: Any
) -> None:
    start = datetime(2026, 4, 10, 12, 0)  # noqa: DTZ001 - a wall time
    rule = IntervalRule(EveryTime(8, TimeUnit.HOUR), start, anchor=Anchor.LAST_TAKEN)
    plan = kit.make_plan(rule=rule, start_date=date(2026, 4, 10))
    await create_schedule(session, circle.anna, circle.medication.id, plan, kit.now)
    first = (await circle.occurrences(session))[0]
    at = datetime(2026, 4, 10, 11, 30, tzinfo=UTC)
    await reschedule(session, circle.ben, first.id, at, kit.now)
    assert (await circle.planned(session))[:2] == ["10T11:30", "10T18:00"]

    await record_administration(session, circle.ben, first.id, status=TAKEN, at=at, reason=None, now=at)
    assert (await circle.planned(session))[:2] == ["10T19:30", "11T03:30"]


async def test_lists_previews_and_the_explanation_know_it(
    session: AsyncSession, circle: Any, kit: Any, dose: OccurrenceRow
) -> None:
    await reschedule(session, circle.ben, dose.id, LATER, kit.now)
    schedule = await session.get_one(type(dose), dose.id)
    now = DUE + timedelta(minutes=10)  # after the planned time, before the new one

    found = await preview_schedule(session, circle.anna, schedule.schedule_id, {}, 2, now)
    first, second = found.preview.occurrences[:2]
    assert (first.dose.due_at, first.notes) == (LATER, ("moved",))
    assert second.dose.due_at == datetime(2026, 4, 11, 6, tzinfo=UTC)

    told = await explain_occurrence(session, circle.anna, dose.id, now)
    assert (
        "moved",
        "Somebody moved this one dose from 2026-04-10 18:00 UTC to 2026-04-10 19:30 UTC.",
    ) in [(step.code, step.text) for step in told.steps]


async def test_the_schedule_shows_the_moved_dose_among_its_next(session: AsyncSession, circle: Any, kit: Any) -> None:
    schedule = await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan(), kit.now)
    first = (await circle.occurrences(session))[0]
    await reschedule(session, circle.ben, first.id, LATER, kit.now)
    view = await view_schedule(session, schedule, kit.now)
    assert [(dose.due_at, dose.note) for dose in view.next_doses[:2]] == [
        (LATER, "moved"),
        (datetime(2026, 4, 11, 6, tzinfo=UTC), None),
    ]
