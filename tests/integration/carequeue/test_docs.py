"""Every example in the library's documentation is a program that runs as written; only the server's address is another.

`tests/documents.py` says how a page marks them. Each runs against a server of its own.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.documents import PageError, Program, Run, agrees, carry_out, programs_in, runs_of, write_programs
from tests.redis_servers import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from _pytest.mark.structures import ParameterSet

pytestmark = pytest.mark.redis

LIBRARY = Path(__file__).parents[3] / "libs/carequeue"
PAGES = [LIBRARY / "README.md", *sorted((LIBRARY / "docs").glob("*.md"))]


def runs() -> Iterator[ParameterSet]:
    for page in PAGES:
        with contextlib.suppress(PageError):  # the first test below tells of it
            programs = programs_in(page.read_text("utf-8"))
            for run in runs_of(programs):
                yield pytest.param(programs, run, id=f"{page.stem}:{run}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_of_python_is_a_program_that_is_run(page: Path) -> None:
    runs_of(programs_in(page.read_text("utf-8")))


@pytest.mark.parametrize(("programs", "run"), list(runs()))
async def test_a_program_prints_what_its_page_says(programs: Sequence[Program], run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "programs"
    folder.mkdir()
    server = RedisServer(tmp_path / "valkey")
    server.start()
    try:
        write_programs(programs, folder, server.url())
        await carry_out(run, folder)
    finally:
        server.stop()


def test_every_page_is_in_the_index() -> None:
    index = (LIBRARY / "docs/README.md").read_text("utf-8")
    assert [page.name for page in PAGES[1:] if page.name != "README.md" and f"({page.name})" not in index] == []


# What the pages are held to can fail


PROGRAM = "```python\n# {name}.py\n{text}\n```\n"


@pytest.mark.parametrize(
    ("page", "why"),
    [
        ("```python\nprint(1)\n```\n", "begins with a line"),
        ("  ```python\n  # a.py\n  ```\n", "indented"),
        ("```py\n# a.py\n```\n", "called ```py"),
        (PROGRAM.format(name="a", text="print(1)"), "what it prints"),
        (PROGRAM.format(name="a", text="print(1)") + "which prints\n\n```text\n1\n```\n", "what it prints"),
        (2 * (PROGRAM.format(name="a", text="") + "```text\n```\n"), "the same name"),
        (PROGRAM.format(name="a", text="# runs until SIGTERM") + "```text\nup\n```\n", "no program follows"),
    ],
)
def test_a_page_that_is_not_run_as_it_stands_is_told(page: str, why: str) -> None:
    with pytest.raises(PageError, match=why):
        runs_of(programs_in(page))


@pytest.mark.parametrize(
    ("printed", "expected", "is_right"),
    [
        (["a", "b"], ["a", "b"], True),
        (["b", "a"], ["a", "b"], False),
        (["a"], ["a", "b"], False),
        (["took 3 ms"], ["took … ms"], True),
        (["took 3 s"], ["took … ms"], False),
        (["a.c"], ["a.c"], True),
        (["abc"], ["a.c"], False),
    ],
)
def test_lines_are_compared_exactly(printed: list[str], expected: list[str], *, is_right: bool) -> None:
    assert agrees(printed, expected) is is_right


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("print(2)", "printed\n  2\nwhere the page says\n  1"),
        ("print(1); raise SystemExit(3)", "exit code 3"),
        ("import warnings; print(1); warnings.warn('old')", "old"),
    ],
)
async def test_a_program_that_does_something_else_fails(tmp_path: Path, text: str, what: str) -> None:
    program = Program("a", text, ("1",))
    write_programs([program], tmp_path, "")
    with pytest.raises(AssertionError, match=what):
        await carry_out(Run((), program), tmp_path)
