"""Somebody moves a dose while a dispatcher, a worker or another person is at it: real connections, real locks."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text

from carecircle.db.claims import claim, hand_off
from carecircle.db.deliveries import Delivery
from carecircle.db.facts import dose_facts
from carecircle.db.occurrences import OccurrenceRow
from carecircle.db.session import database_now
from carecircle.domain.moving import MovedMeanwhile
from carecircle.usecases.dispatching import Dispatched, TooEarly, dispatch
from carecircle.usecases.moving import reschedule
from carecircle.usecases.schedules import create_schedule

if TYPE_CHECKING:
    from uuid import UUID

    from carecircle.db.session import Database

pytestmark = pytest.mark.postgres

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


class Mail:
    """A channel to everybody's own address."""

    replaces = False

    async def targets(self, session: Any, account_id: UUID) -> list[UUID]:
        del session
        return [account_id]


CHANNELS: Any = {"email": Mail()}


@pytest.fixture
async def due(database: Database, kit: Any) -> tuple[Any, UUID]:
    """A dose that is due by PostgreSQL's clock, whose messages are still to be decided."""
    async with database.transaction() as session:
        circle = await kit.make_circle(session)
        await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan(min_gap=MINUTE), kit.now)
        first, *others = await circle.occurrences(session)
        now = await database_now(session)
        first.due_at = first.remind_at = now - MINUTE
        first.missed_at = now + 6 * HOUR
        for number, other in enumerate(others, 1):
            other.due_at = other.remind_at = now + number * timedelta(days=1)
            other.missed_at = other.due_at + 6 * HOUR
        return circle, first.id


async def test_a_dispatcher_that_waits_for_a_mover_sends_nothing_at_the_old_time(
    database: Database, due: tuple[Any, UUID]
) -> None:
    circle, dose_id = due
    async with database.transaction() as session:
        now = await database_now(session)
        await reschedule(session, circle.ben, dose_id, now + HOUR, now)
        dispatching = asyncio.create_task(dispatch(database, CHANNELS, dose_id))
        await until_somebody_waits_for_a_lock(database)
        assert not dispatching.done()

    decided = await dispatching
    assert isinstance(decided, TooEarly)
    assert decided.until == now + HOUR
    async with database.transaction() as session:
        assert (await session.scalars(select(Delivery))).all() == []


async def test_a_mover_that_waits_for_a_dispatcher_calls_its_messages_off(
    database: Database, due: tuple[Any, UUID]
) -> None:
    circle, dose_id = due

    async def move() -> None:
        async with database.transaction() as session:
            now = await database_now(session)
            await reschedule(session, circle.ben, dose_id, now + HOUR, now)

    async with database.transaction() as session:
        assert await dose_facts(session, dose_id) is not None  # the dispatcher's lock
        moving = asyncio.create_task(move())
        await until_somebody_waits_for_a_lock(database)
    await moving
    assert isinstance(await dispatch(database, CHANNELS, dose_id), TooEarly)


async def test_a_message_on_its_way_to_the_provider_is_stopped_at_the_last_check(
    database: Database, due: tuple[Any, UUID]
) -> None:
    circle, dose_id = due
    decided = await dispatch(database, CHANNELS, dose_id)
    assert isinstance(decided, Dispatched)
    delivery_id = decided.deliveries[0].row_id
    async with database.transaction() as session:
        claimed = await claim(session, delivery_id, channel="email", worker="w", lease=MINUTE)
        assert claimed is not None

    async with database.transaction() as session:
        now = await database_now(session)
        await reschedule(session, circle.ben, dose_id, now + HOUR, now)

        async def send() -> bool:
            async with database.transaction() as worker:
                return await hand_off(worker, claimed, first_handoff_at=now, lease=MINUTE)

        sending = asyncio.create_task(send())
        await until_somebody_waits_for_a_lock(database)

    assert await sending is False
    async with database.transaction() as session:
        dose = await session.get_one(OccurrenceRow, dose_id)
        assert (dose.state, dose.reminder_step, dose.enqueued_at) == ("planned", 1, None)
        # At the new time everybody is told once, by messages of the new step.
        dose.due_at = dose.remind_at = now - MINUTE
    again = await dispatch(database, CHANNELS, dose_id)
    assert isinstance(again, Dispatched)
    assert len(again.deliveries) == len(decided.deliveries)


async def test_two_people_move_at_once_and_the_second_is_told(database: Database, due: tuple[Any, UUID]) -> None:
    circle, dose_id = due
    start = asyncio.Barrier(4)
    async with database.transaction() as session:
        seen = (await session.get_one(OccurrenceRow, dose_id)).due_at
        now = await database_now(session)

    async def move(actor: Any, minutes: int) -> int | str:
        async with database.transaction() as session:
            await start.wait()
            try:
                await reschedule(session, actor, dose_id, now + minutes * MINUTE, now, seen_due_at=seen)
            except MovedMeanwhile as second:
                return second.code
        return minutes

    answers = await asyncio.gather(
        move(circle.anna, 30), move(circle.ben, 40), move(circle.anna, 50), move(circle.ben, 60)
    )

    [won] = [answer for answer in answers if isinstance(answer, int)]
    assert answers.count("moved_meanwhile") == 3
    async with database.transaction() as session:
        assert (await session.get_one(OccurrenceRow, dose_id)).due_at == now + won * MINUTE


async def until_somebody_waits_for_a_lock(database: Database) -> None:
    """PostgreSQL says when. Asked again and again, as it has no event for that."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    async with asyncio.timeout(5), database.engine.connect() as connection:
        while await connection.scalar(waiting) == 0:
            await connection.rollback()
