"""`carequeue.testing.drain`, with one worker and with those of several queues."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from carequeue import FlowNode, FlowProducer, Job, JobContext, Queue, Worker
from carequeue.testing import FakeClock, Signal, drain

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.redis


async def test_a_flow_of_three_levels_is_drained_whichever_worker_is_named_first(
    queue: Queue, pages: Queue, flows: FlowProducer, redis_url: str
) -> None:
    ended: list[str] = []

    async def work(job: Job, context: JobContext) -> int:
        ended.append(job.name)
        return 1 + sum((await context.children.values()).values())

    for round_ in range(2):
        ended.clear()
        line = FlowNode("line", queue=queue.name)
        page = FlowNode("page", queue=pages.name, children=[line])
        book = await flows.add(FlowNode("book", queue=queue.name, children=[page]))
        workers = [Worker(name, redis_url, work) for name in (queue.name, pages.name)]
        first = workers[round_]
        counts = await drain(first, workers[1 - round_])
        assert ended == ["line", "page", "book"]
        assert (counts.pending, counts.active) == (0, 0)
        assert counts == await (queue, pages)[round_].counts()
        done = await queue.get(book.job.id)
        assert done is not None
        assert done.return_value == 3
        assert not any(worker.is_running for worker in workers)


async def test_what_a_handler_adds_to_another_queue_is_run_and_nothing_is_kept(
    queue: Queue, pages: Queue, redis_url: str
) -> None:
    seen: list[int] = []

    def passing_to(other: Queue) -> Worker:
        async def work(job: Job) -> None:
            seen.append(job.data)
            if job.data:
                await other.add("pass", job.data - 1)

        return Worker((pages if other is queue else queue).name, redis_url, work, keep_completed=False)

    await queue.add("pass", 9)
    await drain(passing_to(pages), passing_to(queue))
    assert seen == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]


async def test_a_running_worker_goes_on_after_it_was_drained(queue: Queue, new_worker: Callable[..., Worker]) -> None:
    clock, done = FakeClock(), Signal()
    worker = new_worker(done, clock=clock)
    async with worker:
        await queue.add("later", delay=timedelta(hours=1))
        assert (await drain(worker)).delayed == 1
        clock.advance(timedelta(hours=2))
        await done.wait()
        assert (await drain(worker)).completed == 1
        assert worker.is_running


async def test_what_does_not_end_is_told(queue: Queue, new_worker: Callable[..., Worker]) -> None:
    async def again(job: Job) -> Any:
        return await queue.add("again")

    await queue.add("again")
    with pytest.raises(TimeoutError):
        await drain(new_worker(again), timeout=0.3)
