"""A queue and workers for one test, a server that a test may kill, and a proxy that plays a bad network."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.carequeue.scheduler_support import NOON
from tests.redis_servers import Cluster, RedisServer

from carequeue import FlowProducer, Queue, Worker
from carequeue.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path


@pytest.fixture
async def queue(queue_name: str, redis_url: str) -> AsyncIterator[Queue]:
    """An open queue of this test's own, deleted at the end."""
    async with Queue(queue_name, redis_url) as queue:
        yield queue
        await queue.pause()
        await queue.obliterate(force=True)


@pytest.fixture
def clock() -> FakeClock:
    """Stands at noon until the test moves it."""
    return FakeClock(NOON)


@pytest.fixture
async def schedules(queue_name: str, redis_url: str, clock: FakeClock) -> AsyncIterator[Queue]:
    """The test's queue, going by that clock."""
    async with Queue(queue_name, redis_url, clock=clock) as queue:
        yield queue
        await queue.pause()
        await queue.obliterate(force=True)


@pytest.fixture
async def new_worker(queue_name: str, redis_url: str) -> AsyncIterator[Callable[..., Worker]]:
    """Makes workers of this test's queue; those that still run at the end are closed without waiting."""
    workers: list[Worker] = []

    def make(handler: Callable[..., Any] | None = None, *, url: str = redis_url, **options: Any) -> Worker:
        workers.append(Worker(queue_name, url, handler, **options))
        return workers[-1]

    yield make
    async with asyncio.timeout(20):
        await asyncio.gather(*(close_at_once(worker) for worker in workers))


@pytest.fixture
async def flows(redis_url: str) -> AsyncIterator[FlowProducer]:
    async with FlowProducer(redis_url) as flows:
        yield flows


@pytest.fixture
async def pages(queue_name: str, redis_url: str) -> AsyncIterator[Queue]:
    """A second queue, for children."""
    async with Queue(f"{queue_name}-pages", redis_url) as pages:
        yield pages
        await pages.pause()
        await pages.obliterate(force=True)


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that the test may stop, kill and start again; what it acknowledged survives."""
    server = RedisServer(tmp_path / "valkey", persistent=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def own_cluster(tmp_path: Path) -> AsyncIterator[str]:
    """The URL of a cluster of one node, which has all slots and still refuses scripts that need two of them."""
    cluster = Cluster(tmp_path / "cluster", masters=1)
    try:
        await cluster.start()
        yield cluster.url
    finally:
        cluster.stop()


@pytest.fixture
async def fault_proxy() -> AsyncIterator[Callable[[str], Any]]:
    """`await fault_proxy(url)` starts a FaultProxy in front of a server."""
    proxies: list[FaultProxy] = []

    async def start(upstream: str) -> FaultProxy:
        proxy = FaultProxy(upstream)
        await proxy.start()
        proxies.append(proxy)
        return proxy

    yield start
    for proxy in proxies:
        await proxy.stop()


async def close_at_once(worker: Worker) -> None:
    with contextlib.suppress(Exception):  # a test may have broken it on purpose; its own assertions say so
        await worker.close(timedelta(0))


class FaultProxy:
    """Forwards bytes between clients and one server, until it is told to misbehave."""

    def __init__(self, upstream: str) -> None:
        address, _, self._database = upstream.removeprefix("redis://").partition("/")
        self._host, _, port = address.partition(":")
        self._port = int(port)
        self._connections: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._listening_port = 0
        self._lose: Callable[[bytes], bool] | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.lost = asyncio.Event()
        """A reply was lost as asked for."""
        self.stuck = asyncio.Event()
        """Bytes arrived while nothing was let through."""

    @property
    def port(self) -> int:
        return self._listening_port

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._listening_port}/{self._database}"

    @property
    def connections(self) -> int:
        return len(self._connections)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._listening_port)
        self._listening_port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        await self.refuse()
        self._flowing.set()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def refuse(self) -> None:
        """Close every connection and take no new one; `start` takes them again."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()

    def cut(self) -> None:
        """Reset every connection."""
        for writer in self._writers:
            writer.transport.abort()

    def lose_reply(self, when: Callable[[bytes], bool]) -> None:
        """Pass on the next request for which `when(bytes)` holds, throw its reply away and cut its connection."""
        self._lose = when
        self.lost.clear()

    def freeze(self) -> None:
        """Let nothing through and close nothing: a half-open network."""
        self._flowing.clear()

    def thaw(self) -> None:
        self._flowing.set()

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._forward(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            up_reader, up_writer = await asyncio.open_connection(self._host, self._port)
        except OSError:
            self._writers.discard(writer)
            writer.transport.abort()
            return
        pending = {"lose": False}
        try:
            requests = asyncio.ensure_future(self._requests(reader, up_writer, pending))
            replies = asyncio.ensure_future(self._replies(up_reader, writer, pending))
            try:
                await asyncio.wait([requests, replies], return_when=asyncio.FIRST_COMPLETED)
            finally:
                for half in (requests, replies):
                    half.cancel()
                await asyncio.gather(requests, replies, return_exceptions=True)
        finally:
            self._writers.discard(writer)
            writer.transport.abort()
            up_writer.transport.abort()

    async def _requests(self, reader: asyncio.StreamReader, up: asyncio.StreamWriter, pending: dict[str, bool]) -> None:
        while chunk := await reader.read(1 << 20):
            await self._gate()
            if self._lose is not None and self._lose(chunk):
                self._lose = None
                pending["lose"] = True
            up.write(chunk)
            await up.drain()

    async def _replies(self, up: asyncio.StreamReader, writer: asyncio.StreamWriter, pending: dict[str, bool]) -> None:
        while chunk := await up.read(1 << 20):
            await self._gate()
            if pending["lose"]:
                self.lost.set()
                return
            writer.write(chunk)
            await writer.drain()

    async def _gate(self) -> None:
        if not self._flowing.is_set():
            self.stuck.set()
            await self._flowing.wait()
