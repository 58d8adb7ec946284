"""Single answers, answers by the dozen and late ones from phones, all at once: one answer a dose, and no deadlock."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from carecircle.db.audit import AuditEntry
from carecircle.db.base import new_id
from carecircle.db.occurrences import Administration, OccurrenceRow
from carecircle.domain.answer import Answer
from carecircle.domain.occurrence import AdministrationStatus, AlreadyRecorded
from carecircle.usecases.doses import answer_dose
from carecircle.usecases.many_answers import Give, Outcome, TakeBack, Wish, answer_many
from carecircle.usecases.medications import NewMedication, create_medication
from carecircle.usecases.schedules import create_schedule

if TYPE_CHECKING:
    from uuid import UUID

    from carecircle.db.session import Database

pytestmark = pytest.mark.postgres

DUE = datetime(2026, 4, 10, 18, 0, tzinfo=UTC)
LATER = DUE + timedelta(days=2)
STATUSES = list(AdministrationStatus)


@pytest.fixture
async def committed(database: Database, kit: Any) -> tuple[Any, list[UUID]]:
    """A circle with three medicines, and all their doses."""
    async with database.transaction() as session:
        circle = await kit.make_circle(session)
        medications = [circle.medication.id]
        for _ in range(2):
            medication = await create_medication(session, circle.anna, circle.patient.id, NewMedication(name="Other"))
            medications.append(medication.id)
        for medication_id in medications:
            await create_schedule(session, circle.anna, medication_id, kit.make_plan(), kit.now)
        return circle, [row.id for row in await circle.occurrences(session)]


async def test_single_and_many_answers_at_once_end_with_one_answer_a_dose(
    database: Database, committed: tuple[Any, list[UUID]]
) -> None:
    circle, doses = committed
    recorded: Counter[UUID] = Counter()

    async def many(actor: Any, order: list[UUID]) -> None:
        async with database.transaction() as session:
            wishes = [Give(Answer(AdministrationStatus.TAKEN, LATER, id=new_id()), one) for one in order]
            results = await answer_many(session, actor, circle.patient.id, wishes, LATER)
        recorded.update(one.occurrence_id for one in results if one.outcome is Outcome.RECORDED and one.occurrence_id)

    async def single(actor: Any, dose: UUID) -> None:
        try:
            async with database.transaction() as session:
                await answer_dose(session, actor, dose, Answer(AdministrationStatus.SKIPPED, LATER), LATER)
        except AlreadyRecorded:
            return
        recorded[dose] += 1

    backwards = doses[::-1]
    await asyncio.gather(
        many(circle.anna, doses),
        many(circle.ben, backwards),
        *(single(circle.ben, dose) for dose in doses[::2]),
        many(circle.ben, doses[1::2] + doses[::2]),
        *(single(circle.anna, dose) for dose in backwards[::3]),
    )

    assert recorded == Counter(doses)
    async with database.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(Administration)) == len(doses)


async def test_one_batch_sent_twice_at_the_same_time_is_stored_once(
    database: Database, committed: tuple[Any, list[UUID]]
) -> None:
    circle, doses = committed
    undone = new_id()
    wishes: list[Wish] = [Give(Answer(AdministrationStatus.TAKEN, LATER, id=new_id()), one) for one in doses[1:]]
    wishes += [Give(Answer(AdministrationStatus.TAKEN, LATER, id=undone), doses[0]), TakeBack(undone)]

    async def send() -> list[Outcome]:
        async with database.transaction() as session:
            return [one.outcome for one in await answer_many(session, circle.ben, circle.patient.id, wishes, LATER)]

    first, *others = await asyncio.gather(*(send() for _ in range(4)))

    assert first == ["recorded"] * len(doses) + ["undone"]
    assert others == [first] * 3
    async with database.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(Administration)) == len(doses)


@pytest.mark.parametrize("seed", range(8))
async def test_replays_in_any_order_change_nothing(
    database: Database, committed: tuple[Any, list[UUID]], seed: int
) -> None:
    """Two phones send batches of answers and undos, some of them twice, in parts, or at the same time."""
    circle, doses = committed
    dice = random.Random(seed)  # noqa: S311 - of the test
    some = doses[:4]
    phones = {actor: batches(dice, some) for actor in (circle.anna, circle.ben)}

    async def send(actor: Any, batch: list[Wish]) -> list[tuple[Outcome, UUID | None]]:
        async with database.transaction() as session:
            results = await answer_many(session, actor, circle.patient.id, batch, LATER)
            return [(one.outcome, one.occurrence_id) for one in results]

    async def phone(actor: Any) -> None:
        """Sends its batches in their order, as its connection comes and goes."""
        sent: list[list[Wish]] = []
        for batch in phones[actor]:
            if dice.random() < 0.4:
                await send(actor, batch[: dice.randint(1, len(batch))])
            sent.append(batch)
            again = dice.choices(sent, k=dice.randint(0, 2))
            await asyncio.gather(send(actor, batch), *(send(actor, one) for one in again))

    await asyncio.gather(*map(phone, phones))
    settled = await everything(database)
    everybodys = [(actor, batch) for actor, sent in phones.items() for batch in sent]
    results = [await send(actor, batch) for actor, batch in everybodys]

    dice.shuffle(everybodys)
    again = {id(batch): await send(actor, batch) for actor, batch in everybodys}
    after = await everything(database)

    assert [again[id(batch)] for sent in phones.values() for batch in sent] == results
    if not any(fresh(outcome) for sent in results for outcome, _ in sent):
        assert after == settled
    states, standing = after[0], after[1]
    assert all(count == 1 for count in Counter(one for one, _ in standing).values())
    assert {dose: states[dose] for dose, _ in standing} == dict(standing)
    undone = {wish.administration_id for _, batch in everybodys for wish in batch if isinstance(wish, TakeBack)}
    assert not undone & after[2]
    assert all(states[dose] == "missed" for dose in some if dose not in dict(standing) and states[dose] != "planned")


def fresh(outcome: Outcome) -> bool:
    """A conflict that is gone by now lets the same wish through at its next try."""
    return outcome is Outcome.RECORDED


def batches(dice: random.Random, doses: list[UUID]) -> list[list[Wish]]:
    """What one person does to a few doses: answers, and undoes some of them later."""
    wishes: list[Wish] = []
    given: list[UUID] = []
    for _ in range(dice.randint(3, 9)):
        if given and dice.random() < 0.35:
            wishes.append(TakeBack(dice.choice(given)))
            continue
        given.append(new_id())
        wishes.append(Give(Answer(dice.choice(STATUSES), DUE, id=given[-1]), dice.choice(doses)))
    cut = dice.randint(1, len(wishes))
    return [part for part in (wishes[:cut], wishes[cut:]) if part]


async def everything(
    database: Database,
) -> tuple[dict[UUID, str], list[tuple[UUID, str]], set[UUID], int, int]:
    """States of doses, standing answers, their ids, the number of answers and of audit entries."""
    async with database.transaction() as session:
        states = {row.id: row.state for row in await session.scalars(select(OccurrenceRow))}
        standing = list(
            await session.scalars(
                select(Administration)
                .where(Administration.entered_in_error_at.is_(None))
                .order_by(Administration.occurrence_id)
            )
        )
        answers = await session.scalar(select(func.count()).select_from(Administration))
        entries = await session.scalar(select(func.count()).select_from(AuditEntry))
        return (
            states,
            [(one.occurrence_id, one.status) for one in standing],
            {one.id for one in standing},
            answers or 0,
            entries or 0,
        )
