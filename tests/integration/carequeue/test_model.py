"""Random operations on a queue and, beside it, on a model in plain Python: both agree after each one on where every job
is, in which order, and how often it was tried.

`CAREQUEUE_MODEL_EXAMPLES=2000` runs it long.
"""

from __future__ import annotations

import asyncio
import bisect
import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from carequeue.errors import JobError
from carequeue.store.administration import Administration
from carequeue.store.commands import Commands, Finish, JobRecord, Step
from carequeue.store.connection import connect
from carequeue.wire.keys import QueueKeys

if TYPE_CHECKING:
    from collections.abc import Coroutine

pytestmark = pytest.mark.redis

EXAMPLES = int(os.environ.get("CAREQUEUE_MODEL_EXAMPLES", "20"))
NOW = 1_795_500_000_000
FIRST_RANK = 2**32
IDS = st.integers(0, 14).map(lambda number: f"j{number}")
T = TypeVar("T")


@dataclass
class ModelJob:
    """What the model knows of one job."""

    state: str
    priority: int = 0
    made: int = 0
    lifo: bool = False


class Model:
    """A queue as its documentation tells it. Lists are in the order in which jobs are taken."""

    def __init__(self) -> None:
        self.jobs: dict[str, ModelJob] = {}
        self.wait: list[str] = []
        self.ranked: list[tuple[int, str]] = []
        self.delayed: list[tuple[int, str]] = []
        self.finished: dict[str, list[tuple[int, str]]] = {"completed": [], "failed": []}
        self.places = 0
        self.paused = False

    def enqueue(self, job_id: str, *, front: bool = False) -> None:
        job = self.jobs[job_id]
        if job.priority:
            if not front:
                self.places += 1
            bisect.insort(self.ranked, (job.priority * FIRST_RANK + (0 if front else self.places), job_id))
            job.state = "prioritized"
        else:
            self.wait.insert(0 if front else len(self.wait), job_id)
            job.state = "wait"

    def delay(self, job_id: str, due: int) -> None:
        same = [score for score, _ in self.delayed if due * 4096 <= score < (due + 1) * 4096]
        score = min(max(same) + 1, due * 4096 + 4095) if same else due * 4096
        bisect.insort(self.delayed, (score, job_id))
        self.jobs[job_id].state = "delayed"

    def add(self, job_id: str, priority: int, due: int | None, now: int, *, lifo: bool) -> None:
        if job_id in self.jobs:
            return
        self.jobs[job_id] = ModelJob("", priority, lifo=lifo)
        if due is not None and due > now:
            self.delay(job_id, due)
        else:
            self.enqueue(job_id, front=lifo and not priority)

    def promote_due(self, now: int) -> None:
        while self.delayed and self.delayed[0][0] < (now + 1) * 4096:
            self.enqueue(self.delayed.pop(0)[1])

    def fetch(self, wanted: int, now: int) -> list[str]:
        self.promote_due(now)
        if self.paused:
            return []
        taken = [self.wait.pop(0) for _ in range(min(wanted, len(self.wait)))]
        if len(taken) < wanted:
            more = self.ranked[: wanted - len(taken)]
            if len(more) < wanted - len(taken):
                self.places = 0
            del self.ranked[: len(more)]
            taken += [job_id for _, job_id in more]
        for job_id in taken:
            self.jobs[job_id].state = "active"
        return taken

    def pull(self, job_id: str) -> None:
        """Take it from wherever it is."""
        if job_id in self.wait:
            self.wait.remove(job_id)
        for ranks in (self.ranked, self.delayed, *self.finished.values()):
            ranks[:] = [entry for entry in ranks if entry[1] != job_id]


