"""Supplies that run low or expire: the circle hears of it once, at a sensible hour, and again only after a refill."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from tests.zones import zone_where_it_is

from carecircle.db.base import new_id
from carecircle.db.deliveries import Delivery
from carecircle.db.medications import Medication
from carecircle.db.patients import Membership, Patient
from carecircle.db.schedules import ScheduleRow
from carecircle.db.supply import NewEntry, SupplyRow, add_supply_entry, lock_supply
from carecircle.db.supply_alerts import SupplyAlert
from carecircle.delivery.verdict import Done, Nothing
from carecircle.domain.delivery import SUPPLY_WINDOW, Ambiguous
from carecircle.domain.supply import EntryKind, SupplySettings
from carecircle.usecases.access import Actor
from carecircle.usecases.enqueueing import enqueue_due_soon
from carecircle.usecases.supplies import NewRefill, SupplyChanges, change_supply, count_stock, refill
from carecircle.usecases.supply_watch import watch_supplies

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.channels import ChannelSpec
    from carecircle.delivery.sender import Sender

pytestmark = pytest.mark.postgres

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
D = Decimal


@pytest.fixture(autouse=True)
async def noon(world: Any) -> None:
    """The patient's clock shows a sensible hour whenever the tests run. One tablet a day, at 08:00."""
    await world.change(Patient, world.patient.id, zone=zone_where_it_is(12, world.now))


async def supply(world: Any, stock: str, settings: SupplySettings | None = None, *, of: UUID | None = None) -> UUID:
    """A supply that was counted at the start."""
    row = SupplyRow(
        medication_id=of or world.medication.id,
        patient_id=world.patient.id,
        stock=D(0),
        counted_at=world.now - DAY,
        last_entry_at=world.now - DAY,
        check_at=world.now - DAY,
    )
    row.adopt(settings or SupplySettings("tablet"))
    async with world.database.transaction() as session:
        session.add(row)
        await session.flush()
        entry = NewEntry(EntryKind.COUNT, D(stock), world.now, world.people[0].id)
        await add_supply_entry(session, row, entry, world.now - DAY)
    return row.medication_id


async def another(world: Any, name: str = "canary other") -> UUID:
    medication = await world.add(Medication(id=new_id(), patient_id=world.patient.id, name=name))
    values = {
        "kind": "calendar",
        "rule": {"times": ["08:00"], "days_of_week": None},
        "start_date": world.now.date() - DAY,
        "dose_quantity": D(1),
        "dose_unit": "tablet",
        "valid_from": world.now - DAY,
        "planned_until": world.now,
    }
    await world.add(ScheduleRow(id=new_id(), medication_id=medication, patient_id=world.patient.id, **values))
    return medication


async def look_again(world: Any) -> None:
    """As if the next morning had come."""
    async with world.database.transaction() as session:
        await session.execute(update(SupplyRow).values(check_at=world.now - DAY))


async def refills(world: Any) -> list[Delivery]:
    async with world.database.transaction() as session:
        rows = select(Delivery).where(Delivery.kind == "refill").order_by(Delivery.created_at, Delivery.id)
        return list(await session.scalars(rows))


async def alerts(world: Any) -> list[tuple[str, bool]]:
    """(kind, still standing)."""
    async with world.database.transaction() as session:
        found = await session.scalars(select(SupplyAlert).order_by(SupplyAlert.raised_at, SupplyAlert.kind))
        return [(alert.kind, alert.cleared_at is None) for alert in found]


def actor(world: Any) -> Actor:
    return Actor(world.people[0].id)


# Looking


async def test_who_runs_low_is_told_once_on_each_channel(world: Any, channels: dict[str, ChannelSpec]) -> None:
    second = await world.person("second")
    silent = await world.person("silent")
    async with world.database.transaction() as session:
        await session.execute(
            update(Membership).where(Membership.account_id == silent.id).values(supply_messages=False)
        )
        # Dose reminders and supply messages are two wishes.
        await session.execute(update(Membership).where(Membership.account_id == second.id).values(reminders=False))
    await supply(world, "3")

    assert await watch_supplies(world.database, channels) == 1

    rows = await refills(world)
    assert {row.recipient_id for row in rows} == {world.people[0].id, second.id}
    assert {(row.occurrence_id, row.severity, row.state, row.generation) for row in rows} == {
        (None, "info", "pending", 0)
    }
    assert {row.expires_at - row.created_at for row in rows} == {SUPPLY_WINDOW}
    for _ in range(2):
        await look_again(world)
        assert await watch_supplies(world.database, channels) == 0
    assert len(await refills(world)) == 2


