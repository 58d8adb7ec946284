"""Every example of the library's README is a program that runs as written; only the server's address is another."""

from __future__ import annotations

import asyncio
import re
import secrets
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.redis

README = Path(__file__).parents[3] / "libs/carequeue/README.md"
PROGRAM = re.compile(r"^```python\n# (\w+)\.py\n(.*?)^```", re.MULTILINE | re.DOTALL)

QUEUES = ("mail", "reports", "agenda", "books", "pages", "reminders")
PRINTS = {
    "producer": "Counts(waiting=11, prioritized=1, delayed=1",
    "handlers": "{'skipped': 'empty'}\ndone\ntoo long\n1\n",
    "around": "['pulse', 'morning']\n",
    "flows": "['300 words, 1 page lost', 'an index of 1 page']\n",
    "test_reminder": "passed\n",
}


@pytest.fixture
def programs(tmp_path: Path, redis_url: str) -> Path:
    """The README's programs in a folder, with this test's server and queues of its own."""
    unique = secrets.token_hex(4)
    for name, text in PROGRAM.findall(README.read_text("utf-8")):
        own = text.replace("redis://localhost:6379", redis_url)
        for queue in QUEUES:
            own = own.replace(f'"{queue}"', f'"{queue}-{unique}"')
        (tmp_path / f"{name}.py").write_text(own, "utf-8")
    return tmp_path


def test_every_block_of_python_is_a_program_that_is_run() -> None:
    text = README.read_text("utf-8")
    assert text.count("```python\n") == len(PROGRAM.findall(text)) == len(PRINTS) + 1


async def test_the_worker_does_what_the_producer_adds(programs: Path) -> None:
    worker = await start(programs, "worker")
    producer = await start(programs, "producer")
    printed, _ = await producer.communicate()
    assert producer.returncode == 0
    assert b"Counts(" in printed
    assert worker.stdout is not None
    async with asyncio.timeout(20):
        lines = [(await worker.stdout.readline()).decode().strip() for _ in range(13)]
    assert sorted(lines) == sorted(f"welcome, {user}" for user in range(7, 20))
    worker.terminate()
    assert await worker.wait() == 0


@pytest.mark.parametrize("name", PRINTS)
async def test_a_program_runs_and_prints_what_it_should(programs: Path, name: str) -> None:
    program = await start(programs, name)
    async with asyncio.timeout(30):
        printed, _ = await program.communicate()
    assert program.returncode == 0, printed.decode()
    assert PRINTS[name] in printed.decode()


async def start(folder: Path, name: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", f"{name}.py", cwd=folder,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
