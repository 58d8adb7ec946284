"""A link: one connection on which commands follow each other without waiting for the replies in between.

redis-py makes the connection: TLS, login, Sentinel and the client's name are its business. Then the link takes over the
transport. A command costs one write, and what answers it resolves a future: no task, no lock, no stream. That is half
of what a script call costs a worker. Replies come back in the order of the commands, as Redis promises.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, cast

from redis.asyncio.connection import DefaultParser
from redis.exceptions import ConnectionError, TimeoutError  # noqa: A004 - redis-py's own

from carequeue.store.replies import is_misled
from carequeue.store.seeking import tell

try:
    import hiredis
except ImportError:  # an optional extra: without it nobody asks for a link
    hiredis = None

if TYPE_CHECKING:
    from redis.asyncio import ConnectionPool

INCOMPLETE = object()


class Link(asyncio.Protocol):
    """The commands under way on one connection. It belongs to the event loop that it was made in."""

    def __init__(self, connection: Any, timeout: float | None) -> None:
        reader = cast("Any", hiredis).Reader(
            encoding="utf-8",
            errors="replace",
            replyError=cast("Any", DefaultParser).parse_error,
            notEnoughData=INCOMPLETE,
        )
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.closed: bool = False
        self._gone = asyncio.Event()
        """It takes no more commands; those under way may still get their replies."""
        self._hung_up = False
        self._connection = connection  # its stream closes the transport when it is collected
        self._transport = cast("asyncio.Transport", connection._writer.transport)  # noqa: SLF001 - no other way
        self._timeout = timeout
        self._feed = reader.feed
        self._next_reply = reader.gets
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._sent: deque[float] = deque()
        self._unwritten: list[bytes] = []
        self._watch: asyncio.TimerHandle | None = None
        self._transport.set_protocol(self)

    def send(self, packed: bytes) -> asyncio.Future[Any]:
        """Write a command; the future gets its reply, or raises what redis-py would.

        Cancelling the future gives up the reply, not the command.
        """
        future: asyncio.Future[Any] = self.loop.create_future()
        if self._waiting:
            # Others are under way, so nobody is kept waiting: what comes in this turn of the loop is one write.
            if not self._unwritten:
                self.loop.call_soon(self._flush)
            self._unwritten.append(packed)
        else:
            self._transport.write(packed)
        self._waiting.append(future)
        if self._timeout is not None:
            self._sent.append(self.loop.time())
            if self._watch is None:
                self._watch = self.loop.call_later(self._timeout, self._look)
        return future

    def close(self, why: Exception | None = None) -> None:
        """Hang up. What has no reply yet raises ConnectionError, or `why`."""
        if self._hung_up:
            return
        self.closed = self._hung_up = True
        self._transport.abort()
        self._connection._close()  # noqa: SLF001 - it would warn of a connection left open
        if self._watch is not None:
            self._watch.cancel()
        waiting, self._waiting = self._waiting, deque()
        for future in waiting:
            if not future.done():
                future.set_exception(why or ConnectionError("the connection was closed"))

    async def part(self) -> None:
        """Hang up, and return when the server knows: what it does from then on, it does not do for this connection."""
        if not self.closed:
            self.closed = True
            if self._transport.can_write_eof():
                self._transport.write_eof()
            else:
                self._transport.close()  # TLS: says goodbye, and waits until the other side has said it too
            await self._gone.wait()
        self.close()

    # What the transport calls

    def data_received(self, data: bytes) -> None:
        try:
            self._feed(data)
            reply = self._next_reply()
            while reply is not INCOMPLETE:
                self._answered(reply)
                reply = self._next_reply()
        except Exception as error:  # noqa: BLE001 - hiredis' own: what comes is not Redis's protocol
            self.close(ConnectionError(f"cannot understand the server: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone.set()
        why = ConnectionError(f"connection lost: {exc}" if exc else "connection closed by the server")
        why.__cause__ = exc
        self.close(why)

    # Inside

    def _flush(self) -> None:
        packed, self._unwritten = self._unwritten, []
        if not self._hung_up:
            self._transport.write(packed[0] if len(packed) == 1 else b"".join(packed))

    def _answered(self, reply: Any) -> None:
        if isinstance(reply, cast("Any", hiredis).PushNotification):
            return  # RESP3 only, and not an answer to anything
        future = self._waiting.popleft()
        if self._timeout is not None:
            self._sent.popleft()
        if isinstance(reply, Exception):
            self._refused(reply)
        if future.done():
            pass
        elif isinstance(reply, Exception):
            future.set_exception(reply)
        else:
            future.set_result(reply)
        if self.closed and not self._waiting:
            self.close()

    def _refused(self, reply: Exception) -> None:
        if is_misled(reply) and not self.closed:
            tell(self._connection, reply)
            self.closed = True  # the next command connects anew, to the server that is the right one now

    def _look(self) -> None:
        """Whether the oldest command has waited too long; one timer watches all of them."""
        self._watch = None
        if self._hung_up or not self._sent or self._timeout is None:
            return
        left = self._sent[0] + self._timeout - self.loop.time()
        if left <= 0:
            self.close(TimeoutError(f"no reply for {self._timeout:g} s"))
        else:
            self._watch = self.loop.call_later(left, self._look)


async def open_link(pool: ConnectionPool) -> Link:
    """Connect as the pool would, and log in.

    Raises:
        RedisError: redis-py's, as for any command.
    """
    connection = cast("Any", pool).make_connection()
    try:
        await connection.connect()
        return Link(connection, pool.connection_kwargs.get("socket_timeout", connection.socket_timeout))
    except BaseException:
        await connection.disconnect(nowait=True)
        raise


def can_link() -> bool:
    return hiredis is not None
