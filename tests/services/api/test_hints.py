"""After a commit the queue hears at once; a Redis that is away costs the answer nothing."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from carecircle.jobs import REMINDERS, Queues
from carecircle_api.hints import QueueHints

TIMEOUT = 10


@pytest.fixture
def soon() -> dict:
    """A dose that is due within the horizon, whatever the clock shows now."""
    due = datetime.now(UTC) + timedelta(minutes=2)
    local = due.astimezone(ZoneInfo("UTC"))
    return {"times": [local.strftime("%H:%M")], "start_date": (local - timedelta(days=1)).date().isoformat()}


async def test_a_dose_that_is_due_soon_has_its_job_before_the_reconciler_comes(
    anna, new_circle, database, redis_url, services, hints, soon
):
    circle = await new_circle(anna, zone="UTC")
    await circle.schedule(**soon)
    async with Queues(redis_url, f"t-{secrets.token_hex(6)}") as queues:
        async with QueueHints(database, queues, timedelta(minutes=15)) as real:
            for patient_id in hints.patients:
                real.due_soon(patient_id)
        jobs = await (await queues.get(REMINDERS)).jobs("delayed")
    dose = (await circle.occurrences())[0]
    assert [job.id for job in jobs] == [f"{dose['id']}-g1"]


async def test_hints_are_given_after_the_commit(anna, new_circle, hints, database):
    """A hint given earlier would look for a dose that is not there yet."""
    circle = await new_circle(anna, zone="UTC")
    seen: list[bool] = []
    note = hints.due_soon

    def committed(patient_id):
        # Runs in the API's task, after the transaction block: another connection must see the schedule.
        seen.append(database.engine.pool.checkedout() == 0)
        note(patient_id)

    hints.due_soon = committed
    await circle.schedule()
    assert seen == [True]


async def test_a_refused_request_gives_no_hint(anna, new_circle, hints, refused, schedule):
    circle = await new_circle(anna)
    path = f"/v1/medications/{circle.medication['id']}/schedules"
    refused(await anna.post(path, schedule(zone="Nowhere")), 422, "invalid")
    assert hints.patients == []


async def test_hints_go_on_after_one_was_lost(anna, new_circle, database, hints, soon):
    circle = await new_circle(anna, zone="UTC")
    await circle.schedule(**soon)
    nowhere = Queues("redis://127.0.0.1:1/0", "none")
    async with nowhere, QueueHints(database, nowhere, timedelta(minutes=15)) as real, asyncio.timeout(TIMEOUT):
        for _ in range(2):
            real.due_soon(hints.patients[0])
            await real.settled()


async def test_a_broken_database_does_not_end_the_hints(hints, settings):
    class Broken:
        def transaction(self):
            raise RuntimeError

    queues = Queues("redis://127.0.0.1:1/0", "none")
    async with QueueHints(Broken(), queues, timedelta(minutes=15)) as real, asyncio.timeout(TIMEOUT):
        for _ in range(2):
            real.due_soon(uuid4())
            await real.settled()
