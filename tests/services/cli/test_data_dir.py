"""The data folder: one process at a time, secrets made once and closed, ports kept where they can be."""

from __future__ import annotations

import signal
import socket
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from carecircle_cli.engines import free_port
from carecircle_cli.errors import CommandFailed
from carecircle_cli.up.data_dir import DataDir, Running, choose_ports

if TYPE_CHECKING:
    from pathlib import Path

RUNNING = Running(4711, "http://127.0.0.1:8000", {"DATABASE_URL": "postgresql://secret"})


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    return DataDir(tmp_path / ".carecircle")


def test_a_second_one_on_the_same_folder_is_told_who_holds_it(data: DataDir) -> None:
    with data.lock():
        data.announce(RUNNING)
        with pytest.raises(CommandFailed, match=r"runs on .* already \(process 4711, http://127\.0\.0\.1:8000\)"):
            data.lock().__enter__()
    with data.lock():
        pass


def test_other_commands_find_the_running_one_and_only_a_running_one(data: DataDir) -> None:
    assert data.running() is None
    with data.lock():
        assert data.running() is None  # it is still starting
        data.announce(RUNNING)
        assert data.running() == RUNNING
    assert data.running() is None


def test_one_that_was_killed_is_not_taken_for_running(data: DataDir) -> None:
    script = f"""
import sys, pathlib
from carecircle_cli.up.data_dir import DataDir, Running
data = DataDir(pathlib.Path({str(data.path)!r}))
with data.lock():
    data.announce(Running(1, "http://x", {{}}))
    print("up", flush=True)
    sys.stdin.read()
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        process.stdout.readline()
        assert data.running() is not None
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert data.running() is None
    with data.lock():
        assert data.running() is None  # what the dead one wrote is gone


def test_secrets_are_made_once_and_readable_by_their_owner_only(data: DataDir) -> None:
    with data.lock():
        data.announce(RUNNING)
        paths = [data.secret_key(), data.vapid_key(), data.path / "running.json"]
        before = [path.read_bytes() for path in paths]
        assert [data.secret_key().read_bytes(), data.vapid_key().read_bytes()] == before[:2]
        assert len(before[0]) >= 32
        for path in paths:
            assert path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO) == 0


def test_the_folder_keeps_itself_out_of_version_control(data: DataDir) -> None:
    with data.lock():
        assert (data.path / ".gitignore").read_text() == "*\n"


def test_a_file_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(CommandFailed, match="cannot be used"):
        DataDir(tmp_path / "data").lock().__enter__()


def test_ports_stay_the_same_from_run_to_run(data: DataDir) -> None:
    with data.lock():
        first = data.ports({"api": 0, "smtp": 0}, {})
        assert data.ports({"api": 0, "smtp": 0}, {}) == first
        assert len(set(first.values())) == 2


def test_a_port_that_is_taken_now_is_replaced(data: DataDir) -> None:
    with data.lock(), socket.socket() as other:
        other.bind(("127.0.0.1", data.ports({"api": 0}, {})["api"]))
        other.listen()
        assert data.ports({"api": 0}, {})["api"] != other.getsockname()[1]


def test_a_port_that_was_asked_for_wins(data: DataDir) -> None:
    with data.lock():
        data.ports({"api": 0}, {})
        wanted = free_port()
        assert data.ports({"api": 0}, {"api": wanted}) == {"api": wanted}


def test_a_preferred_port_is_taken_if_it_is_free_and_nobody_elses() -> None:
    chosen = choose_ports({"api": 8000, "inbox": 8025, "push": 8025}, {}, lambda port: port != 8000)
    assert chosen["inbox"] == 8025
    assert 8000 not in chosen.values()
    assert len(set(chosen.values())) == 3


def test_a_damaged_memory_of_ports_is_no_problem(data: DataDir) -> None:
    with data.lock():
        (data.path / "ports.json").write_text('{"api": "80')
        assert data.ports({"api": 0}, {})["api"] > 0