async def test_who_has_enough_is_not_told_and_is_looked_at_the_next_morning(
    world: Any, channels: dict[str, ChannelSpec]
) -> None:
    medication = await supply(world, "30")
    assert await watch_supplies(world.database, channels) == 0
    assert await refills(world) == []
    async with world.database.transaction() as session:
        check_at = (await session.get_one(SupplyRow, medication)).check_at
    assert timedelta(hours=18) < check_at - world.now < timedelta(hours=23)  # from about noon to 09:00


@pytest.mark.parametrize("hour", [2, 22])
async def test_nobody_is_told_at_night(world: Any, channels: dict[str, ChannelSpec], hour: int) -> None:
    await world.change(Patient, world.patient.id, zone=zone_where_it_is(hour, world.now))
    medication = await supply(world, "3")
    assert await watch_supplies(world.database, channels) == 0
    async with world.database.transaction() as session:
        check_at = (await session.get_one(SupplyRow, medication)).check_at
    expected = (9 - hour) % 24
    assert timedelta(hours=expected - 1) < check_at - world.now <= timedelta(hours=expected)


async def test_all_of_a_patient_is_one_message(world: Any, channels: dict[str, ChannelSpec]) -> None:
    for medication in (world.medication.id, await another(world), await another(world, "third")):
        await supply(world, "3", of=medication)
    assert await watch_supplies(world.database, channels) == 3
    assert len(await refills(world)) == 1


@pytest.mark.parametrize(
    ("table", "values"),
    [(Medication, {"status": "on_hold"}), (Medication, {"deleted_at": True}), (SupplyRow, {"ended_at": True})],
)
async def test_what_is_not_taken_or_not_counted_is_no_matter(
    world: Any, channels: dict[str, ChannelSpec], table: type[Any], values: dict[str, Any]
) -> None:
    medication = await supply(world, "0")
    await world.change(table, medication, **{name: world.now if one is True else one for name, one in values.items()})
    assert await watch_supplies(world.database, channels) == 0


async def test_with_nobody_to_tell_it_is_told_once_there_is(world: Any, channels: dict[str, ChannelSpec]) -> None:
    await supply(world, "3")
    assert await watch_supplies(world.database, {}) == 0
    assert await alerts(world) == []
    await look_again(world)
    assert await watch_supplies(world.database, channels) == 1


async def test_watchers_at_once_tell_once(world: Any, channels: dict[str, ChannelSpec]) -> None:
    for number in range(6):
        await supply(world, "3", of=await another(world, f"canary {number}"))
    raised = await asyncio.gather(*(watch_supplies(world.database, channels) for _ in range(4)))
    assert sum(raised) == 6
    assert await alerts(world) == [("low", True)] * 6
    async with world.database.transaction() as session:
        told = await session.scalars(select(Delivery.supply_notice_id).where(Delivery.kind == "refill"))
        notices = set(told.all())
        of_alerts = await session.scalars(select(SupplyAlert.notice_id))
        assert set(of_alerts.all()) == notices


async def test_a_supply_that_an_answer_holds_is_left_for_the_next_round(
    world: Any, channels: dict[str, ChannelSpec]
) -> None:
    medication = await supply(world, "3")
    async with world.database.transaction() as session:
        await lock_supply(session, medication)
        assert await watch_supplies(world.database, channels) == 0
    assert await watch_supplies(world.database, channels) == 1


