"""What surrounds the attempts of a channel worker: who may interrupt one, and when the channel takes nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.exc import OperationalError

from carecircle.db.deliveries import Delivery
from carecircle.delivery.runner import ChannelRunner
from carecircle.delivery.sender import SenderOptions
from carecircle.delivery.verdict import Later
from carecircle.domain.delivery import Misconfigured
from carequeue import Worker

if TYPE_CHECKING:
    from carecircle.runtime.metrics import Metrics

pytestmark = pytest.mark.postgres


@pytest.fixture
def runner(world: Any, channel: Any, metrics: Metrics) -> ChannelRunner:
    return ChannelRunner(world.database, channel, metrics, SenderOptions("a"))


async def test_a_job_whose_lock_is_lost_does_not_tear_its_message_in_two(
    world: Any, channel: Any, runner: ChannelRunner
) -> None:
    release = asyncio.Event()
    channel.before_send = release.wait
    delivery_id = await world.due_delivery()
    asked = asyncio.create_task(runner.attempt(delivery_id))
    async with asyncio.timeout(10):
        await channel.sending.wait()

        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        release.set()
        await runner.settle()

    row = await world.get(Delivery, delivery_id)
    assert (row.state, row.ambiguous) == ("sent", 0)


async def test_with_the_database_away_the_job_comes_back_soon(
    world: Any, runner: ChannelRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> Any:
        raise OperationalError("canary", None, Exception("gone"))

    monkeypatch.setattr(world.database, "transaction", away)
    verdict = await runner.attempt(world.patient.id)

    assert isinstance(verdict, Later)
    assert verdict.why == "database_away"


async def test_a_paused_channel_takes_nothing_until_it_resumes(
    world: Any, channel: Any, runner: ChannelRunner, metrics: Metrics
) -> None:
    worker = runner.attach(Worker("fake", "redis://127.0.0.1:1"))
    resumed = asyncio.Event()
    resume = worker.resume

    def note() -> None:
        resume()
        resumed.set()

    worker.resume = note
    first, second = await world.due_delivery(), await world.due_delivery(step=1)
    channel.answers = [Misconfigured("smtp_535")]
    await runner.attempt(first)

    assert worker.is_paused
    assert await runner.due(10) == []
    assert not await runner.is_sending()
    assert metrics.registry.get_sample_value("reminder_channel_paused", {"channel": "fake"}) == 1

    runner.pause("smtp_535", timedelta(milliseconds=10))
    async with asyncio.timeout(5):
        await resumed.wait()
    assert not worker.is_paused
    assert await runner.due(10) == [second], "the first one waits for its next attempt"
    assert await runner.is_sending()
    await runner.settle()
