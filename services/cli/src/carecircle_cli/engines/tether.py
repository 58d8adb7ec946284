"""Becomes another program that ends when its parent does: `python -I -S tether.py SIGNAL PARENT USER /the/command…`.

A program of its own, not a `preexec_fn`: between fork and exec of a process with threads only exec is safe. Nothing of
carecircle is imported, so that it costs milliseconds. Only Linux can tie a process to its parent; elsewhere an orphan
lives on until the next start finds it.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    signal, parent, user, *command = sys.argv[1:]
    if user:
        os.setgroups([])
        os.setgid(int(user))
        os.setuid(int(user))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal))  # after setuid, which clears it
    # The parent may have died before the line above: nobody would send the signal any more.
    if os.getppid() == int(parent):
        os.execv(command[0], command)  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    main()
