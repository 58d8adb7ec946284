"""The operator's tool, run in the process of a test."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from carequeue.cli import main

if TYPE_CHECKING:
    import pytest


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Tool:
    """Runs commands on a queue."""

    url: str
    queue: str
    capsys: pytest.CaptureFixture[str]

    async def __call__(self, command: str, *arguments: str, queue: bool = True) -> Said:
        words = [command, *([self.queue] if queue else []), *arguments, "--url", self.url]
        self.capsys.readouterr()
        code = await asyncio.to_thread(run_main, words)
        out, err = self.capsys.readouterr()
        return Said(code, out, err)

    async def rows(self, command: str, *arguments: str, queue: bool = True) -> list[dict[str, Any]]:
        said = await self(command, *arguments, "--json", queue=queue)
        assert said.code == 0, said.err
        return said.rows


def run_main(words: list[str]) -> int:
    try:
        return main(words)
    except SystemExit as ended:  # argparse's own
        return int(ended.code or 0)
