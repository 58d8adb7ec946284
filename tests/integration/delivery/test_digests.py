"""Doses that ended without any reminder: the circle hears of them once, however many they are and whoever sweeps."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from carecircle.channels import ChannelSpec
from carecircle.db.base import new_id
from carecircle.db.deliveries import Delivery
from carecircle.db.digests import unreminded_doses
from carecircle.db.medications import Medication
from carecircle.db.occurrences import OccurrenceRow
from carecircle.db.patients import Membership, Patient
from carecircle.delivery.verdict import Done, Nothing
from carecircle.domain.delivery import DIGEST_REACH, DIGEST_SETTLING, DIGEST_WINDOW, Ambiguous
from carecircle.usecases.sweeping import sweep

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.delivery.sender import Sender

pytestmark = pytest.mark.postgres

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WINDOW = {"window": HOUR}


async def digests(world: Any) -> list[Delivery]:
    async with world.database.transaction() as session:
        rows = select(Delivery).where(Delivery.kind == "not_reminded")
        return list(await session.scalars(rows.order_by(Delivery.created_at, Delivery.id)))


async def two_targets(session: AsyncSession, account_id: UUID) -> list[UUID]:
    return [account_id, account_id.__class__(int=account_id.int ^ 1)]


def told(channel: Any) -> list[Any]:
    """When each dose was due that the last message tells of."""
    return [dose.nominal_local for dose in channel.sent[-1].unreminded]


async def nominal(world: Any, *occurrence_ids: UUID) -> list[Any]:
    return [(await world.get(OccurrenceRow, one)).nominal_local for one in occurrence_ids]


# Sweeping


async def test_each_person_is_told_once_on_each_channel_however_many_doses_it_were(
    world: Any, channels: dict[str, ChannelSpec]
) -> None:
    await world.person("second")
    await world.person("viewer", reminders=False)
    channels["two"] = ChannelSpec("two", two_targets)
    for day in (3, 2):
        await world.occurrence(due=-day * DAY, **WINDOW)
    newest = await world.occurrence(due=-DAY, **WINDOW)
    await world.occurrence(due=-2.5 * DAY, **WINDOW)

    assert (await sweep(world.database, channels)).unknown == 4

    rows = await digests(world)
    assert len(rows) == 6
    assert {(row.recipient_id, row.channel) for row in rows} == {
        (person.id, channel) for person in world.people[:2] for channel in ("fake", "two")
    }
    assert {(row.occurrence_id, row.severity, row.state, row.step) for row in rows} == {(newest, "info", "pending", 0)}
    ended = (await world.get(OccurrenceRow, newest)).updated_at
    assert {(row.expires_at, row.next_attempt_at) for row in rows} == {(ended + DIGEST_WINDOW, ended + DIGEST_SETTLING)}
    assert {(row.generation, row.enqueued_at) for row in rows} == {(0, None)}, "the reconciler gives them their jobs"


async def test_of_a_dose_that_somebody_was_reminded_of_nobody_is_told(
    world: Any, channels: dict[str, ChannelSpec]
) -> None:
    reminded = await world.occurrence(due=-2 * HOUR, state="due", reminded_step=0, **WINDOW)
    await world.delivery(reminded, state="sent")

    assert (await sweep(world.database, channels)).missed == 1
    assert await digests(world) == []


async def test_each_patient_has_a_digest_of_its_own(world: Any, channels: dict[str, ChannelSpec]) -> None:
    other = await world.add(Patient(id=new_id(), display_name="canary other", zone="UTC"))
    await world.add(Membership(patient_id=other, account_id=world.people[0].id, role="owner", reminders=True))
    mine = await world.occurrence(due=-3 * HOUR, **WINDOW)
    theirs = await world.occurrence(due=-2 * HOUR, patient_id=other, **WINDOW)

    await sweep(world.database, channels)

    rows = await digests(world)
    assert {(row.patient_id, row.occurrence_id) for row in rows} == {(world.patient.id, mine), (other, theirs)}
    assert len(rows) == 2


async def test_a_dose_that_somebody_holds_during_a_sweep_joins_the_digest_of_the_others(
    world: Any, channels: dict[str, ChannelSpec]
) -> None:
    older = await world.occurrence(due=-3 * HOUR, **WINDOW)
    held = await world.occurrence(due=-2 * HOUR, **WINDOW)
    async with world.database.transaction() as holder:
        await holder.execute(select(OccurrenceRow).where(OccurrenceRow.id == held).with_for_update())
        assert (await sweep(world.database, channels)).unknown == 1
    (first,) = await digests(world)

    assert (await sweep(world.database, channels)).unknown == 1

    (digest,) = await digests(world)
    assert (digest.id, digest.occurrence_id) == (first.id, older)
    assert digest.expires_at == (await world.get(OccurrenceRow, held)).updated_at + DIGEST_WINDOW
    async with world.database.transaction() as session:
        covered = await unreminded_doses(session, digest.id)
    assert [dose.nominal_local for dose in covered] == await nominal(world, older, held)


async def test_sweeps_at_once_make_one(world: Any, channels: dict[str, ChannelSpec]) -> None:
    for hours in range(20):
        await world.occurrence(due=(-hours - 2) * HOUR, **WINDOW)

    swept = await asyncio.gather(*(sweep(world.database, channels) for _ in range(4)))

    assert sum(one.unknown for one in swept) == 20
    assert len(await digests(world)) == 1


async def test_what_a_later_sweep_finds_is_told_of_by_the_digest_that_waits(
    world: Any, channels: dict[str, ChannelSpec], sender: Sender, channel: Any
) -> None:
    first = await world.occurrence(due=-3 * DAY, **WINDOW)
    await sweep(world.database, channels)
    [digest] = await digests(world)
    late = await world.occurrence(due=-2 * DAY, **WINDOW)  # the planner was away as well
    await sweep(world.database, channels)

    [extended] = await digests(world)
    assert extended.id == digest.id
    assert extended.expires_at > digest.expires_at
    assert extended.next_attempt_at == digest.next_attempt_at, "it does not wait again"
    await world.change(Delivery, digest.id, next_attempt_at=world.now)
    assert await sender.deliver(digest.id) == Done(str(digest.id))
    assert told(channel) == await nominal(world, first, late)


@pytest.mark.parametrize(
    "left",
    [
        {"state": "sent"},
        {"state": "claimed", "attempt": 1},
        {"state": "retry", "ambiguous": 1},
        {"state": "expired"},
    ],
    ids=lambda left: left["state"],
)
async def test_one_that_left_is_not_changed_and_the_next_doses_have_another(
    world: Any, channels: dict[str, ChannelSpec], left: dict[str, Any]
) -> None:
    if left["state"] == "claimed":
        left = {**left, "lease_until": world.now + HOUR}
    old = await world.digest(await world.unknown(-2 * DAY, ended=-HOUR), swept=-HOUR, **left)
    before = (await world.get(Delivery, old)).expires_at
    newest = await world.occurrence(due=-2 * HOUR, **WINDOW)

    await sweep(world.database, channels)

    rows = await digests(world)
    assert {row.id: row.expires_at for row in rows}[old] == before
    assert [row.occurrence_id for row in rows if row.id != old] == [newest]


# Sending


async def test_it_tells_of_every_dose_without_names(world: Any, sender: Sender, channel: Any) -> None:
    doses = [await world.unknown(-day * DAY) for day in (3, 2, 1)]
    digest = await world.digest(doses[-1])

    assert await sender.deliver(digest) == Done(str(digest))

    [facts] = channel.sent
    assert (facts.kind, facts.medication_name, facts.expires_at) == ("not_reminded", None, world.now + DIGEST_WINDOW)
    assert told(channel) == await nominal(world, *doses)
    assert {(dose.medication_name, dose.dose) for dose in facts.unreminded} == {(None, None)}


async def test_details_are_for_who_asked(world: Any, sender: Sender, channel: Any) -> None:
    curious = await world.person("curious", details_in_messages=True)
    digest = await world.digest(await world.unknown(-DAY), to=curious)

    await sender.deliver(digest)

    [dose] = channel.sent[0].unreminded
    assert (dose.medication_name, dose.dose) == ("canary drug 5 mg", "1 tablet")


async def test_a_dose_that_was_answered_meanwhile_is_not_in_it(world: Any, sender: Sender, channel: Any) -> None:
    left, answered = await world.unknown(-2 * DAY), await world.unknown(-DAY)
    digest = await world.digest(answered)
    await world.answer(answered)

    assert await sender.deliver(digest) == Done(str(digest))
    assert told(channel) == await nominal(world, left)


NOTHING_TO_TELL = {
    "answered": (OccurrenceRow, {"state": "taken"}, "answered", "cancelled"),
    "deleted": (Medication, {"deleted_at": True}, "inactive", "cancelled"),
    "reminders switched off": (Membership, {"reminders": False}, "inactive", "cancelled"),
    "past its window": (Delivery, {"expires_at": True}, "expired", "expired"),
}


async def change(world: Any, digest: UUID, table: type[Any], values: dict[str, Any]) -> None:
    row_id = {Delivery: digest, Medication: world.medication.id}.get(table)
    if row_id is None:
        async with world.database.transaction() as session:
            row_id = (await session.scalars(select(table.id))).one()
    when = world.now - SECOND
    await world.change(table, row_id, **{name: when if value is True else value for name, value in values.items()})


@pytest.mark.parametrize("moment", ["before", "while the message is written"])
@pytest.mark.parametrize(("table", "values", "reason", "state"), NOTHING_TO_TELL.values(), ids=NOTHING_TO_TELL)
async def test_it_is_not_sent_once_there_is_nothing_to_tell(
    world: Any,
    sender: Sender,
    channel: Any,
    moment: str,
    table: type[Any],
    values: dict[str, Any],
    reason: str,
    state: str,
) -> None:
    digest = await world.digest(await world.unknown(-DAY))
    compose = channel.compose

    async def compose_slowly(session: Any, facts: Any) -> Any:
        await change(world, digest, table, values)
        return await compose(session, facts)

    if moment == "before":
        await change(world, digest, table, values)
    else:
        channel.compose = compose_slowly

    assert await sender.deliver(digest) == Nothing(reason)
    assert channel.sent == []
    assert (await world.get(Delivery, digest)).state == state


async def test_it_is_not_sent_to_who_left_the_circle(world: Any, sender: Sender, channel: Any) -> None:
    digest = await world.digest(await world.unknown(-DAY))
    async with world.database.transaction() as session:
        await session.delete((await session.scalars(select(Membership))).one())

    assert await sender.deliver(digest) == Nothing("inactive")
    assert channel.sent == []


async def test_each_dose_is_told_of_once(world: Any, sender: Sender, channel: Any) -> None:
    before = await world.unknown(-2 * DAY, ended=-DAY)
    await world.digest(before, swept=-DAY, state="sent")
    dose = await world.unknown(-HOUR)
    digest = await world.digest(dose)

    await sender.deliver(digest)
    assert told(channel) == await nominal(world, dose)


@pytest.mark.parametrize("state", ["expired", "failed", "cancelled"])
async def test_what_an_earlier_one_could_not_tell_is_told_by_the_next(
    world: Any, sender: Sender, channel: Any, state: str
) -> None:
    before = await world.unknown(-2 * DAY, ended=-DAY)
    await world.digest(before, swept=-DAY, state=state)
    forgotten = await world.unknown(-5 * DAY, ended=-DIGEST_REACH)
    dose = await world.unknown(-HOUR)

    await sender.deliver(await world.digest(dose))
    assert told(channel) == await nominal(world, before, dose)
    assert forgotten not in {before, dose}


async def test_what_ends_after_its_sweep_is_left_to_the_next_one(world: Any, sender: Sender, channel: Any) -> None:
    dose = await world.unknown(-2 * DAY, ended=-HOUR)
    await world.unknown(-DAY)

    await sender.deliver(await world.digest(dose, swept=-HOUR))
    assert told(channel) == await nominal(world, dose)


async def test_another_persons_digest_and_another_patients_doses_are_no_matter(
    world: Any, sender: Sender, channel: Any
) -> None:
    other = await world.add(Patient(id=new_id(), display_name="canary other", zone="UTC"))
    second = await world.person("second")
    dose = await world.unknown(-DAY)
    await world.digest(dose, to=second, state="sent")
    await world.unknown(-DAY, patient_id=other)

    await sender.deliver(await world.digest(dose))
    assert told(channel) == await nominal(world, dose)


async def test_an_ambiguous_one_is_repeated_the_same(world: Any, sender: Sender, channel: Any) -> None:
    channel.answers = [Ambiguous("timeout")]
    digest = await world.digest(await world.unknown(-DAY))
    await sender.deliver(digest)
    await world.change(Delivery, digest, next_attempt_at=world.now)

    await sender.deliver(digest)

    first, copy = channel.sent
    assert (first.unreminded, first.first_handoff_at) == (copy.unreminded, copy.first_handoff_at)
