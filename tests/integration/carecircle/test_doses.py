"""Answers to doses, on a real PostgreSQL: taken, skipped, undone, snoozed, and who may."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from carecircle.db.base import new_id
from carecircle.db.occurrences import Administration, OccurrenceRow
from carecircle.db.schedules import ScheduleRow
from carecircle.domain.answer import Answer, NotDoneReason
from carecircle.domain.dose import Dose
from carecircle.domain.errors import Invalid, NotAllowed, NotFound
from carecircle.domain.occurrence import AdministrationStatus, AlreadyRecorded, NotAnswerable, WindowOver
from carecircle.usecases.doses import (
    answer_dose,
    get_occurrence,
    list_occurrences,
    record_administration,
    snooze,
    undo_administration,
)
from carecircle.usecases.planning import medication_status_changed
from carecircle.usecases.schedules import create_schedule, revise_schedule

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

pytestmark = pytest.mark.postgres

TAKEN, SKIPPED = AdministrationStatus.TAKEN, AdministrationStatus.SKIPPED
# The first dose of the fixture: 20:00 in Berlin; missed at midnight UTC.
DUE = datetime(2026, 4, 10, 18, 0, tzinfo=UTC)
MISSED = datetime(2026, 4, 11, 0, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def dose(session: AsyncSession, circle: Any, kit: Any) -> OccurrenceRow:
    await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan(), kit.now)
    first: OccurrenceRow = (await circle.occurrences(session))[0]
    assert (first.due_at, first.missed_at) == (DUE, MISSED)
    return first


async def test_a_taken_dose_says_who_when_and_how_much(session: AsyncSession, circle: Any, dose: OccurrenceRow) -> None:
    at, now = DUE + 4 * MINUTE, DUE + 5 * MINUTE

    given = await record_administration(session, circle.ben, dose.id, status=TAKEN, at=at, reason=None, now=now)

    view = await get_occurrence(session, circle.anna, dose.id)
    assert (view.state, view.medication_name, view.recorded_by_name) == ("taken", "Levodopa", "Ben")
    assert view.administration is given
    assert (given.status, given.at, given.recorded_by, given.recorded_at) == ("taken", at, circle.ben.account_id, now)
    assert (given.dose_quantity, given.dose_unit) == (Decimal(1), "tablet")


async def test_46_an_answer_cancels_every_reminder_that_has_not_left(
    session: AsyncSession, circle: Any, kit: Any, dose: OccurrenceRow
) -> None:
    waiting = await kit.add_delivery(session, dose, circle.ben)
    retrying = await kit.add_delivery(session, dose, circle.anna, state="retry")
    gone = await kit.add_delivery(session, dose, circle.viewer, state="sent")

    early = DUE - 5 * MINUTE
    await record_administration(session, circle.ben, dose.id, status=TAKEN, at=early, reason=None, now=early)

    assert await kit.delivery_outcome(session, waiting) == ("cancelled", "answered")
    assert await kit.delivery_outcome(session, retrying) == ("cancelled", "answered")
    assert await kit.delivery_outcome(session, gone) == ("sent", None)


@pytest.mark.parametrize(
    ("minutes", "expected"), [(-61, "early"), (-60, "on_time"), (0, "on_time"), (60, "on_time"), (61, "late")]
)
async def test_an_answer_says_whether_the_dose_was_taken_in_its_window(
    session: AsyncSession, circle: Any, dose: OccurrenceRow, minutes: int, expected: str
) -> None:
    at, now = DUE + minutes * MINUTE, DUE + 90 * MINUTE

    given = await answer_dose(session, circle.ben, dose.id, Answer(TAKEN, at), now)

    assert given.timing == expected


async def test_what_was_missed_is_taken_late(session: AsyncSession, circle: Any, dose: OccurrenceRow) -> None:
    dose.state = "missed"

    given = await answer_dose(session, circle.ben, dose.id, Answer(TAKEN, MISSED + MINUTE), MISSED + MINUTE)

    assert given.timing == "late"


async def test_the_schedules_own_window_counts(session: AsyncSession, circle: Any, dose: OccurrenceRow) -> None:
    await session.execute(update(ScheduleRow).values(on_time=10 * MINUTE).where(ScheduleRow.id == dose.schedule_id))

    given = await answer_dose(session, circle.ben, dose.id, Answer(TAKEN, DUE + 11 * MINUTE), DUE + 11 * MINUTE)

    assert given.timing == "late"


async def test_a_critical_medication_has_a_short_window(
    session: AsyncSession, circle: Any, dose: OccurrenceRow
) -> None:
    circle.medication.severity = "critical"
    await session.flush()

    given = await answer_dose(session, circle.ben, dose.id, Answer(TAKEN, DUE + 31 * MINUTE), DUE + 31 * MINUTE)

    assert given.timing == "late"


async def test_another_amount_is_kept_beside_the_planned_one(
    session: AsyncSession, circle: Any, dose: OccurrenceRow
) -> None:
    given = await answer_dose(session, circle.ben, dose.id, Answer(TAKEN, DUE, dose=Dose(Decimal(2), "tablet")), DUE)

    assert (given.dose_quantity, given.dose_changed) == (Decimal(2), True)
    assert (await get_occurrence(session, circle.anna, dose.id)).dose == Dose(Decimal(1), "tablet")


async def test_a_skip_without_words_shows_its_code(session: AsyncSession, circle: Any, dose: OccurrenceRow) -> None:
    answer = Answer(SKIPPED, DUE, reason_code=NotDoneReason.OUT_OF_STOCK)

    await answer_dose(session, circle.ben, dose.id, answer, DUE)

    assert (await get_occurrence(session, circle.anna, dose.id)).reason == "out_of_stock"


async def test_a_dose_is_snoozed_until_a_time(session: AsyncSession, circle: Any, dose: OccurrenceRow) -> None:
    view = await snooze(session, circle.ben, dose.id, DUE + 45 * MINUTE, DUE)

    assert (view.remind_at, dose.reminder_step, dose.enqueued_at) == (DUE + 45 * MINUTE, 1, None)


async def test_a_skipped_dose_keeps_its_reason(session: AsyncSession, circle: Any, dose: OccurrenceRow) -> None:
    await record_administration(session, circle.ben, dose.id, status=SKIPPED, at=DUE, reason="feels sick", now=DUE)

    view = await get_occurrence(session, circle.anna, dose.id)
    assert (view.state, view.reason) == ("skipped", "feels sick")


async def test_the_second_caller_hears_who_was_first_and_when(
    session: AsyncSession, circle: Any, dose: OccurrenceRow
) -> None:
    await record_administration(session, circle.ben, dose.id, status=TAKEN, at=DUE, reason=None, now=DUE)

    with pytest.raises(AlreadyRecorded) as second:
        await record_administration(session, circle.anna, dose.id, status=SKIPPED, at=DUE, reason=None, now=DUE)

    assert (second.value.by, second.value.at, second.value.status) == ("Ben", DUE, "taken")
    assert second.value.code == "already_recorded"
    assert (await get_occurrence(session, circle.anna, dose.id)).state == "taken"


@pytest.mark.parametrize("silent", ["missed", "unknown"])
async def test_a_missed_dose_can_still_be_taken_late(
    session: AsyncSession, circle: Any, dose: OccurrenceRow, silent: str
) -> None:
    dose.state, dose.reason = silent, "not_reminded"
    late = MISSED + timedelta(hours=9)

    await record_administration(session, circle.ben, dose.id, status=TAKEN, at=late, reason=None, now=late)

    view = await get_occurrence(session, circle.anna, dose.id)
    assert (view.state, view.reason) == ("taken", None)


@pytest.mark.parametrize("ended", ["on_hold", "cancelled"])
async def test_what_was_put_aside_cannot_be_answered(
    session: AsyncSession, circle: Any, dose: OccurrenceRow, ended: str
) -> None:
    dose.state = ended

    with pytest.raises(NotAnswerable):
        await record_administration(session, circle.ben, dose.id, status=TAKEN, at=DUE, reason=None, now=DUE)


@pytest.mark.parametrize("reason", ["x" * 501, "a\0b", "\ud800"], ids=["too long", "NUL", "surrogate"])
async def test_a_reason_that_cannot_be_kept_is_refused(
    session: AsyncSession, circle: Any, dose: OccurrenceRow, reason: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await record_administration(session, circle.ben, dose.id, status=SKIPPED, at=DUE, reason=reason, now=DUE)

    assert refused.value.field == "reason"


async def test_a_time_in_the_future_is_refused(session: AsyncSession, circle: Any, dose: OccurrenceRow) -> None:
    with pytest.raises(Invalid) as refused:
        await record_administration(
            session, circle.ben, dose.id, status=TAKEN, at=DUE + timedelta(hours=1), reason=None, now=DUE
        )

    assert refused.value.field == "at"


async def test_an_undone_answer_opens_the_dose_and_asks_again(
    session: AsyncSession, circle: Any, dose: OccurrenceRow
) -> None:
    dose.state, dose.reminded_step, dose.enqueued_at = "due", 0, DUE
    given = await record_administration(session, circle.ben, dose.id, status=TAKEN, at=DUE, reason=None, now=DUE)

    now = DUE + 10 * MINUTE
    view = await undo_administration(session, circle.anna, dose.id, given.id, now)

    assert (view.state, view.administration, view.remind_at) == ("due", None, now)
    assert (dose.reminder_step, dose.enqueued_at) == (1, None)
    assert (given.entered_in_error_at, given.entered_in_error_by) == (now, circle.anna.account_id)


async def test_an_answer_undone_before_anybody_was_asked_leaves_the_reminder_at_its_time(
    session: AsyncSession, circle: Any, dose: OccurrenceRow
) -> None:
    early = DUE - timedelta(hours=1)
    given = await record_administration(session, circle.ben, dose.id, status=TAKEN, at=early, reason=None, now=early)

    view = await undo_administration(session, circle.ben, dose.id, given.id, early + MINUTE)

    assert (view.state, view.remind_at, dose.reminder_step) == ("planned", DUE, 0)


async def test_an_answer_undone_after_the_window_leaves_a_missed_dose(
    session: AsyncSession, circle: Any, dose: OccurrenceRow
) -> None:
    given = await record_administration(session, circle.ben, dose.id, status=TAKEN, at=DUE, reason=None, now=DUE)

    view = await undo_administration(session, circle.ben, dose.id, given.id, MISSED)

    assert view.state == "missed"


async def test_an_undone_dose_can_be_answered_again_and_keeps_both_rows(
    session: AsyncSession, circle: Any, dose: OccurrenceRow
) -> None:
    first = await record_administration(session, circle.ben, dose.id, status=TAKEN, at=DUE, reason=None, now=DUE)
    await undo_administration(session, circle.ben, dose.id, first.id, DUE)
    second = await record_administration(session, circle.anna, dose.id, status=SKIPPED, at=DUE, reason=None, now=DUE)

    assert (await get_occurrence(session, circle.anna, dose.id)).administration is second
    assert await session.get(Administration, first.id) is not None


async def test_undoing_twice_is_undoing_once(session: AsyncSession, circle: Any, dose: OccurrenceRow) -> None:
    first = await record_administration(session, circle.ben, dose.id, status=TAKEN, at=DUE, reason=None, now=DUE)
    await undo_administration(session, circle.ben, dose.id, first.id, DUE)
    await record_administration(session, circle.anna, dose.id, status=TAKEN, at=DUE, reason=None, now=DUE)

    view = await undo_administration(session, circle.ben, dose.id, first.id, DUE + MINUTE)

    assert view.state == "taken"
    assert first.entered_in_error_at == DUE


async def test_an_answer_undone_after_an_edit_asks_for_nothing(
    session: AsyncSession, circle: Any, kit: Any, dose: OccurrenceRow
) -> None:
    early = DUE - timedelta(hours=1)
    given = await record_administration(session, circle.ben, dose.id, status=TAKEN, at=early, reason=None, now=early)
    await revise_schedule(session, circle.anna, dose.schedule_id, kit.make_plan("21:00"), early)

    view = await undo_administration(session, circle.ben, dose.id, given.id, early + MINUTE)

    assert (view.state, view.reason) == ("cancelled", "superseded")


async def test_an_answer_undone_during_a_pause_asks_for_nothing(
    session: AsyncSession, circle: Any, dose: OccurrenceRow
) -> None:
    given = await record_administration(session, circle.ben, dose.id, status=TAKEN, at=DUE, reason=None, now=DUE)
    circle.medication.status = "on_hold"
    await medication_status_changed(session, circle.medication, DUE + MINUTE)

    view = await undo_administration(session, circle.ben, dose.id, given.id, DUE + 2 * MINUTE)

    assert view.state == "missed"


async def test_a_snooze_moves_the_reminder_and_takes_back_what_was_waiting(
    session: AsyncSession, circle: Any, kit: Any, dose: OccurrenceRow
) -> None:
    dose.state, dose.reminded_step, dose.enqueued_at, dose.generation = "due", 0, DUE, 1
    waiting = await kit.add_delivery(session, dose, circle.ben, state="retry")

    view = await snooze(session, circle.anna, dose.id, 10, DUE + MINUTE)

    assert (view.state, view.remind_at) == ("due", DUE + 11 * MINUTE)
    assert (dose.reminder_step, dose.enqueued_at, dose.generation) == (1, None, 1)
    assert await kit.delivery_outcome(session, waiting) == ("cancelled", "snoozed")


@pytest.mark.parametrize("state", ["taken", "skipped", "missed", "unknown", "on_hold", "cancelled"])
async def test_only_an_open_dose_is_snoozed(
    session: AsyncSession, circle: Any, dose: OccurrenceRow, state: str
) -> None:
    dose.state = state

    with pytest.raises(WindowOver):
        await snooze(session, circle.anna, dose.id, 10, DUE)


async def test_a_dose_past_its_window_is_not_snoozed(session: AsyncSession, circle: Any, dose: OccurrenceRow) -> None:
    with pytest.raises(WindowOver):
        await snooze(session, circle.anna, dose.id, 10, MISSED)
    with pytest.raises(Invalid):
        await snooze(session, circle.anna, dose.id, 10, MISSED - 5 * MINUTE)


async def test_another_circle_sees_no_dose(session: AsyncSession, circle: Any, dose: OccurrenceRow) -> None:
    given = await record_administration(session, circle.ben, dose.id, status=TAKEN, at=DUE, reason=None, now=DUE)

    with pytest.raises(NotFound):
        await get_occurrence(session, circle.stranger, dose.id)
    with pytest.raises(NotFound):
        await list_occurrences(session, circle.stranger, circle.patient.id, DUE, MISSED)
    with pytest.raises(NotFound):
        await record_administration(session, circle.stranger, dose.id, status=TAKEN, at=DUE, reason=None, now=DUE)
    with pytest.raises(NotFound):
        await undo_administration(session, circle.stranger, dose.id, given.id, DUE)
    with pytest.raises(NotFound):
        await snooze(session, circle.stranger, dose.id, 10, DUE)


async def test_what_does_not_belong_together_is_not_found(
    session: AsyncSession, circle: Any, dose: OccurrenceRow
) -> None:
    given = await record_administration(session, circle.ben, dose.id, status=TAKEN, at=DUE, reason=None, now=DUE)
    other = (await circle.occurrences(session))[1]

    with pytest.raises(NotFound):
        await undo_administration(session, circle.ben, other.id, given.id, DUE)
    with pytest.raises(NotFound):
        await undo_administration(session, circle.ben, dose.id, new_id(), DUE)
    with pytest.raises(NotFound):
        await get_occurrence(session, circle.ben, new_id())


async def test_a_viewer_sees_and_does_not_answer(session: AsyncSession, circle: Any, dose: OccurrenceRow) -> None:
    assert (await get_occurrence(session, circle.viewer, dose.id)).id == dose.id
    with pytest.raises(NotAllowed):
        await record_administration(session, circle.viewer, dose.id, status=TAKEN, at=DUE, reason=None, now=DUE)
    with pytest.raises(NotAllowed):
        await snooze(session, circle.viewer, dose.id, 10, DUE)


async def test_a_list_is_in_order_and_without_what_an_edit_cancelled(
    session: AsyncSession, circle: Any, kit: Any, dose: OccurrenceRow
) -> None:
    await revise_schedule(session, circle.anna, dose.schedule_id, kit.make_plan("21:00 07:00"), kit.now)

    listed = await list_occurrences(session, circle.viewer, circle.patient.id, kit.now, DUE + timedelta(hours=11))

    assert [(f"{view.nominal_local:%d %H:%M}", view.state) for view in listed] == [("10 21:00", "planned")]


@pytest.mark.parametrize("length", [timedelta(0), timedelta(days=-1), timedelta(days=94)])
async def test_a_period_that_makes_no_sense_is_refused(
    session: AsyncSession, circle: Any, kit: Any, length: timedelta
) -> None:
    with pytest.raises(Invalid) as refused:
        await list_occurrences(session, circle.anna, circle.patient.id, kit.now, kit.now + length)

    assert refused.value.field == "until"


async def test_every_answer_leaves_a_trace(session: AsyncSession, circle: Any, dose: OccurrenceRow) -> None:
    await session.execute(update(OccurrenceRow).where(OccurrenceRow.id == dose.id).values(state="due"))
    await snooze(session, circle.anna, dose.id, 10, DUE)
    given = await record_administration(session, circle.ben, dose.id, status=TAKEN, at=DUE, reason=None, now=DUE)
    await undo_administration(session, circle.anna, dose.id, given.id, DUE)
    await session.flush()

    _, snoozed, recorded, undone = await circle.audit(session)
    assert [entry.action for entry in (snoozed, recorded, undone)] == [
        "occurrence.snoozed",
        "administration.recorded",
        "administration.undone",
    ]
    assert (recorded.actor_id, recorded.subject_id) == (circle.ben.account_id, given.id)
    assert (recorded.details["before"], recorded.details["after"]) == ({"state": "due"}, {"state": "taken"})
