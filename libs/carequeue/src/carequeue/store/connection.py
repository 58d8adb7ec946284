"""Clients that never send a command twice by themselves, and the server check; everything that connects does it here.

redis-py repeats a command whose reply was lost, up to ten times: a job without an id of its own would be added twice.
So its retries are off, a lost reply is ConnectionLost, and whoever called knows whether repeating is harmless.
"""

from __future__ import annotations

import base64
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    ClusterDownError,
    ConnectionError,  # noqa: A004 - redis-py's own, under its own name
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,  # noqa: A004 - redis-py's own, under its own name
    TryAgainError,
)

from carequeue.errors import ConnectionLost, InvalidOption, UnsuitableRedis
from carequeue.store.client import LinkedRedis
from carequeue.store.packing import pack_with_hiredis

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from redis.asyncio import Redis

COMMAND_TIMEOUT = timedelta(seconds=5)
BLOCK_MARGIN = timedelta(seconds=5)
OLDEST = (6, 2)
UNREADY = ("MISCONF", "NOREPLICAS", "BUSY")
"""Replies of a server that cannot run a command at the moment; it did not run."""
UNREADY_ERRORS = (ReadOnlyError, ClusterDownError, OutOfMemoryError, TryAgainError, NoPermissionError)
"""The same where redis-py has a class, and takes the first word off the message. A busy loading server is a
ConnectionError to it."""


def connect(url: str, *, client_name: str | None = None, block: timedelta | None = None) -> LinkedRedis:
    """A client for `url`: nothing is sent yet. `block` is the longest blocking call that it is for.

    Raises:
        InvalidOption: the URL is none of Redis.
    """
    timeout = COMMAND_TIMEOUT if block is None else block + BLOCK_MARGIN
    try:
        client: LinkedRedis = cast("Any", LinkedRedis).from_url(
            url,
            decode_responses=True,
            encoding_errors="replace",  # one bad byte in one job must not cost a worker all that came with it
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=timeout.total_seconds(),
            socket_connect_timeout=COMMAND_TIMEOUT.total_seconds(),
            client_name=client_name,
        )
    except ValueError as error:
        raise InvalidOption(f"not the URL of a Redis: {error}") from error
    pack_with_hiredis(client.connection_pool)
    return client


def blocking_twin(client: Redis, block: timedelta, *, client_name: str | None = None) -> LinkedRedis:
    """A client for the same server whose sockets outlast a call that blocks for `block`; the caller closes it."""
    pool = client.connection_pool
    settings: dict[str, Any] = {
        **pool.connection_kwargs,
        "socket_timeout": (block + BLOCK_MARGIN).total_seconds(),
        "client_name": client_name,
    }
    settings.pop("himport_registry", None)  # the other client's own
    twin = type(pool)(connection_class=pool.connection_class, **settings)
    return cast("LinkedRedis", LinkedRedis.from_pool(twin))  # typed as its parent


def check_client(client: Redis) -> None:
    """Refuse a ready client that repeats commands by itself or hands out bytes.

    Raises:
        InvalidOption: it does; the message says how to make one that fits.
    """
    arguments = _settings(client)
    if not arguments.get("decode_responses"):
        raise InvalidOption("a client for carequeue decodes replies: Redis(..., decode_responses=True), or give a URL")
    retry = arguments.get("retry")
    repeats = arguments.get("retry_on_error") or arguments.get("retry_on_timeout")
    if repeats or (retry is not None and retry.get_retries() > 0):
        raise InvalidOption(
            "this client repeats commands by itself, which can add a job twice: "
            "make it with retry=Retry(NoBackoff(), 0), or give a URL"
        )


async def check_server(client: Redis) -> None:
    """Refuse a server that cannot hold a queue safely. What a server may not tell about itself counts as well.

    Raises:
        UnsuitableRedis: older than 6.2, or it evicts keys when memory is full.
        ConnectionLost: it does not answer.
    """
    with redis_errors(client):
        version = (await _info(client, "server")).get("redis_version")
        policy = (await _info(client, "memory")).get("maxmemory_policy")
    if version is not None and version_of(str(version)) < OLDEST:
        raise UnsuitableRedis(f"Redis {version} is too old: the queue's scripts need 6.2 or newer, or Valkey")
    if policy is not None and policy != "noeviction":
        raise UnsuitableRedis(
            f"maxmemory-policy is {policy}: when memory is full this server deletes keys, and jobs with them. "
            "Set it to noeviction."
        )


async def is_cluster(client: Redis) -> bool:
    with redis_errors(client):
        return str((await _info(client, "cluster")).get("cluster_enabled", 0)) == "1"


def version_of(text: str) -> tuple[int, int]:
    parts = [*text.split("."), "0", "0"]
    return (int(parts[0]), int(parts[1])) if parts[0].isdecimal() and parts[1].isdecimal() else (0, 0)


@contextmanager
def redis_errors(client: Redis) -> Generator[None]:
    """Turns what redis-py raises when the server is away, or not ready, into ConnectionLost."""
    try:
        yield
    except (AuthenticationError, AuthorizationError) as error:
        raise ConnectionLost(f"Redis at {address(client)} refused the login: {error}") from error
    except UNREADY_ERRORS as error:
        raise ConnectionLost(f"Redis at {address(client)} is not ready: {type(error).__name__}: {error}") from error
    except (ConnectionError, TimeoutError, OSError) as error:
        raise ConnectionLost(f"Redis at {address(client)} did not answer: {error}") from error
    except ResponseError as error:
        if str(error).startswith(UNREADY):
            raise ConnectionLost(f"Redis at {address(client)} is not ready: {error}") from error
        raise


def address(client: Redis) -> str:
    """host:port or the socket's path, never the user or the password."""
    arguments = _settings(client)
    if path := arguments.get("path"):
        return str(path)
    return f"{arguments.get('host', 'localhost')}:{arguments.get('port', 6379)}"


def client_name(prefix: str, queue: str, suffix: str = "") -> str:
    """The connection's name by which Node's `getWorkers` finds workers: `:w:<name>` or nothing; `:qe` for events."""
    return f"{prefix}:{base64.b64encode(queue.encode()).decode()}{suffix}"


async def _info(client: Redis, section: str) -> Mapping[str, Any]:
    """What the server says about itself; nothing if this user may not ask."""
    try:
        return cast("Mapping[str, Any]", await cast("Any", client).info(section))
    except NoPermissionError:
        return {}


def _settings(client: Redis) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", client.get_connection_kwargs())
