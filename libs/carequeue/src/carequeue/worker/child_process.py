"""One child process as its worker sees it: given orders, listened to, ended; see child.py for the other side."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

from carequeue.errors import ProcessDied
from carequeue.wire.json_text import parse
from carequeue.worker.messages import LENGTH, Answer, Began, Call, Raised, Returned, frame, unframe
from carequeue.worker.portable import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Callable

    from carequeue.worker.context import JobContext
    from carequeue.worker.messages import Order

PROGRAM = (
    "import json, sys; there = json.loads(sys.argv[2]); sys.path[:] = there['path']; sys.argv[:] = there['argv']; "
    "from carequeue.worker.child import main; main({descriptor})"
)
START_LIMIT = 60.0
"""Seconds for a handler to be imported."""
LAST_WORDS = 0.1
"""Seconds for what a process said before it ended to be read."""
TIDY_UP = 3.0
"""Seconds for an idle process to end by itself."""


class ChildProcess:
    """One at a time: `perform` an order, and again while it `is_reusable`."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.jobs: int = 0
        """How many orders it got."""
        self._process = process
        self._reader = reader
        self._writer = writer
        self.began: bool = False
        """The handler of the latest order began."""
        self._interrupted = False
        self._exit = asyncio.create_task(self._watch(), name=f"carequeue:process:{process.pid}")

    @classmethod
    async def start(cls) -> ChildProcess:
        """A new process, in a session of its own: signals of the worker's terminal do not reach it."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *_command(theirs.fileno()),
                    pass_fds=(theirs.fileno(),),
                    stdin=asyncio.subprocess.DEVNULL,
                    start_new_session=True,
                )
            try:
                return cls(process, *await asyncio.open_unix_connection(sock=ours))
            except BaseException:
                process.kill()
                await process.wait()
                raise
        except BaseException:
            ours.close()
            raise

    @property
    def is_reusable(self) -> bool:
        """Whether it may get another order. One that was interrupted may be in any state."""
        return not self._exit.done() and self._process.returncode is None and not self._interrupted

    async def perform(self, order: Order, context: JobContext, began: Callable[[], None], grace: float) -> Any:
        """Have a handler run, and return what it returned. `began` is called when it begins.

        Cancelled, the handler is interrupted, and killed with all that it started if it goes on for `grace` seconds.

        Raises:
            ProcessDied: the process ended before the handler.
            Exception: what the handler raised.
            asyncio.CancelledError: the handler ended because it was told to, or was killed.
        """
        self.jobs += 1
        self.began = False
        talk = asyncio.create_task(self._talk(order, context, began))
        try:
            return await asyncio.shield(talk)
        except asyncio.CancelledError:
            if talk.cancelled():
                raise
            await self._interrupt(talk, grace)
            try:
                return talk.result()
            except ProcessDied:
                raise asyncio.CancelledError from None

    async def end(self) -> None:
        """Hang up: an idle process ends by itself, and is killed if it does not."""
        self._writer.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TIDY_UP):
                await asyncio.shield(self._exit)
        self.kill()
        await self._exit
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def kill(self) -> None:
        """End the process and what it started."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _interrupt(self, talk: asyncio.Task[Any], grace: float) -> None:
        """Returns when the conversation has ended."""
        self._interrupted = True
        try:
            if self.began and not talk.done():
                with contextlib.suppress(ProcessLookupError):
                    self._process.send_signal(signal.SIGUSR1)
                await asyncio.wait([talk], timeout=grace)
        finally:
            if not talk.done():
                self.kill()
        await asyncio.wait([talk])

    async def _talk(self, order: Order, context: JobContext, began: Callable[[], None]) -> Any:
        self._send(order)
        message = await self._first_message(order)
        while True:
            match message:
                case Began():
                    self.began = True
                    began()
                case Call():
                    self._send(await _answer(message, context))
                case Returned():
                    return parse(message.text)
                case Raised():
                    raise unpack(message.error, order.reference.main)
                case _:
                    raise asyncio.CancelledError
            message = await self._receive()

    async def _first_message(self, order: Order) -> Any:
        try:
            async with asyncio.timeout(START_LIMIT):
                return await self._receive()
        except TimeoutError:
            self.kill()
            raise ProcessDied(
                f"the handler did not begin within {START_LIMIT:g} s: does importing {order.reference.module} not end?"
            ) from None

    def _send(self, message: object) -> None:
        with contextlib.suppress(OSError):  # it died: receiving tells how
            self._writer.write(frame(message))

    async def _receive(self) -> Any:
        try:
            (length,) = LENGTH.unpack(await self._reader.readexactly(LENGTH.size))
            return unframe(await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, OSError):
            pass
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TIDY_UP):
                await asyncio.shield(self._exit)
        self.kill()  # it hung up without ending
        await self._exit
        raise ProcessDied(f"the process of the handler {_how(self._process.returncode)}")

    async def _watch(self) -> None:
        """Until it has ended. Programs that it started may keep its socket open, so that says nothing."""
        await self._process.wait()
        await asyncio.sleep(LAST_WORDS)
        self._writer.transport.abort()


async def _answer(call: Call, context: JobContext) -> Answer:
    try:
        match call.method:
            case "update_progress":
                return Answer(await context.update_progress(*call.arguments))
            case "update_data":
                return Answer(await context.update_data(*call.arguments))
            case "log":
                return Answer(await context.log(*call.arguments))
            case "children_values":
                return Answer(await context.children.values())
    except Exception as error:  # noqa: BLE001 - it is raised where the handler called
        return Answer(error=pack(error))


def _command(descriptor: int) -> list[str]:
    """The interpreter that runs this, on the child's program, with this one's way to find modules."""
    there = json.dumps({"path": sys.path, "argv": sys.argv})
    flags = ["-" + "O" * sys.flags.optimize] if sys.flags.optimize else []
    warnings = [f"-W{option}" for option in sys.warnoptions]
    return [sys.executable, *flags, *warnings, "-c", PROGRAM.format(descriptor=descriptor), "carequeue", there]


def _how(code: int | None) -> str:
    if code is None:
        return "hung up"
    if code < 0:
        try:
            return f"was killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"was killed by signal {-code}"
    return f"ended by itself with exit code {code}"
