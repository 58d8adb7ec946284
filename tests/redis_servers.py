"""Real Redis or Valkey processes for tests: one server, three masters of a Cluster, a master that sentinels watch.

CARECIRCLE_TEST_REDIS_SERVER names another server program than the one of the pinned wheel.
"""

from __future__ import annotations

import os
import random
import signal
import socket
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import RedisError
from tests.waiting import eventually

from carecircle_cli.engines import EmbeddedValkey
from carecircle_cli.engines.process import EngineError, ServerProcess
from carecircle_cli.engines.program import Program
from carecircle_cli.engines.valkey import find_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NODE_TIMEOUT = 1500
"""ms after which nodes of a cluster, or sentinels, take a silent one for dead."""
QUICK = ("--repl-diskless-sync-delay", "0")
SLOTS = 16384
MASTER = "mymaster"


def server_program() -> Path:
    given = os.environ.get("CARECIRCLE_TEST_REDIS_SERVER")
    return Path(given) if given else find_server()


class RedisServer(EmbeddedValkey):
    """A server with options of its own, by the program that is under test."""

    def __init__(self, folder: Path, *options: str, port: int | None = None, persistent: bool = False) -> None:
        super().__init__(folder, port, persistent=persistent)
        self._options = options

    def prepare(self) -> Program:
        program = super().prepare()
        return replace(program, command=(str(server_program()), *program.command[1:], *QUICK, *self._options))

    def pause(self) -> None:
        """It neither answers nor closes a connection."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def client(self) -> Redis:
        """A client for the test itself."""
        return plain_client(self.port)

    def _signal(self, what: signal.Signals) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, what)


def plain_client(port: int) -> Redis:
    return Redis(port=port, decode_responses=True, protocol=2, socket_timeout=10, retry=Retry(NoBackoff(), 0))


# Cluster


class Cluster:
    """Masters that share the slots evenly; `add_replica` gives one a replica."""

    def __init__(self, folder: Path, masters: int = 3) -> None:
        self._folder = folder
        self.masters = [self._node(f"master-{number}") for number in range(masters)]
        self.replicas: list[RedisServer] = []

    @property
    def url(self) -> str:
        return f"redis+cluster://{','.join(f'127.0.0.1:{node.port}' for node in self.masters)}"

    async def start(self) -> None:
        for node in self.masters:
            node.start()
        first, *_ = self.masters
        share = -(-SLOTS // len(self.masters))
        for number, node in enumerate(self.masters):
            slots = range(share * number, min(share * (number + 1), SLOTS))
            await ask(node, "CLUSTER", "ADDSLOTS", *slots)
            await ask(node, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            if node is not first:
                await self._meet(node)
        await eventually(self._agreed, "the nodes of the cluster agree", 30)

    async def add_replica(self, master: RedisServer) -> RedisServer:
        replica = self._node(f"replica-{len(self.replicas)}")
        self.replicas.append(replica)
        replica.start()
        await self._meet(replica)
        master_id = await ask(master, "CLUSTER", "MYID")

        async def follows() -> bool:
            try:
                await ask(replica, "CLUSTER", "REPLICATE", master_id)
            except RedisError:
                return False  # it has not heard of its master yet
            return True

        async def in_step() -> bool:
            return (await ask(replica, "INFO", "replication"))["master_link_status"] == "up"

        await eventually(follows, "the replica knows its master", 20)
        await eventually(in_step, "the replica has what its master has", 20)
        return replica

    def stop(self) -> None:
        for node in (*self.masters, *self.replicas):
            node.process.kill()

    async def owner(self, key: str) -> RedisServer:
        """The node that has the key's slot, as the nodes that live see it."""
        slot = key_slot(key.encode())
        ports: set[int] = set()
        for node in (*self.masters, *self.replicas):
            if node.process.running:
                ports = {shard[2][1] for shard in await ask(node, "CLUSTER", "SLOTS") if shard[0] <= slot <= shard[1]}
                break
        [found] = [node for node in (*self.masters, *self.replicas) if node.port in ports]
        return found

    def others(self, node: RedisServer) -> list[RedisServer]:
        return [other for other in self.masters if other is not node]

    async def move_slot(self, slot: int, source: RedisServer, target: RedisServer) -> None:
        """Move a slot with its keys, as `redis-cli --cluster reshard` does, all keys in one step."""
        async with self.moving(slot, source, target):
            await self.move_keys(slot, source, target)

    @asynccontextmanager
    async def moving(self, slot: int, source: RedisServer, target: RedisServer) -> AsyncIterator[None]:
        """The slot is being moved; at the end it has moved, if its keys have."""
        source_id, target_id = await ask(source, "CLUSTER", "MYID"), await ask(target, "CLUSTER", "MYID")
        await ask(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
        await ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
        yield
        for node in (target, source, *self.others(source)):
            await ask(node, "CLUSTER", "SETSLOT", slot, "NODE", target_id)

    async def move_keys(self, slot: int, source: RedisServer, target: RedisServer, most: int = 10_000) -> int:
        keys = await ask(source, "CLUSTER", "GETKEYSINSLOT", slot, most)
        if keys:
            await ask(source, "MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        return len(keys)

    def _node(self, name: str) -> RedisServer:
        return RedisServer(
            self._folder / name, "--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT),
            port=port_of_a_node(), persistent=True,
        )  # fmt: skip

    async def _meet(self, node: RedisServer) -> None:
        await ask(node, "CLUSTER", "MEET", "127.0.0.1", self.masters[0].port)

    async def _agreed(self) -> bool:
        for node in self.masters:
            said = await ask(node, "CLUSTER", "INFO")
            known = len(await ask(node, "CLUSTER", "SLOTS"))
            if "cluster_state:ok" not in said or known != len(self.masters):
                return False
        return True


def port_of_a_node() -> int:
    """A free port whose bus port, 10000 further, is free too; older servers can have no other."""
    for port in random.sample(range(20_000, 50_000), 200):
        if all(is_free(each) for each in (port, port + 10_000)):
            return port
    raise AssertionError("no free port")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


async def ask(node: RedisServer, *command: Any) -> Any:
    """One command on a connection of its own."""
    async with node.client() as client:
        return await client.execute_command(*command)


async def is_blocked(redis: Redis, client_id: int) -> bool:
    """Whether this client waits in a call that blocks."""
    return any(int(entry["id"]) == client_id and "b" in entry["flags"] for entry in await redis.client_list())


# Sentinel


class Watched:
    """A master with a replica, and sentinels that promote the replica when they agree that the master is gone."""

    def __init__(self, folder: Path, sentinels: int = 3) -> None:
        self.servers = [RedisServer(folder / name, persistent=True) for name in ("first", "second")]
        self.sentinels = [Sentinel(folder / f"sentinel-{number}") for number in range(sentinels)]

    @property
    def url(self) -> str:
        return f"redis+sentinel://{','.join(f'127.0.0.1:{each.port}' for each in self.sentinels)}/{MASTER}"

    async def start(self) -> None:
        for server in self.servers:
            server.start()
        first, second = self.servers
        await ask(second, "REPLICAOF", "127.0.0.1", first.port)
        await eventually(self.in_step, "the replica has what its master has", 20)
        for sentinel in self.sentinels:
            sentinel.start_somewhere(first.port)
        await eventually(self.watched, "the sentinels know each other and the replica", 30)

    def stop(self) -> None:
        for each in (*self.sentinels, *self.servers):
            each.process.kill()

    async def master(self) -> RedisServer:
        """As the sentinels see it."""
        async with plain_client(self.sentinels[0].port) as client:
            _, port = await client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
        [found] = [server for server in self.servers if server.port == int(port)]
        return found

    def other(self, server: RedisServer) -> RedisServer:
        [found] = [each for each in self.servers if each is not server]
        return found

    async def in_step(self) -> bool:
        """Whether a replica has everything that the master has."""
        running = [server for server in self.servers if server.process.running]
        said = [await ask(server, "INFO", "replication") for server in running]
        offsets = {each.get("slave_repl_offset", each["master_repl_offset"]) for each in said}
        linked = [each for each in said if each.get("master_link_status") == "up"]
        return len(running) == 2 and len(linked) == 1 and len(offsets) == 1

    async def watched(self) -> bool:
        for sentinel in self.sentinels:
            async with plain_client(sentinel.port) as client:
                flat = await client.execute_command("SENTINEL", "MASTER", MASTER)
            said = dict(zip(flat[::2], flat[1::2], strict=True))
            if (int(said["num-other-sentinels"]), int(said["num-slaves"])) != (len(self.sentinels) - 1, 1):
                return False
        return True


class Sentinel:
    """One sentinel process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = port_of_a_node()
        self.process = ServerProcess()

    def start_somewhere(self, master_port: int) -> None:
        """Start it; on another port if somebody has taken its own meanwhile."""
        try:
            self.start(master_port)
        except EngineError as error:
            if "Address already in use" not in str(error):
                raise
            self.port = port_of_a_node()
            self.start(master_port)

    def start(self, master_port: int, quorum: int = 2) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        settings = self._folder / "sentinel.conf"
        settings.write_text(
            f"bind 127.0.0.1\nport {self.port}\nsentinel monitor {MASTER} 127.0.0.1 {master_port} {quorum}\n"
            f"sentinel down-after-milliseconds {MASTER} {NODE_TIMEOUT}\nsentinel failover-timeout {MASTER} 6000\n"
        )
        self.process.start(
            Program(
                name="sentinel",
                command=(str(server_program()), str(settings), "--sentinel", "--dir", str(self._folder)),
                log=self._folder / "sentinel.log",
                ready=self._is_ready,
            )
        )

    def _is_ready(self, pid: int) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=0.5) as connection:
                connection.sendall(b"INFO server\r\n")
                return f"process_id:{pid}\r\n".encode() in connection.recv(65536)
        except OSError:
            return False


async def promoted(watched: Watched, before: RedisServer) -> RedisServer:
    """Return the new master once the sentinels have made one."""

    async def changed() -> bool:
        return await watched.master() is not before

    await eventually(changed, "the sentinels promote the replica", 30)
    return await watched.master()
