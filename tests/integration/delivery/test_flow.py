"""The whole way, dispatcher and channel worker on real engines: due dose in, one message out, whatever Redis does."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from sqlalchemy import select
from tests.redis_servers import Cluster, Watched, promoted

from carecircle.db.deliveries import Delivery
from carecircle.db.occurrences import OccurrenceRow
from carecircle.delivery.runner import run_channel
from carecircle.domain.delivery import Misconfigured, Rejected, Sent, TryLater
from carecircle.jobs import HOUSEKEEPING, REMINDERS, Queues, job_id
from carecircle.runtime.findings import Level
from carecircle.usecases.enqueueing import enqueue_due_soon
from carecircle.usecases.sweeping import sweep
from carecircle_cli.doctor.redis import check_redis
from carecircle_cli.engines import EmbeddedValkey
from carecircle_cli.engines.process import free_port
from carecircle_dispatcher.service import serve
from carecircle_dispatcher.settings import DispatcherSettings
from carequeue import JobState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.postgres, pytest.mark.redis]

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
PATIENCE = 20

T = TypeVar("T")


class System:
    """A dispatcher and a worker of the fake channel in this process."""

    def __init__(self, world: Any, channel: Any, redis_url: str, settings: Any) -> None:
        self.world = world
        self.channel = channel
        self.channels = {channel.spec.name: channel.spec}
        self.redis_url = redis_url
        self.settings = settings
        self.stop = asyncio.Event()
        self.sent: asyncio.Queue[Any] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        channel.after_send = self.sent.put_nowait

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(serve(self.settings, self.stop, self.channels)),
            asyncio.create_task(run_channel(self.channel, self.settings, self.stop)),
        ]

    async def close(self) -> None:
        self.stop.set()
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*self._tasks)

    async def message(self) -> Any:
        """The next message that reaches the provider."""
        async with asyncio.timeout(PATIENCE):
            return await self.sent.get()

    async def delivery(self, state: str) -> Delivery:
        """The only delivery, once it is in this state."""
        rows = await self.until(lambda rows: len(rows) == 1 and rows[0].state == state)
        return rows[0]

    async def until(self, holds: Callable[[list[Delivery]], bool]) -> list[Delivery]:
        """Every delivery, once this holds of them."""

        async def look() -> list[Delivery] | None:
            async with self.world.database.transaction() as session:
                rows = list(await session.scalars(select(Delivery).order_by(Delivery.id)))
            return rows if holds(rows) else None

        return await eventually(look)

    async def enqueued(self, occurrence_id: Any) -> None:
        async def look() -> Any:
            return (await self.world.get(OccurrenceRow, occurrence_id)).enqueued_at

        await eventually(look)

    async def job(self, queue: str, name: str, state: JobState) -> Any:
        """This job, once it is in this state."""
        async with Queues(self.redis_url, self.settings.queue_prefix) as queues:
            jobs = await queues.get(queue)

            async def look() -> Any:
                return await jobs.get(name) if await jobs.state(name) is state else None

            return await eventually(look)

    async def housekeeping(self) -> None:
        """The dispatcher has found Redis: its schedulers are there."""
        async with Queues(self.redis_url, self.settings.queue_prefix) as queues:
            queue = await queues.get(HOUSEKEEPING)

            async def look() -> bool:
                return len(await queue.schedulers()) == 3

            await eventually(look)


async def eventually(look: Callable[[], Awaitable[T | None]]) -> T:
    """What `look` finds, once it finds something: rows and keys that other processes write tell nobody."""
    async with asyncio.timeout(PATIENCE):
        while not (found := await look()):  # noqa: ASYNC110 - as said
            await asyncio.sleep(0.05)
        return found


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A server of this test's own, to be stopped and emptied; not started."""
    server = EmbeddedValkey(tmp_path / "valkey", persistent=False)
    yield server
    server.stop()


@pytest.fixture
def new_system(world: Any, channel: Any, new_database_url: str, queue_name: str) -> Callable[..., System]:
    def make(redis_url: str, **given: Any) -> System:
        settings = DispatcherSettings.load(
            database_url=new_database_url,
            redis_url=redis_url,
            **{"queue_prefix": queue_name, "reconcile_seconds": 0.3, "concurrency": 5, **given},
        )
        return System(world, channel, redis_url, settings)

    return make


@pytest.fixture
async def system(new_system: Callable[..., System], redis_url: str) -> AsyncIterator[System]:
    system = new_system(redis_url)
    system.start()
    yield system
    await system.close()


def client(url: str) -> Redis:
    return Redis.from_url(url, retry=Retry(NoBackoff(), 0))


async def test_a_dose_is_sent_once_when_it_is_due_and_the_jobs_say_so(world: Any, system: System) -> None:
    occurrence_id = await world.occurrence(due=3 * SECOND)

    message = await system.message()
    row = await system.delivery("sent")

    assert (message.occurrence_id, message.late) == (occurrence_id, False)
    assert world.now + 3 * SECOND <= row.handoff_at < world.now + 8 * SECOND, "never early, hardly late"
    reminder = await system.job(REMINDERS, job_id(occurrence_id, 1), JobState.COMPLETED)
    send = await system.job("fake", job_id(row.id, 1), JobState.COMPLETED)
    assert (reminder.return_value, send.return_value) == ({"sent": 1}, {"sent": str(row.id)})
    assert (await world.get(OccurrenceRow, occurrence_id)).state == "due"


