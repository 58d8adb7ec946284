"""The embedded PostgreSQL: it keeps what was committed, says what is wrong, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from carecircle_cli.engines import EmbeddedPostgres, EngineError, EngineNotFound
from carecircle_cli.engines import postgres as module

if TYPE_CHECKING:
    from collections.abc import Iterator

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="is about running as root")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path / "postgres" / "data")
    yield server
    server.stop()


def test_what_was_committed_survives_a_stop_and_a_crash(server: EmbeddedPostgres) -> None:
    server.start()
    with connect(server) as connection:
        connection.execute("CREATE TABLE dose (name text)")
        connection.execute("INSERT INTO dose VALUES ('before the stop')")
    server.stop()
    server.start()
    with connect(server) as connection:
        connection.execute("INSERT INTO dose VALUES ('before the crash')")
    server.process.kill()
    server.start()
    with connect(server) as connection:
        assert connection.execute("SELECT name FROM dose").fetchall() == [("before the stop",), ("before the crash",)]


def test_its_port_may_change_between_two_starts(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    again = EmbeddedPostgres(server.data_dir)
    again.start()
    try:
        with connect(again) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        again.stop()


def test_strangers_are_refused_and_the_password_is_for_the_owner_only(server: EmbeddedPostgres) -> None:
    server.start()
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"host=127.0.0.1 port={server.port} user=carecircle dbname=postgres password=guess")
    password = server.data_dir.parent / "postgres.password"
    assert stat.S_IMODE(password.stat().st_mode) == 0o600
    assert stat.S_IMODE(server.data_dir.stat().st_mode) == 0o700


def test_stopping_does_not_wait_for_open_sessions(server: EmbeddedPostgres) -> None:
    server.start()
    with connect(server) as connection:
        connection.execute("SELECT 1")
        server.stop()
        assert not server.process.running


def test_a_port_that_somebody_else_holds_is_said(server: EmbeddedPostgres, tmp_path: Path) -> None:
    server.start()
    second = EmbeddedPostgres(tmp_path / "second" / "data", server.port)
    with pytest.raises(EngineError, match=r"could not bind IPv4 address \"127\.0\.0\.1\": Address already in use"):
        second.start()
    assert not second.process.running


def test_data_that_another_server_uses_is_said(server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PREDECESSOR_CHECKS", 2)
    server.start()
    with pytest.raises(EngineError, match=r'lock file "postmaster\.pid" already exists'):
        EmbeddedPostgres(server.data_dir).start()


def test_a_half_made_cluster_is_made_anew(server: EmbeddedPostgres) -> None:
    # initdb writes PG_VERSION first: killed after that, it used to leave a folder that never started.
    unfinished = server.data_dir.with_name("data.unfinished")
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    server.start()
    assert server.process.running
    assert not unfinished.exists()


def test_it_ends_in_order_when_its_parent_is_killed(tmp_path: Path) -> None:
    data_dir = tmp_path / "postgres" / "data"
    script = f"""
import sys
import tempfile
from pathlib import Path
from carecircle_cli.engines import EmbeddedPostgres
server = EmbeddedPostgres(Path({str(data_dir)!r}))
server.start()
print(server.process.pid, flush=True)
sys.stdin.read()
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdin is not None
    assert parent.stdout is not None
    with parent.stdin, parent.stdout:
        assert int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    after = EmbeddedPostgres(data_dir)
    after.start()  # waits for the one that is still going down
    after.stop()
    log = after.log.read_text()
    assert "not properly shut down" not in log
    assert log.count("database system is shut down") == 2


@AS_ROOT
def test_root_without_user_namespaces_runs_it_as_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = shutil.which("postgres")
    if machine is None:
        pytest.skip("no PostgreSQL on PATH that `nobody` can reach")
    monkeypatch.setattr(module, "NAMESPACE", ("no-such-unshare",))
    monkeypatch.setattr(module, "find_programs", lambda: Path(machine).resolve().parent)
    folder = Path(tempfile.mkdtemp())  # pytest's own folders are closed to others
    folder.chmod(0o755)
    server = EmbeddedPostgres(folder / "data")
    try:
        server.start()
        assert server.process.pid is not None
        assert Path(f"/proc/{server.process.pid}").stat().st_uid == module.NOBODY
    finally:
        server.stop()
        shutil.rmtree(folder)


@AS_ROOT
def test_root_that_can_be_nobody_else_is_told_what_to_do(
    server: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NAMESPACE", ("no-such-unshare",))
    tmp_path.chmod(0o700)
    with pytest.raises(EngineError, match=r"does not run as root.*DATABASE_URL"):
        server.start()


@AS_ROOT
def test_an_ordinary_user_needs_no_disguise(tmp_path: Path) -> None:
    script = f"""
import os
from pathlib import Path
from carecircle_cli.engines import EmbeddedPostgres
assert os.geteuid() == 1000
server = EmbeddedPostgres(Path({str(tmp_path)!r}) / "postgres" / "data")
server.start()
server.stop()
"""
    command = ["unshare", "-U", "--map-user=1000", "--map-group=1000", sys.executable, "-c", script]
    subprocess.run(command, check=True, timeout=60)


def test_a_machine_without_postgres_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(EngineNotFound, match="DATABASE_URL"):
        module.find_programs()


def test_the_machines_own_is_used_where_the_wheel_has_no_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("postgres", "initdb"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert module.find_programs() == tmp_path


def connect(server: EmbeddedPostgres) -> psycopg.Connection:
    return psycopg.connect(server.url().replace("+psycopg", ""), autocommit=True)
