"""Somebody handles a dose: who is reminded meanwhile, and that the dose is asked for again when it ends."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from carecircle.channels import ChannelSpec
from carecircle.db.audit import AuditEntry
from carecircle.db.deliveries import Delivery
from carecircle.db.occurrences import OccurrenceRow
from carecircle.db.patients import Membership
from carecircle.db.session import database_now
from carecircle.domain.acknowledgement import AlreadyAcknowledged
from carecircle.domain.answer import Answer
from carecircle.domain.occurrence import AdministrationStatus, AlreadyRecorded, SkipReason, WindowOver
from carecircle.usecases.access import Actor
from carecircle.usecases.acknowledging import acknowledge, give_back, lapse_acknowledgements
from carecircle.usecases.dispatching import Dispatched, dispatch
from carecircle.usecases.doses import answer_dose, undo_administration
from carecircle.usecases.enqueueing import enqueue_due_soon
from carecircle.usecases.sweeping import sweep

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID

    from carecircle.delivery.sender import Sender
    from carecircle.jobs import Queues

pytestmark = pytest.mark.postgres

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def ben(world: Any) -> Any:
    """The second person; the first is `world.people[0]`."""
    return await world.person("Ben")


async def handle(world: Any, dose_id: UUID, person: Any, wish: Any = None, *, take_over: bool = False) -> datetime:
    async with world.database.transaction() as session:
        now = await database_now(session)
        actor = Actor(person.id)
        view = await acknowledge(session, actor, dose_id, wish, take_over=take_over, now=now)
        assert view.acknowledged is not None
        return view.acknowledged.until


async def told(world: Any, dose_id: UUID) -> set[tuple[str, int, str]]:
    """(who, step, state) of every reminder of the dose."""
    async with world.database.transaction() as session:
        found = await session.scalars(select(Delivery).where(Delivery.occurrence_id == dose_id))
        names = {person.id: person.display_name for person in world.people}
        return {(names[row.recipient_id], row.step, row.state) for row in found}


async def end_hold(world: Any, dose_id: UUID) -> None:
    await world.change(OccurrenceRow, dose_id, acknowledged_until=world.now - MINUTE)


async def test_the_reminders_of_the_others_are_called_off(world: Any, ben: Any, channels: Any) -> None:
    dose_id = await world.occurrence()
    await dispatch(world.database, channels, dose_id)

    await handle(world, dose_id, ben)

    assert await told(world, dose_id) == {("canary person", 0, "cancelled"), ("Ben", 0, "pending")}
    dose = await world.get(OccurrenceRow, dose_id)
    assert (dose.state, dose.acknowledged_by, dose.reminder_step) == ("due", ben.id, 0)


async def test_whoever_said_so_before_it_is_due_is_the_one_who_is_reminded(world: Any, ben: Any, channels: Any) -> None:
    dose_id = await world.occurrence(due=timedelta(minutes=5))
    until = await handle(world, dose_id, ben)
    assert until == world.now + timedelta(minutes=35)
    await world.change(OccurrenceRow, dose_id, due_at=world.now, remind_at=world.now)

    decided = await dispatch(world.database, channels, dose_id)

    assert isinstance(decided, Dispatched)
    assert await told(world, dose_id) == {("Ben", 0, "pending")}


async def test_without_an_answer_everybody_is_asked_again(world: Any, ben: Any, channels: Any, queues: Queues) -> None:
    dose_id = await world.occurrence()
    await dispatch(world.database, channels, dose_id)
    await handle(world, dose_id, ben)
    assert await lapse_acknowledgements(world.database) == 0

    await end_hold(world, dose_id)
    lapsed = await asyncio.gather(*(lapse_acknowledgements(world.database) for _ in range(3)))

    assert sum(lapsed) == 1
    dose = await world.get(OccurrenceRow, dose_id)
    assert (dose.acknowledged_by, dose.reminder_step, dose.reminded_step, dose.enqueued_at) == (None, 1, 0, None)
    assert await enqueue_due_soon(world.database, queues) == 1
    assert isinstance(await dispatch(world.database, channels, dose_id), Dispatched)
    again = {("canary person", 1, "pending"), ("Ben", 1, "pending")}
    assert again <= await told(world, dose_id)
    async with world.database.transaction() as session:
        actions = await session.scalars(select(AuditEntry.action).order_by(AuditEntry.id))
        assert list(actions) == ["occurrence.acknowledged", "occurrence.acknowledgement_lapsed"]


async def test_what_ends_before_the_dose_is_due_leaves_its_reminder_where_it_is(world: Any, ben: Any) -> None:
    dose_id = await world.occurrence(due=timedelta(hours=1))
    await handle(world, dose_id, ben)
    await end_hold(world, dose_id)

    assert await lapse_acknowledgements(world.database) == 1

    dose = await world.get(OccurrenceRow, dose_id)
    assert (dose.reminder_step, dose.remind_at, dose.state) == (0, dose.due_at, "planned")


async def test_a_dose_is_not_lost_with_a_holder_who_leaves_the_circle(world: Any, ben: Any, channels: Any) -> None:
    dose_id = await world.occurrence()
    await handle(world, dose_id, ben)
    await dispatch(world.database, channels, dose_id)
    async with world.database.transaction() as session:
        membership = await session.scalar(select(Membership).where(Membership.account_id == ben.id))
        await session.delete(membership)

    assert await lapse_acknowledgements(world.database) == 1

    assert isinstance(await dispatch(world.database, channels, dose_id), Dispatched)
    assert ("canary person", 1, "pending") in await told(world, dose_id)


async def test_a_holder_who_may_only_look_holds_nothing(world: Any, ben: Any) -> None:
    dose_id = await world.occurrence()
    await handle(world, dose_id, ben)
    async with world.database.transaction() as session:
        membership = await session.scalar(select(Membership).where(Membership.account_id == ben.id))
        assert membership is not None
        membership.role = "viewer"

    assert await lapse_acknowledgements(world.database) == 1


async def test_giving_back_asks_everybody_at_once(world: Any, ben: Any, channels: Any) -> None:
    dose_id = await world.occurrence()
    await dispatch(world.database, channels, dose_id)
    await handle(world, dose_id, ben)

    async with world.database.transaction() as session:
        now = await database_now(session)
        await give_back(session, Actor(ben.id), dose_id, now)
        view = await give_back(session, Actor(ben.id), dose_id, now)

    assert (view.acknowledged, view.remind_at) == (None, now)
    assert isinstance(await dispatch(world.database, channels, dose_id), Dispatched)
    assert {("canary person", 1, "pending"), ("Ben", 1, "pending")} <= await told(world, dose_id)


async def test_the_second_person_hears_who_handles_it_and_may_take_over(world: Any, ben: Any) -> None:
    anna = world.people[0]
    dose_id = await world.occurrence()
    until = await handle(world, dose_id, ben)

    with pytest.raises(AlreadyAcknowledged) as refused:
        await handle(world, dose_id, anna)
    assert (refused.value.by, refused.value.until) == ("Ben", until)
    async with world.database.transaction() as session:
        with pytest.raises(AlreadyAcknowledged):
            await give_back(session, Actor(anna.id), dose_id, await database_now(session))

    await handle(world, dose_id, anna, take_over=True)
    assert (await world.get(OccurrenceRow, dose_id)).acknowledged_by == anna.id


async def test_whoever_handles_it_may_say_so_again_for_longer(world: Any, ben: Any) -> None:
    dose_id = await world.occurrence()
    first = await handle(world, dose_id, ben)

    assert await handle(world, dose_id, ben, 90) > first


async def test_of_two_who_say_it_at_once_one_handles_it(world: Any, ben: Any) -> None:
    dose_id = await world.occurrence()

    said = await asyncio.gather(
        *(handle(world, dose_id, person) for person in (*world.people, *world.people)), return_exceptions=True
    )

    refused = [one for one in said if isinstance(one, AlreadyAcknowledged)]
    dose = await world.get(OccurrenceRow, dose_id)
    winner = next(person.display_name for person in world.people if person.id == dose.acknowledged_by)
    assert [one.by for one in refused] == [winner] * 2
    assert len(said) - len(refused) == 2


async def test_a_sender_sends_nothing_to_the_others(
    world: Any, ben: Any, new_sender: Callable[..., Sender], channel: Any
) -> None:
    dose_id = await world.occurrence(state="due", reminded_step=0)
    to_anna, to_ben = await world.delivery(dose_id), await world.delivery(dose_id, to=ben)
    # As if the reminders had been made, or claimed, at the moment at which Ben said so.
    hold = world.now + timedelta(hours=1)
    await world.change(OccurrenceRow, dose_id, acknowledged_by=ben.id, acknowledged_until=hold)

    await new_sender().deliver(to_anna)
    await new_sender().deliver(to_ben)

    assert [message.recipient_name for message in channel.sent] == ["Ben"]
    cancelled = await world.get(Delivery, to_anna)
    assert (cancelled.state, cancelled.outcome) == ("cancelled", "acknowledged")


async def test_a_sender_that_composes_while_somebody_says_so_hands_nothing_over(
    world: Any, ben: Any, new_sender: Callable[..., Sender], channel: Any
) -> None:
    dose_id = await world.occurrence(state="due", reminded_step=0)
    to_anna = await world.delivery(dose_id)
    compose = channel.compose

    async def say_so(session: Any, facts: Any) -> Any:
        await handle(world, dose_id, ben)
        return await compose(session, facts)

    channel.compose = say_so
    await new_sender().deliver(to_anna)

    assert channel.sent == []
    assert (await world.get(Delivery, to_anna)).state == "cancelled"


async def test_an_answer_ends_it_and_an_undone_one_asks_everybody(world: Any, ben: Any, channels: Any) -> None:
    dose_id = await world.occurrence()
    await handle(world, dose_id, ben)
    await dispatch(world.database, channels, dose_id)
    async with world.database.transaction() as session:
        now = await database_now(session)
        actor = Actor(world.people[0].id)
        given = await answer_dose(session, actor, dose_id, Answer(AdministrationStatus.TAKEN, now), now)
    dose = await world.get(OccurrenceRow, dose_id)
    assert (dose.state, dose.acknowledged_by, dose.acknowledged_until) == ("taken", None, None)
    with pytest.raises(AlreadyRecorded):
        await handle(world, dose_id, ben)

    async with world.database.transaction() as session:
        await undo_administration(session, actor, dose_id, given.id, now)
    await dispatch(world.database, channels, dose_id)

    assert {("canary person", 1, "pending"), ("Ben", 1, "pending")} <= await told(world, dose_id)


async def test_handling_is_no_answer_when_the_window_ends(world: Any, ben: Any, channels: Any) -> None:
    """Every dispatcher was down while the hold ended and the window after it."""
    dose_id = await world.occurrence()
    await handle(world, dose_id, ben)
    await dispatch(world.database, channels, dose_id)
    async with world.database.transaction() as session:
        [delivery] = await session.scalars(select(Delivery).where(Delivery.occurrence_id == dose_id))
        delivery.state = "sent"
    await end_hold(world, dose_id)
    await world.change(OccurrenceRow, dose_id, missed_at=world.now - timedelta(seconds=1))

    assert await lapse_acknowledgements(world.database) == 0
    await sweep(world.database, channels)

    assert (await world.get(OccurrenceRow, dose_id)).state == "missed"
    with pytest.raises(WindowOver):
        await handle(world, dose_id, ben)


async def test_a_dose_that_nobody_else_heard_of_is_unknown_not_handled(world: Any, ben: Any) -> None:
    """Who handles it wants no reminders, so none went out at all."""
    quiet = await world.person("Quiet", reminders=False)
    channels = {"fake": ChannelSpec("fake", lambda *_: nowhere())}
    dose_id = await world.occurrence()
    await handle(world, dose_id, quiet)
    await dispatch(world.database, channels, dose_id)
    assert await told(world, dose_id) == set()
    await world.change(OccurrenceRow, dose_id, missed_at=world.now - timedelta(seconds=1))

    await sweep(world.database, channels)

    assert (await world.get(OccurrenceRow, dose_id)).state == "unknown"


async def nowhere() -> list[UUID]:
    return []


async def test_deciding_again_while_it_holds_is_deciding_once(world: Any, ben: Any, channels: Any) -> None:
    dose_id = await world.occurrence()
    await handle(world, dose_id, ben)
    await dispatch(world.database, channels, dose_id)

    assert await dispatch(world.database, channels, dose_id) is SkipReason.ALREADY_SENT
