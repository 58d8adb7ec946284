"""A Redis Cluster of three masters: a queue lives on one of them, goes along when its slot moves, and outlives it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot
from tests.redis_servers import ask
from tests.waiting import eventually

from carequeue import (
    Backoff,
    ConnectionLost,
    Deduplication,
    FlowNode,
    FlowProducer,
    InvalidOption,
    Job,
    JobContext,
    NewJob,
    NotReady,
    ParentRef,
    Queue,
    QueueEvents,
    Repeat,
    UnsuitableRedis,
    Worker,
)
from carequeue.testing import Signal

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from tests.redis_servers import Cluster, RedisServer

    from carecircle_cli.engines import EmbeddedValkey

pytestmark = [pytest.mark.redis, pytest.mark.slow]

SOON = timedelta(milliseconds=50)


async def nothing(job: Job[Any]) -> None:
    """The handler that does nothing."""


@pytest.fixture(params=["name", "prefix"])
def tagged(request: pytest.FixtureRequest, queue_name: str) -> tuple[str, str]:
    """A queue's name and prefix, one of which has the hash tag."""
    return (f"{{{queue_name}}}", "bull") if request.param == "name" else (queue_name, f"{{{queue_name}}}")


@pytest.fixture(params=["url", "client"])
async def connection(request: pytest.FixtureRequest, cluster: Cluster) -> Any:
    if request.param == "url":
        yield cluster.url
        return
    async with RedisCluster(host="127.0.0.1", port=cluster.masters[0].port) as client:
        yield client


async def test_everything_of_a_queue_works(connection: Any, tagged: tuple[str, str], cluster: Cluster) -> None:
    name, prefix = tagged
    ran: list[str] = []

    async def handle(job: Job[Any], context: JobContext) -> str:
        ran.append(job.name)
        await context.log("began")
        if job.name == "again" and job.attempts_made == 0:
            raise RuntimeError("not the first time")
        return job.name

    async with (
        Queue(name, connection, prefix=prefix) as queue,
        QueueEvents(name, connection, prefix=prefix, since="0") as events,
        FlowProducer(connection, prefix=prefix) as flows,
    ):
        await queue.add_bulk([NewJob("plain", n) for n in range(3)])
        await queue.add("first", priority=2)
        delayed = await queue.add("delayed", delay=SOON)
        await queue.add("again", attempts=2, backoff=Backoff.fixed(SOON))
        await queue.add("once", deduplication=Deduplication("only"))
        await queue.add("once", deduplication=Deduplication("only"))
        await queue.schedule("tick", Repeat.every(timedelta(hours=1), limit=1), "tick")
        flow = await flows.add(
            FlowNode("parent", queue=name, children=[FlowNode("child", queue=name) for _ in range(2)])
        )
        assert [job.name async for job in queue.find("waiting", name="once")] == ["once"]
        async with Worker(name, connection, handle, prefix=prefix, name="one") as worker:
            assert await queue.wait_until_finished(delayed, events, timedelta(seconds=10)) == "delayed"
            assert await queue.wait_until_finished(flow.job, events, timedelta(seconds=10)) == "parent"
            await queue.promote_all()
            await worker.wait_until_idle()
            assert [found.name for found in await queue.workers()] == ["one"]
        assert sorted(ran) == sorted(
            ["plain"] * 3 + ["first", "delayed", "again", "again", "once", "tick", "child", "child", "parent"]
        )
        assert await queue.logs(delayed.id) == ["began"]
        whole = await flows.get(flow.job.id, queue=name)
        assert whole is not None
        assert [each.job.return_value for each in whole] == ["parent", "child", "child"]
        assert (await queue.counts()).completed == 11
        owner = await cluster.owner(queue.keys.base)
        assert await keys_of(owner, queue.keys.base)
        for other in cluster.others(owner):
            assert not await keys_of(other, queue.keys.base)
        await queue.pause()
        await queue.obliterate()
        assert not await keys_of(owner, f"{prefix}:{name}")


async def keys_of(node: RedisServer, base: str) -> list[str]:
    return [key for key in await ask(node, "KEYS", "*") if key.startswith(base)]


