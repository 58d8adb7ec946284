"""docs/connections.md lists the rights of a Redis user: what the scripts that are checked at start use, and no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from carequeue.lua.loader import load
from carequeue.store.server import COMMAND, PRODUCER, WORKER

PAGE = Path(__file__).parents[2] / "libs/carequeue/docs/connections.md"
NO_COMMANDS = {"COUNT", "KEEPTTL", "LIMIT", "MAXLEN", "WITHSCORES"}
"""What scripts say in capitals beside commands."""


@pytest.mark.parametrize(
    ("role", "scripts", "beside"),
    [("producer", PRODUCER, "eval evalsha"), ("worker", WORKER, "eval evalsha bzpopmin ping client|setname")],
)
def test_the_page_lists_what_scripts_use(role: str, scripts: tuple[str, ...], beside: str) -> None:
    [line] = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith(f"ACL SETUSER {role} ")]
    listed = {rule.removeprefix("+") for rule in line.split() if rule.startswith("+")}
    used = {command for script in scripts for command in COMMAND.findall(load(script).text)} - NO_COMMANDS
    assert listed == {*beside.split(), *map(str.lower, used)}
