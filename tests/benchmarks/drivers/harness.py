"""What the Python drivers share: the command line, the payloads, and the record of what the handler saw.

A driver is run as its own process, in the peer's own environment, so this file needs nothing but Python.

    reset                                          makes an empty store, where emptying the server does not
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
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

REDIS_URL = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379/0")
QUEUE = os.environ.get("BENCH_QUEUE", "bench")
WARM = "warm"
BULK = 1000

IN_FLIGHT = 50
"""Adds under way at once where a peer has no call for many."""

Payload = dict[str, str]
Handler = Callable[[Payload], Awaitable[None]]
PlainHandler = Callable[[Payload], None]


class Driver(Protocol):
    """What a peer fills in. `due` is a Unix time or None; `work` runs until it is cancelled.

    Those that have one add `reset`, and `add_bulk(payloads, due)`.
    """

    async def open(self) -> None: ...
    async def add(self, payload: Payload, due: float | None) -> None: ...
    async def close(self) -> None: ...
    async def work(self, concurrency: int, handler: Handler) -> None: ...


class PlainDriver(Protocol):
    """The same for a peer without asyncio; `work` never returns."""

    def add(self, payload: Payload, due: float | None) -> None: ...
    def work(self, concurrency: int, handler: PlainHandler) -> None: ...


class Threaded:
    """A plain driver as the others are: what it does blocks the loop, except the work, which has a thread."""

    def __init__(self, plain: PlainDriver) -> None:
        self._plain = plain

    async def open(self) -> None:
        pass

    async def add(self, payload: Payload, due: float | None) -> None:
        self._plain.add(payload, due)

    async def add_bulk(self, payloads: Sequence[Payload], due: float | None) -> None:
        for payload in payloads:
            self._plain.add(payload, due)

    async def close(self) -> None:
        pass


def main_plain(driver: PlainDriver) -> None:
    """As `main`. The consumer has the main thread, which its signals want."""
    asked = arguments()
    if asked.command != "work":
        asyncio.run(COMMANDS[asked.command](Threaded(driver), asked))
        return
    record = Record(asked.count, asked.io)

    def watch() -> None:
        record.ended.wait(asked.patience)
        say(record.saw())

    threading.Thread(target=watch, daemon=True).start()
    driver.work(asked.concurrency, record.handle_plainly)


def main(driver: Driver) -> None:
    asked = arguments()
    asyncio.run(COMMANDS[asked.command](driver, asked))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=sorted(COMMANDS))
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--bulk", action="store_true")
    parser.add_argument("--warm", action="store_true")
    parser.add_argument("--due", type=float)
    parser.add_argument("--gap", type=float, default=0.02)
    parser.add_argument("--io", type=float, default=0.0)
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--patience", type=float, default=90.0)
    return parser.parse_args()


async def reset(driver: Driver, _: argparse.Namespace) -> None:
    empty = getattr(driver, "reset", None)
    if empty is not None:
        await empty()
    say({})


async def add(driver: Driver, asked: argparse.Namespace) -> None:
    await driver.open()
    jobs = [payload(asked.due, WARM)] if asked.warm else [payload(asked.due) for _ in range(asked.count)]
    began = time.perf_counter()
    if asked.bulk:
        add_bulk = getattr(driver, "add_bulk", None) or partial(add_together, driver)
        for first in range(0, len(jobs), BULK):
            await add_bulk(jobs[first : first + BULK], asked.due)
    else:
        for job in jobs:
            await driver.add(job, asked.due)
    seconds = time.perf_counter() - began
    await driver.close()
    say({"seconds": seconds})


async def add_together(driver: Driver, payloads: Sequence[Payload], due: float | None) -> None:
    """For a peer without a call for many: some under way at once."""
    for first in range(0, len(payloads), IN_FLIGHT):
        await asyncio.gather(*(driver.add(payload, due) for payload in payloads[first : first + IN_FLIGHT]))


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
    ended = asyncio.get_running_loop().create_future()
    record.on_end = partial(ended.set_result, None)
    await asyncio.wait([working, ended], timeout=asked.patience, return_when=asyncio.FIRST_COMPLETED)
    if working.done():
        working.result()
    say(record.saw())
    await working  # the runner ends this process


class Record:
    """Notes each handler's start, and the end of the last one."""

    def __init__(self, count: int, io: float) -> None:
        self.ended = threading.Event()
        self.on_end: Callable[[], None] = lambda: None
        self._count = count
        self._io = io
        self._ids: list[str] = []
        self._starts: list[float] = []
        self._ends = 0
        self._end = 0.0
        self._cpu_before = 0.0
        self._cpu_after = 0.0
        self._lock = threading.Lock()

    async def handle(self, job: Payload) -> None:
        if self._start(job):
            if self._io:
                await asyncio.sleep(self._io)
            self._finish()

    def handle_plainly(self, job: Payload) -> None:
        """For handlers in threads."""
        with self._lock:
            counts = self._start(job)
        if counts:
            if self._io:
                time.sleep(self._io)
            with self._lock:
                self._finish()

    def _start(self, job: Payload) -> bool:
        now = time.time()
        if job["schedule_id"] == WARM:
            say({"ready": True})
            return False
        if not self._ids:
            self._cpu_before = time.process_time()
        self._ids.append(job["schedule_id"])
        self._starts.append(now)
        return True

    def _finish(self) -> None:
        self._ends += 1
        if self._ends == self._count:
            self._end, self._cpu_after = time.time(), time.process_time()
            self.ended.set()
            self.on_end()

    def saw(self) -> dict[str, Any]:
        return {
            "ids": self._ids,
            "starts": self._starts,
            "end": self._end or time.time(),
            "cpu": (self._cpu_after or time.process_time()) - self._cpu_before,
        }


def payload(due: float | None, schedule_id: str = "") -> Payload:
    """As long as what the driver for Node adds, which bytes at rest tell: it writes instants with ms and a Z."""
    due_at = datetime.fromtimestamp(due or time.time(), UTC).isoformat(timespec="milliseconds")
    return {"schedule_id": schedule_id or str(uuid.uuid4()), "due_at": due_at.replace("+00:00", "Z")}


def say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


COMMANDS = {"reset": reset, "add": add, "probe": probe, "work": work}