async def test_one_that_cannot_be_read_does_not_stop_the_others(world: Any, channels: dict[str, ChannelSpec]) -> None:
    await supply(world, "3")
    broken = await another(world)
    await supply(world, "3", of=broken)
    async with world.database.transaction() as session:
        await session.execute(
            update(ScheduleRow).where(ScheduleRow.medication_id == broken).values(zone="Nowhere/Gone")
        )
    assert await watch_supplies(world.database, channels) == 1


# Again


async def test_a_refill_makes_it_worth_telling_again(world: Any, channels: dict[str, ChannelSpec]) -> None:
    medication = await supply(world, "3", SupplySettings("tablet", package_size=D(30)))
    await watch_supplies(world.database, channels)
    async with world.database.transaction() as session:
        await refill(session, actor(world), medication, NewRefill(), world.now)
    assert await alerts(world) == [("low", False)]
    await watch_supplies(world.database, channels)
    async with world.database.transaction() as session:
        await count_stock(session, actor(world), medication, D(2), None, world.now)
    assert await watch_supplies(world.database, channels) == 1
    assert await alerts(world) == [("low", False), ("low", True)]
    assert len(await refills(world)) == 2


async def test_a_refill_that_is_not_enough_is_not_told_again(world: Any, channels: dict[str, ChannelSpec]) -> None:
    medication = await supply(world, "3")
    await watch_supplies(world.database, channels)
    async with world.database.transaction() as session:
        await refill(session, actor(world), medication, NewRefill(quantity=D(1)), world.now)
    assert await watch_supplies(world.database, channels) == 0
    assert await alerts(world) == [("low", True)]


async def test_one_dose_more_or_less_at_the_threshold_is_no_recovery(
    world: Any, channels: dict[str, ChannelSpec]
) -> None:
    medication = await supply(world, "6")  # seven days left: the doses of the next six days are covered
    assert await watch_supplies(world.database, channels) == 1
    for stock, standing in (("7", True), ("9", True), ("10", False)):
        async with world.database.transaction() as session:
            row = await session.get_one(SupplyRow, medication)
            entry = NewEntry(EntryKind.UNDO, D(stock) - row.stock, world.now, world.people[0].id)
            await add_supply_entry(session, row, entry, world.now)
        await look_again(world)
        assert await watch_supplies(world.database, channels) == 0
        assert await alerts(world) == [("low", standing)]


async def test_a_higher_threshold_is_told_at_once_and_a_lower_one_ends_it(
    world: Any, channels: dict[str, ChannelSpec]
) -> None:
    medication = await supply(world, "20")
    assert await watch_supplies(world.database, channels) == 0
    for days, raised in ((25, 1), (10, 0), (25, 1)):
        async with world.database.transaction() as session:
            await change_supply(session, actor(world), medication, SupplyChanges(warn_days=days), world.now)
        assert await watch_supplies(world.database, channels) == raised
    assert await alerts(world) == [("low", False), ("low", True)]


async def test_a_package_that_expires_is_told_of_and_the_next_one_too(
    world: Any, channels: dict[str, ChannelSpec]
) -> None:
    medication = await supply(world, "0", SupplySettings("tablet", warn_days=None))

    async def package(days: int) -> None:
        expires = world.now.date() + timedelta(days=days)
        async with world.database.transaction() as session:
            await refill(session, actor(world), medication, NewRefill(D(10), expires_on=expires), world.now)

    await package(20)
    assert await watch_supplies(world.database, channels) == 1
    await package(25)
    assert await watch_supplies(world.database, channels) == 0
    async with world.database.transaction() as session:  # the first package is used up
        await count_stock(session, actor(world), medication, D(10), None, world.now)
    assert await watch_supplies(world.database, channels) == 1
    assert await alerts(world) == [("expiring", False), ("expiring", True)]


# Sending


async def told(world: Any, channels: dict[str, ChannelSpec], stock: str = "3") -> UUID:
    await supply(world, stock)
    await watch_supplies(world.database, channels)
    return (await refills(world))[0].id


