"""Who is measured, and the environment that each needs."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.interop.install import find_node, install

HERE = Path(__file__).resolve().parent
DRIVERS = HERE / "drivers"
ROOT = HERE.parents[1]
ALL = ("S1", "S2", "S3", "S4", "S5", "S6")
AND_GROWTH = (*ALL, "G1", "G2", "G3")
NO_DELAYS = ("S1", "S2", "S3", "S6")


@dataclass(frozen=True, slots=True)
class Peer:
    """A job queue and the driver that plays it. Concurrencies are what its own documentation would have one use."""

    name: str
    title: str
    driver: str
    environment: str = ""
    """Whose requirements-….lock it is installed from; empty: ours, `node`: what the interop tests install."""
    concurrency: int = 100
    io_concurrency: int = 500
    io_arguments: tuple[str, ...] = ()
    """What its driver is told where handlers wait."""
    scenarios: tuple[str, ...] = ALL
    store: Literal["redis", "postgres"] = "redis"
    speaks_bullmq: bool = False
    """Whether it keeps completed jobs under BullMQ's keys, where the runner can count them."""
    share: float = 1.0
    """The share of a scenario's jobs that it gets, where all would take minutes."""
    note: str = ""

    def command(self, build: Path) -> list[str]:
        script = str(DRIVERS / self.driver)
        match self.environment:
            case "":
                return [sys.executable, script]
            case "node":
                return [str(find_node()), script]
            case _:
                return [str(_python(build, self)), script]


PEERS = {
    peer.name: peer
    for peer in (
        Peer("carequeue", "carequeue", "carequeue_driver.py", scenarios=AND_GROWTH, speaks_bullmq=True),
        Peer("bullmq_python", "BullMQ (Python)", "bullmq_driver.py", "bullmq", speaks_bullmq=True),
        Peer("bullmq_node", "BullMQ (Node)", "bullmq_driver.mjs", "node", scenarios=AND_GROWTH, speaks_bullmq=True),
        Peer(
            "pgqueuer",
            "PGQueuer",
            "pgqueuer_driver.py",
            "python",
            concurrency=200,
            store="postgres",
            scenarios=("S1", "S2", "S3", "S4", "S6"),
            note="PostgreSQL with durable commits; a job is deleted after its handler, in batches",
        ),
        Peer(
            "huey",
            "huey",
            "huey_driver.py",
            "python",
            concurrency=4,
            io_concurrency=200,
            io_arguments=("--greenlets",),
            scenarios=NO_DELAYS,
            note="a job is popped before its handler runs: a crash loses it; delays tick once a second",
        ),
        Peer(
            "taskiq",
            "taskiq",
            "taskiq_driver.py",
            "taskiq",
            share=0.25,
            note="stream with consumer group; delayed jobs wait in a schedule source that ticks once a second",
        ),
        Peer(
            "dramatiq",
            "dramatiq",
            "dramatiq_driver.py",
            "python",
            concurrency=8,
            io_concurrency=64,
            scenarios=NO_DELAYS,
            note="threads; delayed jobs wait in the worker's memory",
        ),
        Peer("saq", "SAQ", "saq_driver.py", "python", share=0.25, note="due times are whole seconds"),
        Peer("arq", "arq", "arq_driver.py", "arq", share=0.25, note="polls every 0.5 s, which bounds S3"),
    )
}
QUICK_PEERS = ("carequeue", "bullmq_python", "bullmq_node")
"""Those of the short form, which CI runs."""


def prepare(peer: Peer, build: Path) -> None:
    """Install what the peer needs, unless it is there: its pins would clash with ours, so it has its own place.

    Raises:
        CalledProcessError: it cannot be installed here.
    """
    build.mkdir(parents=True, exist_ok=True)
    if peer.environment == "node":
        install()
    elif peer.environment:
        _make_venv(_python(build, peer), HERE / f"requirements-{peer.environment}.lock")


def _python(build: Path, peer: Peer) -> Path:
    return build / "venvs" / peer.environment / "bin" / "python"


def _make_venv(python: Path, lock: Path) -> None:
    folder = python.parents[1]
    stamp = folder / "installed"
    locked = hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == locked:
        return
    uv = shutil.which("uv") or shutil.which("uv", path=ROOT / ".uv" / "bin")
    if uv:
        _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)])
        _run([uv, "pip", "install", "--quiet", "--python", str(python), "--require-hashes", "-r", str(lock)])
    else:
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        _run([str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(lock)])
    stamp.write_text(locked)


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True)
