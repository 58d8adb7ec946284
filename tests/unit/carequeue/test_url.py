"""URLs of Redis: what they say, and that a mistake in one is told without the password."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection

from carequeue import FlowProducer, InvalidOption, Queue, QueueEvents, Worker
from carequeue.store.url import Address, read_url


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://", Address("server", Connection, {"host": "localhost", "port": 6379, "db": 0})),
        ("redis://cache", Address("server", Connection, {"host": "cache", "port": 6379, "db": 0})),
        ("redis://[::1]:7000/3", Address("server", Connection, {"host": "::1", "port": 7000, "db": 3})),
        ("redis://[::1]?db=2", Address("server", Connection, {"host": "::1", "port": 6379, "db": 2})),
        (
            "redis://jobs:p%40ss%2F@cache/",
            Address(
                "server",
                Connection,
                {"host": "cache", "port": 6379, "db": 0, "username": "jobs", "password": "p@ss/"},
            ),
        ),
        (
            "rediss://:secret@cache:6380?ssl_ca_certs=/ca.pem&ssl_check_hostname=no&socket_timeout=1.5",
            Address(
                "server",
                SSLConnection,
                {
                    "host": "cache", "port": 6380, "db": 0, "password": "secret", "ssl_ca_certs": "/ca.pem",
                    "ssl_check_hostname": False, "socket_timeout": 1.5,
                },
            ),
        ),
        (
            "unix://jobs:secret@/run/redis.sock?db=4",
            Address(
                "server",
                UnixDomainSocketConnection,
                {"path": "/run/redis.sock", "db": 4, "username": "jobs", "password": "secret"},
            ),
        ),
        (
            "redis+sentinel://jobs:secret@one,two:26380,[::2]:26381/mymaster?db=1&sentinel_password=other",
            Address(
                "sentinel",
                Connection,
                {"db": 1, "username": "jobs", "password": "secret"},
                (("one", 26379), ("two", 26380), ("::2", 26381)),
                "mymaster",
                {"password": "other"},
            ),
        ),
        (
            "rediss+sentinel://one/mymaster?ssl_ca_certs=/ca.pem&socket_timeout=9",
            Address(
                "sentinel",
                SSLConnection,
                {"ssl_ca_certs": "/ca.pem", "socket_timeout": 9.0},
                (("one", 26379),),
                "mymaster",
                {"ssl_ca_certs": "/ca.pem"},
            ),
        ),
        (
            "rediss+cluster://jobs:secret@one:7000,two/0?ssl_ca_certs=/ca.pem",
            Address(
                "cluster",
                SSLConnection,
                {"username": "jobs", "password": "secret", "ssl_ca_certs": "/ca.pem"},
                (("one", 7000), ("two", 6379)),
            ),
        ),
    ],
)  # fmt: skip
def test_a_url_says_where_redis_is(url: str, address: Address) -> None:
    assert read_url(url) == address


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://:secret@cache", "begins with one of redis://"),
        (":secret@cache:6379", "begins with one of redis://"),
        ("", "begins with one of redis://"),
        ("redis://:sec/ret@cache", "a port is a number; in a password write %40, %2F"),
        ("redis://:secret@cache:99999", "a port is a number"),
        ("redis://:secret@[::1", "not the URL of a Redis"),
        ("redis://:secret@cache/jobs", "the number of a database, not 'jobs'"),
        ("redis://:secret@cache?db=first", "Invalid value for 'db'"),
        ("redis://:secret@cache?retry_on_timeout=yes", "no option retry_on_timeout here; the options are db, "),
        ("redis://:secret@cache?protocol=3&decode_responses=no", "no option decode_responses, protocol here"),
        ("redis://:secret@cache?sentinel_password=x", "no option sentinel_username, sentinel_password here"),
        ("unix://:secret@", "a socket has a path"),
        ("redis+sentinel://:secret@one:26379", "behind the sentinels comes the master's name"),
        ("redis+sentinel://:secret@one:x/mymaster", "a port is a number"),
        ("redis+cluster://:secret@one/3", "a cluster has only the database 0"),
        ("redis+cluster://:secret@one?db=3", "a cluster has only the database 0"),
    ],
)
def test_a_mistake_in_a_url_is_told_without_the_password(url: str, why: str) -> None:
    with pytest.raises(InvalidOption, match=why) as refused:
        read_url(url)
    assert "secret" not in str(refused.value)


async def made(kind: str, name: str, prefix: str, url: str) -> Any:
    match kind:
        case "queue":
            return Queue(name, url, prefix=prefix)
        case "worker":
            return Worker(name, url, prefix=prefix)
        case "events":
            return QueueEvents(name, url, prefix=prefix)
        case _:
            return FlowProducer(url, prefix=prefix)


@pytest.mark.parametrize("kind", ["queue", "worker", "events", "flows"])
async def test_a_url_is_read_when_something_is_made(kind: str) -> None:
    with pytest.raises(InvalidOption, match="not the URL of a Redis"):
        await made(kind, "mail", "bull", "localhost:6379")


@pytest.mark.parametrize("kind", ["queue", "worker", "events"])
async def test_in_a_cluster_a_queue_without_a_hash_tag_is_refused_when_it_is_made(kind: str) -> None:
    with pytest.raises(InvalidOption, match=r"write the name as '\{mail\}', or, .* the prefix as '\{care\}'"):
        await made(kind, "mail", "care", "redis+cluster://localhost")
    for name, prefix in (("{mail}", "care"), ("mail", "{care}"), ("to-{a}-mail", "bull")):
        await made(kind, name, prefix, "redis+cluster://localhost")