async def test_two_queues_are_on_two_nodes(cluster: Cluster, queue_name: str) -> None:
    names = [f"{{{queue_name}-{number}}}" for number in range(20)]
    owners = {name: await cluster.owner(f"bull:{name}") for name in names}
    assert len(set(owners.values())) == 3
    done = Signal("done")
    workers = [Worker(name, cluster.url, nothing) for name in names]
    for worker in workers:
        worker.on_completed(lambda job, value: done(job.queue))
    try:
        await asyncio.gather(*(worker.start() for worker in workers))
        for name in names:
            async with Queue(name, cluster.url) as queue:
                await queue.add("job")
        await done.wait(len(names))
    finally:
        await asyncio.gather(*(worker.close() for worker in workers))
    assert sorted(queue for (queue,) in done.calls) == sorted(names)
    for name, owner in owners.items():
        assert await ask(owner, "EXISTS", f"bull:{name}:meta") == 1


async def test_a_waiting_worker_is_woken_on_the_node_of_its_queue(cluster: Cluster, queue_name: str) -> None:
    name, done = f"{{{queue_name}}}", Signal("done")
    worker = Worker(name, cluster.url, nothing, drain_delay=timedelta(minutes=5))
    worker.on_completed(done)
    async with Queue(name, cluster.url) as queue, worker:
        for count in range(1, 4):
            await worker.wait_until_idle()
            await queue.add("job")
            await done.wait(count, timeout=5)


async def test_a_job_of_a_dead_worker_is_rescued(cluster: Cluster, queue_name: str) -> None:
    name, started = f"{{{queue_name}}}", Signal("started")

    async def hang(job: Job[Any]) -> None:
        started()
        await asyncio.Event().wait()

    short: dict[str, Any] = {"lock_duration": timedelta(seconds=1), "stalled_interval": timedelta(milliseconds=300)}
    dead = Worker(name, cluster.url, hang, skip_lock_renewal=True, skip_stalled_check=True, **short)
    rescuer, stalled, done = Worker(name, cluster.url, nothing, **short), Signal("stalled"), Signal("done")
    rescuer.on_stalled(stalled)
    rescuer.on_completed(done)
    async with Queue(name, cluster.url) as queue:
        job = await queue.add("job")
        await dead.start()
        await started.wait()
        async with rescuer:
            await done.wait()
        assert stalled.calls == [(job.id,)]
    await dead.close(timedelta(0))


@pytest.mark.parametrize("kind", ["url", "client"])
async def test_a_cluster_that_nobody_spoke_of_is_refused(kind: str, cluster: Cluster, queue_name: str) -> None:
    async with Redis(port=cluster.masters[0].port, decode_responses=True, retry=Retry(NoBackoff(), 0)) as client:
        here: Any = client if kind == "client" else f"redis://127.0.0.1:{cluster.masters[0].port}"
        elsewhere = f"{{{queue_name}-elsewhere}}"
        wrong = cluster.others(await cluster.owner(f"bull:{elsewhere}"))[0]
        queue, flows = Queue(f"{{{queue_name}}}", here), FlowProducer(here)
        unopened = Queue(elsewhere, f"redis://127.0.0.1:{wrong.port}")
        attempts: list[Awaitable[Any]] = [
            queue.open(),
            Worker(f"{{{queue_name}}}", here, nothing).start(),
            unopened.add("job"),
            flows.add(FlowNode("a", queue=queue_name, children=[FlowNode("b", queue="other")])),
        ]
        for attempt in attempts:
            with pytest.raises(UnsuitableRedis, match=r"is a node of a Redis Cluster: give redis\+cluster://"):
                await attempt
        for each in (queue, unopened, flows):
            await each.close()


async def test_a_server_that_is_no_cluster_is_told(own_valkey: EmbeddedValkey) -> None:
    with pytest.raises(UnsuitableRedis, match="is a server by itself: give redis://, not cluster"):
        await Queue("{q}", own_valkey.url().replace("redis:", "redis+cluster:")).open()


async def test_a_parent_in_another_slot_is_refused_before_anything_is_written(
    cluster: Cluster, queue_name: str
) -> None:
    async with Queue(f"{{{queue_name}}}", cluster.url) as queue:
        with pytest.raises(InvalidOption, match=r"one slot, those of .* do not: give .* a common \{hash tag\}"):
            await queue.add("job", parent=ParentRef("1", "bull:{elsewhere}"))
        assert (await queue.counts()).pending == 0


async def test_nodes_that_are_away_are_passed_over(cluster: Cluster, queue_name: str) -> None:
    url = cluster.url.replace("redis+cluster://", "redis+cluster://127.0.0.1:1,nobody.invalid:2,")
    async with Queue(f"{{{queue_name}}}", url) as queue:
        await queue.add("job")
        assert (await queue.counts()).waiting == 1


async def test_nobody_there_is_said(queue_name: str) -> None:
    with pytest.raises(ConnectionLost, match=r"node with slot \d+ of the cluster at 127.0.0.1:1, 127.0.0.1:2 did not"):
        await Queue(f"{{{queue_name}}}", "redis+cluster://127.0.0.1:1,127.0.0.1:2").open()


