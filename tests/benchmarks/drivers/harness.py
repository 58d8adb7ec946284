"""What the Python drivers share: the command line, the payloads, and the record of what the handler saw.

A driver is run as its own process, in the peer's own environment, so this file needs nothing but Python.

    add [--bulk | --warm] --count N [--due T]      says {"seconds": …}
    probe --count N --gap S                        says {"added": {id: time}}
    work --count N --concurrency C [--io S]        says {"ready": true} after the warm-up job, then once what it saw

Times are `time.time()`, the same clock in every process of one machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

REDIS_URL = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379/0")
QUEUE = os.environ.get("BENCH_QUEUE", "bench")
WARM = "warm"
BULK = 1000

Payload = dict[str, str]
Handler = Callable[[Payload], Awaitable[None]]


class Driver(Protocol):
    """What a peer fills in. `due` is a Unix time or None; `work` runs until it is cancelled."""

    async def open(self) -> None: ...
    async def add(self, payload: Payload, due: float | None) -> None: ...
    async def add_bulk(self, payloads: Sequence[Payload], due: float | None) -> None: ...
    async def close(self) -> None: ...
    async def work(self, concurrency: int, handler: Handler) -> None: ...


def main(driver: Driver) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["add", "probe", "work"])
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--bulk", action="store_true")
    parser.add_argument("--warm", action="store_true")
    parser.add_argument("--due", type=float)
    parser.add_argument("--gap", type=float, default=0.02)
    parser.add_argument("--io", type=float, default=0.0)
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--patience", type=float, default=90.0)
    asked = parser.parse_args()
    commands = {"add": add, "probe": probe, "work": work}
    asyncio.run(commands[asked.command](driver, asked))


async def add(driver: Driver, asked: argparse.Namespace) -> None:
    await driver.open()
    jobs = [payload(asked.due, WARM)] if asked.warm else [payload(asked.due) for _ in range(asked.count)]
    began = time.perf_counter()
    if asked.bulk:
        for first in range(0, len(jobs), BULK):
            await driver.add_bulk(jobs[first : first + BULK], asked.due)
    else:
        for job in jobs:
            await driver.add(job, asked.due)
    seconds = time.perf_counter() - began
    await driver.close()
    say({"seconds": seconds})


async def probe(driver: Driver, asked: argparse.Namespace) -> None:
    await driver.open()
    await asyncio.sleep(1.0)  # the worker is to be idle again after the warm-up
    added: dict[str, float] = {}
    began = time.perf_counter()
    for place in range(asked.count):
        await asyncio.sleep(max(0.0, began + place * asked.gap - time.perf_counter()))
        job = payload(None)
        added[job["schedule_id"]] = time.time()
        await driver.add(job, None)
    await driver.close()
    say({"added": added})


async def work(driver: Driver, asked: argparse.Namespace) -> None:
    record = Record(asked.count, asked.io)
    working = asyncio.ensure_future(driver.work(asked.concurrency, record.handle))
    ended = asyncio.ensure_future(record.ended.wait())
    await asyncio.wait([working, ended], timeout=asked.patience, return_when=asyncio.FIRST_COMPLETED)
    if working.done():
        working.result()
    say(record.saw())
    await working  # the runner ends this process


class Record:
    """Notes each handler's start, and the end of the last one."""

    def __init__(self, count: int, io: float) -> None:
        self.ended = asyncio.Event()
        self._count = count
        self._io = io
        self._ids: list[str] = []
        self._starts: list[float] = []
        self._ends = 0
        self._end = 0.0
        self._cpu_before = 0.0
        self._cpu_after = 0.0

    async def handle(self, job: Payload) -> None:
        now = time.time()
        if job["schedule_id"] == WARM:
            say({"ready": True})
            return
        if not self._ids:
            self._cpu_before = time.process_time()
        self._ids.append(job["schedule_id"])
        self._starts.append(now)
        if self._io:
            await asyncio.sleep(self._io)
        self._ends += 1
        if self._ends == self._count:
            self._end, self._cpu_after = time.time(), time.process_time()
            self.ended.set()

    def saw(self) -> dict[str, Any]:
        return {
            "ids": self._ids,
            "starts": self._starts,
            "end": self._end or time.time(),
            "cpu": (self._cpu_after or time.process_time()) - self._cpu_before,
        }


def payload(due: float | None, schedule_id: str = "") -> Payload:
    due_at = datetime.fromtimestamp(due or time.time(), UTC)
    return {"schedule_id": schedule_id or str(uuid.uuid4()), "due_at": due_at.isoformat()}


def say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
