"""Connections: what they refuse, and that nothing is ever sent twice."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from carequeue import AccessRefused, ConnectionLost, InvalidOption, NotReady, Queue, UnsuitableRedis
from carequeue.lua.loader import load
from carequeue.store.connection import blocking_twin, check_client, client_name, connect
from carequeue.store.failures import address
from carequeue.store.server import version_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from carecircle_cli.engines import EmbeddedValkey


async def test_nobody_at_the_address_is_said_without_the_password() -> None:
    queue = Queue("q", "redis://user:secret@127.0.0.1:1")
    with pytest.raises(ConnectionLost, match=r"127\.0\.0\.1:1 did not answer") as lost:
        await queue.open()
    assert "secret" not in f"{lost.value}{lost.value.__cause__}"
    await queue.close()


async def test_a_wrong_password_is_said(own_valkey: EmbeddedValkey) -> None:
    with pytest.raises(AccessRefused, match="refused the login"):
        async with Queue("q", own_valkey.url().replace("redis://", "redis://:wrong@")):
            pass


async def test_a_server_that_evicts_keys_is_refused(own_valkey: EmbeddedValkey) -> None:
    async with connect(own_valkey.url()) as client:
        await client.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(UnsuitableRedis, match=r"maxmemory-policy is allkeys-lru.*Set it to noeviction"):
        async with Queue("q", own_valkey.url()):
            pass


async def test_a_server_that_may_not_write_is_lost_not_wrong(own_valkey: EmbeddedValkey) -> None:
    async with Queue("q", own_valkey.url()) as queue:
        if (await queue.client.info("server"))["redis_version"].startswith("6."):
            pytest.skip("before Redis 7 scripts write whatever min-replicas-to-write says")
        await queue.client.config_set("min-replicas-to-write", 1)
        with pytest.raises(NotReady, match="is not ready: NOREPLICAS"):
            await queue.add("paint")
        await queue.client.config_set("min-replicas-to-write", 0)
        await queue.add("paint")


async def test_a_user_who_may_not_ask_the_server_about_itself_can_use_a_queue(own_valkey: EmbeddedValkey) -> None:
    async with connect(own_valkey.url()) as client:
        if (await client.info("server"))["redis_version"].startswith("6."):
            pytest.skip("before Redis 7 one part of a command cannot be forbidden")
        await client.execute_command(
            "ACL", "SETUSER", "shy", "on", ">pass", "~bull:*", "+@all", "-info", "-client|list"
        )
    async with Queue("q", own_valkey.url().replace("redis://", "redis://shy:pass@")) as queue:
        await queue.add("paint")
        assert ((await queue.counts()).waiting, await queue.workers()) == (1, [])


@contextlib.asynccontextmanager
async def server_of_version(version: str) -> AsyncIterator[str]:
    """A server that answers every INFO with this version; there is no old Redis to run."""
    text = f"# Server\r\nredis_version:{version}\r\nmaxmemory_policy:noeviction\r\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                count = int((await reader.readuntil(b"\r\n"))[1:])
                parts = []
                for _ in range(count):
                    size = int((await reader.readuntil(b"\r\n"))[1:])
                    parts.append((await reader.readexactly(size + 2))[:-2])
                writer.write(f"${len(text)}\r\n{text}\r\n".encode() if parts[0].upper() == b"INFO" else b"+OK\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"redis://127.0.0.1:{port}"
    finally:
        server.close()


@pytest.mark.parametrize("version", ["5.0.7", "6.0.16", "unknown"])
async def test_a_server_that_is_too_old_is_refused(version: str) -> None:
    async with server_of_version(version) as url:
        queue = Queue("q", url)
        with pytest.raises(UnsuitableRedis, match=f"Redis {version} is too old.*6.2"):
            await queue.open()
        await queue.close()


@pytest.mark.parametrize("version", ["6.2", "6.2.14", "7.2.4", "8.0.0", "10.1"])
def test_versions_that_will_do(version: str) -> None:
    assert version_of(version) >= (6, 2)


async def script_known(queue: Queue) -> None:
    """The server has the script, whatever ran before: otherwise a lost reply may be that it does not know it."""
    await queue.client.script_load(load("add").text)


async def test_a_lost_reply_raises_and_the_job_was_added_once(
    fault_proxy: Any, redis_url: str, queue_name: str
) -> None:
    proxy = await fault_proxy(redis_url)
    async with Queue(queue_name, proxy.url) as queue:
        await script_known(queue)
        proxy.lose_reply(lambda request: b"EVALSHA" in request)
        with pytest.raises(ConnectionLost):
            await queue.add("paint")
        await asyncio.wait_for(proxy.lost.wait(), 5)
        assert (await queue.counts()).waiting == 1


async def test_with_an_id_adding_may_be_repeated(fault_proxy: Any, redis_url: str, queue_name: str) -> None:
    proxy = await fault_proxy(redis_url)
    async with Queue(queue_name, proxy.url) as queue:
        await script_known(queue)
        proxy.lose_reply(lambda request: b"EVALSHA" in request)
        with pytest.raises(ConnectionLost):
            await queue.add("paint", job_id="a")
        assert (await queue.add("paint", job_id="a")).id == "a"
        assert (await queue.counts()).waiting == 1


async def test_a_script_that_the_server_forgot_is_loaded_again(queue: Queue) -> None:
    await queue.add("paint")
    await queue.client.script_flush()
    await queue.add("paint")
    assert (await queue.counts()).waiting == 2


async def test_a_server_that_was_emptied_goes_on(own_valkey: EmbeddedValkey) -> None:
    async with Queue("q", own_valkey.url()) as queue:
        await queue.add("paint")
        await queue.client.flushall()
        await queue.add("paint")
        assert (await queue.counts()).waiting == 1
        assert await queue.client.hget(queue.keys.meta, "opts.maxLenEvents") == "10000"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decode_responses": False, "retry": Retry(NoBackoff(), 0)}, "decodes replies"),
        ({"decode_responses": True}, "repeats commands by itself"),
        ({"decode_responses": True, "retry": Retry(NoBackoff(), 1)}, "repeats commands by itself"),
        ({"decode_responses": True, "retry": Retry(NoBackoff(), 0), "retry_on_error": [OSError]}, "repeats commands"),
    ],
)
async def test_clients_that_would_do_harm_are_refused(options: dict[str, Any], message: str) -> None:
    client = Redis(**options)
    with pytest.raises(InvalidOption, match=message):
        await Queue("q", client).open()
    await client.aclose()


async def test_a_ready_client_is_used_and_stays_open(redis: Redis, queue_name: str) -> None:
    async with Queue(queue_name, redis) as queue:
        await queue.add("paint")
        assert queue.client.connection_pool is redis.connection_pool
    assert await redis.exists(f"bull:{queue_name}:wait") == 1


@pytest.mark.parametrize("url", ["http://localhost", "localhost:6379", ""])
async def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidOption, match="not the URL of a Redis"):
        await Queue("q", url).open()


async def test_a_closed_queue_opens_again(redis_url: str, queue_name: str) -> None:
    queue = Queue(queue_name, redis_url)
    for expected in (1, 2):
        async with queue:
            await queue.add("paint")
            assert (await queue.counts()).waiting == expected


async def test_the_blocking_twin_outlasts_its_call_and_has_its_own_name(redis_url: str) -> None:
    client = connect(redis_url, client_name="plain")
    check_client(client)
    twin = blocking_twin(client, timedelta(seconds=7), client_name="twin")
    check_client(twin)
    assert twin.get_connection_kwargs()["socket_timeout"] == 12
    assert (await client.client_getname(), await twin.client_getname()) == ("plain", "twin")
    assert address(twin) == address(client)
    await twin.aclose()
    assert await client.ping()
    await client.aclose()


def test_connections_are_named_so_that_other_clients_find_workers() -> None:
    assert client_name("bull", "paint", ":w:one") == "bull:cGFpbnQ=:w:one"
