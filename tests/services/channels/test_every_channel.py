"""What holds for every channel, from the delivery's row to what its provider got: one suite, each channel in turn."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from carecircle.channels import discover
from carecircle.db.accounts import Account
from carecircle.db.deliveries import Delivery
from carecircle.db.occurrences import OccurrenceRow
from carecircle.delivery.verdict import Dead, Done, Later, Nothing
from carecircle.runtime import logs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    import pytest

PERSONAL = ("Canary", "Canarol", "canary-tablet", "ana-canary@example.org")


async def targets(attempts: Any) -> Sequence[UUID]:
    async with attempts.world.database.transaction() as session:
        return await attempts.bench.channel.spec.targets(session, attempts.world.account_id)


async def test_a_message_that_the_provider_takes_is_sent_once(attempts: Any) -> None:
    delivery = await attempts.new()

    assert await attempts.attempt(delivery) == Done(str(delivery))
    assert (await attempts.row(delivery)).state == "sent"
    assert await attempts.attempt(delivery) == Nothing("already_sent")
    assert len(attempts.bench.arrived()) == 1


async def test_a_refusal_for_now_is_tried_again(attempts: Any, trouble: Any) -> None:
    delivery = await attempts.new()
    attempts.bench.order(trouble.LATER)

    assert isinstance(await attempts.attempt(delivery), Later)
    row = await attempts.row(delivery)
    assert (row.state, row.ambiguous) == ("retry", 0)
    assert row.next_attempt_at > attempts.world.now + timedelta(seconds=40)
    assert attempts.bench.arrived() == []

    assert isinstance(await attempts.again(delivery), Done)
    assert len(attempts.bench.arrived()) == 1


async def test_a_refusal_for_good_fails_and_leaves_the_target_alone(attempts: Any, trouble: Any) -> None:
    delivery = await attempts.new()
    attempts.bench.order(trouble.REJECTED)

    assert isinstance(await attempts.attempt(delivery), Dead)
    assert (await attempts.row(delivery)).state == "failed"
    assert not await attempts.bench.is_gone()
    assert isinstance(await attempts.attempt(await attempts.new()), Done)


async def test_a_dead_target_is_remembered_and_gets_nothing_more(attempts: Any, trouble: Any) -> None:
    delivery = await attempts.new()
    assert await targets(attempts) == [attempts.bench.target_id]
    attempts.bench.order(trouble.GONE)

    assert isinstance(await attempts.attempt(delivery), Dead)
    assert await attempts.bench.is_gone()
    assert await targets(attempts) == []
    waiting = await attempts.new()
    assert isinstance(await attempts.attempt(waiting), Nothing)
    assert (await attempts.row(waiting)).state == "cancelled"
    assert attempts.bench.arrived() == []


async def test_silence_is_ambiguous_and_the_copy_is_recognisable(attempts: Any, trouble: Any) -> None:
    delivery = await attempts.new()
    attempts.bench.order(trouble.SILENT)

    assert isinstance(await attempts.attempt(delivery), Later)
    row = await attempts.row(delivery)
    assert (row.state, row.ambiguous) == ("retry", 1)

    assert isinstance(await attempts.again(delivery), Done)
    first, copy = attempts.bench.identities()
    assert first == copy


async def test_a_copy_sent_after_the_lateness_limit_is_not_worded_late(attempts: Any, trouble: Any) -> None:
    # The facts are read anew for the copy: a clock read then would make another message of it.
    delivery = await attempts.new(due=timedelta(minutes=-4, seconds=-30))
    attempts.bench.order(trouble.SILENT)
    await attempts.attempt(delivery)
    row = await attempts.row(delivery)
    dose = await attempts.world.get(OccurrenceRow, row.occurrence_id)
    minute = timedelta(minutes=1)
    await attempts.world.change(OccurrenceRow, dose.id, due_at=dose.due_at - minute)
    await attempts.world.change(Delivery, delivery, first_handoff_at=row.first_handoff_at - minute)

    await attempts.again(delivery)

    assert len(attempts.bench.arrived()) == 2
    assert not any("was due" in text for text in attempts.bench.arrived())


async def test_refused_credentials_pause_the_channel_and_keep_the_message(attempts: Any, trouble: Any) -> None:
    delivery = await attempts.new()
    attempts.bench.order(trouble.CREDENTIALS)

    verdict = await attempts.attempt(delivery)

    assert isinstance(verdict, Later)
    assert verdict.pauses_channel
    assert (await attempts.row(delivery)).state == "retry"
    assert not await attempts.bench.is_gone()
    assert isinstance(await attempts.again(delivery), Done)


async def test_a_channel_switched_off_after_enqueueing_sends_nothing(attempts: Any) -> None:
    delivery = await attempts.new()
    name = attempts.bench.channel.spec.name
    await attempts.world.change(Account, attempts.world.account_id, **{f"{name}_enabled": False})

    assert isinstance(await attempts.attempt(delivery), Nothing)
    row = await attempts.row(delivery)
    assert (row.state, row.outcome) == ("cancelled", "channel_off")
    assert await targets(attempts) == []
    assert attempts.bench.arrived() == []


async def test_the_address_is_the_one_at_the_time_of_sending(attempts: Any) -> None:
    delivery = await attempts.new()
    await attempts.bench.move()

    await attempts.attempt(delivery)

    assert len(attempts.bench.arrived_after_move()) == len(attempts.bench.arrived()) == 1


async def test_a_medicine_is_named_only_to_who_asked_for_details(attempts: Any) -> None:
    await attempts.attempt(await attempts.new())
    await attempts.world.change(Account, attempts.world.account_id, details_in_messages=True)
    await attempts.attempt(await attempts.new())

    default, details = attempts.bench.arrived()
    assert "Canarol" not in default
    assert "canary-tablet" not in default
    assert "Canarol 5 mg" in details
    assert "1 canary-tablet" in details


async def test_a_message_names_the_dose_by_its_time_and_a_late_one_says_so(attempts: Any) -> None:
    await attempts.attempt(await attempts.new(due=timedelta(minutes=-10)))
    await attempts.attempt(await attempts.new(due=timedelta(minutes=-1)))

    late, in_time = attempts.bench.arrived()
    due = [attempts.world.now - timedelta(minutes=minutes) for minutes in (10, 1)]
    assert f"was due at {due[0]:%H:%M}" in " ".join(late.split())
    assert f"{due[1]:%H:%M}" in in_time
    assert "was due" not in in_time


async def test_a_digest_names_every_dose_by_its_time_and_says_what_to_do(attempts: Any) -> None:
    digest = await attempts.digest(2, 1)

    assert await attempts.attempt(digest) == Done(str(digest))

    [text] = attempts.bench.arrived()
    said = " ".join(text.split())
    assert "2 doses had no reminder" in said
    assert said.count(f"{attempts.world.now:%H:%M} on ") >= 2
    assert "This is our fault, not yours." in said
    assert "never double a dose" in said
    assert "Canarol" not in said
    assert "canary-tablet" not in said


async def test_a_digest_names_medicines_to_who_asked(attempts: Any) -> None:
    await attempts.world.change(Account, attempts.world.account_id, details_in_messages=True)

    await attempts.attempt(await attempts.digest(1))

    [text] = attempts.bench.arrived()
    assert "Canarol 5 mg" in text
    assert "1 canary-tablet" in text


async def test_a_copy_of_a_digest_is_recognisable(attempts: Any, trouble: Any) -> None:
    digest = await attempts.digest(2, 1)
    attempts.bench.order(trouble.SILENT)
    assert isinstance(await attempts.attempt(digest), Later)

    assert isinstance(await attempts.again(digest), Done)
    first, copy = attempts.bench.identities()
    assert first == copy


async def test_nothing_personal_is_logged_whatever_happens(
    attempts: Any, trouble: Any, capsys: pytest.CaptureFixture[str], log_settings: None
) -> None:
    logs.configure("DEBUG", "json", service="test")
    for kind in (None, *trouble):
        if kind is not None:
            attempts.bench.order(kind)
        await attempts.attempt(await attempts.new())

    said = "".join(capsys.readouterr())
    assert "delivery.sent" in said
    assert "delivery.failed" in said
    assert [word for word in (*PERSONAL, *attempts.bench.secrets) if word in said] == []


def test_every_channel_is_found_by_its_entry_point() -> None:
    specs = discover()

    assert {name: spec.replaces for name, spec in specs.items()} == {"email": False, "push": True}
