"""Inspector: what one sees of a queue."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from carequeue import Counts, Inspector, InvalidOption, JobOptions, JobState, NewJob, Queue, Repeat, Telemetry
from carequeue.store.commands import Commands, Finish, Step
from carequeue.store.connection import client_name, connect
from carequeue.testing import Signal, drain

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.asyncio import Redis

    from carequeue import Worker

pytestmark = pytest.mark.redis

NOW = 1_795_500_000_000
HOUR = timedelta(hours=1)


async def fill(queue: Queue) -> None:
    """Two jobs in every state; the older one has the lower number."""
    commands = Commands(queue.client, queue.keys)
    for state in ("completed", "failed"):
        for number in range(2):
            await queue.add("paint", job_id=f"{state[0]}{number}")
            [job] = (await commands.step(Step((), 1, NOW, "hand", 0, 60_000))).jobs
            ended = Finish(job.id, job.token, state, "null", "[]")  # type: ignore[arg-type]
            await commands.step(Step([ended], 0, NOW + number, "hand", 0, 60_000))
    await queue.add_bulk(NewJob("paint", {}, JobOptions(job_id=f"a{number}")) for number in range(2))
    await commands.step(Step((), 2, NOW, "hand", 0, 60_000))
    for number in range(2):
        await queue.add("paint", job_id=f"w{number}")
        await queue.add("paint", job_id=f"p{number}", priority=number + 1)
        await queue.add("paint", job_id=f"d{number}", delay=(number + 1) * HOUR)
        await queue.add("paint", job_id=f"k{number}")
        await queue.client.lrem(queue.keys.wait, 0, f"k{number}")  # type: ignore[misc]
        await queue.client.zadd(queue.keys.waiting_children, {f"k{number}": NOW + number})


BY_STATE = {
    "waiting": ["w0", "w1"],
    "prioritized": ["p0", "p1"],
    "delayed": ["d0", "d1"],
    "active": ["a0", "a1"],
    "completed": ["c0", "c1"],
    "failed": ["f0", "f1"],
    "waiting-children": ["k0", "k1"],
}


async def test_counts_tell_every_state(queue: Queue) -> None:
    await fill(queue)
    counts = await queue.counts()
    assert counts == Counts(2, 2, 2, 2, 2, 2, 2, paused=False)
    assert counts.pending == 8
    assert counts.by_state == dict.fromkeys(sorted(BY_STATE), 2)


async def test_counts_go_by_priority(queue: Queue, redis: Redis) -> None:
    most = 2**21 - 1
    priorities = [0, 0, 1, 2, 2, 2, most - 1, most]
    await queue.add_bulk(NewJob("paint", {}, JobOptions(priority=priority)) for priority in priorities)
    await redis.rpush(queue.keys.paused, "old")  # type: ignore[misc]
    assert await queue.counts_per_priority([2, 0, 1, 3, most, 2, most - 1]) == {
        2: 3, 0: 3, 1: 1, 3: 0, most: 1, most - 1: 1,
    }  # fmt: skip
    assert await queue.counts_per_priority([]) == {}
    many = await queue.counts_per_priority(range(2500))
    assert (len(many), sum(many.values())) == (2500, 7)
    for unknown in (-1, most + 1):
        with pytest.raises(InvalidOption, match="a priority is between"):
            await queue.counts_per_priority([unknown])


async def test_counts_are_heard_of_when_they_are_recorded(redis_url: str, queue: Queue) -> None:
    await fill(queue)
    heard = Signal("counted")
    telemetry = Telemetry()
    telemetry.subscribe(heard)
    async with Inspector(queue.name, redis_url, telemetry=telemetry) as inspector:
        await inspector.counts()
        assert await inspector.record_job_counts() == await queue.counts()
    assert heard.calls == [("queue.counted", {"queue": queue.name, "counts": dict.fromkeys(sorted(BY_STATE), 2)})]


async def test_prometheus_reads_the_queue_as_text(queue: Queue, new_worker: Callable[..., Worker]) -> None:
    await queue.add_bulk([NewJob("paint", {})] * 3)
    await drain(new_worker(lambda job: None, max_data_points=5))
    await queue.add("paint", delay=HOUR)
    page = await queue.export_prometheus_metrics({"site": "berlin"})
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    assert {labels["site"] for _, labels, *_ in samples} == {"berlin"}
    assert {labels["queue"] for _, labels, *_ in samples} == {queue.name}
    found = {(name, labels.get("state")): value for name, labels, value, *_ in samples}
    assert found["bullmq_job_count", "completed"] == 3
    assert found["bullmq_job_count", "delayed"] == 1
    assert found["bullmq_job_count", "waiting"] == 0
    assert found["bullmq_job_completed_total", None] == 3
    assert found["bullmq_job_failed_total", None] == 0
    with pytest.raises(InvalidOption, match="a label"):
        await queue.export_prometheus_metrics({"a-b": "x"})


async def test_every_state_lists_its_jobs_in_both_orders(queue: Queue) -> None:
    await fill(queue)
    for state, ids in BY_STATE.items():
        assert [job.id for job in await queue.jobs(state, ascending=True)] == ids  # type: ignore[arg-type]
        assert [job.id for job in await queue.jobs(state)] == ids[::-1]  # type: ignore[arg-type]
        assert {await queue.state(job_id) for job_id in ids} == {JobState(state)}


async def test_states_of_many_come_in_one_call(queue: Queue, redis: Redis) -> None:
    await fill(queue)
    await queue.states(["warm up"])
    calls = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    asked = [job_id for ids in BY_STATE.values() for job_id in ids]
    assert await queue.states([*asked, *asked, "nowhere"]) == {
        job_id: JobState(state) for state, ids in BY_STATE.items() for job_id in ids
    }
    assert (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"] == calls + 1
    assert await queue.states([]) == {}


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, -1, ["w1", "w0", "d1", "d0", "c1", "c0"]),
        (1, 3, ["w0", "d1", "d0"]),
        (3, 4, ["d0", "c1"]),
        (5, 100, ["c0"]),
        (6, -1, []),
        (2, 1, []),
    ],
)
async def test_pages_run_on_over_several_states(queue: Queue, start: int, end: int, expected: list[str]) -> None:
    await fill(queue)
    jobs = await queue.jobs(["waiting", "delayed", JobState.COMPLETED], start=start, end=end)
    assert [job.id for job in jobs] == expected


async def test_pages_run_on_ascending_too(queue: Queue) -> None:
    await fill(queue)
    jobs = await queue.jobs(["active", "waiting"], start=1, end=2, ascending=True)
    assert [job.id for job in jobs] == ["a1", "w0"]


@pytest.mark.parametrize(("start", "end"), [(-1, 5), (0, -2)])
async def test_places_count_from_the_start(queue: Queue, start: int, end: int) -> None:
    with pytest.raises(InvalidOption):
        await queue.jobs("waiting", start=start, end=end)


async def test_a_state_that_does_not_exist_is_said(queue: Queue) -> None:
    wrong: Any = "sleeping"
    with pytest.raises(InvalidOption, match="the states are waiting, prioritized"):
        await queue.jobs(wrong)


async def test_more_jobs_than_one_call_reads_come_in_order(queue: Queue) -> None:
    await queue.add_bulk(NewJob("paint", number) for number in range(2100))
    assert [job.data for job in await queue.jobs("waiting", ascending=True)] == list(range(2100))
    assert [job.data for job in await queue.jobs("waiting", start=1999)] == list(range(100, -1, -1))
    assert [job.data async for job in queue.iterate("waiting", page=700)] == list(range(2099, -1, -1))


async def test_jobs_that_an_old_client_parked_wait(queue: Queue, redis: Redis) -> None:
    await queue.add_bulk(NewJob("paint", {}, JobOptions(job_id=job_id)) for job_id in ("a", "b"))
    await redis.rpoplpush(queue.keys.wait, queue.keys.paused)
    assert (await queue.counts()).waiting == 2
    assert await queue.state("a") is JobState.WAITING
    assert {job.id for job in await queue.jobs("waiting")} == {"a", "b"}


async def test_old_markers_are_no_jobs(queue: Queue, redis: Redis) -> None:
    await queue.add("paint", job_id="a")
    await redis.rpush(queue.keys.wait, "0:5")
    assert (await queue.counts()).waiting == 1
    assert [job.id for job in await queue.jobs("waiting")] == ["a"]


async def test_an_id_without_a_job_is_left_out(queue: Queue, redis: Redis) -> None:
    await queue.add("paint", job_id="a")
    await redis.lpush(queue.keys.wait, "gone")
    assert [job.id for job in await queue.jobs("waiting")] == ["a"]


async def test_what_is_nowhere_has_no_state(queue: Queue) -> None:
    assert (await queue.get("x"), await queue.state("x"), await queue.logs("x")) == (None, None, [])


async def test_existence_is_asked_for_many_at_once(queue: Queue, redis: Redis) -> None:
    await fill(queue)
    await queue.exists(["warm up"])
    calls = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    assert await queue.exists(["w0", "x", "c1", *(f"n{number}" for number in range(5000))]) == {"w0", "c1"}
    assert (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"] == calls + 1
    assert await queue.exists([]) == set()


async def test_states_are_asked_for_many_at_once(queue: Queue, redis: Redis) -> None:
    await fill(queue)
    await redis.lpush(f"{queue.keys.base}:paused", "parked")  # by BullMQ up to 5
    await queue.states(["warm up"])
    ids = [job_id for state in BY_STATE.values() for job_id in state]
    calls = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    found = await queue.states([*ids, "x", *ids, "parked", *(f"n{number}" for number in range(5000))])
    assert (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"] == calls + 1
    assert found == {job_id: state for state, jobs in BY_STATE.items() for job_id in jobs} | {"parked": "waiting"}
    assert found == {job_id: await queue.state(job_id) for job_id in found}
    assert await queue.states([]) == {}


@pytest.mark.parametrize("place", [0, 999, 1000, 1999, 2499])
async def test_a_state_is_found_wherever_in_a_long_list_the_job_is(queue: Queue, place: int) -> None:
    await queue.add_bulk(NewJob("paint", {}, JobOptions(job_id=f"w{number}")) for number in range(2500))
    assert await queue.states([f"w{place}", "x"]) == {f"w{place}": "waiting"}


async def test_connected_workers_are_listed_by_name(queue: Queue, redis_url: str) -> None:
    named = connect(redis_url, client_name=client_name("bull", queue.name, ":w:one"))
    plain = connect(redis_url, client_name=client_name("bull", queue.name))
    events = connect(redis_url, client_name=client_name("bull", queue.name, ":qe"))
    other = connect(redis_url, client_name=client_name("bull", f"{queue.name}2", ":w:other"))
    clients = [named, plain, events, other]
    for client in clients:
        await client.ping()
    workers = await queue.workers()
    assert sorted((worker.name or "") for worker in workers) == ["", "one"]
    assert all(worker.address and worker.idle_seconds >= 0 for worker in workers)
    for client in clients:
        await client.aclose()


async def test_an_inspector_looks_and_writes_nothing(redis_url: str, queue_name: str, redis: Redis) -> None:
    async with Inspector(queue_name, redis_url) as inspector:
        assert await inspector.counts() == Counts(0, 0, 0, 0, 0, 0, 0, paused=False)
        assert (await inspector.schedulers(), await inspector.jobs("waiting")) == ([], [])
    assert await redis.exists(inspector.keys.meta) == 0


async def test_schedulers_are_listed_those_due_first_first(queue: Queue) -> None:
    await queue.schedule("later", Repeat.every(2 * HOUR, offset=HOUR), "tick")
    await queue.schedule("now", Repeat.every(HOUR), "tick", {"a": 1}, attempts=3)
    found = await queue.schedulers()
    assert [scheduler.id for scheduler in found] == ["now", "later"]
    assert (found[0].name, found[0].data, found[0].options.attempts, found[0].runs) == ("tick", {"a": 1}, 3, 1)
    assert found == [await queue.get_scheduler("now"), await queue.get_scheduler("later")]
    assert [scheduler.id for scheduler in await queue.schedulers(start=1, end=1)] == ["later"]
