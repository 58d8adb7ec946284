"""The client that the queues and their workers get: it gives up after two seconds and repeats nothing by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

COMMAND_TIMEOUT = timedelta(seconds=2)


def redis_client(url: str) -> Redis:
    """A client that connects when it is first used; the caller closes it."""
    seconds = COMMAND_TIMEOUT.total_seconds()
    return cast("Any", Redis).from_url(
        url,
        decode_responses=True,
        encoding_errors="replace",  # one bad byte in one job must not cost a worker all that came with it
        protocol=2,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
    )
