"""One delivery, sent by workers that die, stop, race and come back: what is sent, how often, and what the row says."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.exc import OperationalError

from carecircle.channels import Undeliverable
from carecircle.db.claims import claim, hand_off, record, renew
from carecircle.db.deliveries import Delivery, cancel_open_deliveries
from carecircle.db.medications import Medication
from carecircle.db.occurrences import OccurrenceRow
from carecircle.db.patients import Membership
from carecircle.db.schedules import ScheduleRow
from carecircle.delivery import lease as lease_module
from carecircle.delivery.verdict import Dead, Done, Later, Nothing
from carecircle.domain.delivery import (
    AMBIGUOUS_WAIT,
    Ambiguous,
    Decision,
    DeliveryState,
    Misconfigured,
    Rejected,
    TryLater,
)
from carecircle.runtime.clock import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from carecircle.db.claims import Claim
    from carecircle.delivery.sender import Sender
    from carecircle.runtime.metrics import Metrics

pytestmark = pytest.mark.postgres

LEASE = timedelta(seconds=45)
HOUR = timedelta(hours=1)


async def claimed(world: Any, delivery_id: UUID, worker: str = "dead") -> Claim:
    """A worker that claims and is never heard of again."""
    async with world.database.transaction() as session:
        held = await claim(session, delivery_id, channel="fake", worker=worker, lease=LEASE)
    assert held is not None
    return held


async def handed_off(world: Any, delivery_id: UUID) -> Claim:
    """A worker that dies with the message half out of the door."""
    held = await claimed(world, delivery_id)
    async with world.database.transaction() as session:
        assert await hand_off(session, held, first_handoff_at=world.now, lease=LEASE)
    return held


async def test_a_due_delivery_is_sent_once_and_its_row_tells(world: Any, sender: Sender, channel: Any) -> None:
    delivery_id = await world.due_delivery()

    first, second = await sender.deliver(delivery_id), await sender.deliver(delivery_id)

    row = await world.get(Delivery, delivery_id)
    assert (first, second) == (Done(str(delivery_id)), Nothing("already_sent"))
    assert (row.state, row.outcome, row.attempt, row.ambiguous, row.provider_reference) == ("sent", "sent", 1, 0, "ref")
    assert row.sent_at >= row.handoff_at >= world.now
    assert [facts.delivery_id for facts in channel.sent] == [delivery_id]


async def test_an_unknown_delivery_is_skipped(sender: Sender, world: Any) -> None:
    assert await sender.deliver(world.patient.id) == Nothing("not_found")


async def test_a_delivery_of_another_channel_is_not_touched(world: Any, sender: Sender, channel: Any) -> None:
    delivery_id = await world.due_delivery(channel="other")

    assert await sender.deliver(delivery_id) == Nothing("not_found")
    assert (await world.get(Delivery, delivery_id)).state == "pending"
    assert channel.sent == []


async def test_of_two_workers_one_sends_and_the_other_waits_for_it(
    world: Any, new_sender: Callable[..., Sender], channel: Any
) -> None:
    delivery_id = await world.due_delivery()
    others: list[Any] = []

    async def meanwhile() -> None:
        others.append(await new_sender("b").deliver(delivery_id))

    channel.before_send = meanwhile
    assert await new_sender("a").deliver(delivery_id) == Done(str(delivery_id))
    [other] = others
    assert isinstance(other, Later)
    assert other.at > utc_now() + timedelta(seconds=30)  # when the first one's lease would end
    assert len(channel.sent) == 1


async def test_ten_workers_at_the_same_instant_send_once(
    world: Any, new_sender: Callable[..., Sender], channel: Any
) -> None:
    delivery_id = await world.due_delivery()

    verdicts = await asyncio.gather(*(new_sender(str(number)).deliver(delivery_id) for number in range(10)))

    assert verdicts.count(Done(str(delivery_id))) == 1
    assert len(channel.sent) == 1


async def test_a_worker_that_dies_before_the_handoff_costs_nothing(world: Any, sender: Sender, channel: Any) -> None:
    delivery_id = await world.due_delivery()
    await claimed(world, delivery_id)
    assert isinstance(await sender.deliver(delivery_id), Later), "its lease still runs"

    await world.end_lease(delivery_id)
    assert await sender.deliver(delivery_id) == Done(str(delivery_id))

    row = await world.get(Delivery, delivery_id)
    assert (row.attempt, row.ambiguous, row.errors) == (2, 0, 1)
    assert len(channel.sent) == 1


async def test_a_worker_that_dies_after_the_handoff_is_an_ambiguous_attempt(
    world: Any, sender: Sender, channel: Any, metrics: Metrics
) -> None:
    delivery_id = await world.due_delivery()
    await handed_off(world, delivery_id)
    await world.end_lease(delivery_id)

    assert await sender.deliver(delivery_id) == Done(str(delivery_id))

    row = await world.get(Delivery, delivery_id)
    assert (row.state, row.attempt, row.ambiguous) == ("sent", 2, 1)
    assert channel.sent[0].first_handoff_at == world.now, "the copy carries the first one's date"
    assert metrics.registry.get_sample_value("reminder_ambiguous_total", {"channel": "fake"}) == 1


async def test_after_three_ambiguous_attempts_nobody_tries_again(
    world: Any, sender: Sender, channel: Any, metrics: Metrics
) -> None:
    delivery_id = await world.due_delivery(ambiguous=2)
    await handed_off(world, delivery_id)
    await world.end_lease(delivery_id)

    assert await sender.deliver(delivery_id) == Dead("worker_lost")

    row = await world.get(Delivery, delivery_id)
    assert (row.state, row.ambiguous, row.outcome) == ("ambiguous", 3, "worker_lost")
    assert channel.sent == []


async def test_a_delivery_that_kills_its_workers_is_given_up(world: Any, sender: Sender, channel: Any) -> None:
    delivery_id = await world.due_delivery()
    for _ in range(3):
        await claimed(world, delivery_id)
        await world.end_lease(delivery_id)

    assert await sender.deliver(delivery_id) == Dead("error")

    row = await world.get(Delivery, delivery_id)
    assert (row.state, row.outcome, row.errors) == ("failed", "error", 3)
    assert channel.sent == []


async def test_a_zombies_writes_match_no_row(world: Any, sender: Sender) -> None:
    delivery_id = await world.due_delivery()
    zombie = await claimed(world, delivery_id)
    await world.end_lease(delivery_id)
    await sender.deliver(delivery_id)

    async with world.database.transaction() as session:
        assert not await hand_off(session, zombie, first_handoff_at=world.now, lease=LEASE)
        failed = Decision(DeliveryState.FAILED, "late", 0, 0)
        assert not await record(session, zombie, failed, now=world.now)

    row = await world.get(Delivery, delivery_id)
    assert (row.state, row.outcome) == ("sent", "sent")


async def test_a_claim_is_handed_off_once(world: Any) -> None:
    held = await handed_off(world, await world.due_delivery())

    async with world.database.transaction() as session:
        assert not await hand_off(session, held, first_handoff_at=world.now, lease=LEASE)


async def test_a_worker_stopped_past_its_lease_does_not_hand_off(world: Any) -> None:
    delivery_id = await world.due_delivery()
    held = await claimed(world, delivery_id)
    await world.end_lease(delivery_id)

    async with world.database.transaction() as session:
        assert not await hand_off(session, held, first_handoff_at=world.now, lease=LEASE)


async def test_a_worker_whose_delivery_is_taken_over_stops_sending(
    world: Any, new_sender: Callable[..., Sender], channel: Any
) -> None:
    delivery_id = await world.due_delivery()
    cut_off = asyncio.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cut_off.set()

    channel.before_send = hang
    stuck = asyncio.create_task(new_sender("stuck", lease=timedelta(seconds=1)).deliver(delivery_id))
    async with asyncio.timeout(10):
        await channel.sending.wait()
        channel.before_send = None
        async with world.database.transaction() as session:  # as another worker would after the lease
            row = await session.get_one(Delivery, delivery_id)
            row.attempt += 1
        await cut_off.wait()
        verdict = await stuck

    assert isinstance(verdict, Later)
    assert (await world.get(Delivery, delivery_id)).state == "handoff", "the row is the new worker's"


async def test_the_lease_is_renewed_while_the_provider_takes_its_time(
    world: Any, new_sender: Callable[..., Sender], channel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery_id = await world.due_delivery()
    renewals: asyncio.Queue[bool] = asyncio.Queue()

    async def noted(*arguments: Any) -> bool:
        held = await renew(*arguments)
        renewals.put_nowait(held)
        return held

    async def slow() -> None:
        async with asyncio.timeout(10):
            assert [await renewals.get() for _ in range(4)] == [True] * 4  # longer than the lease that it began with

    monkeypatch.setattr(lease_module, "renew", noted)
    channel.before_send = slow
    assert await new_sender(lease=timedelta(seconds=1)).deliver(delivery_id) == Done(str(delivery_id))


async def test_a_send_that_never_ends_is_ambiguous(world: Any, new_sender: Callable[..., Sender], channel: Any) -> None:
    delivery_id = await world.due_delivery()

    async def hang() -> None:
        await asyncio.Event().wait()

    channel.before_send = hang
    verdict = await new_sender(send_limit=timedelta(milliseconds=50)).deliver(delivery_id)

    row = await world.get(Delivery, delivery_id)
    assert isinstance(verdict, Later)
    assert (row.state, row.outcome, row.ambiguous) == ("retry", "deadline", 1)


async def test_try_later_waits_and_is_not_tried_before(world: Any, sender: Sender, channel: Any) -> None:
    delivery_id = await world.due_delivery()
    channel.answers = [TryLater("smtp_451")]

    first = await sender.deliver(delivery_id)
    again = await sender.deliver(delivery_id)

    row = await world.get(Delivery, delivery_id)
    assert (row.state, row.outcome, row.attempt) == ("retry", "smtp_451", 1)
    assert row.next_attempt_at - row.updated_at > timedelta(seconds=59)
    assert isinstance(first, Later)
    assert isinstance(again, Later)
    assert abs(first.at - again.at) < timedelta(seconds=1)
    assert abs(first.at - row.next_attempt_at) < timedelta(seconds=1)

    await world.change(Delivery, delivery_id, next_attempt_at=world.now)
    assert await sender.deliver(delivery_id) == Done(str(delivery_id))
    assert (await world.get(Delivery, delivery_id)).attempt == 2


async def test_a_dead_target_is_remembered_with_the_outcome(world: Any, sender: Sender, channel: Any) -> None:
    delivery_id = await world.due_delivery()
    channel.answers = [Rejected("push_410", target_gone=True)]

    assert await sender.deliver(delivery_id) == Dead("push_410")

    assert channel.gone == [world.people[0].id]
    assert (await world.get(Delivery, delivery_id)).state == "failed"


async def test_an_ambiguous_send_is_repeated_the_same_after_a_minute(
    world: Any, sender: Sender, channel: Any, metrics: Metrics
) -> None:
    delivery_id = await world.due_delivery()
    channel.answers = [Ambiguous("smtp_no_reply")]

    await sender.deliver(delivery_id)
    row = await world.get(Delivery, delivery_id)
    assert row.next_attempt_at - row.updated_at > AMBIGUOUS_WAIT - timedelta(seconds=1)
    # Long after: the copy must still be the same, or a server could not tell that it is one.
    await world.change(OccurrenceRow, row.occurrence_id, due_at=world.now - HOUR)
    await world.change(Delivery, delivery_id, next_attempt_at=world.now, first_handoff_at=world.now - HOUR)
    assert await sender.deliver(delivery_id) == Done(str(delivery_id))

    second = channel.sent[1]
    assert (second.first_handoff_at, second.late) == (world.now - HOUR, False)
    assert (await world.get(Delivery, delivery_id)).ambiguous == 1
    assert metrics.registry.get_sample_value("reminder_ambiguous_total", {"channel": "fake"}) == 1


async def test_a_refused_attempt_leaves_the_next_one_free_to_say_late(world: Any, sender: Sender, channel: Any) -> None:
    delivery_id = await world.due_delivery()
    channel.answers = [TryLater("smtp_451")]
    await sender.deliver(delivery_id)
    occurrence_id = (await world.get(Delivery, delivery_id)).occurrence_id
    await world.change(OccurrenceRow, occurrence_id, due_at=world.now - HOUR)
    await world.change(Delivery, delivery_id, next_attempt_at=world.now)

    await sender.deliver(delivery_id)

    assert [facts.late for facts in channel.sent] == [False, True]


async def test_refused_credentials_keep_the_delivery_and_pause_the_channel(
    world: Any, sender: Sender, channel: Any
) -> None:
    delivery_id = await world.due_delivery()
    channel.answers = [Misconfigured("smtp_535")]

    verdict = await sender.deliver(delivery_id)

    assert isinstance(verdict, Later)
    assert verdict.pauses_channel
    assert (await world.get(Delivery, delivery_id)).state == "retry"


async def test_a_bug_in_a_channels_text_is_tried_three_times(world: Any, sender: Sender, channel: Any) -> None:
    delivery_id = await world.due_delivery()
    channel.compose_raises = KeyError("canary")

    for _ in range(2):
        assert isinstance(await sender.deliver(delivery_id), Later)
        await world.change(Delivery, delivery_id, next_attempt_at=world.now)
    assert await sender.deliver(delivery_id) == Dead("error")

    row = await world.get(Delivery, delivery_id)
    assert (row.state, row.outcome, row.errors, row.ambiguous) == ("failed", "error", 3, 0)


async def test_a_bug_in_sending_may_have_sent(world: Any, sender: Sender, channel: Any) -> None:
    delivery_id = await world.due_delivery()
    channel.answers = [RuntimeError("canary")]

    assert isinstance(await sender.deliver(delivery_id), Later)

    row = await world.get(Delivery, delivery_id)
    assert (row.state, row.outcome, row.ambiguous) == ("retry", "error", 1)


async def test_an_unreachable_target_ends_the_delivery(world: Any, sender: Sender, channel: Any) -> None:
    delivery_id = await world.due_delivery()
    channel.compose_raises = Undeliverable("channel_off")

    assert await sender.deliver(delivery_id) == Nothing("inactive")

    row = await world.get(Delivery, delivery_id)
    assert (row.state, row.outcome) == ("cancelled", "channel_off")


UNWANTED = {
    "answered": (OccurrenceRow, {"state": "taken"}, "answered", "cancelled"),
    "missed": (OccurrenceRow, {"state": "missed"}, "expired", "expired"),
    "edited away": (OccurrenceRow, {"state": "cancelled"}, "superseded", "cancelled"),
    "of an old revision": (ScheduleRow, {"revision": 2}, "superseded", "cancelled"),
    "schedule ended": (ScheduleRow, {"deleted_at": True}, "inactive", "cancelled"),
    "on hold": (Medication, {"status": "on_hold"}, "inactive", "cancelled"),
    "deleted": (Medication, {"deleted_at": True}, "inactive", "cancelled"),
    "reminders switched off": (Membership, {"reminders": False}, "inactive", "cancelled"),
    "snoozed": (OccurrenceRow, {"reminder_step": 1}, "superseded", "cancelled"),
    "past its window": (Delivery, {"expires_at": True}, "expired", "expired"),
}


async def make_unwanted(world: Any, delivery_id: UUID, table: type[Any], values: dict[str, Any]) -> None:
    delivery = await world.get(Delivery, delivery_id)
    ids = {OccurrenceRow: delivery.occurrence_id, ScheduleRow: world.schedule.id, Medication: world.medication.id}
    row_id = ids.get(table, delivery_id)
    if table is Membership:
        async with world.database.transaction() as session:
            found = await session.scalars(Membership.__table__.select().with_only_columns(Membership.id))
            row_id = found.one()
    when = world.now - timedelta(seconds=1)
    await world.change(table, row_id, **{name: when if value is True else value for name, value in values.items()})


@pytest.mark.parametrize(("table", "values", "reason", "state"), UNWANTED.values(), ids=UNWANTED)
async def test_what_is_no_longer_wanted_is_not_sent(
    world: Any, sender: Sender, channel: Any, table: type[Any], values: dict[str, Any], reason: str, state: str
) -> None:
    delivery_id = await world.due_delivery()
    await make_unwanted(world, delivery_id, table, values)

    assert await sender.deliver(delivery_id) == Nothing(reason)

    assert channel.sent == []
    assert (await world.get(Delivery, delivery_id)).state == state


@pytest.mark.parametrize(("table", "values", "reason", "state"), UNWANTED.values(), ids=UNWANTED)
async def test_the_last_check_sees_what_happens_while_the_message_is_written(
    world: Any, sender: Sender, channel: Any, table: type[Any], values: dict[str, Any], reason: str, state: str
) -> None:
    delivery_id = await world.due_delivery()
    compose = channel.compose

    async def compose_slowly(session: Any, facts: Any) -> Any:
        await make_unwanted(world, delivery_id, table, values)
        return await compose(session, facts)

    channel.compose = compose_slowly
    assert await sender.deliver(delivery_id) == Nothing(reason)

    assert channel.sent == []
    assert (await world.get(Delivery, delivery_id)).state == state


async def test_an_older_dose_gives_way_to_a_newer_one_of_the_same_medication(
    world: Any, sender: Sender, channel: Any
) -> None:
    old = await world.occurrence(due=-2 * HOUR, state="due", reminded_step=0)
    await world.occurrence(due=-HOUR, state="due", reminded_step=0)
    delivery_id = await world.delivery(old)

    assert await sender.deliver(delivery_id) == Nothing("superseded")
    assert channel.sent == []


async def test_cancelled_between_claim_and_handoff_is_not_sent(world: Any, channel: Any, sender: Sender) -> None:
    delivery_id = await world.due_delivery()
    occurrence_id = (await world.get(Delivery, delivery_id)).occurrence_id
    held = await claimed(world, delivery_id)
    async with world.database.transaction() as session:
        assert await cancel_open_deliveries(session, [occurrence_id], "answered") == 1

    async with world.database.transaction() as session:
        assert not await hand_off(session, held, first_handoff_at=world.now, lease=LEASE)
    assert await sender.deliver(delivery_id) == Nothing("answered")


async def test_what_is_with_the_provider_cannot_be_cancelled(world: Any) -> None:
    delivery_id = await world.due_delivery()
    occurrence_id = (await world.get(Delivery, delivery_id)).occurrence_id
    await handed_off(world, delivery_id)

    async with world.database.transaction() as session:
        assert await cancel_open_deliveries(session, [occurrence_id], "answered") == 0


async def test_details_are_only_for_who_asked(world: Any, sender: Sender, channel: Any) -> None:
    occurrence_id = await world.occurrence(state="due", reminded_step=0)
    curious = await world.person("curious", details_in_messages=True)
    for delivery_id in (await world.delivery(occurrence_id), await world.delivery(occurrence_id, to=curious)):
        await sender.deliver(delivery_id)

    assert [(facts.medication_name, facts.dose) for facts in channel.sent] == [
        (None, None),
        ("canary drug 5 mg", "1 tablet"),
    ]


async def test_an_outcome_is_recorded_once_the_database_is_back(
    world: Any, new_sender: Callable[..., Sender], channel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery_id = await world.due_delivery()
    transaction = world.database.transaction
    failures = iter((True, True))

    def flaky() -> Any:
        if channel.sent and next(failures, False):
            raise OperationalError("canary", None, Exception("gone"))
        return transaction()

    monkeypatch.setattr(world.database, "transaction", flaky)
    assert await new_sender().deliver(delivery_id) == Done(str(delivery_id))

    monkeypatch.undo()
    assert (await world.get(Delivery, delivery_id)).state == "sent"
    assert len(channel.sent) == 1


async def test_an_outcome_that_cannot_be_recorded_in_time_is_ambiguous_later(
    world: Any, new_sender: Callable[..., Sender], channel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery_id = await world.due_delivery()
    transaction = world.database.transaction

    def away() -> Any:
        if channel.sent:
            raise OperationalError("canary", None, Exception("gone"))
        return transaction()

    monkeypatch.setattr(world.database, "transaction", away)
    verdict = await new_sender(lease=timedelta(seconds=1)).deliver(delivery_id)
    monkeypatch.undo()

    assert isinstance(verdict, Later)
    assert (await world.get(Delivery, delivery_id)).state == "handoff"
    await world.end_lease(delivery_id)
    assert await new_sender("b").deliver(delivery_id) == Done(str(delivery_id))
    assert (await world.get(Delivery, delivery_id)).ambiguous == 1
