"""When a reminder's time has come: who is told, once, on which channels, and when nobody is."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from carecircle.channels import ChannelSpec
from carecircle.db.base import new_id
from carecircle.db.deliveries import Delivery, NewDelivery, add_deliveries
from carecircle.db.medications import Medication
from carecircle.db.occurrences import OccurrenceRow
from carecircle.db.schedules import ScheduleRow
from carecircle.domain.delivery import Kind
from carecircle.usecases.dispatching import Dispatched, TooEarly, dispatch, replace_alerts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

pytestmark = pytest.mark.postgres

MINUTE = timedelta(minutes=1)


async def deliveries(world: Any) -> list[Delivery]:
    async with world.database.transaction() as session:
        return list(await session.scalars(select(Delivery).order_by(Delivery.created_at, Delivery.id)))


async def two_targets(session: AsyncSession, account_id: UUID) -> list[UUID]:
    return [account_id, account_id.__class__(int=account_id.int ^ 1)]


async def no_target(session: AsyncSession, account_id: UUID) -> list[UUID]:
    return []


async def test_everybody_who_wants_it_is_told_on_every_channel_that_reaches_them(
    world: Any, channels: dict[str, ChannelSpec]
) -> None:
    await world.change(Medication, world.medication.id, severity="critical")
    await world.person("second")
    await world.person("viewer", reminders=False)
    channels["two"] = ChannelSpec("two", two_targets)
    channels["none"] = ChannelSpec("none", no_target)
    occurrence_id = await world.occurrence()

    decided = await dispatch(world.database, channels, occurrence_id)

    rows = await deliveries(world)
    assert isinstance(decided, Dispatched)
    assert ({one.row_id for one in decided.deliveries}, decided.late) == ({row.id for row in rows}, False)
    assert len(rows) == 6
    assert {(row.recipient_id, row.channel) for row in rows} == {
        (person.id, channel) for person in world.people[:2] for channel in ("fake", "two")
    }
    assert {(row.kind, row.step, row.state, row.severity, row.attempt) for row in rows} == {
        ("due", 0, "pending", "critical", 0)
    }
    occurrence = await world.get(OccurrenceRow, occurrence_id)
    assert {row.expires_at for row in rows} == {occurrence.missed_at}
    assert (occurrence.state, occurrence.reminded_step) == ("due", 0)


async def test_deciding_twice_or_at_once_is_deciding_once(world: Any, channels: Mapping[str, ChannelSpec]) -> None:
    occurrence_id = await world.occurrence()

    decided = await asyncio.gather(*(dispatch(world.database, channels, occurrence_id) for _ in range(5)))

    assert sorted(str(one) for one in decided if not isinstance(one, Dispatched)) == ["already_sent"] * 4
    assert len(await deliveries(world)) == 1


async def test_never_early_by_the_databases_clock(world: Any, channels: Mapping[str, ChannelSpec]) -> None:
    occurrence_id = await world.occurrence(due=MINUTE)

    decided = await dispatch(world.database, channels, occurrence_id)

    assert isinstance(decided, TooEarly)
    assert decided.until == world.now + MINUTE
    assert await deliveries(world) == []
    assert (await world.get(OccurrenceRow, occurrence_id)).reminded_step is None


async def test_after_an_outage_the_reminder_says_late(world: Any, channels: Mapping[str, ChannelSpec]) -> None:
    occurrence_id = await world.occurrence(due=-30 * MINUTE)

    decided = await dispatch(world.database, channels, occurrence_id)

    assert isinstance(decided, Dispatched)
    assert decided.late


async def test_after_an_outage_only_the_newest_dose_of_a_medication_is_asked_for(
    world: Any, channels: Mapping[str, ChannelSpec]
) -> None:
    old, new = await world.occurrence(due=-90 * MINUTE), await world.occurrence(due=-30 * MINUTE)

    assert await dispatch(world.database, channels, old) == "superseded"
    assert isinstance(await dispatch(world.database, channels, new), Dispatched)
    assert [row.occurrence_id for row in await deliveries(world)] == [new]
    assert (await world.get(OccurrenceRow, old)).state == "planned", "the sweep decides what becomes of it"


async def test_a_snooze_is_a_step_of_its_own(world: Any, channels: Mapping[str, ChannelSpec]) -> None:
    occurrence_id = await world.occurrence(due=-MINUTE)
    await dispatch(world.database, channels, occurrence_id)
    await world.change(OccurrenceRow, occurrence_id, reminder_step=1)

    assert isinstance(await dispatch(world.database, channels, occurrence_id), Dispatched)
    assert [row.step for row in await deliveries(world)] == [0, 1]


SKIPPED = {
    "taken": (OccurrenceRow, {"state": "taken"}, "answered"),
    "skipped": (OccurrenceRow, {"state": "skipped"}, "answered"),
    "on hold": (OccurrenceRow, {"state": "on_hold"}, "inactive"),
    "cancelled": (OccurrenceRow, {"state": "cancelled"}, "superseded"),
    "missed": (OccurrenceRow, {"state": "missed"}, "expired"),
    "medication stopped": (Medication, {"status": "stopped"}, "inactive"),
    "schedule edited": (ScheduleRow, {"revision": 2}, "superseded"),
}


@pytest.mark.parametrize(("table", "values", "reason"), SKIPPED.values(), ids=SKIPPED)
async def test_what_does_not_matter_any_more_tells_nobody(
    world: Any, channels: Mapping[str, ChannelSpec], table: type[Any], values: dict[str, Any], reason: str
) -> None:
    occurrence_id = await world.occurrence()
    row_id = {OccurrenceRow: occurrence_id, Medication: world.medication.id, ScheduleRow: world.schedule.id}[table]
    await world.change(table, row_id, **values)

    assert await dispatch(world.database, channels, occurrence_id) == reason
    assert await deliveries(world) == []


async def test_past_its_window_or_unknown_tells_nobody(world: Any, channels: Mapping[str, ChannelSpec]) -> None:
    occurrence_id = await world.occurrence(due=-60 * MINUTE, window=30 * MINUTE)

    assert await dispatch(world.database, channels, occurrence_id) == "expired"
    assert await dispatch(world.database, channels, world.patient.id) == "not_found"


async def test_a_circle_that_nobody_can_be_told_in_is_decided_all_the_same(world: Any) -> None:
    occurrence_id = await world.occurrence()

    decided = await dispatch(world.database, {"none": ChannelSpec("none", no_target)}, occurrence_id)

    assert decided == Dispatched([], late=False)
    assert (await world.get(OccurrenceRow, occurrence_id)).reminded_step == 0


async def test_who_was_alerted_is_told_of_the_answer_once(world: Any, channels: Mapping[str, ChannelSpec]) -> None:
    other = await world.person("other")
    occurrence_id = await world.occurrence(state="due", reminded_step=0)
    await world.delivery(occurrence_id, state="sent")
    await world.delivery(occurrence_id, to=other, state="cancelled", outcome="answered")
    assert len(await replace_alerts(world.database, channels)) == 0, "nobody has answered"
    await world.answer(occurrence_id)

    assert len(await replace_alerts(world.database, channels)) == 1
    assert len(await replace_alerts(world.database, channels)) == 0

    [told] = [row for row in await deliveries(world) if row.kind == "answered"]
    assert (told.recipient_id, told.channel, told.state) == (world.people[0].id, "fake", "pending")


async def test_two_alerts_at_one_place_are_replaced_by_one_message(
    world: Any, channels: Mapping[str, ChannelSpec]
) -> None:
    occurrence_id = await world.occurrence(state="due", reminded_step=1, reminder_step=1)
    await world.delivery(occurrence_id, state="sent")
    await world.delivery(occurrence_id, state="ambiguous", step=1)
    await world.answer(occurrence_id, "skipped")

    assert len(await replace_alerts(world.database, channels)) == 1


async def test_channels_that_cannot_replace_and_windows_that_are_over_stay_silent(
    world: Any, channels: dict[str, ChannelSpec]
) -> None:
    channels["mail"] = ChannelSpec("mail", two_targets)
    occurrence_id = await world.occurrence(state="due", reminded_step=0)
    await world.delivery(occurrence_id, state="sent", channel="mail")
    await world.delivery(occurrence_id, state="sent", expires_at=world.now - MINUTE)
    await world.answer(occurrence_id)

    assert len(await replace_alerts(world.database, channels)) == 0


async def test_the_answered_message_is_sent_with_its_answer(
    world: Any, channels: Any, sender: Any, channel: Any
) -> None:
    occurrence_id = await world.occurrence(state="due", reminded_step=0)
    await world.delivery(occurrence_id, state="sent")
    await world.answer(occurrence_id)
    await replace_alerts(world.database, channels)
    [told] = [row for row in await deliveries(world) if row.kind == "answered"]

    await sender.deliver(told.id)

    assert [(facts.kind, facts.answer) for facts in channel.sent] == [("answered", "taken")]


async def test_an_answer_that_was_taken_back_is_not_told(world: Any, channels: Any, sender: Any, channel: Any) -> None:
    occurrence_id = await world.occurrence(state="due", reminded_step=0)
    await world.delivery(occurrence_id, state="sent")
    await world.answer(occurrence_id)
    await replace_alerts(world.database, channels)
    await world.change(OccurrenceRow, occurrence_id, state="due")
    [told] = [row for row in await deliveries(world) if row.kind == "answered"]

    await sender.deliver(told.id)

    assert channel.sent == []
    assert (await world.get(Delivery, told.id)).state == "cancelled"


async def test_of_many_messages_only_the_new_ones_are_stored(world: Any) -> None:
    occurrence_id = await world.occurrence()
    place = {"patient_id": world.patient.id, "recipient_id": world.people[0].id, "channel": "fake"}
    wanted = [
        NewDelivery(
            occurrence_id=occurrence_id,
            target_id=new_id(),
            kind=Kind.DUE,
            step=0,
            severity="normal",
            expires_at=world.now,
            **place,
        )
        for _ in range(1200)
    ]
    known, new = wanted[::3], [one for place, one in enumerate(wanted) if place % 3]
    async with world.database.transaction() as session:
        assert len(await add_deliveries(session, known, world.now)) == 400

    async with world.database.transaction() as session:
        added = await add_deliveries(session, wanted, world.now)

    assert {row.target_id for row in added} == {one.target_id for one in new}
    assert len(await deliveries(world)) == 1200
