"""The programs in a page of documentation, and running them.

A ```python block whose first line is `# name.py` is a program; the programs of one page stand in one folder and may
import each other. The ```text block right after it is what it prints, line by line; `…` stands for anything in a line.
A program without one is imported by another of its page. `# runs until SIGTERM` as a line of its own: it is started,
the next program runs beside it, and when it has printed its lines it is told to stop, which it does with exit code 0.
A program called `test_….py` is run by pytest, which reads a `conftest.py` of the page by itself.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
FENCE_OF_PYTHON = re.compile(r"^[ \t]*(?:```|~~~)[ \t]*(?:py|python)\b", re.MULTILINE | re.IGNORECASE)
NAME = re.compile(r"# (\w+)\.py\n")
UNTIL_SIGTERM = "# runs until SIGTERM"
SERVER = "redis://localhost:6379"
ANYTHING = "…"
PYTEST = (
    *("-m", "pytest", "-q", "-p", "no:cacheprovider", "--disable-plugin-autoload", "-p", "pytest_asyncio.plugin"),
    *("-o", "asyncio_default_fixture_loop_scope=function"),
)
PATIENCE = 40.0


class PageError(AssertionError):
    """A page has a block that cannot be run as it stands."""


@dataclass(frozen=True, slots=True)
class Program:
    name: str
    text: str
    prints: tuple[str, ...] | None

    @property
    def is_endless(self) -> bool:
        return UNTIL_SIGTERM in map(str.strip, self.text.splitlines())

    @property
    def is_test(self) -> bool:
        return self.name.startswith("test_")

    def imports(self, other: Program) -> bool:
        if other.name == "conftest":
            return self.is_test
        return re.search(rf"^\s*(?:import|from) {other.name}\b", self.text, re.MULTILINE) is not None


@dataclass(frozen=True, slots=True)
class Run:
    """One program, and the endless ones that it runs beside."""

    endless: tuple[Program, ...]
    program: Program

    def __str__(self) -> str:
        return "+".join(program.name for program in (*self.endless, self.program))


def programs_in(page: str) -> list[Program]:
    """The programs of a page in their order.

    Raises:
        PageError: a block of Python is not a program, or nobody says what it prints.
    """
    blocks = list(BLOCK.finditer(page))
    found: list[Program] = []
    for block, following in itertools.zip_longest(blocks, blocks[1:]):
        if block[1].strip() != "python":
            continue
        named = NAME.match(block[2])
        if named is None:
            raise PageError(f"a ```python block begins with a line `# name.py`, not with:\n{block[2][:200]}")
        prints = None
        if following is not None and following[1] == "text" and not page[block.end() : following.start()].strip():
            prints = tuple(following[2].splitlines())
        found.append(Program(named[1], block[2], prints))
    if len(FENCE_OF_PYTHON.findall(page)) != len(found):
        raise PageError("a block of Python is indented, called ```py, or not closed: it would not be run")
    names = [program.name for program in found]
    if double := {name for name in names if names.count(name) > 1}:
        raise PageError(f"two programs of one page have the same name: {', '.join(sorted(double))}")
    return found


def runs_of(programs: Sequence[Program]) -> list[Run]:
    """What has to be run so that every program was.

    Raises:
        PageError: a program prints nothing and is not imported either, or runs for ever beside nothing.
    """
    runs: list[Run] = []
    endless: list[Program] = []
    for program in programs:
        if program.prints is None:
            if program.is_endless or not any(other.imports(program) for other in programs):
                raise PageError(f"{program.name}.py: what it prints has to follow it in a ```text block")
        elif program.is_endless:
            endless.append(program)
        else:
            runs.append(Run(tuple(endless), program))
            endless = []
    if endless:
        raise PageError(f"{endless[-1].name}.py runs until SIGTERM, and no program follows that runs beside it")
    return runs


def write_programs(programs: Sequence[Program], folder: Path, url: str) -> None:
    """The programs as files, with another server's address."""
    for program in programs:
        (folder / f"{program.name}.py").write_text(program.text.replace(SERVER, url.removesuffix("/0")), "utf-8")


async def carry_out(run: Run, folder: Path, python: str = sys.executable) -> None:
    """Run it, and compare what is printed.

    Raises:
        AssertionError: something else was printed, or a program failed or did not end.
    """
    endless = [await Process.start(program, folder, python) for program in run.endless]
    processes = [*endless, await Process.start(run.program, folder, python)]
    try:
        await processes[-1].ends()
        for process in endless:
            await process.has_printed()
            process.stop()
            await process.ends()
    finally:
        for process in processes:
            await process.kill()


class Process:
    """A program that runs; its errors are printed where the rest is, as in a terminal."""

    def __init__(self, program: Program, process: asyncio.subprocess.Process) -> None:
        self._program = program
        self._process = process
        self._expected = program.prints or ()
        self._printed: list[str] = []

    @classmethod
    async def start(cls, program: Program, folder: Path, python: str) -> Process:
        as_test = PYTEST if program.is_test else ()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        process = await asyncio.create_subprocess_exec(
            python, "-u", "-W", "error", *as_test, f"{program.name}.py", cwd=folder, env=kept,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        return cls(program, process)

    async def has_printed(self) -> None:
        """Return when it has printed as many lines as expected, or its output ended."""
        await self._read(len(self._expected))

    def stop(self) -> None:
        if self._process.returncode is None:
            self._process.terminate()

    async def ends(self) -> None:
        await self._read(None)
        code = await self._process.wait()
        self._compare(f"exit code {code}")
        assert code == 0, f"{self._program.name}.py: exit code {code}"

    async def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self._process.communicate()

    async def _read(self, lines: int | None) -> None:
        stream = self._process.stdout
        assert stream is not None
        try:
            async with asyncio.timeout(PATIENCE):
                while lines is None or len(self._printed) < lines:
                    line = await stream.readline()
                    if not line:
                        return
                    self._printed.append(line.decode("utf-8", "replace").rstrip("\n"))
        except TimeoutError:
            self._compare(f"still running after {PATIENCE:g} s")
            raise AssertionError(f"{self._program.name}.py: still running after {PATIENCE:g} s") from None

    def _compare(self, state: str) -> None:
        if not agrees(self._printed, self._expected):
            printed, expected = "\n  ".join(self._printed), "\n  ".join(self._expected)
            raise AssertionError(
                f"{self._program.name}.py ({state}) printed\n  {printed}\nwhere the page says\n  {expected}"
            )


def agrees(printed: Sequence[str], expected: Sequence[str]) -> bool:
    """Whether line matches line."""
    return len(printed) == len(expected) and all(
        re.fullmatch(".*".join(map(re.escape, wanted.split(ANYTHING))), line)
        for line, wanted in zip(printed, expected, strict=True)
    )
