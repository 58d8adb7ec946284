"""Many answers in one call, answers without a dose's id, and a phone that was offline: on a real PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from carecircle.db.audit import AuditEntry
from carecircle.db.base import new_id
from carecircle.db.occurrences import Administration, OccurrenceRow
from carecircle.domain.answer import Answer, IdTaken
from carecircle.domain.errors import Invalid, NotAllowed, NotFound
from carecircle.domain.interval_rule import Anchor, EveryTime, IntervalRule, TimeUnit
from carecircle.domain.occurrence import AdministrationStatus, AlreadyRecorded
from carecircle.usecases.binding import NoDoseInWindow, answer_medication
from carecircle.usecases.doses import answer_dose, undo_administration
from carecircle.usecases.many_answers import Give, Outcome, TakeBack, answer_all_at, answer_many
from carecircle.usecases.medications import NewMedication, create_medication
from carecircle.usecases.schedules import create_schedule, revise_schedule

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

pytestmark = pytest.mark.postgres

TAKEN, SKIPPED = AdministrationStatus.TAKEN, AdministrationStatus.SKIPPED
DUE = datetime(2026, 4, 10, 18, 0, tzinfo=UTC)
NEXT = datetime(2026, 4, 11, 6, 0, tzinfo=UTC)
MISSED = datetime(2026, 4, 11, 0, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def doses(session: AsyncSession, circle: Any, kit: Any) -> list[OccurrenceRow]:
    """20:00 in Berlin, then 08:00 and 20:00 of the next days."""
    await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan(), kit.now)
    return await circle.occurrences(session)


@pytest.fixture
async def evening(session: AsyncSession, circle: Any, kit: Any, doses: list[OccurrenceRow]) -> list[UUID]:
    """Three medicines at 20:00; the second is taken at 21:00 as well."""
    for times in ("20:00 21:00", "20:00"):
        other = await create_medication(session, circle.anna, circle.patient.id, NewMedication(name="Other"))
        await create_schedule(session, circle.anna, other.id, kit.make_plan(times), kit.now)
    return [row.id for row in await circle.occurrences(session) if row.due_at == DUE]


async def rows(session: AsyncSession) -> tuple[int, int, int]:
    """Administrations, audit entries, and how often reminders were asked for anew."""
    counted = select(
        select(func.count()).select_from(Administration).scalar_subquery(),
        select(func.count()).select_from(AuditEntry).scalar_subquery(),
        select(func.sum(OccurrenceRow.reminder_step)).scalar_subquery(),
    )
    return (await session.execute(counted)).one()


async def test_44_a_log_without_an_id_is_for_the_nearest_dose(
    session: AsyncSession, circle: Any, doses: list[OccurrenceRow]
) -> None:
    at = DUE + timedelta(hours=5)

    given = await answer_medication(session, circle.ben, circle.medication.id, Answer(TAKEN, at), at)

    assert given.occurrence_id == doses[0].id
    assert (doses[0].state, doses[1].state) == ("taken", "planned")


async def test_what_happened_in_its_window_counts_for_a_dose_that_was_missed_since(
    session: AsyncSession, circle: Any, doses: list[OccurrenceRow]
) -> None:
    doses[0].state = "missed"

    given = await answer_medication(session, circle.ben, circle.medication.id, Answer(TAKEN, DUE + MINUTE), NEXT)

    assert (given.occurrence_id, given.timing) == (doses[0].id, "on_time")


async def test_the_dose_that_somebody_logged_is_not_logged_for_the_next(
    session: AsyncSession, circle: Any, doses: list[OccurrenceRow]
) -> None:
    await answer_dose(session, circle.anna, doses[0].id, Answer(TAKEN, DUE), DUE)

    with pytest.raises(AlreadyRecorded) as second:
        await answer_medication(session, circle.ben, circle.medication.id, Answer(TAKEN, DUE + MINUTE), DUE + MINUTE)

    assert second.value.by == "Anna"
    assert doses[1].state == "planned"


async def test_outside_of_every_window_somebody_has_to_choose(
    session: AsyncSession, circle: Any, doses: list[OccurrenceRow]
) -> None:
    at = DUE - 61 * MINUTE

    with pytest.raises(NoDoseInWindow) as refused:
        await answer_medication(session, circle.ben, circle.medication.id, Answer(TAKEN, at), at)

    assert [one.occurrence_id for one in refused.value.candidates][:2] == [doses[0].id, doses[1].id]


async def test_a_log_needs_a_medication_of_an_own_circle(
    session: AsyncSession, circle: Any, doses: list[OccurrenceRow]
) -> None:
    for actor, refusal in ((circle.stranger, NotFound), (circle.viewer, NotAllowed)):
        with pytest.raises(refusal):
            await answer_medication(session, actor, circle.medication.id, Answer(TAKEN, DUE), DUE)
        with pytest.raises(refusal):
            await answer_many(session, actor, circle.patient.id, [Give(Answer(TAKEN, DUE), doses[0].id)], DUE)


@pytest.mark.parametrize("at", [DUE, datetime(2026, 4, 10, 20, 0)], ids=["instant", "wall time"])  # noqa: DTZ001
async def test_all_doses_of_one_time_are_answered_at_once(
    session: AsyncSession, circle: Any, evening: list[UUID], at: datetime
) -> None:
    results = await answer_all_at(session, circle.ben, circle.patient.id, at, Answer(TAKEN, DUE), DUE)

    assert {one.outcome for one in results} == {Outcome.RECORDED}
    assert {one.occurrence_id for one in results} == set(evening)
    states = [(row.due_at, row.state) for row in await circle.occurrences(session) if row.state != "planned"]
    assert states == [(DUE, "taken")] * 3


async def test_each_of_many_has_its_own_result(session: AsyncSession, circle: Any, evening: list[UUID]) -> None:
    first, second, third = evening
    await answer_dose(session, circle.anna, first, Answer(SKIPPED, DUE), DUE)
    (await session.get_one(OccurrenceRow, second)).state = "on_hold"

    wishes = [Give(Answer(TAKEN, DUE), one) for one in (first, second, third, new_id())]
    results = await answer_many(session, circle.ben, circle.patient.id, wishes, DUE)

    assert [one.outcome for one in results] == ["already_recorded", "not_answerable", "recorded", "not_found"]
    stands = results[0].stands
    assert stands is not None
    assert (stands.by, stands.at, stands.status) == ("Anna", DUE, "skipped")


async def test_a_dose_of_another_patient_is_not_there(
    session: AsyncSession, circle: Any, kit: Any, doses: list[OccurrenceRow]
) -> None:
    other = await kit.make_circle(session)

    [result] = await answer_many(session, other.anna, other.patient.id, [Give(Answer(TAKEN, DUE), doses[0].id)], DUE)

    assert result.outcome is Outcome.NOT_FOUND
    assert doses[0].state == "planned"


async def test_the_bad_ones_are_refused_and_the_others_stand(
    session: AsyncSession, circle: Any, doses: list[OccurrenceRow]
) -> None:
    now = DUE + timedelta(days=40)
    wishes = [
        Give(Answer(TAKEN, DUE, id=new_id()), doses[0].id),
        Give(Answer(TAKEN, now + timedelta(hours=1), id=new_id()), doses[1].id),
        Give(Answer(TAKEN, now - timedelta(days=30), id=new_id()), doses[2].id),
    ]

    results = await answer_many(session, circle.ben, circle.patient.id, wishes, now)

    assert [one.outcome for one in results] == ["refused", "refused", "recorded"]
    assert [one.refusal.field for one in results if one.refusal] == ["at", "at"]


async def test_a_batch_sent_again_has_the_same_results_and_writes_nothing(
    session: AsyncSession, circle: Any, doses: list[OccurrenceRow]
) -> None:
    await answer_dose(session, circle.anna, doses[1].id, Answer(TAKEN, NEXT), NEXT)
    doses[0].state = "missed"
    undone, again, late = new_id(), new_id(), new_id()
    wishes = [
        Give(Answer(TAKEN, DUE, id=undone), doses[0].id),
        TakeBack(undone),
        Give(Answer(SKIPPED, DUE, id=again), doses[0].id),
        Give(Answer(TAKEN, NEXT, id=late), doses[1].id),
        TakeBack(new_id()),
    ]
    now = NEXT + MINUTE

    first = await answer_many(session, circle.ben, circle.patient.id, wishes, now)
    before = await rows(session)
    second = await answer_many(session, circle.ben, circle.patient.id, wishes, now + MINUTE)

    expected = ["recorded", "undone", "recorded", "already_recorded", "not_found"]
    assert [one.outcome for one in first] == [one.outcome for one in second] == expected
    assert await rows(session) == before
    assert first[0].administration is second[0].administration
    assert (await session.get_one(OccurrenceRow, doses[0].id)).state == "skipped"


async def test_the_same_id_is_not_taken_for_another_answer(
    session: AsyncSession, circle: Any, kit: Any, doses: list[OccurrenceRow]
) -> None:
    own = new_id()
    answer = Answer(TAKEN, DUE, id=own)
    given = await answer_dose(session, circle.ben, doses[0].id, answer, DUE)
    assert await answer_dose(session, circle.ben, doses[0].id, answer, DUE) is given

    with pytest.raises(IdTaken):
        await answer_dose(session, circle.ben, doses[1].id, replace(answer, at=DUE), DUE)
    with pytest.raises(IdTaken):
        await answer_dose(session, circle.ben, doses[0].id, replace(answer, status=SKIPPED), DUE)
    with pytest.raises(IdTaken):
        await answer_dose(session, circle.anna, doses[0].id, answer, DUE)
    other = await kit.make_circle(session)
    await create_schedule(session, other.anna, other.medication.id, kit.make_plan(), kit.now)
    [elsewhere, *_] = await other.occurrences(session)
    with pytest.raises(IdTaken):
        await answer_dose(session, other.anna, elsewhere.id, answer, DUE)
    assert elsewhere.state == "planned"


async def test_what_was_undone_stays_undone_when_it_is_sent_again(
    session: AsyncSession, circle: Any, doses: list[OccurrenceRow]
) -> None:
    wish = Give(Answer(TAKEN, DUE, id=new_id()), doses[0].id)
    [first] = await answer_many(session, circle.ben, circle.patient.id, [wish], DUE)
    assert first.administration is not None
    await undo_administration(session, circle.anna, doses[0].id, first.administration.id, DUE)

    [second] = await answer_many(session, circle.ben, circle.patient.id, [wish], DUE)

    assert second.outcome is Outcome.RECORDED
    assert second.administration is not None
    assert second.administration.entered_in_error_at == DUE
    assert doses[0].state == "due"


async def test_a_dose_whose_plan_was_edited_meanwhile_is_the_one_that_took_its_place(
    session: AsyncSession, circle: Any, kit: Any, doses: list[OccurrenceRow]
) -> None:
    await revise_schedule(session, circle.anna, doses[1].schedule_id, kit.make_plan("08:30 20:00"), DUE)
    wish = Give(Answer(TAKEN, NEXT + 5 * MINUTE, id=new_id()), doses[1].id)

    results = [await answer_many(session, circle.ben, circle.patient.id, [wish], NEXT + 6 * MINUTE) for _ in "12"]

    [[first], [second]] = results
    assert (first.outcome, second.outcome) == ("recorded", "recorded")
    assert first.occurrence_id == second.occurrence_id != doses[1].id
    placed = await session.get_one(OccurrenceRow, first.occurrence_id)
    assert (placed.due_at, placed.state) == (NEXT + 30 * MINUTE, "taken")


async def test_a_series_that_counts_from_its_answers_takes_several_at_once(
    session: AsyncSession, circle: Any, kit: Any
) -> None:
    start = datetime(2026, 4, 10, 12, 0)  # noqa: DTZ001 - a wall time
    rule = IntervalRule(EveryTime(8, TimeUnit.HOUR), start, anchor=Anchor.LAST_TAKEN)
    await create_schedule(
        session, circle.anna, circle.medication.id, kit.make_plan(rule=rule, start_date=date(2026, 4, 10)), kit.now
    )
    one, two, *_ = await circle.occurrences(session)
    wishes = [
        Give(Answer(TAKEN, one.due_at + 10 * MINUTE, id=new_id()), one.id),
        Give(Answer(TAKEN, two.due_at + 10 * MINUTE, id=new_id()), two.id),
    ]
    taken = two.due_at + 10 * MINUTE

    results = await answer_many(session, circle.ben, circle.patient.id, wishes, taken + MINUTE)

    assert [result.outcome for result in results] == ["recorded", "recorded"]
    upcoming = [row.due_at for row in await circle.occurrences(session) if row.state == "planned"]
    assert upcoming[0] == taken + timedelta(hours=8)


async def test_more_than_fit_into_one_call_have_to_be_named(
    session: AsyncSession, circle: Any, evening: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carecircle.usecases.many_answers.MOST_AT_ONCE", 2)

    with pytest.raises(Invalid) as refused:
        await answer_all_at(session, circle.ben, circle.patient.id, DUE, Answer(TAKEN, DUE), DUE)

    assert refused.value.field == "occurrence_ids"
