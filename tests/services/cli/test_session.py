"""What signals do to a running `up`, tried on a process of its own: in order, at once, and no orphan left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SCRIPT = Path(__file__).with_name("session_script.py")


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def start(grace: str = "0.3") -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(tmp_path)], env=os.environ | {"GRACE": grace}, start_new_session=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_stops_everything_in_order_and_the_exit_code_is_0(
    launch: Callable[..., subprocess.Popen[bytes]],
    number: signal.Signals,
    tmp_path: Path,
    is_gone: Callable[[int], bool],
) -> None:
    parent = launch()
    await eventually((tmp_path / "up").exists, "it is up")
    os.killpg(parent.pid, number)  # as a terminal does: to the whole foreground group
    assert parent.wait(20) == 0
    # SIGTERM, from the supervisor, whatever the terminal sent; and each only once the next had ended.
    assert (tmp_path / "notes").read_text().split() == ["api-SIGTERM", "stubborn-SIGTERM", "engine-SIGTERM"]
    assert all(is_gone(pid) for pid in pids(tmp_path))


async def test_a_second_ctrl_c_ends_everything_at_once(
    launch: Callable[..., subprocess.Popen[bytes]],
    tmp_path: Path,
    is_gone: Callable[[int], bool],
) -> None:
    parent = launch(grace="60")
    await eventually((tmp_path / "up").exists, "it is up")
    parent.send_signal(signal.SIGINT)
    notes = tmp_path / "notes"
    await eventually(lambda: notes.exists() and "stubborn" in notes.read_text(), "one child refuses to end")
    parent.send_signal(signal.SIGINT)
    assert parent.wait(10) == 0
    assert all(is_gone(pid) for pid in pids(tmp_path))


async def test_no_child_outlives_a_parent_that_was_killed(
    launch: Callable[..., subprocess.Popen[bytes]],
    tmp_path: Path,
    is_gone: Callable[[int], bool],
) -> None:
    parent = launch()
    await eventually((tmp_path / "up").exists, "it is up")
    parent.kill()
    parent.wait()
    await eventually(lambda: all(is_gone(pid) for pid in pids(tmp_path)), "all children are gone")


async def test_ctrl_c_while_it_starts_stops_what_has_started(
    launch: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    parent = launch()
    await eventually(lambda: list(tmp_path.glob("ready-*")), "the first child runs")
    parent.send_signal(signal.SIGINT)
    assert parent.wait(20) == 0


def pids(folder: Path) -> list[int]:
    return [int(pid) for pid in (folder / "up").read_text().split()]
