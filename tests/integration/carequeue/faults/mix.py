"""Jobs of every kind, a worker for them, and how they must all have ended: what the faults are let loose on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.queue_state import QueueState
from tests.waiting import eventually

from carequeue import ConnectionLost, FlowNode, FlowProducer, Job, JobContext, NewJob, Queue, Repeat, Worker
from carequeue.options import JobOptions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from redis.asyncio import Redis

ATTEMPTS = 9
RUNS = 3
"""How many runs the scheduler makes."""
QUICK: dict[str, Any] = {
    "concurrency": 4,
    "lock_duration": timedelta(milliseconds=600),
    "stalled_interval": timedelta(milliseconds=300),
    "max_stalled_count": 50,
    "drain_delay": timedelta(seconds=1),
    "run_retry_delay": timedelta(milliseconds=200),
}


async def once_only(call: Callable[[], Awaitable[Any]]) -> None:
    await call()


async def insist(call: Callable[[], Awaitable[Any]]) -> None:
    """Repeat it until Redis has answered, as a producer does whose jobs have ids."""
    for _ in range(200):
        try:
            await call()
        except ConnectionLost:
            continue
        return
    raise AssertionError("Redis never answered")


@dataclass(slots=True)
class Mix:
    """`size` of each kind: plain, with priorities, delayed, in groups, in batches, failing at first, a flow, a
    scheduler's runs.
    """

    size: int = 3
    runs: Counter[str] = field(default_factory=Counter[str])
    """How often a handler began each job."""
    fences: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])
    """And under which fence: no two runs of a job have the same."""
    before: Callable[[Job[Any]], Awaitable[None]] | None = None
    """Awaited in the handler for every job."""

    def jobs(self) -> list[NewJob[Any]]:
        def job(kind: str, number: int, **options: Any) -> NewJob[Any]:
            return NewJob(kind, number, JobOptions(job_id=f"{kind}-{number}", attempts=ATTEMPTS, **options))

        numbers = range(self.size)
        return [
            *(job("plain", number) for number in numbers),
            *(job("ranked", number, priority=1 + number % 3) for number in numbers),
            *(job("late", number, delay=timedelta(milliseconds=40 * number)) for number in numbers),
            *(job("sheet", number) for number in numbers),
            *(job("flaky", number) for number in numbers),
        ]

    def tenants(self) -> list[NewJob[Any]]:
        return [
            NewJob("tenant", number, JobOptions(job_id=f"tenant-{number}", attempts=ATTEMPTS, group=f"g{number % 2}"))
            for number in range(self.size)
        ]

    def flow(self, queue: str) -> FlowNode:
        children = [
            FlowNode("child", number, job_id=f"child-{number}", attempts=ATTEMPTS, queue=queue)
            for number in range(self.size)
        ]
        return FlowNode("parent", job_id="parent", attempts=ATTEMPTS, queue=queue, children=children)

    def ids(self, queue: str) -> set[str]:
        """All but the scheduler's runs."""
        single = {job.options.job_id or "" for job in (*self.jobs(), *self.tenants())}
        return single | {node.job.options.job_id or "" for node in self.flow(queue)}

    async def add(
        self,
        queue: Queue,
        how: Callable[[Callable[[], Awaitable[Any]]], Awaitable[None]] = once_only,
        *,
        scheduler: bool = True,
    ) -> None:
        """May be done again: but for a scheduler that has ended, which begins anew."""
        await how(lambda: queue.add_bulk(self.jobs()))
        await how(lambda: queue.add_bulk(self.tenants()))
        async with FlowProducer(queue.client) as flows:
            await how(lambda: flows.add(self.flow(queue.name)))
        if scheduler:
            every = Repeat.every(timedelta(milliseconds=50), limit=RUNS)
            await how(lambda: queue.schedule("s", every, "run", attempts=ATTEMPTS))

    def worker(self, queue: str, url: str, **options: Any) -> Worker:
        worker = Worker(queue, url, self.handle, **(QUICK | options))
        worker.handles_batch("sheet", size=2)(self.handle_batch)
        return worker

    async def handle(self, job: Job[Any], context: JobContext) -> str:
        self._begin(job)
        if self.before is not None:
            await self.before(job)
        await context.update_progress(50)
        await context.log("half of it")
        if job.name == "flaky" and job.attempts_made == 0:
            raise ValueError("not at the first attempt")
        if job.name == "parent":
            assert len(await context.children.values()) == self.size
        return job.id

    async def handle_batch(self, jobs: list[Job[Any]]) -> list[str]:
        for job in jobs:
            self._begin(job)
        for job in jobs:
            if self.before is not None:
                await self.before(job)
        return [job.id for job in jobs]

    def _begin(self, job: Job[Any]) -> None:
        self.runs[job.id] += 1
        self.fences[job.id, job.fence] += 1

    def forget_runs(self) -> None:
        """The server has lost some of what it knew."""
        self.runs.clear()
        self.fences.clear()

    async def end(self, queue: Queue, redis: Redis, *, seconds: float = 40, runs: int | None = RUNS) -> QueueState:
        """Wait until all has been done, and look whether it was done once. `runs`: of the scheduler."""

        async def all_ended() -> bool:
            counts = await queue.counts()
            return counts.pending == counts.active == 0

        await eventually(all_ended, "every job has ended", seconds)
        state = await QueueState.read(redis, queue.keys)
        state.check_at_rest()
        self._check(queue.name, state, runs)
        return state

    def _check(self, queue: str, state: QueueState, runs: int | None) -> None:
        assert not state.of("failed"), f"failed: {[state.jobs[job_id] for job_id in state.of('failed')]}"
        completed = state.of("completed")
        made = {job_id for job_id in completed if job_id.startswith("repeat:s:")}
        assert completed - made == self.ids(queue), "every job completed"
        assert runs is None or len(made) == runs, "the scheduler made its runs"
        assert state.completions == Counter(completed), "every job completed once"
        assert set(self.fences.values()) <= {1}, f"two runs under one fence: {self.fences.most_common(3)}"
        for job_id, began in self.runs.items():
            assert began <= int(state.jobs[job_id]["ats"]), f"{job_id} was run without being started"
