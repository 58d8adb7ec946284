"""The client that everything here talks with: redis-py's, with a link of its own for what is sent often."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from redis.asyncio import Redis

from carequeue.store.link import Link, can_link, open_link
from carequeue.store.packing import hiredis_pack

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Argument = str | int | float


class LinkedRedis(Redis):
    """A Redis whose `send` answers raw replies over a link. It connects again after a loss; nothing is sent twice.

    Without hiredis `send` goes redis-py's way.
    """

    _link: Link | None = None
    _linking: asyncio.Lock | None = None

    def send(self, *command: Argument) -> Awaitable[Any]:
        """Send a command (its name is one word) and await its reply.

        Raises:
            RedisError: what redis-py raises.
        """
        link = self._link
        if link is None or link.closed or link.loop is not asyncio.get_running_loop():
            return self._send_first(command)
        return link.send(_pack(command))

    def hang_up(self) -> None:
        """Close the link: a call that blocks is over for the server too."""
        link, self._link = self._link, None
        if link is None or link.loop.is_closed():
            return  # with its loop went the connection
        if link.loop is _running_loop():
            link.close()
        else:
            link.loop.call_soon_threadsafe(link.close)

    async def part(self, patience: float) -> None:
        """As `hang_up`, and return when the server knows, or after `patience` seconds."""
        link = self._link
        if link is None or link.loop is not asyncio.get_running_loop():
            self.hang_up()
            return
        self._link = None  # who sends meanwhile gets a link that stays
        try:
            async with asyncio.timeout(patience):
                await link.part()
        except TimeoutError:
            pass  # it does not answer: nothing to be sure of
        finally:
            link.close()

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        self.hang_up()
        await super().aclose(close_connection_pool)

    async def _send_first(self, command: tuple[Argument, ...]) -> Any:
        if not can_link():
            return await cast("Any", self).execute_command(*command)
        return await (await self._connected()).send(_pack(command))

    async def _connected(self) -> Link:
        loop = asyncio.get_running_loop()
        link = self._link
        if link is not None and link.loop is not loop:
            self._linking = None  # the loop that it was made in is over, or another thread's
            self.hang_up()
        if self._linking is None:
            self._linking = asyncio.Lock()
        async with self._linking:
            if self._link is None or self._link.closed:
                self._link = await open_link(self.connection_pool)
            return self._link


def linked(client: Redis) -> LinkedRedis:
    """The same connections with a link; the pool stays its owner's to close."""
    return client if isinstance(client, LinkedRedis) else LinkedRedis(connection_pool=client.connection_pool)


def sender(client: Redis) -> Callable[..., Awaitable[Any]]:
    """What sends a client's commands and answers raw replies."""
    return client.send if isinstance(client, LinkedRedis) else cast("Any", client).execute_command


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


_pack: Any = hiredis_pack()
