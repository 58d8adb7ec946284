"""One child process: started, watched until it is ready, its output kept, and ended. The supervisor has several."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from carecircle_cli.engines.process import EngineError
from carecircle_cli.up.logs import Lines, LogFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from carecircle_cli.engines.program import Program

LOOK_EVERY = 0.05
CHUNK = 64 * 1024
LAST_LINES = 15
OUTPUT_AFTER_END = 1.0


class ChildFailed(EngineError):
    """A child ended before it was ready, or was not ready in time."""


class Child:
    """A process of `program`. Start it again after it ended, as often as you like.

    `show` gets the lines of its output that people should see at once.
    """

    def __init__(self, program: Program, show: Callable[[str], None]) -> None:
        self.program = program
        self._show = show
        self._process: asyncio.subprocess.Process | None = None
        self._output: asyncio.Task[None] | None = None
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._swept = True

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def last_lines(self) -> str:
        return "\n".join(self._last)

    async def start(self) -> None:
        """Start it and return once it is ready.

        Raises:
            ChildFailed: with the last lines of its output.
        """
        await self.spawn()
        try:
            async with asyncio.timeout(self.program.ready_within):
                await self._until_ready()
        except TimeoutError:
            self.kill()
            await self.wait()
            raise ChildFailed(
                f"{self.name} was not ready within {self.program.ready_within:g} s; see {self.program.log}"
            ) from None

    async def spawn(self) -> None:
        """Start it, without waiting for anything."""
        # A pipe of our own: with asyncio's, `wait()` would not end while a grandchild holds the other end.
        read, write = os.pipe()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self.program.argv(), stdin=asyncio.subprocess.DEVNULL, stdout=write, stderr=write,
                env=self.program.environment, start_new_session=True,
            )  # fmt: skip
        except BaseException:
            os.close(read)
            raise
        finally:
            os.close(write)
        self._last.clear()
        self._swept = False
        self._output = asyncio.create_task(self._keep_output(read), name=f"output of {self.name}")

    async def wait(self) -> int:
        """Its exit code, once it has ended and its last words are kept. Negative: the signal that ended it."""
        if self._process is None:
            return 0
        code = await self._process.wait()
        self._sweep()
        if self._output is not None:
            # Something that left the group may still hold the pipe; its words are not ours.
            await asyncio.wait({self._output}, timeout=OUTPUT_AFTER_END)
            self._output.cancel()
        return code

    async def stop(self) -> bool:
        """Ask it to end, wait; whether it did so by itself within its grace."""
        if self._process is None:
            return True
        if self.running:
            self._process.send_signal(self.program.stop_signal)
        try:
            async with asyncio.timeout(self.program.grace):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self.wait()
            return False
        await self.wait()
        return True

    def kill(self) -> None:
        """SIGKILL, to it and to what it started."""
        if self.running:
            self._sweep()

    async def _until_ready(self) -> None:
        process = self._process
        if process is None:
            return
        while not await asyncio.to_thread(self.program.ready, process.pid):
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), LOOK_EVERY)
            if process.returncode is not None:
                code = await self.wait()
                raise ChildFailed(f"{self.name} {how_it_ended(code)} before it was ready:\n{self.last_lines}")

    async def _keep_output(self, read: int) -> None:
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read, "rb"))
        lines = Lines()
        try:
            with LogFile(self.program.log) as log:
                while chunk := await reader.read(CHUNK):
                    if (problem := log.write(chunk)) is not None:
                        self._show(problem)
                    self._note(lines.feed(chunk))
        finally:
            transport.close()

    def _note(self, lines: list[str]) -> None:
        self._last.extend(lines)
        if self.program.shown is None:
            return
        for line in lines:
            if (text := self.program.shown(line)) is not None:
                self._show(text)

    def _sweep(self) -> None:
        # The child leads a session of its own, so the group is it and whatever it started. Once only: when all of them
        # are gone, the number may become somebody else's.
        if self._process is not None and not self._swept:
            self._swept = self._process.returncode is not None
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)


def how_it_ended(code: int) -> str:
    """In words: `ended with exit code 3`, `was ended by SIGKILL`."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
