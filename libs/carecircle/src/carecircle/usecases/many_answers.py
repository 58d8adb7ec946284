"""Many answers in one transaction: all of eight o'clock, or what a phone without a connection has gathered.

Each wish has its own result; one that cannot be granted takes nothing from the others. All locks are taken before the
first answer, in the order that everybody keeps (medications with their patient, schedules, doses, supplies; each by
id), so callers at the same doses wait for each other and never in a circle.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from carecircle.db.nearby import answers_with_ids, doses_near, doses_of, lock_doses, medications_among, planned_at
from carecircle.db.occurrences import lock_occurrence
from carecircle.db.schedules import ScheduleRow, following_answers, hold_circumstances, lock_schedules
from carecircle.db.supply import lock_supplies
from carecircle.domain.errors import Invalid
from carecircle.domain.occurrence import SUPERSEDED, AlreadyRecorded, NotAnswerable, OccurrenceState
from carecircle.domain.people import Action
from carecircle.usecases.access import Actor, require
from carecircle.usecases.answering import Series, give_answer, take_back
from carecircle.usecases.binding import bound_dose
from carecircle.usecases.planning import HORIZON

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.occurrences import Administration, OccurrenceRow
    from carecircle.db.schedules import Circumstances
    from carecircle.domain.answer import Answer

MOST_AT_ONCE = 100
LONGEST_AGO = timedelta(days=31)
"""How long a phone may have been without a connection: what it says happened before that is refused."""


class Outcome(StrEnum):
    """What became of one wish of many."""

    RECORDED = "recorded"
    UNDONE = "undone"
    ALREADY_RECORDED = "already_recorded"
    NOT_ANSWERABLE = "not_answerable"
    NOT_FOUND = "not_found"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Give:
    """An answer to a dose, or to the dose of a medication that is nearest to when it happened."""

    answer: Answer
    occurrence_id: UUID | None = None
    medication_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class TakeBack:
    """Undo an answer."""

    administration_id: UUID


Wish = Give | TakeBack


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a wish, in the order of the wishes."""

    outcome: Outcome
    occurrence_id: UUID | None = None
    administration: Administration | None = None
    """The answer that was recorded, now or when the same wish came first."""
    stands: AlreadyRecorded | None = None
    """The other answer that stands in the way."""
    refusal: Invalid | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What is held while the wishes are granted."""

    actor: Actor
    series: Mapping[UUID, Series]
    """By the schedule's id."""
    now: datetime
    horizon: timedelta


async def answer_all_at(
    session: AsyncSession,
    actor: Actor,
    patient_id: UUID,
    at: datetime,
    answer: Answer,
    now: datetime,
    *,
    horizon: timedelta = HORIZON,
) -> list[Result]:
    """Give one answer to all planned doses of a patient at one time: an instant, or naive, the time on their wall."""
    await require(session, actor, patient_id, Action.ANSWER)
    doses = await planned_at(session, patient_id, at, limit=MOST_AT_ONCE + 1)
    if len(doses) > MOST_AT_ONCE:
        raise Invalid(f"There are more than {MOST_AT_ONCE} doses at this time; name them.", field="occurrence_ids")
    return await answer_many(session, actor, patient_id, [Give(answer, dose) for dose in doses], now, horizon=horizon)


async def answer_many(
    session: AsyncSession,
    actor: Actor,
    patient_id: UUID,
    wishes: Sequence[Wish],
    now: datetime,
    *,
    horizon: timedelta = HORIZON,
) -> list[Result]:
    """Grant what can be granted of the wishes of one person; a result for each, in their order.

    The wishes for one dose are granted in their order, so what is undone in the same call was given before. The same
    call again has the same results and writes nothing.
    """
    await require(session, actor, patient_id, Action.ANSWER)
    placed = await _place(session, patient_id, wishes)
    doses = await doses_of(session, patient_id, {one for one in placed if one is not None})
    undone = {one for one, wish in zip(placed, wishes, strict=True) if isinstance(wish, TakeBack)}
    held = Held(actor, await _hold(session, doses, undone), now, horizon)
    results = [Result(_why_nowhere(wish)) for wish in wishes]
    for number, dose_id in _in_order(placed, doses):
        results[number] = await _grant(session, held, dose_id, wishes[number])
    return results


