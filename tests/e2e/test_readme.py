"""The README's walk-through, as written, against `carecircle up`."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.waiting import eventually

from carecircle_cli.engines import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
DEFAULT_PORTS = {"api": "8000", "inbox": "8025", "push": "8026"}

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]


@pytest.fixture
async def ports(tmp_path: Path) -> AsyncIterator[dict[str, int]]:
    """The ports of a system that `carecircle up` has started, without the demo."""
    data, output = tmp_path / "data", tmp_path / "up.log"
    command = [
        sys.executable,
        "-m",
        "carecircle_cli",
        "up",
        "--no-demo",
        "--port",
        str(free_port()),
        "--data-dir",
        str(data),
    ]
    with output.open("wb") as log:
        up = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: ASYNC220 - starting it takes no time
    try:
        await eventually(lambda: "Up in" in output.read_text() or up.poll() is not None, "it is up", seconds=120)
        assert up.poll() is None, output.read_text()
        yield json.loads((data / "ports.json").read_text())
        up.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(up.wait, 60) == 0, output.read_text()
    finally:
        up.kill()
        up.wait()


async def test_the_walk_through_works_as_written(ports: dict[str, int]) -> None:
    script = "".join(BLOCK.findall((ROOT / "README.md").read_text()))
    for name, default in DEFAULT_PORTS.items():
        assert f"127.0.0.1:{default}" in script
        script = script.replace(f"127.0.0.1:{default}", f"127.0.0.1:{ports[name]}")
    script = script.replace("PYTHON=.venv/bin/python", f"PYTHON={sys.executable}")

    run = await asyncio.to_thread(
        subprocess.run,
        ["bash", "-euo", "pipefail", "-c", script],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    answers = [json.loads(line) for line in _documents(run.stdout)]
    (deliveries,) = [answer for answer in answers if "items" in answer and "channel" in (answer["items"] or [{}])[0]]
    assert {row["channel"]: row["state"] for row in deliveries["items"]}["email"] == "sent"
    assert answers[-1]["status"] == "taken"


def _documents(text: str) -> list[str]:
    """The JSON documents that curl printed one after another."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text):
        _, end = decoder.raw_decode(text, at)
        found.append(text[at:end])
        at = end
    return found
