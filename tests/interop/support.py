"""A BullMQ in a Node process, driven from a test."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Callable

PEER = Path(__file__).resolve().parent / "node" / "peer.mjs"
PATIENCE = 30.0
LONGEST_LINE = 64 * 1024 * 1024


class NodeError(Exception):
    """A call failed in Node; `name` is the class of the error there."""

    def __init__(self, name: str, message: str) -> None:
        self.name = name
        super().__init__(f"{name}: {message}")


@dataclass(frozen=True, slots=True)
class Emitted:
    """Something that an object in Node emitted, or (`source` "act") a processor that started."""

    source: str
    event: str
    args: list[Any]


class Node:
    """One Node process, whose objects have names: `make("Queue", "q", queue_name)`, then `call("q", "add", …)`."""

    def __init__(self, program: Path, redis_url: str) -> None:
        self.program = program
        self.redis_url = redis_url
        self.emitted: list[Emitted] = []
        self._process: Process | None = None
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._ids = count(1)
        self._changed = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            str(self.program), str(PEER), urlsplit(self.redis_url).netloc.rpartition("@")[2],
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LONGEST_LINE,
        )  # fmt: skip
        self._reading = asyncio.create_task(self._read())

    async def make(self, kind: str, name: str, *args: Any) -> None:
        await self._ask(make=kind, args=[*args], **{"as": name})

    async def call(self, on: str, method: str, *args: Any, keep: str | None = None) -> Any:
        """Call a method in Node; with `keep` its result gets a name and can be called in turn."""
        return await self._ask(on=on, call=method, args=[*args], **({"as": keep} if keep else {}))

    async def call_with(self, on: str, method: str, other: str, *args: Any) -> Any:
        """Call a method whose first argument is another named object."""
        return await self._ask(on=on, call=method, args=[{"$named": other}, *args])

    async def release(self) -> None:
        """Let go of the jobs whose processors hold."""
        await self._ask(release=True)

    async def spans(self) -> list[dict[str, Any]]:
        """The ended spans of what was made with `telemetry: true`."""
        return await self._ask(spans=True)

    async def drop(self, name: str, *args: Any) -> None:
        await self._ask(drop=name, args=[*args])

    def seen(self, source: str, event: str) -> list[list[Any]]:
        return [one.args for one in self.emitted if (one.source, one.event) == (source, event)]

    async def wait_for(self, source: str, event: str, how_many: int = 1, seconds: float = PATIENCE) -> list[list[Any]]:
        """Wait until so many of these were emitted, counted from the start of the process. One waits at a time."""
        await self.wait_until(lambda: len(self.seen(source, event)) >= how_many, seconds)
        return self.seen(source, event)

    async def wait_until(self, holds: Callable[[], bool], seconds: float = PATIENCE) -> None:
        async with asyncio.timeout(seconds):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    def look_again(self, *_: Any) -> None:
        """Let `wait_until` look: something happened outside of Node."""
        self._changed.set()

    async def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        await self._ended()

    async def stop(self) -> None:
        if self._process is not None and self._process.stdin is not None and self._process.returncode is None:
            self._process.stdin.close()
        await self._ended()

    async def _ended(self) -> None:
        if self._process is None:
            return
        try:
            await asyncio.wait_for(self._process.wait(), PATIENCE)
        finally:
            if self._process.returncode is None:
                self._process.kill()
        if self._reading is not None:
            await self._reading

    async def _ask(self, **request: Any) -> Any:
        assert self._process is not None
        assert self._process.stdin is not None
        number = next(self._ids)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        self._process.stdin.write(f"{json.dumps({'id': number, **request})}\n".encode())
        return await asyncio.wait_for(answer, PATIENCE)

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            said = json.loads(line)
            if "id" in said:
                self._settle(self._answers.pop(said["id"]), said)
                continue
            self.emitted.append(Emitted(said["from"], said["event"], said["args"]))
            self._changed.set()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(ConnectionError("the Node process ended"))

    @staticmethod
    def _settle(answer: asyncio.Future[Any], said: dict[str, Any]) -> None:
        if answer.done():
            return
        if "error" in said:
            answer.set_exception(NodeError(said["error"]["name"], said["error"]["message"]))
        else:
            answer.set_result(said["value"])