class QueueMachine(RuleBasedStateMachine):
    """The operations, each on both sides."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.client = connect(self.url)
        self.keys = QueueKeys("bull", f"model-{secrets.token_hex(6)}")
        self.commands = Commands(self.client, self.keys)
        self.administration = Administration(self.client, self.keys)
        self.model = Model()
        self.held: dict[str, str] = {}
        self.now = NOW
        self.tokens = 0

    def teardown(self) -> None:
        self.do(self.client.aclose())
        self.loop.close()

    def do(self, call: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(call)

    def refused(self, call: Coroutine[Any, Any, Any]) -> bool:
        try:
            self.do(call)
        except JobError:
            return True
        return False

    # Producers and workers

    @rule(
        ids=st.lists(IDS, min_size=1, max_size=4),
        priority=st.sampled_from([0, 0, 1, 7]),
        delay=st.sampled_from([0, 0, 1, 500]),
        lifo=st.booleans(),
    )
    def add(self, ids: list[str], priority: int, delay: int, lifo: bool) -> None:
        opts = '{"attempts":3,"lifo":true}' if lifo else '{"attempts":3}'
        records = [JobRecord(job_id, "paint", "{}", opts, self.now, delay, priority, lifo) for job_id in ids]
        assert self.do(self.commands.add(records, self.now)) == ids
        for job_id in ids:
            self.model.add(job_id, priority, self.now + delay, self.now, lifo=lifo)

    @rule(wanted=st.integers(1, 4))
    def fetch(self, wanted: int) -> None:
        step = Step([], wanted, self.now, "model", self.tokens, 60_000)
        jobs = self.do(self.commands.step(step)).jobs
        self.tokens += wanted
        self.held |= {job.id: job.token for job in jobs}
        assert [job.id for job in jobs] == self.model.fetch(wanted, self.now)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), verdict=st.sampled_from(["completed", "failed", "retry", "delayed", "wait"]))
    def finish(self, data: st.DataObject, verdict: Any) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.held)))
        due = self.now + 300
        end = Finish(job_id, self.held.pop(job_id), verdict, "1", due_ms=due if verdict == "delayed" else 0, attempts=3)
        reply = self.do(self.commands.step(Step([end], 0, self.now, "model", self.tokens, 60_000)))
        assert list(reply.codes) == [0]
        job = self.model.jobs[job_id]
        job.made += verdict != "wait"
        if verdict in self.model.finished:
            bisect.insort(self.model.finished[verdict], (self.now, job_id))
            job.state = verdict
        elif verdict == "delayed":
            self.model.delay(job_id, due)
        else:
            self.model.enqueue(job_id, front=verdict == "wait" or job.lifo)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def finish_with_another_lock(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.held)))
        end = Finish(job_id, "somebody:0", "completed", "1")
        assert list(self.do(self.commands.step(Step([end], 0, self.now, "model", self.tokens, 60_000))).codes) == [-6]

    # Time and administrators

    @rule(milliseconds=st.sampled_from([1, 299, 1000]))
    def time_passes(self, milliseconds: int) -> None:
        self.now += milliseconds

    @rule()
    def pause(self) -> None:
        self.do(self.administration.pause())
        self.model.paused = True

    @rule()
    def resume(self) -> None:
        self.do(self.administration.resume())
        self.model.paused = False

    @rule(job_id=IDS)
    def promote(self, job_id: str) -> None:
        job = self.model.jobs.get(job_id)
        expected = job is not None and job.state == "delayed"
        assert self.refused(self.administration.promote(job_id)) is not expected
        if expected:
            self.model.pull(job_id)
            self.model.enqueue(job_id)

    @rule()
    def promote_all(self) -> None:
        assert self.do(self.administration.promote_all(1000)) == len(self.model.delayed)
        while self.model.delayed:
            self.model.enqueue(self.model.delayed.pop(0)[1])

    @rule(job_id=IDS, reset=st.booleans())
    def retry(self, job_id: str, reset: bool) -> None:
        job = self.model.jobs.get(job_id)
        expected = job is not None and job.state in self.model.finished
        assert self.refused(self.administration.retry(job_id, self.now, reset_attempts=reset)) is not expected
        if job is not None and expected:
            self.model.pull(job_id)
            self.model.enqueue(job_id, front=job.lifo)
            job.made = 0 if reset else job.made

    @rule(state=st.sampled_from(["completed", "failed"]))
    def retry_all(self, state: Any) -> None:
        ended = self.model.finished[state]
        count = self.do(self.administration.retry_all(state, self.now, until=None, limit=1000))
        assert count == len(ended)
        while ended:
            self.model.enqueue(ended.pop(0)[1])

    @rule(job_id=IDS)
    def remove(self, job_id: str) -> None:
        job = self.model.jobs.get(job_id)
        expected = job is not None and job.state != "active"
        assert self.refused(self.administration.remove(job_id, self.now, children=True)) is not expected
        if expected:
            self.model.pull(job_id)
            del self.model.jobs[job_id]

    @rule(job_id=IDS, priority=st.sampled_from([0, 1, 7]), front=st.booleans())
    def change_priority(self, job_id: str, priority: int, front: bool) -> None:
        job = self.model.jobs.get(job_id)
        change = self.administration.change_priority(job_id, priority, at_front=front)
        assert self.refused(change) is (job is None)
        if job is not None:
            job.priority = priority
            if job.state in ("wait", "prioritized"):
                self.model.pull(job_id)
                self.model.enqueue(job_id, front=front)

    @rule(job_id=IDS, delay=st.sampled_from([0, 10, 2000]))
    def change_delay(self, job_id: str, delay: int) -> None:
        job = self.model.jobs.get(job_id)
        expected = job is not None and job.state == "delayed"
        assert self.refused(self.administration.change_delay(job_id, self.now, delay)) is not expected
        if expected:
            self.model.pull(job_id)
            self.model.delay(job_id, self.now + delay)

    @rule(state=st.sampled_from(["wait", "prioritized", "delayed"]), count=st.sampled_from([1, 3, 1000]))
    def drain(self, state: Any, count: int) -> None:
        model = self.model
        places = {"wait": model.wait, "prioritized": model.ranked, "delayed": model.delayed}
        gone = [place if isinstance(place, str) else place[1] for place in places[state][:count]]
        assert self.do(self.administration.drain(self.now, state, count)) == (len(gone), 0)
        for job_id in gone:
            model.pull(job_id)
            del model.jobs[job_id]

    # What must agree

    @invariant()
    def both_agree(self) -> None:
        assert self.do(self.stored()) == {
            "wait": self.model.wait,
            "prioritized": [job_id for _, job_id in self.model.ranked],
            "delayed": [job_id for _, job_id in self.model.delayed],
            "active": sorted(job_id for job_id, job in self.model.jobs.items() if job.state == "active"),
            "completed": [job_id for _, job_id in self.model.finished["completed"]],
            "failed": [job_id for _, job_id in self.model.finished["failed"]],
            "attempts": {job_id: job.made for job_id, job in self.model.jobs.items()},
        }

    async def stored(self) -> dict[str, Any]:
        client, keys = self.client, self.keys
        hashes = {
            job_id: await client.hmget(keys.job(job_id), "name", "atm") for job_id in map("j{}".format, range(15))
        }
        return {
            "wait": list(reversed(await client.lrange(keys.wait, 0, -1))),
            "prioritized": await client.zrange(keys.prioritized, 0, -1),
            "delayed": await client.zrange(keys.delayed, 0, -1),
            "active": sorted(await client.lrange(keys.active, 0, -1)),
            "completed": await client.zrange(keys.completed, 0, -1),
            "failed": await client.zrange(keys.failed, 0, -1),
            "attempts": {job_id: int(made or 0) for job_id, (name, made) in hashes.items() if name is not None},
        }


@pytest.mark.timeout(600)
def test_the_queue_and_a_plain_model_agree_after_every_operation(redis_url: str) -> None:
    machine = type("Machine", (QueueMachine,), {"url": redis_url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
