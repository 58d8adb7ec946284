"""From rows to jobs and back: what is due gets a job once, and a job that is lost, stuck or orphaned is replaced."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from carecircle.db.deliveries import Delivery
from carecircle.db.due import enqueued_before, raise_generations
from carecircle.db.medications import Medication
from carecircle.db.occurrences import OccurrenceRow
from carecircle.domain.occurrence import OccurrenceState
from carecircle.jobs import REMIND, REMINDERS, SEND, Queues, Send, job_id
from carecircle.usecases.enqueueing import Reconciled, enqueue_due_soon, reconcile
from carequeue import ConnectionLost, JobState

if TYPE_CHECKING:
    from redis.asyncio import Redis

pytestmark = [pytest.mark.postgres, pytest.mark.redis]

MINUTE = timedelta(minutes=1)
LONG_AGO = timedelta(minutes=10)


async def ids(queues: Queues, name: str, *states: JobState) -> list[str]:
    queue = await queues.get(name)
    return [job.id for job in await queue.jobs(states or list(JobState))]


async def forget(redis: Redis, prefix: str) -> None:
    """FLUSHALL, for this test's keys only: other tests share the server."""
    keys = [key async for key in redis.scan_iter(f"{prefix}:*")]
    assert keys
    await redis.delete(*keys)


async def age(world: Any, table: type[Any], row_id: Any, by: timedelta = LONG_AGO) -> None:
    """As if the row had been given its job so long ago."""
    await world.change(table, row_id, enqueued_at=world.now - by)


async def test_a_dose_inside_the_horizon_gets_a_delayed_job_with_ids_only(world: Any, queues: Queues) -> None:
    soon = await world.occurrence(due=10 * MINUTE)
    await world.occurrence(due=20 * MINUTE)

    assert await enqueue_due_soon(world.database, queues) == 1

    queue = await queues.get(REMINDERS)
    job = await queue.get(job_id(soon, 1), REMIND)
    assert job is not None
    assert (job.data.occurrence_id, job.data.generation) == (soon, 1)
    assert await queue.state(job.id) is JobState.DELAYED
    assert timedelta(minutes=9) < job.delay <= timedelta(minutes=10, seconds=1)
    row = await world.get(OccurrenceRow, soon)
    assert (row.generation, row.enqueued_at is not None) == (1, True)


async def test_enqueueing_again_or_at_the_same_time_adds_nothing(world: Any, queues: Queues) -> None:
    for minute in range(10):
        await world.occurrence(due=minute * MINUTE)

    counts = await asyncio.gather(*(enqueue_due_soon(world.database, queues) for _ in range(3)))

    assert sum(counts) == 10
    assert await enqueue_due_soon(world.database, queues) == 0
    assert len(await ids(queues, REMINDERS)) == 10


async def test_the_hint_for_one_patient_leaves_the_others(world: Any, queues: Queues) -> None:
    await world.occurrence(due=MINUTE)

    assert await enqueue_due_soon(world.database, queues, patient_id=world.people[0].id) == 0
    assert await enqueue_due_soon(world.database, queues, patient_id=world.patient.id) == 1


@pytest.mark.parametrize("state", [s for s in OccurrenceState if s not in {"planned", "due"}])
async def test_a_dose_that_is_over_gets_no_job(world: Any, queues: Queues, state: str) -> None:
    await world.occurrence(due=MINUTE, state=state)

    assert await enqueue_due_soon(world.database, queues) == 0


async def test_a_reminded_dose_gets_another_job_only_for_its_snooze(world: Any, queues: Queues) -> None:
    await world.occurrence(state="due", reminded_step=0)
    snoozed = await world.occurrence(due=-MINUTE, state="due", reminded_step=0, reminder_step=1, generation=4)

    assert await enqueue_due_soon(world.database, queues) == 1
    assert await ids(queues, REMINDERS) == [job_id(snoozed, 5)]


async def test_deliveries_go_to_their_channels_queue_by_severity(world: Any, queues: Queues) -> None:
    occurrence_id = await world.occurrence(state="due", reminded_step=0)
    routine = await world.delivery(occurrence_id, step=1, severity="info")
    alert = await world.delivery(occurrence_id, step=2, severity="critical")
    other = await world.delivery(occurrence_id, channel="other")

    assert await enqueue_due_soon(world.database, queues) == 3

    waiting = await (await queues.get("fake")).jobs(JobState.PRIORITIZED, ascending=True)
    assert [job.id for job in waiting] == [job_id(alert, 1), job_id(routine, 1)]
    assert await ids(queues, "other") == [job_id(other, 1)]


