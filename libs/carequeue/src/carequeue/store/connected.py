"""Connected: what has a client, its own or a given one, and is used by `async with`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from carequeue.store.client import linked
from carequeue.store.connection import check_client, check_server, connect

if TYPE_CHECKING:
    from typing import Self

    from redis.asyncio import Redis

    from carequeue.store.client import LinkedRedis


class Connected:
    """`connection` is a URL, or a ready client that stays its owner's to close."""

    def __init__(self, connection: str | Redis) -> None:
        self._given = connection
        self._client: LinkedRedis | None = None

    @property
    def client(self) -> LinkedRedis:
        """The client that is used.

        Raises:
            InvalidOption: the connection is a URL and none of Redis, or a client that repeats commands by itself.
        """
        if self._client is None:
            if isinstance(self._given, str):
                self._client = connect(self._given)
            else:
                check_client(self._given)
                self._client = linked(self._given)
        return self._client

    async def open(self) -> Self:
        """Check the server. Not calling it is allowed: the first command connects.

        Raises:
            ConnectionLost: nobody answers at this address.
            UnsuitableRedis: older than 6.2, or it evicts keys.
        """
        await check_server(self.client)
        return self

    async def close(self) -> None:
        """Close the client, if it was made here. It can be used again afterwards."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()  # a given client's pool stays open: it is not this one's

    async def __aenter__(self) -> Self:
        try:
            return await self.open()
        except BaseException:
            await self.close()
            raise

    async def __aexit__(self, *_: object) -> None:
        await self.close()
