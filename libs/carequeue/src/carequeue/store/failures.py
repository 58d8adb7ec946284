"""What redis-py raises, in the words of a queue: `redis_errors` stands around whatever talks to Redis."""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ConnectionError,  # noqa: A004 - redis-py's own, under its own name
    InvalidResponse,
    ResponseError,
    TimeoutError,  # noqa: A004 - redis-py's own, under its own name
)

from carequeue.errors import AccessRefused, ConnectionLost, NotPermitted, NotReady, UnsuitableRedis
from carequeue.store.cluster import SlotRedis
from carequeue.store.replies import word_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from redis.asyncio import Redis

    from carequeue.store.seeking import Seeker

NOT_READY: Mapping[str, str] = {
    "LOADING": "it is loading its data",
    "MISCONF": "it cannot save to disk and so refuses to write",
    "NOREPLICAS": "too few replicas follow it (min-replicas-to-write)",
    "BUSY": "a script of somebody keeps it busy",
    "READONLY": "it is a replica; the master is another",
    "OOM": "it is out of memory (maxmemory)",
    "MASTERDOWN": "it is a replica that has lost its master",
    "CLUSTERDOWN": "the cluster, or the slot, is down",
    "TRYAGAIN": "the slot of the queue is being moved",
    "ASK": "the slot of the queue is being moved",
    "MOVED": "the nodes of the cluster do not agree on who has the slot",
    "UNBLOCKED": "it is a replica now; the master is another",
}
"""By the word with which it says that it cannot do what it was asked at the moment; nothing was done then."""
UNAUTHENTICATED = "unauthenticated"
"""In what Redis says of a command that is too long for somebody who has not logged in: it does not read it at all."""


@contextmanager
def redis_errors(client: Redis) -> Generator[None]:
    """Raises what redis-py raises as one of ours, where it is about the server and not about the command."""
    try:
        yield
    except (ConnectionError, TimeoutError, InvalidResponse, ResponseError, OSError) as error:
        meant = _meant(error, client)
        if meant is None:
            raise
        raise meant from error


def address(client: Redis) -> str:
    """host:port, the socket's path, or what is sought where; never the user or the password."""
    settings = cast("Mapping[str, Any]", client.get_connection_kwargs())
    if path := settings.get("path"):
        return str(path)
    seeker: Seeker | None = settings.get("seeker")
    if seeker is not None:
        return f"{seeker.found[0]}:{seeker.found[1]}, {seeker.sought}" if seeker.found else seeker.sought
    return f"{settings.get('host', 'localhost')}:{settings.get('port', 6379)}"


def _meant(error: Exception, client: Redis) -> Exception | None:
    where = f"Redis at {address(client)}"
    if isinstance(error, AuthenticationError | AuthorizationError) or UNAUTHENTICATED in str(error):
        return AccessRefused(f"{where} refused the login: {error}")
    if isinstance(error, ResponseError | BusyLoadingError):
        return _refused(error, where, in_cluster=isinstance(client, SlotRedis))
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return AccessRefused(
                f"{where} has a certificate that is not trusted: {cause.verify_message}. Its CA is named in the URL: "
                "rediss://…?ssl_ca_certs=/path/to/ca.pem"
            )
        if isinstance(cause, ssl.SSLError):
            return AccessRefused(f"{where} and this client do not agree on TLS: {cause.reason or cause}")
    return ConnectionLost(f"{where} did not answer: {error}")


def _refused(error: Exception, where: str, *, in_cluster: bool) -> Exception | None:
    word = word_of(error)
    if word == "NOPERM":
        return NotPermitted(f"{where} does not let this user do it: {error}")
    if word == "MOVED" and not in_cluster:
        return UnsuitableRedis(IS_CLUSTER.format(where=where))
    if word in NOT_READY:
        return NotReady(f"{where} is not ready: {word}, {NOT_READY[word]}")
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


IS_CLUSTER = "{where} is a node of a Redis Cluster: give redis+cluster://host:port, or a RedisCluster client"
