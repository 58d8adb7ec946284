"""What a server says, in the words of a queue."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, ConnectionError, ResponseError  # noqa: A004 - redis-py's own

from carequeue.errors import AccessRefused, ConnectionLost, NotPermitted, NotReady
from carequeue.store.failures import redis_errors


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (AuthenticationError("Authentication required."), AccessRefused),
        (ResponseError("Protocol error: unauthenticated multibulk length"), AccessRefused),
        (ResponseError("Protocol error: unauthenticated bulk length"), AccessRefused),
        (ResponseError("NOPERM no permissions to run the 'evalsha' command"), NotPermitted),
        (ResponseError("OOM command not allowed when used memory > 'maxmemory'"), NotReady),
        (ConnectionError("Connection closed by server."), ConnectionLost),
        (ResponseError("ERR value is not an integer"), ResponseError),
    ],
    ids=str,
)
def test_an_error_about_the_server_becomes_one_of_ours(error: Exception, expected: type[Exception]) -> None:
    with pytest.raises(expected) as raised, redis_errors(Redis(host="redis.example", port=7000)):
        raise error
    assert raised.value is error or "redis.example:7000" in str(raised.value)
