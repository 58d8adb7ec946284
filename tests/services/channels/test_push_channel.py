"""What only the push channel does: several browsers, and messages that replace each other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from carecircle.channels import Undeliverable
from carecircle.db.facts import delivery_facts
from carecircle.db.push_subscriptions import PushSubscription
from carecircle.delivery.message import message_facts
from carecircle.delivery.sender import Sender, SenderOptions
from carecircle.delivery.verdict import Done
from carecircle.runtime.metrics import Metrics


@pytest.fixture
def sender(world: Any, push_bench: Any) -> Sender:
    return Sender(world.database, push_bench.channel, Metrics(), SenderOptions("w"))


async def test_each_live_browser_of_the_account_is_a_target(world: Any, push_bench: Any) -> None:
    async def browser(**given: Any) -> Any:
        subscription = await push_bench.sink.subscribe()
        return await world.add(
            PushSubscription(
                account_id=world.account_id, endpoint=subscription["endpoint"], **subscription["keys"], **given
            )
        )

    second, gone = await browser(), await browser(gone_at=world.now)
    async with world.database.transaction() as session:
        found = await push_bench.channel.spec.targets(session, world.account_id)

    assert set(found) == {push_bench.target_id, second}
    assert gone not in found


async def test_an_answer_replaces_the_shown_reminder_and_makes_no_sound(
    world: Any, push_bench: Any, sender: Sender
) -> None:
    dose = await world.dose()
    due = await world.delivery(dose, "push", push_bench.target_id)
    assert isinstance(await sender.deliver(due), Done)
    await world.answer(dose)
    answered = await world.delivery(dose, "push", push_bench.target_id, kind="answered")
    assert isinstance(await sender.deliver(answered), Done)

    first, second = push_bench.sink.messages
    assert first.accepted.topic == second.accepted.topic
    assert (first.accepted.urgency, second.accepted.urgency) == ("high", "normal")
    assert (first.json["renotify"], second.json["renotify"]) == (True, False)
    assert push_bench.sink.shown() == [second]
    assert "taken" in second.json["body"]
    assert "Canary" not in second.text


async def test_it_lives_until_the_doses_window_ends(world: Any, push_bench: Any, sender: Sender) -> None:
    await sender.deliver(await world.delivery(await world.dose(), "push", push_bench.target_id))

    left = push_bench.sink.messages[0].accepted.ttl
    assert timedelta(hours=6) - timedelta(seconds=30) < timedelta(seconds=left) <= timedelta(hours=6)


async def test_the_mail_channel_writes_no_answers(world: Any, email_bench: Any) -> None:
    # A mail cannot replace another one: it would be a second thing to read about the same dose.
    dose = await world.dose()
    await world.answer(dose)
    delivery = await world.delivery(dose, "email", world.account_id, kind="answered")
    async with world.database.transaction() as session:
        read = await delivery_facts(session, delivery)
        assert read is not None
        with pytest.raises(Undeliverable, match="kind_unsupported"):
            await email_bench.channel.compose(session, await message_facts(session, read))
