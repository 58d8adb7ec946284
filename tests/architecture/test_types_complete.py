"""The library is typed to the end: what pyright asks of a package with `py.typed`, before somebody else's editor does.

`pyright --verifytypes` looks at an installed package: the sources stand in a throw-away environment of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "libs/carequeue/src/carequeue"


def test_every_public_symbol_of_carequeue_has_a_type_that_is_said(tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    venv.create(environment)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(environment)}))
    (packages / "carequeue").symlink_to(PACKAGE)
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    found = subprocess.run(
        [Path(sys.executable).with_name("pyright"), "--verifytypes", "carequeue", "--ignoreexternal", "--outputjson"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "VIRTUAL_ENV": str(environment), "PATH": f"{environment / 'bin'}:{os.environ['PATH']}"},
    )  # fmt: skip
    report = json.loads(found.stdout)["typeCompleteness"]
    unsaid = [
        f"{symbol['name']}: {problem['message']}"
        for symbol in report["symbols"]
        if symbol["isExported"] and not symbol["isTypeKnown"]
        for problem in symbol["diagnostics"]
    ]
    assert unsaid == []
    assert report["completenessScore"] == 1
    assert report["exportedSymbolCounts"]["withKnownType"] > 1000  # it did look
