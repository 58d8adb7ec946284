"""The operator's tool at a terminal: it asks, Ctrl-C ends it, and what others wrote does not play with the screen."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import sys
from asyncio import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from tests.integration.carequeue.cli_support import Tool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from carequeue import Queue

pytestmark = pytest.mark.redis

PATIENCE = 30


@asynccontextmanager
async def asked(queue: Queue, redis_url: str) -> AsyncIterator[tuple[subprocess.Process, int]]:
    """`drain` at a terminal, after it has asked; and the side where the operator types."""
    operator, terminal = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "carequeue", "drain", queue.name, "--url", redis_url),
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a test's process may ignore Ctrl-C
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(PATIENCE):
            question = await process.stderr.readuntil(b"[y/N] ")
            assert queue.name.encode() in question
            yield process, operator
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(terminal)
        os.close(operator)


@pytest.mark.parametrize(("answer", "code", "left"), [(b"y\n", 0, 0), (b"\n", 2, 1), (b"no\n", 2, 1)])
async def test_it_does_what_was_answered(queue: Queue, redis_url: str, answer: bytes, code: int, left: int) -> None:
    await queue.add("mail")
    async with asked(queue, redis_url) as (process, operator):
        os.write(operator, answer)
        assert await process.wait() == code
    assert (await queue.counts()).waiting == left


async def test_ctrl_c_at_a_question_ends_it_at_once(queue: Queue, redis_url: str) -> None:
    """It used to take two: asyncio's handler waited for a loop that the question kept from running."""
    await queue.add("mail")
    async with asked(queue, redis_url) as (process, _):
        process.send_signal(signal.SIGINT)
        _, errors = await process.communicate()
    assert process.returncode == 130
    assert b"Traceback" not in errors
    assert (await queue.counts()).waiting == 1


async def test_names_neither_colour_nor_break_lines(
    queue: Queue, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await queue.add("ré\x1b[31md\nfalse line", job_id="a")
    tool = Tool(redis_url, queue.name, capsys)
    for command in (["jobs"], ["job", "a"], ["flow", "a"]):
        said = await tool(*command)
        assert "ré\\x1b[31md" in said.out, command
        assert "\x1b" not in said.out, command
        assert not [line for line in said.out.splitlines() if line.startswith("false")], command
    [row] = await tool.rows("jobs")
    assert row["name"] == "ré\x1b[31md\nfalse line"


async def test_a_terminal_that_does_not_know_a_letter_gets_its_number(queue: Queue, redis_url: str) -> None:
    await queue.add("☃é", job_id="a")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "carequeue", "jobs", queue.name, "--url", redis_url),
        env={**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        out, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")
    assert b"\\u2603\xe9" in out