# A slot moves


async def test_a_queue_goes_along_when_its_slot_moves(cluster: Cluster, queue_name: str) -> None:
    """Between two calls: nobody notices, no job is lost, none runs twice."""
    name, ran, done = f"{{{queue_name}}}", list[int](), Signal("done")

    async def note(job: Job[Any]) -> None:
        ran.append(job.data)

    worker = Worker(name, cluster.url, note, drain_delay=timedelta(minutes=5))
    worker.on_completed(done)
    async with Queue(name, cluster.url) as queue, worker:
        for number in range(3):
            await queue.add_bulk([NewJob("job", 10 * number + n) for n in range(10)])
            await done.wait(10 * (number + 1))
            await worker.wait_until_idle()
            owner = await cluster.owner(queue.keys.base)
            await cluster.move_slot(key_slot(queue.keys.base.encode()), owner, cluster.others(owner)[0])
            delayed = await queue.add("delayed", 100 + number, delay=timedelta(hours=1))
            assert await queue.remove(delayed.id)
        await queue.add("job", 30)
        await done.wait(31)
        assert (await queue.counts()).completed == 31
    assert sorted(ran) == list(range(31))


async def test_many_calls_under_way_are_all_sent_on(cluster: Cluster, queue_name: str) -> None:
    async with Queue(f"{{{queue_name}}}", cluster.url) as queue:
        await queue.add("job", job_id="first")
        owner = await cluster.owner(queue.keys.base)
        await cluster.move_slot(key_slot(queue.keys.base.encode()), owner, cluster.others(owner)[1])
        added = await asyncio.gather(*(queue.add("job", n) for n in range(200)))
        assert len({job.id for job in added}) == 200
        assert (await queue.counts()).waiting == 201


async def test_while_the_keys_of_a_slot_are_moved_the_queue_waits(cluster: Cluster, queue_name: str) -> None:
    """Half of the keys are here, half are there: no script runs on either half."""
    name, done, errors = f"{{{queue_name}}}", Signal("done"), Signal("errors")
    worker = Worker(name, cluster.url, nothing, drain_delay=timedelta(milliseconds=500))
    worker.on_completed(done)
    worker.on_error(errors)
    async with Queue(name, cluster.url) as queue:
        await queue.add_bulk([NewJob("job", n) for n in range(20)])
        slot = key_slot(queue.keys.base.encode())
        owner = await cluster.owner(queue.keys.base)
        target = cluster.others(owner)[0]
        async with cluster.moving(slot, owner, target):
            await cluster.move_keys(slot, owner, target, most=10)
            with pytest.raises(NotReady, match="ASK, the slot of the queue is being moved"):
                await queue.add("job", 20)
            starting = asyncio.create_task(worker.start())
            await errors.wait(2)
            assert not starting.done()
            while await cluster.move_keys(slot, owner, target):
                pass
        await starting
        await done.wait(20)
        await queue.add("job", 20)
        await done.wait(21)
        assert (await queue.counts()).completed == 21
        await worker.close()
    assert {type(error) for (error,) in errors.calls} <= {NotReady, ConnectionLost}


# A node dies


async def test_a_replica_takes_over_and_the_queue_goes_on(own_masters: Cluster, queue_name: str) -> None:
    name, ran, done = f"{{{queue_name}}}", list[int](), Signal("done")

    async def note(job: Job[Any]) -> None:
        ran.append(job.data)

    worker = Worker(name, own_masters.url, note, drain_delay=timedelta(seconds=1))
    worker.on_completed(done)
    async with Queue(name, own_masters.url) as queue, worker:
        await queue.add_bulk([NewJob("job", n) for n in range(10)])
        await done.wait(10)
        kept = await queue.add("kept", 10, job_id="kept", delay=timedelta(hours=1))
        before = await own_masters.owner(queue.keys.base)
        async with before.client() as client:
            await client.set(queue.keys.base, "")  # WAIT is about the writes of its own connection
            assert await client.execute_command("WAIT", 1, 5000) == 1
        before.process.kill()

        async def added() -> bool:
            try:
                await queue.add("job", 11, job_id="after")  # with an id it may be repeated
            except ConnectionLost:
                return False
            return True

        await eventually(added, "the replica takes jobs", 40)
        await done.wait(11)
        assert await own_masters.owner(queue.keys.base) is not before
        await queue.promote(kept.id)
        await done.wait(12)
        assert (await queue.counts()).completed == 12
    assert sorted(ran) == list(range(12))
