"""The link: many commands on one connection, replies in order, and nothing that is sent twice or waited for in vain."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ConnectionError, NoScriptError, ResponseError, TimeoutError  # noqa: A004 - redis-py's own
from tests.redis_servers import is_blocked
from tests.waiting import eventually

from carequeue import ConnectionLost, Queue
from carequeue.store import client as clients
from carequeue.store.connection import connect
from carequeue.store.link import can_link

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from redis.asyncio import Redis

    from carequeue.store.client import LinkedRedis

pytestmark = pytest.mark.redis


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[LinkedRedis]:
    client = connect(redis_url)
    yield client
    await client.aclose()


async def connections(redis: Redis) -> int:
    return len(await redis.client_list())


def test_these_tests_run_with_hiredis() -> None:
    assert can_link()


async def test_a_thousand_commands_at_once_take_one_connection_and_answer_in_order(
    client: LinkedRedis, redis: Redis, queue_name: str
) -> None:
    before = await connections(redis)
    replies = await asyncio.gather(*[client.send("INCR", queue_name) for _ in range(1000)])
    assert replies == list(range(1, 1001))
    assert await connections(redis) == before + 1


async def test_an_error_is_its_own_commands_alone(client: LinkedRedis, queue_name: str) -> None:
    replies: list[Any] = await asyncio.gather(
        client.send("SET", queue_name, "text"),
        client.send("LPUSH", queue_name, "1"),
        client.send("EVALSHA", "0" * 40, 0),
        client.send("GET", queue_name),
        return_exceptions=True,
    )
    assert replies[0] == "OK"
    assert isinstance(replies[1], ResponseError)
    assert isinstance(replies[2], NoScriptError)
    assert replies[3] == "text"


async def test_who_gives_up_waiting_does_not_shift_the_replies_of_others(client: LinkedRedis, queue_name: str) -> None:
    await client.send("SET", queue_name, "1")
    given_up = asyncio.ensure_future(client.send("INCR", queue_name))
    given_up.cancel()
    assert await client.send("GET", queue_name) == "2"  # the command ran all the same


async def test_a_killed_connection_fails_what_is_under_way_and_the_next_command_connects(
    client: LinkedRedis, redis: Redis, queue_name: str
) -> None:
    own = await client.send("CLIENT", "ID")
    waiting = asyncio.ensure_future(client.send("BLPOP", queue_name, 60))
    behind = asyncio.ensure_future(client.send("INCR", queue_name))
    await eventually(lambda: is_blocked(redis, own), "the call blocks")
    await redis.execute_command("CLIENT", "KILL", "ID", own)
    for future in (waiting, behind):
        with pytest.raises(ConnectionError):
            await future
    assert await client.send("PING") == "PONG"
    assert await redis.exists(queue_name) == 0  # what came behind was not sent again


async def test_silence_ends_in_a_timeout(redis_url: str, queue_name: str) -> None:
    client = connect(f"{redis_url}?socket_timeout=0.2")
    try:
        with pytest.raises(TimeoutError):
            await client.send("BLPOP", queue_name, 30)
    finally:
        await client.aclose()


async def test_hanging_up_ends_a_blocking_call_on_the_server_too(redis_url: str, redis: Redis, queue_name: str) -> None:
    client = connect(redis_url, block=timedelta(seconds=30))
    own = await client.send("CLIENT", "ID")
    waiting = asyncio.ensure_future(client.send("BLPOP", queue_name, 30))
    await eventually(lambda: is_blocked(redis, own), "the call blocks")
    client.hang_up()
    with pytest.raises(ConnectionError):
        await waiting

    async def gone() -> bool:
        return not await is_blocked(redis, own)

    await eventually(gone, "the server forgets the call")
    await client.aclose()


async def test_who_parts_is_gone_for_the_server_at_once_and_others_go_on(
    client: LinkedRedis, redis: Redis, queue_name: str
) -> None:
    own = await client.send("CLIENT", "ID")
    waiting = asyncio.ensure_future(client.send("BZPOPMIN", queue_name, 30))
    await eventually(lambda: is_blocked(redis, own), "the call blocks")
    waiting.cancel()

    async def go_on() -> int:
        return await client.send("CLIENT", "ID")

    _, another = await asyncio.gather(client.part(10), go_on())
    assert own != another
    assert own not in {int(entry["id"]) for entry in await redis.client_list()}
    assert await client.send("CLIENT", "ID") == another  # its link was not hung up


async def test_who_parts_from_a_silent_server_waits_no_longer_than_it_said(
    redis_url: str, queue_name: str, fault_proxy: Callable[[str], Awaitable[Any]]
) -> None:
    proxy = await fault_proxy(redis_url)
    client = connect(proxy.url, block=timedelta(seconds=30))
    assert await client.send("PING") == "PONG"
    proxy.freeze()
    waiting = asyncio.ensure_future(client.send("BZPOPMIN", queue_name, 30))
    async with asyncio.timeout(10):
        await client.part(0.2)
    with pytest.raises(ConnectionError):
        await waiting


async def test_what_is_no_redis_is_told_and_not_waited_for() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectionLost):
            async with Queue("mail", f"redis://127.0.0.1:{port}"):
                pass


def test_one_client_serves_one_loop_after_the_other(redis_url: str) -> None:
    client = connect(redis_url)

    async def ping() -> Any:
        try:
            return await client.send("PING")
        finally:
            await client.aclose()

    assert asyncio.run(ping()) == "PONG"
    assert asyncio.run(ping()) == "PONG"


async def test_a_queue_works_without_hiredis(redis_url: str, queue_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "can_link", lambda: False)
    async with Queue(queue_name, redis_url) as queue:
        job = await queue.add("paint")
        assert await queue.state(job.id) == "waiting"
        assert queue.client._link is None
