"""What pyright knows of a program that uses carequeue: the payload's type everywhere, and every wrong word."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

USE = Path(__file__).parent / "carequeue_use.py"
MARK = re.compile(r"# (?:is (?P<type>.+)|(?P<error>error))$")
REVEALED = re.compile(r'^Type of ".*" is "(?P<type>.*)"$', re.DOTALL)


@pytest.mark.slow
def test_pyright_sees_the_types_and_the_mistakes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, str(USE)]
    ran = subprocess.run(command, capture_output=True, check=False, text=True, cwd=tmp_path)
    told = json.loads(ran.stdout)["generalDiagnostics"]

    expected = {
        number: mark["type"] or "error"
        for number, line in enumerate(USE.read_text().splitlines())
        if (mark := MARK.search(line))
    }
    seen: dict[int, str] = {}
    for diagnostic in told:
        revealed = REVEALED.match(diagnostic["message"])
        seen[diagnostic["range"]["start"]["line"]] = revealed["type"] if revealed else diagnostic["severity"]
    assert seen == expected