async def _place(session: AsyncSession, patient_id: UUID, wishes: Sequence[Wish]) -> list[UUID | None]:
    """Which dose each wish is about. Of one that came before it is the dose that it was recorded for then."""
    seen = await answers_with_ids(session, patient_id, [one for wish in wishes if (one := _own_id(wish)) is not None])
    named = {wish.occurrence_id for wish in wishes if isinstance(wish, Give) and wish.occurrence_id is not None}
    doses = await doses_of(session, patient_id, named)
    medications = await medications_among(
        session, patient_id, {wish.medication_id for wish in wishes if isinstance(wish, Give) and wish.medication_id}
    )
    by_id: dict[UUID, UUID | None] = {one.id: one.occurrence_id for one in seen.values()}
    placed: list[UUID | None] = []
    for wish in wishes:
        if isinstance(wish, TakeBack):
            placed.append(by_id.get(wish.administration_id))
            continue
        dose = None if wish.occurrence_id is None else doses.get(wish.occurrence_id)
        known = None if wish.answer.id is None else seen.get(wish.answer.id)
        if known is not None and (wish.occurrence_id is None or (dose is not None and _was_replaced(dose))):
            found = known.occurrence_id
        elif dose is not None and _was_replaced(dose):
            found = await _nearest(session, dose.medication_id, wish.answer.at) or dose.id
        elif wish.medication_id is not None and wish.medication_id in medications:
            found = await _nearest(session, wish.medication_id, wish.answer.at)
        else:
            found = None if dose is None else dose.id
        placed.append(found)
        if wish.answer.id is not None:
            by_id.setdefault(wish.answer.id, found)
    return placed


async def _nearest(session: AsyncSession, medication_id: UUID, at: datetime) -> UUID | None:
    found = bound_dose(await doses_near(session, medication_id, at), at)
    return None if found is None else found.occurrence_id


def _was_replaced(dose: OccurrenceRow) -> bool:
    """The plan changed while the phone was away: what was taken then is the dose that took this one's place."""
    return dose.state == OccurrenceState.CANCELLED and dose.reason == SUPERSEDED


def _own_id(wish: Wish) -> UUID | None:
    return wish.administration_id if isinstance(wish, TakeBack) else wish.answer.id


def _why_nowhere(wish: Wish) -> Outcome:
    """What a wish gets that is about no dose of this patient, or about none that is open at its time."""
    by_medication = isinstance(wish, Give) and wish.occurrence_id is None
    return Outcome.NOT_ANSWERABLE if by_medication else Outcome.NOT_FOUND


async def _hold(
    session: AsyncSession, doses: Mapping[UUID, OccurrenceRow], undone: Collection[UUID | None]
) -> dict[UUID, Series]:
    """Take all locks. The schedules are those that mind how their doses are answered, or that an undo looks at."""
    wanted = await following_answers(session, {dose.schedule_id for dose in doses.values()})
    wanted |= {dose.schedule_id for dose in doses.values() if dose.id in undone}
    around: dict[UUID, Circumstances | None] = {}
    for medication_id in sorted({dose.medication_id for dose in doses.values() if dose.schedule_id in wanted}):
        around[medication_id] = await hold_circumstances(session, medication_id)
    schedules = await lock_schedules(session, ScheduleRow.id.in_(wanted)) if wanted else []
    await lock_doses(session, doses)
    await lock_supplies(session, {dose.medication_id for dose in doses.values()})
    return {
        schedule.id: Series(schedule, circumstances)
        for schedule in schedules
        if (circumstances := around.get(schedule.medication_id)) is not None
    }


def _in_order(placed: Sequence[UUID | None], doses: Mapping[UUID, OccurrenceRow]) -> list[tuple[int, UUID]]:
    """The newest dose of a medication first: in a series that counts from its answers, an older one that is answered
    first would replace it. The wishes for one dose stay in their order.
    """
    found = [(number, doses[one]) for number, one in enumerate(placed) if one is not None and one in doses]
    found.sort(key=lambda item: (item[1].medication_id, -item[1].due_at.timestamp(), item[1].id, item[0]))
    return [(number, dose.id) for number, dose in found]


async def _grant(session: AsyncSession, held: Held, dose_id: UUID, wish: Wish) -> Result:
    try:
        async with session.begin_nested():  # what is refused half way leaves nothing behind
            # Read again: the answer before it may have moved this dose into another revision.
            dose = await lock_occurrence(session, dose_id)
            if dose is None:
                return Result(Outcome.NOT_FOUND)
            series = held.series.get(dose.schedule_id)
            if isinstance(wish, TakeBack):
                return await _take_back(session, held, dose, series, wish)
            _check_age(wish, held.now)
            given = await give_answer(
                session, held.actor, dose, series, wish.answer, now=held.now, horizon=held.horizon
            )
            return Result(Outcome.RECORDED, dose_id, given)
    except AlreadyRecorded as first:
        return Result(Outcome.ALREADY_RECORDED, dose_id, stands=first)
    except NotAnswerable:
        return Result(Outcome.NOT_ANSWERABLE, dose_id)
    except Invalid as refusal:
        return Result(Outcome.REFUSED, dose_id, refusal=refusal)


def _check_age(wish: Give, now: datetime) -> None:
    if wish.answer.at < now - LONGEST_AGO:
        raise Invalid(f"This is more than {LONGEST_AGO.days} days ago.", field="at")


async def _take_back(
    session: AsyncSession, held: Held, dose: OccurrenceRow, series: Series | None, wish: TakeBack
) -> Result:
    found = await answers_with_ids(session, dose.patient_id, [wish.administration_id])
    administration = found.get(wish.administration_id)
    if administration is None:
        return Result(Outcome.NOT_FOUND)
    await take_back(session, held.actor, dose, series, administration, now=held.now, horizon=held.horizon)
    return Result(Outcome.UNDONE, dose.id)
