"""Which system a command talks to: the one of the environment, else the one that `carecircle up` runs here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from carecircle_cli.up.data_dir import DataDir, Running

DEFAULT_DATA_DIR = Path(".carecircle")
ADDRESSES = ("DATABASE_URL", "REDIS_URL")

DataDirOption = Annotated[
    Path,
    typer.Option(
        "--data-dir",
        envvar="CARECIRCLE_DATA_DIR",
        help="Folder of a running `carecircle up`; used if the environment names no database and no Redis.",
    ),
]


def adopt(data_dir: Path) -> Running | None:
    """Take over the settings of the system that runs on `data_dir`, unless the environment has addresses of its own."""
    if any(os.environ.get(name) or os.environ.get(f"{name}_FILE") for name in ADDRESSES):
        return None
    running = DataDir(data_dir).running()
    if running is not None:
        os.environ.update(running.environment)
    return running
