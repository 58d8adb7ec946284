"""A job that fails for good leaves a letter in another queue, and can be put back from there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from carequeue import (
    Backoff,
    DeadLetter,
    FlowNode,
    FlowProducer,
    InvalidOption,
    Job,
    JobKind,
    JobLocked,
    JobNotFound,
    JobState,
    ManualWorker,
    NotPermitted,
    OnFailure,
    Queue,
    QueueEvents,
    Repeat,
    Telemetry,
    Unrecoverable,
    Worker,
    WrongState,
)
from carequeue.testing import Signal, drain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redis.asyncio import Redis

    from carecircle_cli.engines import EmbeddedValkey

pytestmark = pytest.mark.redis

NewWorker = Callable[..., Worker]
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def letters(queue_name: str, redis_url: str) -> AsyncIterator[Queue]:
    """The queue that gets the letters."""
    async with Queue(f"{queue_name}-dead", redis_url) as letters:
        yield letters
        await letters.pause()
        await letters.obliterate(force=True)


async def fail(job: Job[Any]) -> None:
    raise ValueError(f"no such address, attempt {job.attempts_made + 1}")


async def put(queue: Queue, job_id: str, opts: dict[str, Any]) -> None:
    """A waiting job as another client may write it."""
    fields = {"name": "mail", "data": "{}", "opts": json.dumps(opts), "timestamp": 1}
    await queue.client.hset(queue.keys.job(job_id), mapping=fields)  # type: ignore[misc]
    await queue.client.lpush(queue.keys.wait, job_id)  # type: ignore[misc]


async def all_of(letters: Queue) -> list[DeadLetter]:
    return [letter async for letter in letters.letters()]


async def test_a_job_that_fails_for_good_leaves_a_letter(
    queue: Queue, letters: Queue, new_worker: NewWorker, queue_name: str
) -> None:
    data = {"to": "réd/☃", "big": 12345678901234567890, "part": 0.1}
    job = await queue.add("mail", data, attempts=2, priority=5)
    await drain(new_worker(fail, dead_letters=letters.name))

    [letter] = await all_of(letters)
    found = await queue.get(job.id)
    assert found is not None
    assert letter.id == f"dead:{queue_name}:{job.id}"
    assert (letter.queue, letter.queue_key, letter.job_id) == (queue_name, queue.keys.base, job.id)
    assert (letter.name, letter.data) == ("mail", data)
    assert (letter.reason, letter.attempts_made) == ("no such address, attempt 2", 2)
    assert (letter.added_at, letter.failed_at) == (found.added_at, found.finished_at)
    assert list(letter.stacktrace) == found.stacktrace
    assert letter.raw_options == {"attempts": 2, "priority": 5}
    assert await letters.state(letter.id) is JobState.WAITING
    assert await queue.state(job.id) is JobState.FAILED


async def test_a_job_that_is_tried_again_or_completes_leaves_none(
    queue: Queue, letters: Queue, new_worker: NewWorker
) -> None:
    await queue.add("mail", attempts=2, backoff=Backoff.fixed(MINUTE))
    await drain(new_worker(fail, dead_letters=letters.name))
    await queue.add("mail")
    await drain(new_worker(Signal(), dead_letters=letters.name))
    assert (await letters.counts()).pending == 0


async def test_a_worker_of_that_queue_reads_the_letters(
    queue: Queue, letters: Queue, new_worker: NewWorker, redis_url: str
) -> None:
    read = Signal()
    async with Worker(letters.name, redis_url, read):  # idle: the letter has to wake it
        await queue.add("mail", 7, keep_failed=False)
        await drain(new_worker(fail, dead_letters=letters.name))
        [(job,)] = await read.wait()
    letter = DeadLetter.of(job)
    assert (letter.name, letter.data) == ("mail", 7)


async def test_everything_that_fails_for_good_leaves_one(
    queue: Queue, letters: Queue, pages: Queue, flows: FlowProducer, redis_url: str, new_worker: NewWorker
) -> None:
    def act(job: Job[Any]) -> None:
        raise Unrecoverable("no")

    late = datetime.now(UTC) - timedelta(hours=1)
    await queue.add("expired", timestamp=late, expires_after=MINUTE)
    await queue.add("unrecoverable", attempts=9)
    page = FlowNode("page", queue=pages.name, on_failure=OnFailure.FAIL_PARENT)
    await flows.add(FlowNode("parent", queue=queue.name, children=[page]))
    await drain(Worker(pages.name, redis_url, act))
    await drain(new_worker(act, dead_letters=letters.name))
    found = {letter.name: (letter.reason, letter.attempts_made) for letter in await all_of(letters)}
    assert found["expired"] == ("expired", 0)
    assert found["unrecoverable"] == ("no", 1)
    assert found["parent"][0].startswith("child ")


async def test_a_job_says_itself_where_its_letter_goes(queue: Queue, letters: Queue, new_worker: NewWorker) -> None:
    kind = JobKind("mail", dict, dead_letters=letters.name)
    await queue.add(kind, {})
    await queue.add("mail", {})
    await drain(new_worker(fail))
    assert [letter.job_id for letter in await all_of(letters)] == ["1"]


async def test_a_letter_is_never_written_about_a_letter(
    queue: Queue, letters: Queue, new_worker: NewWorker, redis_url: str
) -> None:
    await queue.add("mail", dead_letters=letters.name)
    await drain(new_worker(fail))
    await drain(Worker(letters.name, redis_url, fail, dead_letters=queue.name))
    counts = await letters.counts()
    assert (counts.waiting, counts.failed) == (0, 1)
    assert (await queue.counts()).pending == 0
    [letter] = await all_of(letters)
    assert letter.reason == "no such address, attempt 1"


async def test_a_job_that_fails_again_has_one_letter_with_what_happened_last(
    queue: Queue, letters: Queue, new_worker: NewWorker
) -> None:
    job = await queue.add("mail")
    worker = new_worker(fail, dead_letters=letters.name)
    async with worker:
        await drain(worker)
        await queue.retry(job.id)
        await drain(worker)
    [letter] = await all_of(letters)
    assert letter.reason == "no such address, attempt 2"
    assert (await letters.counts()).pending == 1


async def test_a_letter_that_was_dealt_with_gives_way_to_a_new_one(
    queue: Queue, letters: Queue, new_worker: NewWorker, redis_url: str
) -> None:
    job = await queue.add("mail")
    worker = new_worker(fail, dead_letters=letters.name)
    async with worker:
        await drain(worker)
        await drain(Worker(letters.name, redis_url, Signal()))
        await queue.retry(job.id)
        await drain(worker)
    counts = await letters.counts()
    assert (counts.waiting, counts.completed) == (1, 0)


async def test_a_letter_that_is_being_read_is_left_and_another_one_is_written(
    queue: Queue, letters: Queue, new_worker: NewWorker, redis_url: str
) -> None:
    reading, go_on = Signal(), asyncio.Event()

    async def read(job: Job[Any]) -> None:
        reading(DeadLetter.of(job))
        await go_on.wait()

    job = await queue.add("mail")
    worker = new_worker(fail, dead_letters=letters.name)
    async with worker, Worker(letters.name, redis_url, read):
        await reading.wait()
        await queue.retry(job.id)
        await drain(worker)
        with pytest.raises(JobLocked):
            await letters.replay(f"dead:{queue.name}:{job.id}")
        go_on.set()
        [(first,), (second,)] = await reading.wait(2)
    assert first.id == f"dead:{queue.name}:{job.id}"
    assert second.id.startswith(f"{first.id}-")
    assert (first.reason, second.reason) == ("no such address, attempt 1", "no such address, attempt 2")


async def test_data_that_is_no_json_survives_too(
    queue: Queue, letters: Queue, new_worker: NewWorker, redis: Redis
) -> None:
    job = await queue.add("mail")
    await redis.hset(queue.keys.job(job.id), mapping={"data": '{"half":', "opts": "none"})
    await drain(new_worker(fail, dead_letters=letters.name, keep_failed=False))
    [letter] = await all_of(letters)
    assert (letter.data, letter.raw_options) == ('{"half":', {})
    await letters.replay(letter.id)
    assert await redis.hget(queue.keys.job(job.id), "data") == '{"half":'


async def test_who_listens_hears_of_it(
    queue: Queue, letters: Queue, queue_name: str, redis_url: str, new_worker: NewWorker
) -> None:
    telemetry, heard = Telemetry(), Signal()
    telemetry.subscribe(heard, "job.dead_lettered")
    async with QueueEvents(queue_name, redis_url) as events:
        job = await queue.add("mail")
        await drain(new_worker(fail, dead_letters=letters.name, telemetry=telemetry))
        while (event := await anext(events)).name != "dead-lettered":
            pass
    base = letters.keys.base
    assert event.fields == {"jobId": job.id, "queue": base, "letterId": f"dead:{queue_name}:{job.id}"}
    assert heard.calls == [
        ("job.dead_lettered", {"queue": queue_name, "job_id": job.id, "name": "mail", "letters": base})
    ]


async def test_a_job_that_fails_by_hand_leaves_one_too(queue: Queue, letters: Queue, redis_url: str) -> None:
    await queue.add("a")
    await queue.add("b", expires_at=datetime.now(UTC) - MINUTE)
    async with ManualWorker(queue.name, redis_url, dead_letters=letters.name) as worker:
        held = await worker.next_job()
        assert held is not None
        await held.fail("torn")
        assert await worker.next_job() is None
    assert [(letter.name, letter.reason) for letter in await all_of(letters)] == [("b", "expired"), ("a", "torn")]
    with pytest.raises(InvalidOption, match="another queue"):
        ManualWorker(queue.name, redis_url, dead_letters=queue.name)


# Putting back


async def failed(queue: Queue, letters: Queue, new_worker: NewWorker, *names: str, **options: Any) -> None:
    for name in names or ("mail",):
        await queue.add(name, {"to": name}, **options)
    await drain(new_worker(fail, dead_letters=letters.name))


@pytest.mark.parametrize("keep", [True, False])
async def test_replay_puts_the_job_back_with_all_its_attempts(
    queue: Queue, letters: Queue, new_worker: NewWorker, *, keep: bool
) -> None:
    ran = Signal()
    await failed(queue, letters, new_worker, attempts=3, priority=2, keep_failed=keep)
    [letter] = await all_of(letters)

    assert (await letters.replay(letter.id)).job_id == letter.job_id

    assert await letters.get(letter.id) is None
    assert await queue.state(letter.job_id) is JobState.PRIORITIZED
    job = await queue.get(letter.job_id)
    assert job is not None
    assert (job.name, job.data, job.priority) == ("mail", {"to": "mail"}, 2)
    assert (job.attempts_made, job.attempts_allowed, job.failed_reason) == (0, 3, None)
    await drain(new_worker(ran))
    assert len(ran.calls) == 1
    with pytest.raises(JobNotFound):
        await letters.replay(letter.id)


async def test_a_corrected_letter_corrects_the_job(queue: Queue, letters: Queue, new_worker: NewWorker) -> None:
    ran = Signal()
    await failed(queue, letters, new_worker)
    [letter] = await all_of(letters)
    job = await letters.get(letter.id)
    assert job is not None
    await letters.update_data(letter.id, job.data | {"data": {"to": "somebody else"}})
    await letters.replay(letter.id)
    await drain(new_worker(ran))
    assert [job.data for (job,) in ran.calls] == [{"to": "somebody else"}]


async def test_a_job_that_runs_again_already_is_not_doubled(
    queue: Queue, letters: Queue, new_worker: NewWorker
) -> None:
    ran = Signal()
    await failed(queue, letters, new_worker)
    [letter] = await all_of(letters)
    await queue.retry(letter.job_id)
    await letters.replay(letter.id)
    assert await letters.get(letter.id) is None
    await drain(new_worker(ran))
    assert len(ran.calls) == 1


async def test_a_job_that_completed_in_the_meantime_does_not_run_again(
    queue: Queue, letters: Queue, new_worker: NewWorker
) -> None:
    await failed(queue, letters, new_worker)
    [letter] = await all_of(letters)
    await queue.retry(letter.job_id)
    await drain(new_worker(Signal()))
    with pytest.raises(WrongState, match="completed"):
        await letters.replay(letter.id)
    assert await letters.replay_all() == 0
    assert await letters.remove(letter.id)


async def test_a_parent_that_still_waits_gets_the_childs_value(
    queue: Queue, letters: Queue, pages: Queue, flows: FlowProducer, redis_url: str, new_worker: NewWorker
) -> None:
    node = FlowNode("page", queue=pages.name, on_failure=OnFailure.IGNORE_DEPENDENCY, dead_letters=letters.name)
    other = FlowNode("page", queue=pages.name, delay=timedelta(hours=1))
    await flows.add(FlowNode("book", queue=queue.name, job_id="book", children=[node, other]))
    await drain(Worker(pages.name, redis_url, fail))
    [letter] = await all_of(letters)
    await letters.replay(letter.id)
    await pages.promote_all()
    await drain(Worker(pages.name, redis_url, lambda _: "text"))
    assert list((await queue.children("book").values()).values()) == ["text", "text"]


async def test_all_are_put_back_or_those_that_are_meant(queue: Queue, letters: Queue, new_worker: NewWorker) -> None:
    await failed(queue, letters, new_worker, "a", "b", "a", "c", "a")
    await letters.add("no letter")
    assert await letters.replay_all(name="a", count=2) == 2
    assert [letter.name for letter in await all_of(letters)] == ["a", "c", "b"]
    assert await letters.replay_all(where=lambda letter: letter.data == {"to": "c"}) == 1
    assert await letters.replay_all() == 2
    assert (await letters.counts()).waiting == 1
    assert (await queue.counts()).waiting == 5


async def test_many_are_put_back_and_what_failed_at_its_worker_too(
    queue: Queue, letters: Queue, new_worker: NewWorker, redis_url: str
) -> None:
    await queue.add_bulk(JobKind("mail", int).job(number) for number in range(150))
    await drain(new_worker(fail, dead_letters=letters.name, concurrency=50))
    await drain(Worker(letters.name, redis_url, fail, concurrency=50))
    await queue.add_bulk(JobKind("post", int).job(number) for number in range(150))
    await drain(new_worker(fail, dead_letters=letters.name, concurrency=50))
    assert await letters.replay_all(where=lambda letter: letter.data % 2 == 0) == 150
    assert await letters.replay_all() == 150
    assert (await letters.counts()).pending == 0
    assert (await queue.counts()).waiting == 300


async def test_what_is_no_letter_is_not_put_back(queue: Queue, letters: Queue) -> None:
    job = await letters.add("job", {"queueKey": "bull:x", "jobId": "1"})
    with pytest.raises(WrongState, match="no dead letter"):
        await letters.replay(job.id)
    with pytest.raises(JobNotFound):
        await letters.replay("missing")


# What cannot be


async def test_a_queue_is_not_the_box_of_its_own_letters(
    queue: Queue, redis_url: str, flows: FlowProducer, new_worker: NewWorker
) -> None:
    with pytest.raises(InvalidOption, match="another queue"):
        new_worker(fail, dead_letters=queue.name)
    with pytest.raises(InvalidOption, match="another queue"):
        await queue.add("mail", dead_letters=queue.name)
    with pytest.raises(InvalidOption, match="another queue"):
        await queue.schedule("mail", Repeat.every(MINUTE), "mail", dead_letters=queue.name)
    with pytest.raises(InvalidOption, match="another queue"):
        await flows.add(FlowNode("mail", queue=queue.name, dead_letters=queue.name))
    with pytest.raises(InvalidOption, match="name of a queue"):
        await queue.add("mail", dead_letters="bull:mail")


async def test_in_a_cluster_the_queues_share_a_slot(own_cluster: str) -> None:
    async with Queue("{care}-mail", own_cluster) as queue, Queue("{care}-dead", own_cluster) as letters:
        with pytest.raises(InvalidOption, match="hash tag"):
            await queue.add("mail", dead_letters="{other}-dead")
        with pytest.raises(InvalidOption, match="hash tag"):
            async with FlowProducer(own_cluster) as flows:
                await flows.add(FlowNode("mail", queue="{care}-mail", dead_letters="{other}-dead"))
        with pytest.raises(InvalidOption, match="hash tag"):
            Worker("{care}-mail", own_cluster, fail, dead_letters="{other}-dead")

        await queue.add("mail", dead_letters="{care}-dead")
        for name in ("dead", "{other}-dead"):  # as another client may add it
            await put(queue, name, {"deadLetters": name})
        await drain(Worker("{care}-mail", own_cluster, fail))
        assert [letter.job_id for letter in await all_of(letters)] == ["1"]
        assert await letters.replay_all() == 1
        for name in ("dead", "{other}-dead"):
            job = await queue.get(name)
            assert job is not None
            assert job.failed_reason is not None
            assert job.failed_reason.endswith(f"(no dead letter: bull:{name} lies in another slot of the cluster)")


async def test_where_no_letter_may_be_written_the_job_fails_all_the_same(
    own_valkey: EmbeddedValkey,
) -> None:
    url = own_valkey.url()
    async with Queue("mail", url) as mail:
        await mail.client.execute_command("ACL", "SETUSER", "ada", "on", ">secret", "+@all", "~bull:mail*")
        ada = url.replace("://", "://ada:secret@")
        with pytest.raises(NotPermitted, match="dead_letters"):
            await Worker("mail", ada, fail, dead_letters="dead").start()
        job = await mail.add("mail", dead_letters="dead")
        await drain(Worker("mail", ada, fail))
        assert await mail.state(job.id) is JobState.FAILED
        found = await mail.get(job.id)
        assert found is not None
        assert found.failed_reason is not None
        assert found.failed_reason.startswith("no such address, attempt 1 (no dead letter: ")


async def test_the_letter_and_the_failure_are_one(
    queue: Queue, letters: Queue, fault_proxy: Callable[[str], Any], redis_url: str, new_worker: NewWorker
) -> None:
    """A reply that is lost makes the worker report once more: there is one letter all the same."""
    proxy = await fault_proxy(redis_url)
    await queue.add("mail", job_id="a")
    proxy.lose_reply(lambda chunk: b"no such address" in chunk)
    worker = new_worker(fail, url=proxy.url, dead_letters=letters.name)
    async with worker:
        await asyncio.wait_for(proxy.lost.wait(), 10)
        await drain(worker)
    assert [letter.job_id for letter in await all_of(letters)] == ["a"]
    assert await queue.state("a") is JobState.FAILED