async def test_it_says_what_is_low_without_names(
    world: Any, channels: dict[str, ChannelSpec], sender: Sender, channel: Any
) -> None:
    delivery = await told(world, channels)
    assert await sender.deliver(delivery) == Done(str(delivery))

    [facts] = channel.sent
    assert (facts.kind, facts.medication_name, facts.dose) == ("refill", None, None)
    [line] = facts.supply.lines
    assert (line.kind, line.medication_name, line.left, line.empty) == ("low", None, None, False)
    assert line.run_out_on - facts.nominal_local.date() == timedelta(days=4)


async def test_details_are_for_who_asked(
    world: Any, channels: dict[str, ChannelSpec], sender: Sender, channel: Any
) -> None:
    await world.change(type(world.people[0]), world.people[0].id, details_in_messages=True)
    await sender.deliver(await told(world, channels))
    [line] = channel.sent[0].supply.lines
    assert (line.medication_name, line.left) == ("canary drug 5 mg", "3 tablet")


async def test_an_ambiguous_one_is_repeated_the_same_whatever_was_taken_meanwhile(
    world: Any, channels: dict[str, ChannelSpec], sender: Sender, channel: Any
) -> None:
    channel.answers = [Ambiguous("timeout")]
    delivery = await told(world, channels)
    await sender.deliver(delivery)
    async with world.database.transaction() as session:
        row = await lock_supply(session, world.medication.id)
        assert row is not None
        await add_supply_entry(
            session, row, NewEntry(EntryKind.INTAKE, D(-1), world.now, world.people[0].id), world.now
        )
    await world.change(Delivery, delivery, next_attempt_at=world.now)
    assert await sender.deliver(delivery) == Done(str(delivery))

    first, copy = channel.sent
    assert (first.supply, first.first_handoff_at) == (copy.supply, copy.first_handoff_at)


async def refilled(session: AsyncSession, world: Any) -> None:
    await refill(session, actor(world), world.medication.id, NewRefill(quantity=D(90)), world.now)


async def switched_off(session: AsyncSession, world: Any) -> None:
    await session.execute(update(Membership).values(supply_messages=False))


async def left(session: AsyncSession, world: Any) -> None:
    await session.delete((await session.scalars(select(Membership))).one())


async def stopped(session: AsyncSession, world: Any) -> None:
    await session.execute(update(Medication).values(status="stopped"))


async def expired(session: AsyncSession, world: Any) -> None:
    await session.execute(update(Delivery).values(expires_at=world.now - HOUR))


@pytest.mark.parametrize("moment", ["before", "while the message is written"])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (refilled, "superseded"),
        (switched_off, "inactive"),
        (left, "inactive"),
        (stopped, "superseded"),
        (expired, "expired"),
    ],
)
async def test_it_is_not_sent_once_there_is_nothing_to_tell(
    world: Any,
    channels: dict[str, ChannelSpec],
    sender: Sender,
    channel: Any,
    change: Callable[..., Any],
    reason: str,
    moment: str,
) -> None:
    delivery = await told(world, channels)
    compose = channel.compose

    async def make_the_change() -> None:
        async with world.database.transaction() as session:
            await change(session, world)

    async def compose_slowly(session: Any, facts: Any) -> Any:
        await make_the_change()
        return await compose(session, facts)

    if moment == "before":
        await make_the_change()
    else:
        channel.compose = compose_slowly

    assert await sender.deliver(delivery) == Nothing(reason)
    assert channel.sent == []


async def test_senders_at_once_send_once(
    world: Any, channels: dict[str, ChannelSpec], new_sender: Callable[..., Sender], channel: Any
) -> None:
    delivery = await told(world, channels)
    await asyncio.gather(*(new_sender(name).deliver(delivery) for name in "abcd"))
    assert len(channel.sent) == 1


@pytest.mark.redis
async def test_the_reconciler_gives_it_its_job(world: Any, channels: dict[str, ChannelSpec], queues: Any) -> None:
    delivery = await told(world, channels)
    assert await enqueue_due_soon(world.database, queues) == 1
    queue = await queues.get("fake")
    assert await queue.exists([f"{delivery}-g1"])


async def test_a_delivery_is_about_a_dose_or_a_supply_and_never_both_or_none(world: Any) -> None:
    with pytest.raises(IntegrityError, match="about_one_thing"):
        await world.delivery(None)
