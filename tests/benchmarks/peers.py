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
LOCK = HERE / "requirements-bullmq.lock"


@dataclass(frozen=True, slots=True)
class Peer:
    """A job queue and the driver that plays it. Concurrencies are what its own documentation would have one use."""

    name: str
    title: str
    kind: Literal["here", "venv", "node"]
    driver: str
    concurrency: int = 100
    io_concurrency: int = 500

    def command(self, build: Path) -> list[str]:
        script = str(DRIVERS / self.driver)
        match self.kind:
            case "here":
                return [sys.executable, script]
            case "venv":
                return [str(_python(build, self)), script]
            case "node":
                return [str(find_node()), script]


PEERS = {
    peer.name: peer
    for peer in (
        Peer("carequeue", "carequeue", "here", "carequeue_driver.py"),
        Peer("bullmq_python", "BullMQ (Python)", "venv", "bullmq_driver.py"),
        Peer("bullmq_node", "BullMQ (Node)", "node", "bullmq_driver.mjs"),
    )
}


def prepare(peer: Peer, build: Path) -> None:
    """Install what the peer needs, unless it is there: its pins would clash with ours, so it has its own place."""
    build.mkdir(parents=True, exist_ok=True)
    if peer.kind == "node":
        install()
    if peer.kind == "venv":
        _make_venv(_python(build, peer))


def _python(build: Path, peer: Peer) -> Path:
    return build / "venvs" / peer.name / "bin" / "python"


def _make_venv(python: Path) -> None:
    folder = python.parents[1]
    stamp = folder / "installed"
    locked = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == locked:
        return
    uv = shutil.which("uv") or shutil.which("uv", path=ROOT / ".uv" / "bin")
    if uv:
        _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)])
        _run([uv, "pip", "install", "--quiet", "--python", str(python), "--require-hashes", "-r", str(LOCK)])
    else:
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        _run([str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(LOCK)])
    stamp.write_text(locked)


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True)