@pytest.mark.slow
async def test_redis_may_be_a_cluster(
    new_system: Callable[..., System], world: Any, tmp_path: Path, queue_name: str
) -> None:
    cluster = Cluster(tmp_path / "cluster")
    try:
        await cluster.start()
        system = new_system(cluster.url, queue_prefix=f"{{{queue_name}}}")
        system.start()
        await sends_a_dose(system, world)
        assert {finding.level for finding in await check_redis(cluster.url)} == {Level.OK}
    finally:
        cluster.stop()


@pytest.mark.slow
async def test_redis_may_be_behind_sentinels_and_its_master_may_die(
    new_system: Callable[..., System], world: Any, tmp_path: Path
) -> None:
    watched = Watched(tmp_path / "watched")
    try:
        await watched.start()
        system = new_system(watched.url)
        system.start()
        await system.housekeeping()
        await eventually(watched.in_step)
        before = await watched.master()
        before.process.kill()
        await promoted(watched, before)
        await sends_a_dose(system, world)
        assert {finding.level for finding in await check_redis(watched.url)} == {Level.OK}
    finally:
        watched.stop()


async def sends_a_dose(system: System, world: Any) -> None:
    """By way of its queues: the job says so."""
    occurrence_id = await world.occurrence(due=2 * SECOND)
    assert (await system.message()).occurrence_id == occurrence_id
    reminder = await system.job(REMINDERS, job_id(occurrence_id, 1), JobState.COMPLETED)
    assert reminder.return_value == {"sent": 1}
    await system.close()


async def test_a_dose_taken_early_reminds_nobody(world: Any, system: System) -> None:
    occurrence_id = await world.occurrence(due=2 * SECOND)
    await system.enqueued(occurrence_id)
    await world.answer(occurrence_id)

    job = await system.job(REMINDERS, job_id(occurrence_id, 1), JobState.COMPLETED)

    assert job.return_value == {"skipped": "answered"}
    assert system.channel.sent == []


async def test_a_refusal_is_retried_with_the_same_job_and_then_sent(
    new_system: Callable[..., System], redis_url: str, world: Any
) -> None:
    system = new_system(redis_url, retry_base=0.5)
    system.channel.answers = [TryLater("smtp_451"), TryLater("smtp_451")]
    system.start()
    await world.occurrence()

    row = await system.delivery("sent")

    assert (row.attempt, row.generation) == (3, 1)
    await system.close()


async def test_a_rejection_ends_as_a_failed_job_that_says_why(world: Any, system: System) -> None:
    system.channel.answers = [Rejected("smtp_554")]
    await world.occurrence()

    row = await system.delivery("failed")
    job = await system.job("fake", job_id(row.id, 1), JobState.FAILED)

    assert job.failed_reason == "smtp_554"


async def test_refused_credentials_pause_the_channel_and_say_so(
    new_system: Callable[..., System], redis_url: str, world: Any
) -> None:
    system = new_system(redis_url, health_port=free_port())
    system.channel.answers = [Misconfigured("smtp_535")] * 10
    stop, metrics = asyncio.Event(), system.settings.health_port
    running = asyncio.create_task(run_channel(system.channel, system.settings, stop))
    for step in range(2):
        occurrence_id = await world.occurrence(state="due", reminded_step=0)
        await world.delivery(occurrence_id)
        async with Queues(redis_url, system.settings.queue_prefix) as queues:
            await enqueue_due_soon(world.database, queues)
        if step == 0:
            await system.message()
            await system.until(lambda rows: rows[0].state == "retry")

    ready = await asyncio.to_thread(_read, f"http://127.0.0.1:{metrics}/readyz")
    shown = await asyncio.to_thread(_read, f"http://127.0.0.1:{metrics}/metrics")

    assert json.loads(ready) == {
        "status": "degraded",
        "checks": {"postgres": "ok", "redis": "ok", "channel": "failing"},
    }
    assert 'reminder_channel_paused{channel="fake"} 1.0' in shown
    stop.set()
    await running
    rows = await system.until(lambda rows: True)
    assert sorted(row.state for row in rows) == ["pending", "retry"], "the second one kept its place"


async def test_everybody_who_was_alerted_sees_the_answer(world: Any, system: System) -> None:
    occurrence_id = await world.occurrence()
    await system.message()
    await system.delivery("sent")
    await world.answer(occurrence_id)

    message = await system.message()

    assert (message.kind, message.answer) == ("answered", "taken")
    rows = await system.until(lambda rows: len(rows) == 2 and all(row.state == "sent" for row in rows))
    assert [row.kind for row in rows] == ["due", "answered"]


