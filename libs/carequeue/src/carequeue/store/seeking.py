"""Connections that ask where their server is each time they connect: behind Sentinel, or in a Cluster.

A server that is not the right one any more says so (READONLY, MOVED): such a connection is over, and the next one asks
anew. So it is of any redis-py connection made here; behind a DNS name that means asking for the address again.
"""

from __future__ import annotations

import ssl
from abc import ABC, abstractmethod
from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from redis.exceptions import (
    AuthenticationError,
    ConnectionError,  # noqa: A004 - redis-py's own, under its own name
    ResponseError,
    TimeoutError,  # noqa: A004 - redis-py's own, under its own name
)

from carequeue.store.replies import is_misled

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, Mapping

    from carequeue.store.url import Node

ASKING: Mapping[str, Any] = {
    "decode_responses": True,
    "protocol": 2,
    "socket_timeout": 2.0,
    "socket_connect_timeout": 2.0,
}
"""How a sentinel, or node, is asked where the server is: a silent one must not keep us from the next."""


class Seeker(ABC):
    """Knows whom to ask where a server is. One belongs to one client."""

    def __init__(self, connection_class: type[Any], settings: Mapping[str, Any], nodes: tuple[Node, ...]) -> None:
        self.found: Node | None = None
        """Where the server was when last asked."""
        self._connection_class = connection_class
        self._settings = {**settings, **ASKING}
        self._nodes = list(nodes)

    @property
    @abstractmethod
    def sought(self) -> str:
        """What is sought, for messages."""

    @abstractmethod
    async def find(self) -> Node:
        """Where the server is now.

        Raises:
            ConnectionError: nobody knows.
        """

    def misled(self, error: Exception) -> None:
        """The server that was found is not the right one any more."""
        self.found = None

    def failed(self) -> None:
        """Nobody could be reached at what was found: ask somebody else first next time."""
        self._nodes.append(self._nodes.pop(0))

    def prefer(self, node: Node) -> None:
        """This one answered: ask it first next time."""
        self._nodes.remove(node)
        self._nodes.insert(0, node)

    def nobody(self, errors: Mapping[Node, Exception]) -> ConnectionError:
        """The error for a search that came to nothing: of a refused login, if one refused us."""
        refused = [error for error in errors.values() if isinstance(error, AuthenticationError)]
        said = "; ".join(f"{host}:{port}: {error}" for (host, port), error in errors.items())
        error = (AuthenticationError if refused else ConnectionError)(said)
        error.__cause__ = refused[0] if refused else next(iter(errors.values()), None)
        return error

    @asynccontextmanager
    async def asking(self, node: Node) -> AsyncGenerator[Any]:
        """A connection to one of those that may know."""
        connection = self._connection_class(host=node[0], port=node[1], **self._settings)
        try:
            await connection.connect()
            yield connection
        finally:
            await connection.disconnect(nowait=True)


async def ask(connection: Any, *command: str) -> Any:
    await connection.send_command(*command)
    return await connection.read_response()


@cache
def seeking(connection_class: type[Any]) -> type[Any]:
    """The kind of connection that asks its `seeker` (None: its address is fixed)."""
    return type(f"Seeking{connection_class.__name__}", (_Seeking, connection_class), {})


def tell(connection: Any, error: Exception) -> None:
    """Its server said that it is not the right one: whoever connects next knows."""
    seeker: Seeker | None = getattr(connection, "seeker", None)
    if seeker is not None:
        seeker.misled(error)


class _Seeking:
    def __init__(self, *, seeker: Seeker | None = None, **settings: Any) -> None:
        self.seeker: Seeker | None = seeker
        self._stream: asyncio.StreamReader | None = None
        super().__init__(**settings)

    async def connect(self) -> None:
        connection = cast("Any", self)
        if self.seeker is None or connection.is_connected:
            await self._connect_there()
            return
        connection.host, connection.port = await self.seeker.find()
        try:
            await self._connect_there()
        except (ConnectionError, TimeoutError, OSError):
            self.seeker.failed()
            raise

    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        parent = cast("Any", super())
        try:
            return await parent.read_response(*arguments, **options)
        except ResponseError as error:
            if is_misled(error):
                tell(self, error)
                await cast("Any", self).disconnect(nowait=True)
            raise

    async def send_packed_command(self, *arguments: Any, **options: Any) -> None:
        try:
            await cast("Any", super()).send_packed_command(*arguments, **options)
        except ConnectionError as error:
            why = self._stream.exception() if self._stream is not None else None
            if isinstance(why, ssl.SSLError):  # the other side did not like our certificate, and hung up
                raise ConnectionError(*error.args) from why
            raise

    async def _connect(self) -> None:
        await cast("Any", super())._connect()  # noqa: SLF001 - of redis-py
        self._stream = cast("Any", self)._reader  # noqa: SLF001 - of redis-py

    async def _connect_there(self) -> None:
        await cast("Any", super()).connect()
