"""The stage of a benchmark: an empty server, driver processes, and a watch on what else the machine does."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from redis import Redis

if TYPE_CHECKING:
    from typing import Self

    from tests.benchmarks.peers import Peer

    from carecircle_cli.engines import EmbeddedPostgres, EmbeddedValkey

BUILD = Path(__file__).resolve().parents[2] / "build" / "bench"
QUEUE = "bench"
CALL_LIMIT = 300.0
SETTLE = 10.0
"""Seconds in which the store must know of all ends, after the last handler has ended."""


class Failed(Exception):
    """A peer did not do what a scenario asked."""


class Bench:
    """A server, emptied before each scenario, and the drivers that talk to it; `postgres` if a peer wants it."""

    def __init__(self, valkey: EmbeddedValkey, postgres: EmbeddedPostgres | None = None) -> None:
        self.url = valkey.url()
        self.redis = Redis.from_url(
            self.url, decode_responses=True, socket_timeout=CALL_LIMIT
        )  # emptying takes a while
        self._postgres = postgres

    def clean(self, peer: Peer) -> None:
        self.redis.execute_command("FLUSHALL", "SYNC")  # without the word Valkey frees it later
        self.redis.config_resetstat()
        if peer.store == "postgres":
            self.call(peer, "reset")

    def call(self, peer: Peer, *arguments: object) -> dict[str, Any]:
        """Run a driver to its end and return what it says."""
        command = [*peer.command(BUILD), *map(str, arguments)]
        try:
            done = subprocess.run(
                command, env=self.environment(), timeout=CALL_LIMIT, capture_output=True, text=True, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise Failed(f"{peer.name} {arguments[0]} took more than {CALL_LIMIT:.0f} s") from error
        if done.returncode:
            raise Failed(f"{peer.name} {arguments[0]}: {done.stderr.strip()[-800:]}")
        return cast("dict[str, Any]", json.loads(done.stdout.splitlines()[-1]))

    def worker(self, peer: Peer, count: int, *, concurrency: int, io: float = 0.0, patience: float) -> WorkerProcess:
        arguments = ["work", "--count", count, "--concurrency", concurrency, "--io", io, "--patience", patience]
        if io:
            arguments += peer.io_arguments
        return WorkerProcess([*peer.command(BUILD), *map(str, arguments)], self.environment(), patience)

    def completed(self) -> int:
        """How many jobs the store holds as completed, under BullMQ's key."""
        return cast("int", self.redis.zcard(f"bull:{QUEUE}:completed"))

    def expect_completed(self, peer: Peer, count: int) -> None:
        """Wait until the store knows of so many ends. Of peers that do not keep them only the handlers tell.

        Raises:
            Failed: it does not, after ten seconds.
        """
        if not peer.speaks_bullmq:
            return
        end = time.monotonic() + SETTLE
        while self.completed() < count and time.monotonic() < end:
            time.sleep(0.02)
        if self.completed() != count:
            raise Failed(f"{count} jobs were to complete, the store knows of {self.completed()}")

    def wait_until_completed(self, count: int, patience: float) -> tuple[int, float]:
        """Wait until the store holds so many jobs as completed; how many it has then, and when that was.

        Raises:
            Failed: it does not, in `patience` seconds.
        """
        end = time.monotonic() + patience
        while (done := self.completed()) < count:
            if time.monotonic() > end:
                raise Failed(f"{done} of {count} jobs completed in {patience:.0f} s")
            time.sleep(0.005)
        return done, time.monotonic()

    def memory(self) -> int:
        return int(self.redis.info("memory")["used_memory"])

    def engine_cpu(self) -> float:
        cpu = self.redis.info("cpu")
        return float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"]) + self._postgres_cpu()

    def script_calls(self) -> int:
        """How many script calls the server has answered since it was emptied."""
        stats = self.redis.info("commandstats")
        return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("eval", "evalsha"))

    def _postgres_cpu(self) -> float:
        """Seconds of the postmaster and its processes, those that ended included (Linux)."""
        if self._postgres is None or not Path("/proc").is_dir():
            return 0.0
        pid = int((self._postgres.data_dir / "postmaster.pid").read_text().split()[0])
        ticks = sum(map(int, _stat(pid)[11:15]))
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and (stat := _stat(int(entry.name))) and int(stat[1]) == pid:
                ticks += sum(map(int, stat[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def load(self) -> Load:
        return Load(self, time.monotonic(), machine_cpu(), self.own_cpu())

    def own_cpu(self) -> float:
        """Seconds spent by this process, the drivers that have ended, and the server."""
        return sum(os.times()[:4]) + self.engine_cpu()

    def environment(self) -> dict[str, str]:
        own = {"BENCH_REDIS_URL": self.url, "BENCH_QUEUE": QUEUE}
        if self._postgres is not None:
            own["BENCH_POSTGRES_URL"] = self._postgres.url().replace("+psycopg", "")
        return {**os.environ, **own}


class WorkerProcess:
    """A worker in its own process: it says when it is ready and, once, what it saw."""

    def __init__(self, command: list[str], environment: dict[str, str], patience: float) -> None:
        self._command = command
        self._environment = environment
        self._patience = patience
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        threading.Thread(target=self._read, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)

    def ready(self) -> bool:
        """Wait until the worker has run the warm-up job; False if all others came before it."""
        return "ready" in self._next(30.0)

    def result(self) -> dict[str, Any]:
        """What it saw: `ids` and `starts` of the handlers, `end` of the last one, `cpu` seconds."""
        said = self._next(self._patience + 15)
        return self._next(15.0) if "ready" in said else said

    def _next(self, seconds: float) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            raise Failed(f"the worker said nothing for {seconds:.0f} s") from None
        if line is None:
            assert self._process.stderr is not None
            raise Failed(f"the worker ended: {self._process.stderr.read()[-800:]}")
        return line

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                self._lines.put(json.loads(line))
        self._lines.put(None)


@dataclass(frozen=True, slots=True)
class Load:
    """What the machine and we had used when a scenario began."""

    bench: Bench
    began: float
    machine: float | None
    own: float

    def foreign(self) -> float | None:
        """Cores that other programs have used since, on average; None where the system does not tell."""
        now = machine_cpu()
        if now is None or self.machine is None:
            return None
        spent = now - self.machine - (self.bench.own_cpu() - self.own)
        return max(0.0, spent / (time.monotonic() - self.began))


def _stat(pid: int) -> list[str]:
    """What the system tells of a process after its name; empty if it has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def machine_cpu() -> float | None:
    """Seconds that all cores together have worked since the machine started (Linux)."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    user, nice, system, _idle, _wait, irq, soft, stolen = map(int, stat.read_text().split("\n", 1)[0].split()[1:9])
    return (user + nice + system + irq + soft + stolen) / os.sysconf("SC_CLK_TCK")
