"""Worker processes that are killed, or stand still for longer than their locks last: each job completes, once."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.carequeue.faults.mix import Mix
from tests.waiting import eventually

from carequeue import JobState, Queue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redis.asyncio import Redis

pytestmark = [pytest.mark.redis, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[4]
PROGRAM = "tests.integration.carequeue.faults.worker_process"
LONG = int(os.environ.get("CAREQUEUE_FAULT_SEEDS", "0"))
SIZE = 3
HELD = ["plain-0", "ranked-0", "late-1", "sheet-0", "tenant-0", "child-0", "parent", "run"]


class WorkerProcess:
    """A worker of the mix that a test may kill, and hears."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[str] = []

    @classmethod
    @asynccontextmanager
    async def start(cls, queue: str, url: str, **options: Any) -> AsyncIterator[WorkerProcess]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", PROGRAM, queue, url, json.dumps({"size": SIZE, **options}), cwd=ROOT,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        worker = cls(process)
        try:
            yield worker
        finally:
            worker.kill()
            await process.communicate()

    async def says(self, beginning: str, seconds: float = 30) -> str:
        """The next line that begins so."""
        assert self._process.stdout is not None
        async with asyncio.timeout(seconds):
            while line := (await self._process.stdout.readline()).decode().strip():
                self.lines.append(line)
                if line.startswith(beginning):
                    return line
        raise AssertionError(f"it ended without saying {beginning!r}: {self.lines}")

    async def last_words(self) -> list[str]:
        """SIGTERM, and all it said."""
        self.signal(signal.SIGTERM)
        output, _ = await self._process.communicate()
        return [*self.lines, *output.decode().splitlines()]

    def tell(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"go on\n")

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()


@pytest.mark.parametrize("job", HELD)
async def test_a_worker_killed_in_a_handler(queue: Queue, redis_url: str, redis: Redis, job: str) -> None:
    mix = Mix(SIZE)
    await mix.add(queue)
    async with WorkerProcess.start(queue.name, redis_url, hold=job) as victim:
        held = (await victim.says("holds")).removeprefix("holds ")
        victim.kill()
        async with mix.worker(queue.name, redis_url):
            state = await mix.end(queue, redis)
    assert (state.jobs[held]["stc"], mix.runs[held]) == ("1", 1)


@pytest.mark.parametrize("renews", [True, False], ids=["renews its locks", "renews no locks"])
@pytest.mark.parametrize("job", ["plain-0", "ranked-0", "child-0", "parent", "run"])
async def test_a_worker_frozen_for_longer_than_its_lock(
    queue: Queue, redis_url: str, redis: Redis, job: str, renews: bool
) -> None:
    """Thawed, it goes on with a job that another has completed meanwhile: what it says of it counts for nothing."""
    mix = Mix(SIZE)
    await mix.add(queue)
    blind = {} if renews else {"skip_lock_renewal": True, "skip_stalled_check": True}
    async with WorkerProcess.start(queue.name, redis_url, hold=job, **blind) as frozen:
        held = (await frozen.says("holds")).removeprefix("holds ")
        frozen.signal(signal.SIGSTOP)
        async with mix.worker(queue.name, redis_url):
            await mix.end(queue, redis)
        frozen.tell()
        frozen.signal(signal.SIGCONT)
        if not renews:  # else it may have noticed before
            await frozen.says(f"unreported {held}")
        said = await frozen.last_words()
    assert f"completed {held}" not in said
    assert mix.runs[held] == 1
    assert await queue.state(held) == JobState.COMPLETED
    state = await mix.end(queue, redis)  # still: each completed once
    assert state.jobs[held]["returnvalue"] == f'"{held}"'


@pytest.mark.parametrize("seed", range(LONG // 4 or 1))
async def test_workers_killed_and_frozen_again_and_again(queue: Queue, redis_url: str, redis: Redis, seed: int) -> None:
    """Three processes work; whenever some more jobs are done one of them is killed, or frozen until the next is."""
    chance = random.Random(seed)  # noqa: S311 - chance, not secrecy
    mix = Mix(24)
    await mix.add(queue)
    all_of_them = len(mix.ids(queue.name))

    async def strike(after: int) -> None:
        async def reached() -> bool:
            return (await queue.counts()).completed >= after

        await eventually(reached, f"{after} jobs are done", 40)

    async with (
        WorkerProcess.start(queue.name, redis_url, size=24) as one,
        WorkerProcess.start(queue.name, redis_url, size=24) as two,
    ):
        for each in (one, two):
            await each.says("ready")
        frozen = None
        for share in (0.1, 0.3, 0.5):
            await strike(int(all_of_them * share))
            if frozen is not None:
                frozen.signal(signal.SIGCONT)
            frozen = chance.choice([one, two])
            frozen.signal(signal.SIGSTOP)
        one.kill()
        two.kill()
        async with mix.worker(queue.name, redis_url):
            await mix.end(queue, redis)
