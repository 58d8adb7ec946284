"""The rights that a Redis user needs, as docs/connections.md lists them: they are enough, and none can be missed."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.carequeue.conftest import close_at_once

from carequeue import (
    Deduplication,
    FlowNode,
    FlowProducer,
    Inspector,
    Job,
    JobContext,
    JobState,
    NewJob,
    NotPermitted,
    Queue,
    QueueEvents,
    Repeat,
    Worker,
)
from carequeue.store.connection import connect
from carequeue.store.script import Scripts
from carequeue.testing import Signal
from carequeue.wire.keys import QueueKeys

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redis.asyncio import Redis

pytestmark = pytest.mark.redis

NewUser = Callable[..., Awaitable[str]]

PAGE = Path(__file__).parents[4] / "libs/carequeue/docs/connections.md"
LISTED = {
    line.split()[2]: line.split()[3:]
    for line in PAGE.read_text("utf-8").splitlines()
    if line.startswith("ACL SETUSER ")
}


@pytest.fixture
async def new_user(redis: Redis, redis_url: str) -> AsyncIterator[NewUser]:
    """`await new_user("worker", "-zadd")`: a user with the rights of the page and a change; the URL to log in with."""
    names: list[str] = []

    async def make(role: str, *changes: str) -> str:
        names.append(f"u-{secrets.token_hex(6)}")
        await redis.execute_command("ACL", "SETUSER", names[-1], *LISTED[role], *changes)
        return redis_url.replace("redis://", f"redis://{names[-1]}:secret@")

    yield make
    await redis.execute_command("ACL", "DELUSER", *names)


@pytest.fixture
async def _tells(redis: Redis) -> None:
    if (await redis.info("server"))["redis_version"].startswith("6."):
        pytest.skip("before Redis 7 a script cannot ask for its rights, and an error in one does not say what it lacks")


def rights_of(role: str) -> list[str]:
    return [rule.removeprefix("+") for rule in LISTED[role] if rule.startswith("+") and "@" not in rule]


async def remind(job: Job[Any], context: JobContext) -> str:
    if job.name == "twice" and context.attempt == 1:
        raise ValueError("not now")
    await context.update_progress(50)
    await context.log("half of it is done")
    return "done"


async def add_some(url: str, name: str) -> list[str]:
    """What a producer does; the ids of the jobs that will have run once the scheduler's first has."""
    async with Queue(name, url) as queue, FlowProducer(url) as flows:
        jobs = [
            await queue.add("now", priority=2),
            await queue.add("twice", attempts=2),
            await queue.add("soon", delay=timedelta(milliseconds=50)),
            *await queue.add_bulk([NewJob("bulk", n) for n in range(3)]),
            await queue.add("kept out", deduplication=Deduplication("once")),
            await queue.add("grouped", group="a"),
        ]
        flow = await flows.add(FlowNode("parent", queue=name, children=[FlowNode("child", queue=name)]))
        await queue.schedule("hourly", Repeat.every(timedelta(hours=1)), "scheduled")
        return [*(job.id for job in jobs), *(node.job.id for node in flow)]


async def work_off(url: str, name: str, count: int) -> None:
    """What a worker does, `count` times."""
    done = Signal("done")
    worker = Worker(name, url, remind, limiter=None, drain_delay=timedelta(seconds=1), concurrency=5)
    worker.on_completed(lambda job, value: done(job.name, value))
    async with worker:
        await done.wait(count)


async def look_around(url: str, name: str, job_id: str) -> None:
    """What a reader does."""
    async with Inspector(name, url) as queue, QueueEvents(name, url, since="0") as events:
        assert (await queue.counts()).completed > 8
        assert (await queue.counts_per_priority([0])) == {0: 0}
        [job, *_] = await queue.jobs([JobState.COMPLETED])
        assert job.return_value == "done"
        assert await queue.logs(job_id) == ["half of it is done"]
        assert await queue.state(job_id) == JobState.COMPLETED
        assert await queue.exists([job_id]) == {job_id}
        assert len(await queue.schedulers()) == 1
        assert await queue.get_scheduler("hourly") is not None
        assert await queue.error_groups() == []
        assert not await queue.is_paused()
        await queue.metrics("completed")
        await queue.deduplication_job("once")
        await queue.delayed_count()
        async for event in events:
            if event.name == "completed" and event.job_id == job_id:
                break


