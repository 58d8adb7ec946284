"""Two people, or a person and a sender, at the same dose at the same time: real connections, real locks."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, text

from carecircle.db.facts import dose_facts
from carecircle.db.occurrences import Administration, OccurrenceRow
from carecircle.domain.occurrence import AdministrationStatus, AlreadyRecorded, Skip, SkipReason, still_matters
from carecircle.usecases.doses import record_administration
from carecircle.usecases.schedules import create_schedule, revise_schedule

if TYPE_CHECKING:
    from uuid import UUID

    from carecircle.db.session import Database

pytestmark = pytest.mark.postgres

DUE = datetime(2026, 4, 10, 18, 0, tzinfo=UTC)
TAKEN = AdministrationStatus.TAKEN


@pytest.fixture
async def committed(database: Database, kit: Any) -> tuple[Any, UUID]:
    """A circle and its first dose, where every connection sees them."""
    async with database.transaction() as session:
        circle = await kit.make_circle(session)
        await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan(), kit.now)
        first, *_ = await circle.occurrences(session)
        return circle, first.id


async def test_45_two_caregivers_press_taken_at_once(database: Database, committed: tuple[Any, UUID]) -> None:
    circle, dose_id = committed
    start = asyncio.Barrier(6)

    async def press(actor: Any, at: datetime) -> str:
        async with database.transaction() as session:
            await start.wait()  # each has its connection and its transaction by now
            try:
                await record_administration(session, actor, dose_id, status=TAKEN, at=at, reason=None, now=DUE)
            except AlreadyRecorded as second:
                return f"already {second.by}"
        return "taken"

    presses = [(circle.anna, DUE), (circle.ben, DUE - timedelta(seconds=1))] * 3
    answers = await asyncio.gather(*(press(actor, at) for actor, at in presses))

    assert answers.count("taken") == 1
    winner = {circle.anna: "Anna", circle.ben: "Ben"}[presses[answers.index("taken")][0]]
    assert sorted(answers) == [f"already {winner}"] * 5 + ["taken"]
    async with database.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(Administration)) == 1


async def test_a_sender_that_waits_for_an_answer_sees_it(database: Database, committed: tuple[Any, UUID]) -> None:
    circle, dose_id = committed

    async def sender() -> Any:
        async with database.transaction() as session:
            found = await dose_facts(session, dose_id)
            return still_matters(None if found is None else found.facts, DUE)

    async with database.transaction() as session:
        await record_administration(session, circle.ben, dose_id, status=TAKEN, at=DUE, reason=None, now=DUE)
        waiting = asyncio.create_task(sender())
        await until_somebody_waits_for_a_lock(database)
        assert not waiting.done()

    assert await waiting == Skip(SkipReason.ANSWERED)


async def test_an_edit_and_an_answer_at_once_never_cancel_what_was_taken(
    database: Database, committed: tuple[Any, UUID], kit: Any
) -> None:
    circle, dose_id = committed

    async def edit() -> None:
        async with database.transaction() as session:
            schedule_id = await session.scalar(select(OccurrenceRow.schedule_id).where(OccurrenceRow.id == dose_id))
            assert schedule_id is not None
            await revise_schedule(session, circle.anna, schedule_id, kit.make_plan("21:00"), DUE - timedelta(minutes=2))

    async with database.transaction() as session:
        await record_administration(session, circle.ben, dose_id, status=TAKEN, at=DUE, reason=None, now=DUE)
        editing = asyncio.create_task(edit())
        await until_somebody_waits_for_a_lock(database)
    await editing

    async with database.transaction() as session:
        assert (await session.get_one(OccurrenceRow, dose_id)).state == "taken"


async def until_somebody_waits_for_a_lock(database: Database) -> None:
    """PostgreSQL says when. Asked again and again, as it has no event for that."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    async with asyncio.timeout(5), database.engine.connect() as connection:
        while await connection.scalar(waiting) == 0:
            await connection.rollback()
