"""One server as a child process: start it, wait until it answers, stop it. Used by every engine beside this file."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

PR_SET_PDEATHSIG = 1


class EngineError(RuntimeError):
    """A server process ended or did not answer in time; its log says why."""


class EngineNotFound(EngineError):
    """No build of the server fits this machine; install one, or give the address of a running one."""


def free_port() -> int:
    """A loopback port that nobody holds at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class ServerProcess:
    """A child that outlives neither its parent nor `stop()`.

    `stop_signal` asks it to end; after `grace` seconds it is killed.
    """

    def __init__(self, name: str, log: Path, stop_signal: signal.Signals = signal.SIGTERM, grace: float = 10) -> None:
        self.name = name
        self.log = log
        self.stop_signal = stop_signal
        self.grace = grace
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def start(self, command: Sequence[str], ready: Callable[[], bool], timeout: float = 30) -> None:
        """Start `command` and return once `ready()` holds.

        Raises:
            EngineError: it ended first, or `timeout` seconds passed.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(  # noqa: S603 - the command is ours, no shell
                list(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_die_with_parent
            )
        deadline = time.monotonic() + timeout
        while not ready():
            if not self.running:
                raise EngineError(f"{self.name} ended at once; the end of {self.log}:\n{self._last_lines()}")
            if time.monotonic() > deadline:
                self.stop()
                raise EngineError(f"{self.name} did not answer within {timeout:.0f} s; see {self.log}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End the process and wait for it. A stopped or never started one is left alone."""
        if self._child is None or self._child.poll() is not None:
            return
        self._child.send_signal(self.stop_signal)
        try:
            self._child.wait(self.grace)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        if self._child is not None and self._child.poll() is None:
            self._child.kill()
            self._child.wait()

    def _last_lines(self, count: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])


def _die_with_parent() -> None:
    # Runs between fork and exec. A terminal's Ctrl-C goes to the whole foreground group: the supervisor stops
    # its children in order, so they must not hear it themselves.
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
