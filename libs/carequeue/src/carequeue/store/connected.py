"""Connected: what has clients, its own or a given one's, and is used by `async with`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from carequeue.store.connection import source_of
from carequeue.store.server import check_server

if TYPE_CHECKING:
    from typing import Self

    from carequeue.store.client import LinkedRedis
    from carequeue.store.connection import Connection


class Connected:
    """`connection` is a URL, or a ready client that stays its owner's to close. `home` is the base key of a queue.

    Raises:
        InvalidOption: the connection is a URL and none of Redis, a client that repeats commands by itself, or a
            cluster's and the keys of a queue would lie in many slots of it.
    """

    def __init__(self, connection: Connection, home: str) -> None:
        self._source = source_of(connection)
        self._home = home
        self._clients: dict[int, LinkedRedis] = {}
        self._checked = False
        self._source.place(home)

    @property
    def client(self) -> LinkedRedis:
        """The client that is used."""
        return self._client_for(self._home)

    async def open(self) -> Self:
        """Check the server. Not calling it is allowed: the first command connects.

        Raises:
            ConnectionLost: nobody answers at this address.
            UnsuitableRedis: older than 6.2, or it evicts keys.
        """
        await check_server(self.client, in_cluster=self._source.in_cluster)
        self._checked = True
        return self

    async def close(self) -> None:
        """Close what was made here. It can be used again afterwards."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()  # a given client's pool stays open: it is not this one's

    async def __aenter__(self) -> Self:
        try:
            return await self.open()
        except BaseException:
            await self.close()
            raise

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _client_for(self, base: str) -> LinkedRedis:
        """The client for the queue with this base key: in a cluster each slot has one of its own."""
        place = self._source.place(base)
        if place not in self._clients:
            self._clients[place] = self._source.client(base)
        return self._clients[place]