async def test_after_three_days_away_one_reminder_and_one_digest_go_out(
    new_system: Callable[..., System], redis_url: str, world: Any
) -> None:
    day = {"window": 12 * HOUR}
    lost = [await world.occurrence(due=due * HOUR, **day) for due in (-49, -25)]
    newest = await world.occurrence(due=-1 * HOUR, **day)
    system = new_system(redis_url, sweep_seconds=1)
    # Before anything runs: a sweep leaves a dose that the dispatcher holds at that moment for the next sweep.
    assert (await sweep(world.database, system.channels)).unknown == 2
    system.start()

    reminder = await system.message()
    rows = await system.until(lambda rows: len(rows) == 2 and all(row.enqueued_at for row in rows))

    assert (reminder.occurrence_id, reminder.kind, reminder.late) == (newest, "due", True)
    digest = next(row for row in rows if row.kind == "not_reminded")
    assert (digest.occurrence_id, digest.state) == (lost[-1], "pending")
    assert [(await world.get(OccurrenceRow, one)).state for one in (*lost, newest)] == ["unknown", "unknown", "due"]

    await world.change(Delivery, digest.id, next_attempt_at=world.now)
    async with Queues(redis_url, system.settings.queue_prefix) as queues:
        await (await queues.get("fake")).promote(job_id(digest.id, 1))
    message = await system.message()
    await system.until(lambda rows: len(rows) == 2 and all(row.state == "sent" for row in rows))

    assert (message.kind, message.delivery_id) == ("not_reminded", digest.id)
    assert [one.nominal_local for one in message.unreminded] == [
        (await world.get(OccurrenceRow, one)).nominal_local for one in lost
    ]
    await system.close()
    assert len(system.channel.sent) == 2


async def test_a_stop_waits_for_the_message_that_is_being_sent(
    new_system: Callable[..., System], redis_url: str, world: Any
) -> None:
    system = new_system(redis_url)
    release = asyncio.Event()
    system.channel.before_send = release.wait
    system.start()
    await world.occurrence()
    async with asyncio.timeout(PATIENCE):
        await system.channel.sending.wait()

    closing = asyncio.create_task(system.close())
    await asyncio.sleep(0.2)  # long enough for a worker that does not wait
    assert not closing.done()
    release.set()
    await closing

    assert (await system.delivery("sent")).ambiguous == 0


async def test_a_flush_just_before_the_dose_costs_nothing(
    new_system: Callable[..., System], valkey: EmbeddedValkey, world: Any
) -> None:
    valkey.start()
    system = new_system(valkey.url())
    system.start()
    occurrence_id = await world.occurrence(due=5 * SECOND)
    await system.enqueued(occurrence_id)
    await world.change(OccurrenceRow, occurrence_id, enqueued_at=world.now - 60 * SECOND)
    await system.housekeeping()
    async with client(valkey.url()) as redis:
        await redis.flushall()

    await system.message()
    row = await system.delivery("sent")

    assert world.now + 5 * SECOND <= row.handoff_at < world.now + 10 * SECOND
    async with Queues(valkey.url(), system.settings.queue_prefix) as queues:
        schedulers = await (await queues.get(HOUSEKEEPING)).schedulers()
    assert sorted(one.id for one in schedulers) == ["plan", "supplies", "sweep"], "the repeating jobs are back as well"
    await system.close()
    assert len(system.channel.sent) == 1


async def test_without_redis_reminders_go_out_and_none_is_doubled_when_it_is_back(
    new_system: Callable[..., System], valkey: EmbeddedValkey, world: Any
) -> None:
    system = new_system(valkey.url())
    system.start()  # with Redis away from the start
    first = await world.occurrence()
    assert (await system.message()).occurrence_id == first

    valkey.start()
    await system.housekeeping()
    second = await world.occurrence()
    assert (await system.message()).occurrence_id == second

    valkey.stop()
    third = await world.occurrence(due=SECOND)
    assert (await system.message()).occurrence_id == third
    valkey.start()
    fourth = await world.occurrence(due=2 * SECOND)
    assert (await system.message()).occurrence_id == fourth

    rows = await system.until(lambda rows: len(rows) == 4 and all(row.state == "sent" for row in rows))
    await system.close()
    assert {row.attempt for row in rows} == {1}
    assert len(system.channel.sent) == 4


async def test_nothing_about_people_or_medicines_is_in_redis(
    new_system: Callable[..., System], valkey: EmbeddedValkey, world: Any
) -> None:
    valkey.start()
    system = new_system(valkey.url())
    system.channel.answers = [Sent("ref"), RuntimeError("canary bug")]
    system.start()
    for _ in range(2):
        last = await world.occurrence()
        await system.message()
    await system.until(lambda rows: len(rows) == 2 and "pending" not in {row.state for row in rows})

    stored: list[bytes] = []
    async with client(valkey.url()) as redis:
        await redis.config_set("rdbcompression", "no")  # or a dump could hide what it holds
        async for key in redis.scan_iter("*"):
            stored.append(await redis.dump(key) or b"")
    await system.close()

    assert any(str(last).encode() in value for value in stored)
    assert not any(b"canary" in value for value in stored)


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as reply:  # noqa: S310 - our own server
        return reply.read().decode()