async def administer(url: str, name: str) -> None:
    """What only a user with all of the rights for queues can."""
    async with Queue(name, url) as queue:
        await queue.pause()
        failing = await queue.add("again", delay=timedelta(hours=1))
        assert failing.id in {job.id for job in await queue.jobs([JobState.DELAYED])}
        await queue.promote(failing.id)
        await queue.change_priority(failing.id, 5)
        await queue.update_data(failing.id, {"n": 1})
        await queue.remove(failing.id)
        assert await queue.clean(timedelta(0), state=JobState.COMPLETED)
        assert await queue.unschedule("hourly")
        assert await queue.workers() == []
        await queue.drain(delayed=True)
        await queue.trim_events(1)
        await queue.resume()
        await queue.pause()
        await queue.obliterate(force=True)


@pytest.mark.parametrize("roles", [("producer", "worker", "reader"), ("queues", "queues", "queues")])
async def test_the_listed_rights_are_enough(
    new_user: NewUser, redis: Redis, queue_name: str, roles: tuple[str, str, str]
) -> None:
    producer, worker, reader = [await new_user(role) for role in roles]
    job_ids = await add_some(producer, queue_name)
    await work_off(worker, queue_name, len(job_ids) + 1)
    for job_id in job_ids:
        await look_around(reader, queue_name, job_id)
    await administer(await new_user("queues"), queue_name)
    assert await redis.keys(f"bull:{queue_name}*") == []


@pytest.mark.usefixtures("_tells")
@pytest.mark.parametrize("right", rights_of("producer"))
async def test_a_producer_is_told_of_each_right_it_lacks(new_user: NewUser, queue_name: str, right: str) -> None:
    url = await new_user("producer", f"-{right}")
    with pytest.raises(NotPermitted, match=told_of(right)):
        await add_some(url, queue_name)


@pytest.mark.usefixtures("_tells")
@pytest.mark.parametrize("right", rights_of("worker"))
async def test_a_worker_is_told_of_each_right_it_lacks(new_user: NewUser, queue_name: str, right: str) -> None:
    worker = Worker(queue_name, await new_user("worker", f"-{right}"), remind)
    with pytest.raises(NotPermitted, match=told_of(right)):
        await worker.start()
    await close_at_once(worker)


@pytest.mark.usefixtures("_tells")
@pytest.mark.parametrize("right", rights_of("reader"))
async def test_a_reader_is_told_of_each_right_it_lacks(
    new_user: NewUser, redis: Redis, queue_name: str, right: str
) -> None:
    await redis.script_flush()  # what is not known has to be sent
    url = await new_user("reader", f"-{right}")
    with pytest.raises(NotPermitted, match=told_of(right)):
        async with Inspector(queue_name, url) as queue, QueueEvents(queue_name, url):
            await queue.counts()


@pytest.mark.usefixtures("_tells")
async def test_a_user_of_one_queue_needs_its_base_key_as_well(new_user: NewUser, queue_name: str) -> None:
    """The scripts name it, although nothing is stored there."""
    ours = ("resetkeys", f"~bull:{queue_name}", f"~bull:{queue_name}:*")
    async with Queue(queue_name, await new_user("producer", *ours)) as queue:
        await queue.add("job")
    with pytest.raises(NotPermitted, match=f"on the keys of bull:{queue_name}-other, or touch them at all"):
        async with Queue(f"{queue_name}-other", await new_user("producer", *ours)):
            pass
    with pytest.raises(NotPermitted, match=f"on the keys of bull:{queue_name}, or touch them at all"):
        async with Queue(queue_name, await new_user("producer", "resetkeys", f"~bull:{queue_name}:*")):
            pass


@pytest.mark.usefixtures("_tells")
async def test_what_is_no_command_is_not_missed(new_user: NewUser, redis_url: str, queue_name: str) -> None:
    async with connect(await new_user("producer")) as client:
        rights = Scripts(client, QueueKeys("bull", queue_name))
        assert await rights._run("checkRights", "LPUSH", "LIMIT", "FLUSHALL", "MAXLEN") == ["FLUSHALL"]
    async with connect(redis_url) as client:
        rights = Scripts(client, QueueKeys("bull", queue_name))
        assert await rights._run("checkRights", "LPUSH", "LIMIT", "FLUSHALL", "EVAL", "BZPOPMIN") == []


@pytest.mark.usefixtures("_tells")
async def test_a_worker_that_may_not_write_its_dead_letters_is_told(new_user: NewUser, queue_name: str) -> None:
    url = await new_user("worker", "resetkeys", f"~bull:{queue_name}", f"~bull:{queue_name}:*")
    worker = Worker(queue_name, url, remind, dead_letters=f"{queue_name}-dead")
    with pytest.raises(NotPermitted, match=f"may not write to its dead_letters, '{queue_name}-dead'"):
        await worker.start()
    await close_at_once(worker)


def told_of(right: str) -> str:
    return rf"(?i)\b{re.escape(right)}\b"
