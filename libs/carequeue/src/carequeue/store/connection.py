"""Connections: from what a user gave to clients that never send a command twice by themselves.

redis-py repeats a command whose reply was lost, up to ten times: a job without an id of its own would be added twice.
So its retries are off, a lost reply is ConnectionLost, and whoever called knows whether repeating is harmless.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from redis.asyncio import ConnectionPool, Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.backoff import NoBackoff

from carequeue.errors import InvalidOption
from carequeue.store.client import LinkedRedis, linked
from carequeue.store.cluster import SlotRedis, SlotSeeker, same_slot, slot_of
from carequeue.store.failures import redis_errors
from carequeue.store.packing import pack_with_hiredis
from carequeue.store.seeking import seeking
from carequeue.store.sentinel import MasterSeeker
from carequeue.store.url import Address, read_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from carequeue.store.url import Node

__all__ = ["Connection", "Source", "client_name", "connect", "redis_errors", "source_of"]

C = TypeVar("C", bound=Redis)

COMMAND_TIMEOUT = timedelta(seconds=5)
BLOCK_MARGIN = timedelta(seconds=5)

Connection = str | Redis | RedisCluster
"""A URL, or a ready client of redis-py. A ready `Redis` is used as it is and stays its owner's to close; what connects
it may be a Sentinel's `master_for`. A `RedisCluster` only tells where the cluster is and how to log in there.
"""


class Source(Protocol):
    """Where clients come from."""

    @property
    def in_cluster(self) -> bool: ...

    def place(self, base: str) -> int:
        """The same for queues that may use one client: the slot of the queue with this base key.

        Raises:
            InvalidOption: its keys would lie in many slots of a cluster.
        """
        ...

    def client(self, base: str) -> LinkedRedis:
        """A client for the queue with this base key; the caller closes it, a given client's connections stay open."""
        ...

    def blocking(self, base: str, block: timedelta, client_name: str) -> LinkedRedis:
        """One whose calls may block for `block`; the caller closes it."""
        ...


def source_of(connection: Connection) -> Source:
    """
    Raises:
        InvalidOption: a URL that is none of Redis, or a client that repeats commands by itself.
    """
    if isinstance(connection, str):
        address = read_url(connection)
        return _Cluster(address) if address.kind == "cluster" else _Server(address)
    if isinstance(connection, RedisCluster):
        return _Cluster(_address_of(connection), _remap_of(connection))
    check_client(connection)
    return _Given(connection)


def connect(url: str, *, client_name: str | None = None, block: timedelta | None = None) -> LinkedRedis:
    """A client for the URL of one server, or of sentinels. `block` is the longest blocking call that it is for.

    Raises:
        InvalidOption: the URL is none of these.
    """
    return _Server(read_url(url)).make(block, client_name)


def check_together(*bases: str) -> None:
    """Refuse what one call in a cluster cannot touch; an empty base is nobody's.

    Raises:
        InvalidOption: the queues with these base keys lie in different slots.
    """
    queues = {base for base in bases if base}
    if not same_slot(*queues):
        raise InvalidOption(
            f"in a Redis Cluster jobs that know each other lie in one slot, those of {', '.join(sorted(queues))} do "
            "not: give the prefix, or the names of the queues, a common {hash tag}"
        )


@dataclass(frozen=True, slots=True)
class _Given:
    ready: Redis
    in_cluster: bool = False

    def place(self, base: str) -> int:
        return 0

    def client(self, base: str) -> LinkedRedis:
        return linked(self.ready)

    def blocking(self, base: str, block: timedelta, client_name: str) -> LinkedRedis:
        return blocking_twin(self.ready, block, client_name=client_name)


@dataclass(frozen=True, slots=True)
class _Server:
    """One server, or the master behind sentinels."""

    address: Address
    in_cluster: bool = False

    def place(self, base: str) -> int:
        return 0

    def client(self, base: str) -> LinkedRedis:
        return self.make(None, None)

    def blocking(self, base: str, block: timedelta, client_name: str) -> LinkedRedis:
        return self.make(block, client_name)

    def make(self, block: timedelta | None, client_name: str | None) -> LinkedRedis:
        to = self.address
        settings = dict(to.settings, client_name=client_name, socket_timeout=timeout_for(to.settings, block))
        if to.kind == "sentinel":
            settings["seeker"] = MasterSeeker(to.connection_class, to.asking, to.nodes, to.master)
        return new_client(LinkedRedis, to.connection_class, settings)


