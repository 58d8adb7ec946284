"""TLS: real handshakes with a proxy before a real server, which the wheel's program does not speak by itself."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import socketserver
import ssl
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from tests.redis_servers import is_blocked
from tests.waiting import eventually

from carequeue import AccessRefused, ConnectionLost, Job, Queue, QueueEvents, Worker
from carequeue.store.connection import connect
from carequeue.testing import Signal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.redis


@dataclass(frozen=True)
class Papers:
    """A CA, what it signed, and what another one signed, as files."""

    ca: Path
    client: Path
    stranger: Path
    authority: trustme.CA

    def context(self, *, mutual: bool = False, host: str = "localhost") -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(host, "127.0.0.1" if host == "localhost" else host).configure_cert(context)
        if mutual:
            self.authority.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    folder, authority = tmp_path_factory.mktemp("papers"), trustme.CA()
    papers = Papers(folder / "ca.pem", folder / "client.pem", folder / "stranger.pem", authority)
    authority.cert_pem.write_to_path(papers.ca)
    authority.issue_cert("worker@example").private_key_and_cert_chain_pem.write_to_path(papers.client)
    trustme.CA().issue_cert("worker@example").private_key_and_cert_chain_pem.write_to_path(papers.stranger)
    return papers


@contextlib.asynccontextmanager
async def tls_before(redis_url: str, context: ssl.SSLContext) -> AsyncIterator[int]:
    """The port of a server that speaks TLS and passes on what it hears to the one at `redis_url`."""
    upstream = int(redis_url.rpartition(":")[2].partition("/")[0])
    pumps: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", upstream)
        for source, target in ((reader, up_writer), (up_reader, writer)):
            task = asyncio.create_task(pump(source, target))
            pumps.add(task)
            task.add_done_callback(pumps.discard)

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await source.read(65536):
                target.write(chunk)
                await target.drain()
        target.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(pumps):
            task.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


class Front:
    """Speaks TLS before the server at `redis_url`, and takes leave as Redis does: when its client has, and is freed."""

    def __init__(self, redis_url: str, context: ssl.SSLContext) -> None:
        self._upstream = ("127.0.0.1", int(redis_url.rpartition(":")[2].partition("/")[0]))
        self._context = context
        self.leaving = threading.Event()
        """A client took leave; the server does not know it yet."""
        self.pass_on = threading.Event()

    @contextlib.contextmanager
    def serving(self) -> Iterator[int]:
        """Its port."""
        front = self

        class Connection(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with (
                    contextlib.suppress(OSError),
                    socket.create_connection(front._upstream) as up,
                    front._context.wrap_socket(self.request, server_side=True) as client,
                ):
                    front._carry(client, up)

        with serving(Connection) as port:
            try:
                yield port
            finally:
                self.pass_on.set()

    def _carry(self, client: ssl.SSLSocket, up: socket.socket) -> None:
        while True:
            source = client if client.pending() else select.select([client, up], [], [])[0][0]
            chunk = source.recv(65536)
            if not chunk:
                break
            (up if source is client else client).sendall(chunk)
        self.leaving.set()
        self.pass_on.wait(20)
        up.shutdown(socket.SHUT_WR)
        while up.recv(65536):
            pass
        client.unwrap()


async def works(connection: Any, name: str) -> None:
    done = Signal("done")

    async def double(job: Job[int]) -> int:
        return 2 * job.data

    worker = Worker(name, connection, double)
    worker.on_completed(done)
    async with Queue(name, connection) as queue, QueueEvents(name, connection) as events, worker:
        job = await queue.add("job", 21)
        assert await queue.wait_until_finished(job, events) == 42
        await done.wait()


async def refused(url: str) -> str:
    with pytest.raises(AccessRefused) as error:
        async with Queue("q", url):
            pass
    with pytest.raises(AccessRefused):  # a worker does not wait for it to get better
        await Worker("q", url, works).start()
    return str(error.value)


async def test_a_queue_works_over_tls(redis_url: str, papers: Papers, queue_name: str) -> None:
    async with tls_before(redis_url, papers.context()) as port:
        await works(f"rediss://localhost:{port}?ssl_ca_certs={papers.ca}", queue_name)


async def test_a_ready_client_over_tls_lends_its_certificates(redis_url: str, papers: Papers, queue_name: str) -> None:
    async with tls_before(redis_url, papers.context(mutual=True)) as port:
        client = Redis(
            port=port, ssl=True, ssl_ca_certs=str(papers.ca), ssl_certfile=str(papers.client),
            ssl_keyfile=str(papers.client), decode_responses=True, retry=Retry(NoBackoff(), 0),
        )  # fmt: skip
        await works(client, queue_name)
        await client.aclose()


async def test_both_sides_may_show_a_certificate(redis_url: str, papers: Papers, queue_name: str) -> None:
    async with tls_before(redis_url, papers.context(mutual=True)) as port:
        url = f"rediss://localhost:{port}?ssl_ca_certs={papers.ca}"
        await works(f"{url}&ssl_certfile={papers.client}&ssl_keyfile={papers.client}", queue_name)


@pytest.mark.parametrize("stranger", [False, True])
async def test_a_client_without_a_good_certificate_is_told(papers: Papers, *, stranger: bool) -> None:
    with refusing(papers.context(mutual=True)) as port:
        url = f"rediss://localhost:{port}?ssl_ca_certs={papers.ca}"
        if stranger:
            url += f"&ssl_certfile={papers.stranger}&ssl_keyfile={papers.stranger}"
        told = await refused(url)
    assert f"Redis at localhost:{port} and this client do not agree on TLS: TLSV1" in told


@contextlib.contextmanager
def refusing(context: ssl.SSLContext) -> Iterator[int]:
    """The port of a server that shakes hands and no more: asyncio's would hang up without saying why."""

    class Handshake(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with context.wrap_socket(self.request, server_side=True, do_handshake_on_connect=False) as wrapped:
                with contextlib.suppress(OSError):
                    wrapped.do_handshake()
                with contextlib.suppress(OSError):
                    while socket.socket.recv(wrapped, 4096):
                        pass  # closing before the client does would take the alert away from it

    with serving(Handshake) as port:
        yield port


@contextlib.contextmanager
def serving(handler: type[socketserver.BaseRequestHandler]) -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


async def test_a_certificate_of_an_unknown_authority_is_not_trusted(redis_url: str, papers: Papers) -> None:
    async with tls_before(redis_url, papers.context()) as port:
        told = await refused(f"rediss://:secret@localhost:{port}")
    assert f"Redis at localhost:{port} has a certificate that is not trusted: unable to get local issuer" in told
    assert "ssl_ca_certs=" in told
    assert "secret" not in told


async def test_a_certificate_of_another_host_is_not_trusted(redis_url: str, papers: Papers) -> None:
    async with tls_before(redis_url, papers.context(host="elsewhere.example")) as port:
        told = await refused(f"rediss://localhost:{port}?ssl_ca_certs={papers.ca}")
    assert "Hostname mismatch" in told


async def test_a_server_without_tls_is_told(redis_url: str) -> None:
    """It waits for the rest of a command, and never answers."""
    with pytest.raises(ConnectionLost, match="did not answer: Timeout connecting"):
        async with Queue("q", redis_url.replace("redis://", "rediss://") + "?socket_connect_timeout=0.5"):
            pass


async def test_a_tls_port_without_tls_is_told(redis_url: str, papers: Papers) -> None:
    async with tls_before(redis_url, papers.context()) as port:
        with pytest.raises(ConnectionLost, match=f"127.0.0.1:{port} did not answer"):
            async with Queue("q", f"redis://127.0.0.1:{port}?socket_timeout=2"):
                pass


async def test_a_file_that_is_not_there_is_told(redis_url: str) -> None:
    with pytest.raises(ConnectionLost, match="No such file"):
        async with Queue("q", redis_url.replace("redis://", "rediss://") + "?ssl_ca_certs=/nowhere/ca.pem"):
            pass


async def test_who_parts_over_tls_waits_until_the_server_knows(
    redis_url: str, papers: Papers, redis: Redis, queue_name: str
) -> None:
    """It hung up at once, and the server could still pop a marker, for nobody: no worker woke for that job."""
    front = Front(redis_url, papers.context())
    with front.serving() as port:
        client = connect(f"rediss://localhost:{port}?ssl_ca_certs={papers.ca}", block=timedelta(seconds=30))
        own = await client.send("CLIENT", "ID")
        waiting = asyncio.ensure_future(client.send("BZPOPMIN", queue_name, 30))
        await eventually(lambda: is_blocked(redis, own), "the call blocks")
        waiting.cancel()
        parting = asyncio.create_task(client.part(20))
        assert await asyncio.to_thread(front.leaving.wait, 10)
        assert not parting.done()
        front.pass_on.set()
        await parting
        await redis.zadd(queue_name, {"marker": 0})
        assert await redis.zcard(queue_name) == 1
        await client.aclose()
