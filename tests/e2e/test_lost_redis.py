"""Redis is disposable: emptied right before a dose, or away while it is due, and the reminder comes, once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from tests.e2e.app import Story, next_minute
from tests.e2e.system import RECONCILE_SECONDS, System
from tests.waiting import eventually, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240), pytest.mark.slow]


async def test_a_flushed_redis_loses_no_reminder_and_doubles_none(system: System) -> None:
    due_at = next_minute(after_seconds=12)
    async with system.app() as app:
        story = await Story.begin(app)
        await story.schedule(due_at)
        await until(due_at - timedelta(seconds=5))
        assert str((await story.occurrence())["id"]) in await system.redis_dump(), "its job had been enqueued"
        await system.flush_redis()

        await _sent_once(system, story)
        (mail,) = system.mail.to(app.email)
        assert due_at <= mail.received_at < due_at + timedelta(seconds=5)


async def test_with_redis_away_for_twenty_seconds_around_due_the_reminder_comes_within_its_window(
    system: System,
) -> None:
    due_at = next_minute(after_seconds=22)
    async with system.app() as app:
        story = await Story.begin(app)
        await story.schedule(due_at)
        await until(due_at - timedelta(seconds=10))
        await asyncio.to_thread(system.valkey.stop)
        await until(due_at + timedelta(seconds=10))
        await asyncio.to_thread(system.valkey.start)

        await _sent_once(system, story)
        (mail,) = system.mail.to(app.email)
        assert due_at <= mail.received_at < due_at + timedelta(seconds=60)


async def _sent_once(system: System, story: Story) -> None:
    async def sent() -> bool:
        return await story.states() == {"email": "sent"}

    await eventually(sent, "the mail is sent", seconds=70)
    # Whatever would send it twice has its chance: the reconciler's next rounds.
    await until(datetime.now(UTC) + timedelta(seconds=4 * RECONCILE_SECONDS))
    assert await story.states() == {"email": "sent"}
    assert len(system.mail.to(story.app.email)) == 1