@dataclass(frozen=True, slots=True)
class _Cluster:
    address: Address
    remap: Callable[[Node], Node] | None = None
    in_cluster: bool = True

    def place(self, base: str) -> int:
        return slot_of(base)

    def client(self, base: str) -> LinkedRedis:
        return self.make(base, None, None)

    def blocking(self, base: str, block: timedelta, client_name: str) -> LinkedRedis:
        return self.make(base, block, client_name)

    def make(self, base: str, block: timedelta | None, client_name: str | None) -> LinkedRedis:
        to = self.address
        settings = dict(to.settings, client_name=client_name, socket_timeout=timeout_for(to.settings, block))
        asking = {name: value for name, value in to.settings.items() if name not in ("max_connections", "client_name")}
        settings["seeker"] = SlotSeeker(to.connection_class, asking, to.nodes, slot_of(base), self.remap)
        return new_client(SlotRedis, to.connection_class, settings)


def new_client(kind: type[C], connection_class: type[Any], settings: Mapping[str, Any]) -> C:
    """A client with connections of its own that repeats nothing. `settings` are redis-py's for a connection."""
    own: dict[str, Any] = {
        "socket_connect_timeout": COMMAND_TIMEOUT.total_seconds(),
        **settings,
        "decode_responses": True,
        "encoding_errors": "replace",  # one bad byte in one job must not cost a worker all that came with it
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
    }
    pool = ConnectionPool(connection_class=seeking(connection_class), **own)
    pack_with_hiredis(pool)
    return cast("C", kind.from_pool(pool))  # typed as its parent


def timeout_for(settings: Mapping[str, Any], block: timedelta | None) -> float:
    """Seconds after which a connection that does not answer is given up; `block`: how long its calls may block."""
    timeout = settings.get("socket_timeout")
    seconds = COMMAND_TIMEOUT.total_seconds() if timeout is None else float(timeout)
    return seconds if block is None else block.total_seconds() + max(seconds, BLOCK_MARGIN.total_seconds())


def blocking_twin(client: Redis, block: timedelta, *, client_name: str | None = None) -> LinkedRedis:
    """A client for the same server whose sockets outlast a call that blocks for `block`; the caller closes it."""
    pool: Any = client.connection_pool
    settings: dict[str, Any] = {
        **pool.connection_kwargs,
        "socket_timeout": (block + BLOCK_MARGIN).total_seconds(),
        "client_name": client_name,
    }
    settings.pop("himport_registry", None)  # the other client's own
    if isinstance(pool, SentinelConnectionPool):
        settings.pop("connection_pool", None)
        managed: Any = pool
        twin: Any = type(pool)(
            managed.service_name, managed.sentinel_manager, connection_class=pool.connection_class, **settings
        )
    else:
        twin = type(pool)(connection_class=pool.connection_class, **settings)
    return cast("LinkedRedis", LinkedRedis.from_pool(twin))  # typed as its parent


def check_client(client: Redis) -> None:
    """Refuse a ready client that repeats commands by itself or hands out bytes.

    Raises:
        InvalidOption: it does; the message says how to make one that fits.
    """
    arguments, pool = _settings(client), cast("Any", client).connection_pool
    if isinstance(pool, SentinelConnectionPool) and not cast("Any", pool).is_master:
        raise InvalidOption("a queue writes, replicas do not: give sentinel.master_for(...)")
    if not arguments.get("decode_responses"):
        raise InvalidOption("a client for carequeue decodes replies: Redis(..., decode_responses=True), or give a URL")
    retry = arguments.get("retry")
    repeats = arguments.get("retry_on_error") or arguments.get("retry_on_timeout")
    if repeats or (retry is not None and retry.get_retries() > 0):
        raise InvalidOption(
            "this client repeats commands by itself, which can add a job twice: "
            "make it with retry=Retry(NoBackoff(), 0), or give a URL"
        )


def client_name(prefix: str, queue: str, suffix: str = "") -> str:
    """The connection's name by which Node's `getWorkers` finds workers: `:w:<name>` or nothing; `:qe` for events."""
    return f"{prefix}:{base64.b64encode(queue.encode()).decode()}{suffix}"


def _address_of(cluster: RedisCluster) -> Address:
    given = cast("Mapping[str, Any]", cluster.get_connection_kwargs())
    settings = {
        name: value
        for name, value in given.items()
        if name.startswith(("ssl_", "socket_"))
        or name in ("username", "password", "credential_provider", "health_check_interval", "max_connections")
    }
    nodes = cast("Mapping[str, Any]", cluster.nodes_manager.startup_nodes).values()
    return Address("cluster", given["connection_class"], settings, tuple((node.host, int(node.port)) for node in nodes))


def _remap_of(cluster: RedisCluster) -> Callable[[Node], Node] | None:
    return cluster.nodes_manager.address_remap


def _settings(client: Redis) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", client.get_connection_kwargs())
