"""A parent with supervised children, for tests that signal or kill it: `python session_script.py FOLDER`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from carecircle_cli.engines import Program
from carecircle_cli.up.session import until_told
from carecircle_cli.up.supervisor import Supervisor

if TYPE_CHECKING:
    import signal

CHILD = """
import os, pathlib, signal, sys
folder = pathlib.Path(sys.argv[1])
def note(text):
    with (folder / "notes").open("a") as file:
        file.write(text + "\\n")
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
(folder / f"ready-{os.getpid()}").touch()
while True:
    note(f"{sys.argv[2]}-{signal.Signals(signal.sigwait({signal.SIGTERM, signal.SIGINT})).name}")
    if sys.argv[2] != "stubborn":
        sys.exit()
"""


class Silent:
    def __getattr__(self, _: str) -> object:
        return lambda *_: None


async def main(folder: Path) -> None:
    supervisor = Supervisor(Silent())  # type: ignore[arg-type]

    async def work() -> None:
        await supervisor.start(*([child(folder, name)] for name in ("engine", "stubborn", "api")))
        (folder / "pids").write_text(" ".join(str(child.pid) for child in supervisor.children))
        (folder / "pids").replace(folder / "up")
        await supervisor.watch()

    def stopping(number: signal.Signals) -> None:
        (folder / "stopping").write_text(number.name)

    await until_told(supervisor, work(), stopping)


def child(folder: Path, name: str) -> Program:
    return Program(
        name=name,
        command=(sys.executable, "-S", "-c", CHILD, str(folder), name),
        log=folder / f"{name}.log",
        ready=lambda pid: (folder / f"ready-{pid}").exists(),
        grace=float(os.environ.get("GRACE", "0.3")),
    )


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
