"""One server as a child process: start it, wait until it answers, stop it. Used by every engine beside this file."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carecircle_cli.engines.program import Program

LAST_LINES = 15
LISTENING = "0A"  # in /proc/net/tcp


class EngineError(RuntimeError):
    """A server process ended or did not answer in time; its log says why."""


class EngineNotFound(EngineError):
    """No build of the server fits this machine; install one, or give the address of a running one."""


class ServerProcess:
    """A child that outlives neither its parent nor `stop()`. Start it from the main thread: Linux ties it to that."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._program: Program | None = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def start(self, program: Program) -> None:
        """Start it and return once it is ready.

        Raises:
            EngineError: it ended first, or was not ready in time.
        """
        self._program = program
        program.log.parent.mkdir(parents=True, exist_ok=True)
        with program.log.open("ab") as log:
            # A session of its own: a terminal's Ctrl-C goes to the whole foreground group, and the one who started
            # several servers stops them in order, so they must not hear it themselves.
            child = self._child = subprocess.Popen(  # noqa: S603 - the command is ours, no shell
                program.argv(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=program.environment,
            )  # fmt: skip
        deadline = time.monotonic() + program.ready_within
        while not program.ready(child.pid):
            if not self.running:
                raise EngineError(f"{program.name} ended at once; the end of {program.log}:\n{last_lines(program.log)}")
            if time.monotonic() > deadline:
                self.stop()
                raise EngineError(
                    f"{program.name} was not ready within {program.ready_within:.0f} s; see {program.log}"
                )
            time.sleep(0.01)

    def stop(self) -> None:
        """End the process and wait for it. A stopped or never started one is left alone."""
        if self._child is None or self._program is None or self._child.poll() is not None:
            return
        self._child.send_signal(self._program.stop_signal)
        try:
            self._child.wait(self._program.grace)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        if self._child is not None and self._child.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()


def free_port() -> int:
    """A loopback port that nobody holds at this moment."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Several, all different."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections linger in TIME_WAIT can be used.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def listens(pid: int, port: int) -> bool:
    """Whether it is this process that listens on the port; where only Linux could tell, yes."""
    try:
        table = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
        links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return sys.platform != "linux"
    rows = (line.split() for line in table)
    inodes = {row[9] for row in rows if row[3] == LISTENING and int(row[1].partition(":")[2], 16) == port}
    return any(f"socket:[{inode}]" in links for inode in inodes)


def last_lines(log: Path, count: int = LAST_LINES) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-count:])
