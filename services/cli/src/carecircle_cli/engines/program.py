"""How one process is run, as a value: by `ServerProcess` for tests, by the supervisor of `carecircle up` for people."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

TETHER = Path(__file__).with_name("tether.py")


@dataclass(frozen=True, slots=True)
class Program:
    """One process to keep running."""

    name: str
    command: tuple[str, ...]
    log: Path
    ready: Callable[[int], bool]
    """Whether the process with this id does its work now. Quick, called again and again; runs in a thread."""
    environment: Mapping[str, str] | None = None
    """None: that of the parent."""
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 10
    """Seconds from the stop signal to SIGKILL."""
    orphan_signal: signal.Signals = signal.SIGKILL
    """What it gets when its parent dies without a word."""
    ready_within: float = 30
    user: int | None = None
    """A user id to run as; None: our own."""
    shown: Callable[[str], str | None] | None = None
    """What people should see at once of a line of its log, if anything; None: nothing of any line."""

    def argv(self) -> tuple[str, ...]:
        """The command line that ties the process to this one."""
        return tethered(self.command, self.orphan_signal, self.user)


def tethered(command: Sequence[str], orphan_signal: signal.Signals, user: int | None = None) -> tuple[str, ...]:
    """`command`, run as `user`, and told `orphan_signal` when the thread that starts it is gone."""
    path = shutil.which(command[0]) or command[0]
    python = (sys.executable, "-I", "-S", str(TETHER))
    return (*python, str(orphan_signal.value), str(os.getpid()), "" if user is None else str(user), path, *command[1:])
