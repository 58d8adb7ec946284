"""Real child processes for the tests of the supervisor: small Python scripts that crash, hang, or refuse to end."""

from __future__ import annotations

import asyncio
import secrets
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy.engine import make_url

from carecircle_cli.doctor.postgres import libpq_url
from carecircle_cli.engines import Program
from carecircle_cli.up.supervisor import RestartPolicy, Supervisor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

PRELUDE = """
import os, signal, sys, time, pathlib
folder = pathlib.Path({folder!r})
def note(text):
    with (folder / "notes").open("a") as file:
        file.write(text + "\\n")
def ready():
    (folder / f"ready-{{os.getpid()}}").touch()
    while not (folder / f"seen-{{os.getpid()}}").exists():
        time.sleep(0.005)
def until_told(*signals):
    signal.sigwait(set(signals))
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
"""


@dataclass
class Recorder:
    """A `Report` that remembers, and wakes whoever waits for an event."""

    events: list[tuple[Any, ...]] = field(default_factory=list[tuple[Any, ...]])
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def ready(self, name: str, seconds: float) -> None:
        self._add("ready", name)

    def crashed(self, name: str, how: str, last_lines: str, again_in: float) -> None:
        self._add("crashed", name, how, last_lines, again_in)

    def back(self, name: str) -> None:
        self._add("back", name)

    def stopped(self, name: str, seconds: float) -> None:
        self._add("stopped", name)

    def killed(self, name: str, grace: float) -> None:
        self._add("killed", name)

    def line(self, name: str, text: str) -> None:
        self._add("line", name, text)

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        return [event for event in self.events if event[0] == kind]

    async def until(self, kind: str, times: int = 1, seconds: float = 20) -> list[tuple[Any, ...]]:
        """The events of this kind, once there are so many."""
        async with asyncio.timeout(seconds):
            while len(self.of(kind)) < times:
                self._changed.clear()
                await self._changed.wait()
        return self.of(kind)

    def _add(self, *event: Any) -> None:
        self.events.append(event)
        self._changed.set()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
async def supervisor(recorder: Recorder) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(recorder, RestartPolicy(first=0.01, longest=0.04, steady_after=60))
    yield supervisor
    supervisor.kill()
    await supervisor.stop()


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., Program]:
    """Make a program of a few lines of Python, which `note()` things, call `ready()` and wait `until_told(…)`."""

    def ready(pid: int) -> bool:
        if (tmp_path / f"ready-{pid}").exists():
            (tmp_path / f"seen-{pid}").touch()
            return True
        return False

    def make(name: str, body: str, **options: Any) -> Program:
        path = tmp_path / f"{name}.py"
        path.write_text(PRELUDE.format(folder=str(tmp_path)) + textwrap.dedent(body))
        return Program(
            name=name,
            command=(sys.executable, "-S", str(path)),
            log=tmp_path / "logs" / f"{name}.log",
            ready=ready,
            **options,
        )

    return make


@pytest.fixture
def notes(tmp_path: Path) -> Callable[[], list[str]]:
    """What the scripts noted."""
    return lambda: (tmp_path / "notes").read_text().split()


@pytest.fixture
def is_gone() -> Callable[[int], bool]:
    """Whether no process runs under this number; one that ended but was not yet buried does not run."""

    def look(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            return True

    return look


@pytest.fixture
def statement() -> Callable[[str, str], None]:
    """Run one SQL statement against a database."""

    def run(url: str, sql: str) -> None:
        with psycopg.connect(libpq_url(url), autocommit=True) as connection:
            connection.execute(sql.encode())

    return run


@pytest.fixture
def empty_database_url(postgres_url: str, statement: Callable[[str, str], None]) -> Iterator[str]:
    """A fresh database without any table."""
    name = f"t_{secrets.token_hex(6)}"
    statement(postgres_url, f"CREATE DATABASE {name}")
    yield make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    statement(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")