async def test_without_redis_the_rows_are_marked_and_nobody_fails(world: Any, queues: Queues) -> None:
    occurrence_id = await world.occurrence(due=MINUTE)
    async with Queues("redis://127.0.0.1:1", "t") as nowhere:
        assert await enqueue_due_soon(world.database, nowhere) == 0
        with pytest.raises(ConnectionLost):
            await nowhere.get(REMINDERS)
        await world.change(OccurrenceRow, occurrence_id, remind_at=world.now)
        await age(world, OccurrenceRow, occurrence_id, timedelta(seconds=5))
        with pytest.raises(ConnectionLost):
            await reconcile(world.database, nowhere)

    assert await reconcile(world.database, queues) == Reconciled(enqueued=0, healed=1)
    assert await ids(queues, REMINDERS) == [job_id(occurrence_id, 2)]


async def test_after_a_flush_what_is_due_soon_is_back_at_once(
    world: Any, queues: Queues, redis: Redis, queue_name: str
) -> None:
    soon = await world.occurrence(due=timedelta(seconds=20))
    later = await world.occurrence(due=10 * MINUTE)
    send = await world.due_delivery()
    assert await enqueue_due_soon(world.database, queues) == 3
    await forget(redis, queue_name)
    for table, row_id in ((OccurrenceRow, soon), (OccurrenceRow, later), (Delivery, send)):
        await age(world, table, row_id)

    assert await reconcile(world.database, queues) == Reconciled(enqueued=0, healed=2)

    assert await ids(queues, REMINDERS, JobState.DELAYED) == [job_id(soon, 2)]
    assert await ids(queues, "fake") == [job_id(send, 2)]
    assert await reconcile(world.database, queues) == Reconciled(enqueued=0, healed=0)


async def test_a_job_that_is_on_its_way_is_not_called_lost(
    world: Any, queues: Queues, redis: Redis, queue_name: str
) -> None:
    await world.occurrence()
    await enqueue_due_soon(world.database, queues)
    await forget(redis, queue_name)

    assert (await reconcile(world.database, queues)).healed == 0


async def test_a_paused_queue_is_not_fought(world: Any, queues: Queues) -> None:
    occurrence_id = await world.occurrence(due=-LONG_AGO)
    queue = await queues.get(REMINDERS)
    await queue.pause()
    await enqueue_due_soon(world.database, queues)
    await age(world, OccurrenceRow, occurrence_id)

    for _ in range(3):
        assert (await reconcile(world.database, queues)).healed == 0
    assert await ids(queues, REMINDERS) == [job_id(occurrence_id, 1)]


async def test_a_job_that_ended_without_handling_its_row_is_replaced_after_a_while(world: Any, queues: Queues) -> None:
    occurrence_id = await world.occurrence(due=-LONG_AGO)
    await enqueue_due_soon(world.database, queues)
    await _finish_everything(queues, REMINDERS)
    assert (await reconcile(world.database, queues)).healed == 0, "its time was long ago, but it had its job just now"

    await age(world, OccurrenceRow, occurrence_id)
    assert (await reconcile(world.database, queues)).healed == 1
    assert job_id(occurrence_id, 2) in await ids(queues, REMINDERS, JobState.PRIORITIZED)


@pytest.mark.parametrize("handled", ["reminded", "sent", "being sent"])
async def test_a_row_that_was_handled_while_its_job_was_looked_for_gets_no_other(world: Any, handled: str) -> None:
    queued = {"generation": 1, "enqueued_at": world.now - LONG_AGO}
    if handled == "reminded":
        table, row_id = OccurrenceRow, await world.occurrence(due=-MINUTE, **queued)
        changes: dict[str, Any] = {"state": "due", "reminded_step": 0}
    else:
        table, row_id = Delivery, await world.due_delivery(**queued)
        changes = {"state": "sent"} if handled == "sent" else {"state": "claimed", "lease_until": world.now + MINUTE}
    async with world.database.transaction() as session:
        read = await enqueued_before(session, soon=world.now, now=world.now, limit=10)
    assert row_id in {one.row_id for one in read}

    await world.change(table, row_id, **changes)

    async with world.database.transaction() as session:
        assert await raise_generations(session, [one for one in read if one.row_id == row_id]) == []
    assert (await world.get(table, row_id)).generation == 1


