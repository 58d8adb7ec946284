"""A proxy in front of a Redis that knows which of our scripts passes it, and breaks the one that a test names."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import Counter, deque
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from carequeue.lua.loader import FOLDER, load

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = tuple(sorted(path.name.removesuffix("-1.lua") for path in (FOLDER / "commands").glob("*.lua")))
"""Every script there is."""
CHUNK = 1 << 16


class Fault(StrEnum):
    """What happens to a call. The connection is cut in all cases but the last, in which the client has to give up."""

    REQUEST_LOST = "request lost"
    REPLY_LOST = "reply lost"
    REPLY_CUT = "reply cut"
    REPLY_LATE = "reply late"

    @property
    def ran(self) -> bool:
        """Whether the server has done what it was asked."""
        return self is not Fault.REQUEST_LOST


@dataclass(slots=True)
class Passing:
    """A command whose reply has not come yet."""

    name: str
    fault: Fault | None


class CommandProxy:
    """Forwards commands and replies one by one: those of scripts have the script's name, others their own, `PING`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._upstream = (parts.hostname or "127.0.0.1", parts.port or 6379)
        self._database = parts.path
        self._names = {load(name).sha: name for name in NAMES}
        self._choose: Callable[[str], Fault | None] = lambda _: None
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.passed: Counter[str] = Counter()
        """How many commands of each name came."""
        self.broken: Counter[tuple[str, Fault]] = Counter()
        """How many calls of each name were broken, by how."""
        self.struck = asyncio.Event()
        """The call that `strike` named was broken."""

    async def __aenter__(self) -> CommandProxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def url(self, timeout: float | None = None) -> str:
        """`timeout`: how long its clients wait for a reply, seconds."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return f"redis://127.0.0.1:{port}{self._database}{f'?socket_timeout={timeout:g}' if timeout else ''}"

    def strike(self, command: str, fault: Fault, nth: int = 1) -> None:
        """Break the `nth` call of a command from now on, and no other."""
        left = nth
        self.struck.clear()

        def choose(name: str) -> Fault | None:
            nonlocal left
            left -= name == command
            return fault if name == command and left == 0 else None

        self._choose = choose

    def choose(self, choose: Callable[[str], Fault | None]) -> None:
        """Let `choose(name)` say what happens to each call."""
        self._choose = choose

    def redirect(self, url: str) -> None:
        """Cut every connection; new ones go to another server."""
        parts = urlsplit(url)
        self._upstream = (parts.hostname or "127.0.0.1", parts.port or 6379)
        for connection in self._connections:
            connection.cancel()

    # One connection

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        task.add_done_callback(lambda _: writer.transport.abort())  # even if it was cancelled before it began

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_connection(*self._upstream)
        except OSError:
            writer.transport.abort()
            return
        passing: deque[Passing] = deque()
        gone = asyncio.Event()
        halves = [
            asyncio.ensure_future(self._requests(reader, up_writer, passing, gone)),
            asyncio.ensure_future(self._replies(up_reader, writer, passing, gone)),
        ]
        try:
            await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
        finally:
            up_writer.transport.abort()  # both before the first await, at which it may be cancelled
            writer.close()  # what was written still goes out
            for half in halves:
                half.cancel()
            await asyncio.gather(*halves, return_exceptions=True)
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _requests(
        self, reader: asyncio.StreamReader, up: asyncio.StreamWriter, passing: deque[Passing], gone: asyncio.Event
    ) -> None:
        frames = Frames()
        while chunk := await _read(reader):
            for frame in frames.of(chunk):
                name = self._name_of(frame)
                self.passed[name] += 1
                fault = self._choose(name)
                if fault is Fault.REQUEST_LOST:
                    self._strikes(name, fault)
                    return
                passing.append(Passing(name, fault))
                up.write(frame)
            await up.drain()
        gone.set()
        if passing and passing[0].fault is Fault.REPLY_LATE:
            return
        up.write_eof()  # the client hangs up politely: the server hears of it, and its last replies still pass
        await asyncio.Event().wait()

    async def _replies(
        self, up: asyncio.StreamReader, writer: asyncio.StreamWriter, passing: deque[Passing], gone: asyncio.Event
    ) -> None:
        frames = Frames()
        while chunk := await _read(up):
            for frame in frames.of(chunk):
                command = passing[0]
                if command.fault is not None:
                    self._strikes(command.name, command.fault)
                    if command.fault is Fault.REPLY_CUT:
                        writer.write(frame[: len(frame) // 2])
                    elif command.fault is Fault.REPLY_LATE:
                        await gone.wait()
                    return
                passing.popleft()
                writer.write(frame)
            await writer.drain()

    def _strikes(self, name: str, fault: Fault) -> None:
        self.broken[name, fault] += 1
        self.struck.set()

    def _name_of(self, request: bytes) -> str:
        _, _, word, size, rest = (
            request.split(b"\r\n", 4) if request.count(b"\r\n") > 3 else (*request.split(b"\r\n"), b"")
        )
        what = word.decode().upper()
        if what not in ("EVAL", "EVALSHA"):
            return what
        text = rest[: int(size[1:])]
        return self._names[text.decode() if what == "EVALSHA" else hashlib.sha1(text).hexdigest()]  # noqa: S324 - Redis's


class Frames:
    """Cuts a stream of RESP2 into its values."""

    def __init__(self) -> None:
        self._left = b""

    def of(self, chunk: bytes) -> list[bytes]:
        """The values that are whole now."""
        data, start, found = self._left + chunk, 0, list[bytes]()
        while (end := frame_end(data, start)) is not None:
            found.append(data[start:end])
            start = end
        self._left = data[start:]
        return found


def frame_end(data: bytes, start: int) -> int | None:
    """Where the RESP2 value that begins at `start` ends; None: more of it has to come."""
    at, values = start, 1
    while values:
        end_of_line = data.find(b"\r\n", at)
        if end_of_line < 0:
            return None
        kind, said = data[at : at + 1], data[at + 1 : end_of_line]
        at = end_of_line + 2
        values -= 1
        if kind == b"*":
            values += max(0, int(said))
        elif kind == b"$" and int(said) >= 0:
            at += int(said) + 2
    return at if at <= len(data) else None


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(CHUNK)
    except OSError:
        return b""