async def test_one_round_replaces_the_jobs_of_a_thousand_rows(world: Any, queues: Queues) -> None:
    occurrence_id = await world.occurrence(due=-LONG_AGO, state="due", reminded_step=0)
    queued = {"generation": 1, "enqueued_at": world.now - LONG_AGO, "created_at": world.now - LONG_AGO}
    rows = [world.delivery_row(occurrence_id, step=step, **queued) for step in range(1000)]
    sends = [row.id for row in rows]
    async with world.database.transaction() as session:
        session.add_all(rows)
    queue = await queues.get("fake")
    await queue.add_bulk(SEND.with_id(job_id(send, 1), Send(send, 1), keep_completed=True) for send in sends)
    await _finish_everything(queues, "fake")
    assert (await queue.counts()).completed == 1000

    assert (await reconcile(world.database, queues)).healed == 1000

    waiting = await queue.states(job_id(send, 2) for send in sends)
    assert set(waiting.values()) == {JobState.PRIORITIZED}
    assert len(waiting) == 1000
    assert (await reconcile(world.database, queues)).healed == 0


@pytest.mark.parametrize("state", ["claimed", "handoff"])
async def test_a_delivery_whose_worker_died_comes_back_without_waiting_for_its_job(
    world: Any, queues: Queues, state: str
) -> None:
    delivery_id = await world.due_delivery(
        state=state,
        attempt=1,
        generation=1,
        enqueued_at=world.now - LONG_AGO,
        lease_until=world.now - timedelta(seconds=1),
    )

    assert (await reconcile(world.database, queues)).healed == 1
    assert await ids(queues, "fake") == [job_id(delivery_id, 2)]
    assert (await reconcile(world.database, queues)).healed == 0


async def test_a_delivery_whose_lease_runs_is_left_to_its_worker(world: Any, queues: Queues) -> None:
    await world.due_delivery(
        state="handoff", attempt=1, generation=1, enqueued_at=world.now - LONG_AGO, lease_until=world.now + MINUTE
    )

    assert (await reconcile(world.database, queues)).healed == 0


async def test_a_retry_is_looked_for_when_its_time_comes(world: Any, queues: Queues) -> None:
    queued = {"state": "retry", "generation": 1, "enqueued_at": world.now - LONG_AGO}
    soon = await world.due_delivery(**queued, next_attempt_at=world.now + timedelta(seconds=20))
    await world.due_delivery(**queued, next_attempt_at=world.now + 5 * MINUTE, step=1)

    assert (await reconcile(world.database, queues)).healed == 1
    assert await ids(queues, "fake", JobState.DELAYED) == [job_id(soon, 2)]


async def test_the_backlog_is_healed_in_the_order_in_which_it_matters(world: Any, queues: Queues) -> None:
    queued = {"generation": 1, "enqueued_at": world.now - LONG_AGO}
    occurrence_id = await world.occurrence(state="due", reminded_step=0)
    expected = []
    for step, (severity, hours) in enumerate((("info", 1), ("normal", 3), ("normal", 2), ("critical", 9))):
        expected.append(
            await world.delivery(
                occurrence_id,
                step=step,
                severity=severity,
                expires_at=world.now + timedelta(hours=hours),
                **queued,
            )
        )
    order = [expected[3], expected[2], expected[1], expected[0]]

    await reconcile(world.database, queues)

    queue = await queues.get("fake")
    assert [job.id for job in await queue.jobs(JobState.PRIORITIZED, ascending=True)] == [job_id(i, 2) for i in order]


async def test_two_reconcilers_replace_a_job_once(world: Any, queues: Queues) -> None:
    await world.change(Medication, world.medication.id, severity="critical")
    for _ in range(5):
        await world.due_delivery(generation=1, enqueued_at=world.now - LONG_AGO)

    done = await asyncio.gather(*(reconcile(world.database, queues) for _ in range(3)))

    assert sum(one.healed for one in done) == 5
    assert len(await ids(queues, "fake")) == 5


async def _finish_everything(queues: Queues, name: str) -> None:
    """Complete the jobs as a worker would that does nothing."""
    from carequeue import Worker

    async def nothing(_: object) -> None:
        return None

    async with Worker(name, queues.redis_url, nothing, prefix=queues.prefix) as worker:
        async with asyncio.timeout(10):
            await worker.wait_until_idle()
