"""`carecircle up` as a person starts it: from an empty folder to a delivered reminder, and on with the same data."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
from tests.waiting import eventually

from carecircle_cli.up.data_dir import DataDir
from carecircle_cli.up.plan import PORTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

DELIVERED = re.compile(r"✓ the (e-mail|push) to \w+ was sent \d+\.\d s after it was due")


class Up:
    """A running `carecircle up`, and what it has printed so far."""

    def __init__(self, folder: Path, output: Path, *arguments: str) -> None:
        self.data = DataDir(folder)
        self.output = output
        environment = {key: value for key, value in os.environ.items() if not key.startswith("CARECIRCLE_")}
        for name in ("DATABASE_URL", "REDIS_URL"):
            environment.pop(name, None)
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "carecircle_cli", "up", "--data-dir", str(folder), *arguments],
                stdout=file, stderr=file, env=environment, start_new_session=True,
            )  # fmt: skip

    @property
    def text(self) -> str:
        return self.output.read_text()

    @property
    def is_up(self) -> bool:
        assert self.process.poll() is None, self.text
        return "  Up in " in self.text

    def children(self) -> list[int]:
        """The processes that it runs, by what the kernel says of them."""
        found: list[int] = []
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                text = status.read_text()
            except OSError:
                continue
            if f"\nPPid:\t{self.process.pid}\n" in text:
                found.append(int(status.parent.name))
        return found


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    started: list[Up] = []

    def launch(*arguments: str) -> Up:
        if not started:  # not the numbers that people's own `carecircle up` likes to have
            with (data := DataDir(tmp_path / "data")).lock():
                data.ports(dict.fromkeys(PORTS, 0), {})
        up = Up(tmp_path / "data", tmp_path / f"output-{len(started)}", *arguments)
        started.append(up)
        return up

    yield launch
    for up in started:
        up.process.kill()
        up.process.wait()


async def test_from_nothing_to_delivered_reminders_and_on_with_the_same_data(
    start: Callable[..., Up], is_gone: Callable[[int], bool]
) -> None:
    up = start()
    await eventually(lambda: up.is_up, "it is up", 90)
    children = up.children()
    assert len(children) == 8  # two engines, two sinks, four services
    other = start()
    await eventually(lambda: other.process.poll() == 1, "a second one on the same folder gives up", 30)
    assert f"already (process {up.process.pid}, " in other.text
    await eventually(lambda: len(set(DELIVERED.findall(up.text))) == 2, "a mail and a push were delivered", 120)
    assert mails(up) >= 1

    os.killpg(up.process.pid, signal.SIGINT)
    assert up.process.wait(60) == 0, up.text
    assert all(is_gone(pid) for pid in children)
    stopped = re.findall(r"■ ([\w ]+?)  +\d", up.text)
    assert stopped[:2] == ["API", "dispatcher"]
    assert set(stopped[2:4]) == {"email worker", "push worker"}
    assert stopped[-2:] == ["Redis", "PostgreSQL"]

    again = start()
    await eventually(lambda: again.is_up, "it is up again", 90)
    assert circle(again) == (1, 3)
    os.kill(again.process.pid, signal.SIGKILL)
    again.process.wait()


async def test_a_crashed_service_comes_back_and_a_killed_supervisor_leaves_nobody(
    start: Callable[..., Up], is_gone: Callable[[int], bool]
) -> None:
    up = start("--no-demo")
    await eventually(lambda: up.is_up, "it is up", 90)
    children = up.children()
    (dispatcher,) = [pid for pid in children if "carecircle_dispatcher" in command_of(pid)]
    os.kill(dispatcher, signal.SIGKILL)
    await eventually(lambda: "dispatcher is back" in up.text, "the dispatcher is back", 60)
    assert "dispatcher was ended by SIGKILL; starting it again in 0.5 s" in up.text

    children = up.children()
    up.process.kill()
    up.process.wait()
    await eventually(lambda: all(is_gone(pid) for pid in children), "no child is left", 20)


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def mails(up: Up) -> int:
    """How many mails the inbox page's API knows."""
    ports = json.loads((up.data.path / "ports.json").read_text())
    return len(httpx2.get(f"http://127.0.0.1:{ports['inbox']}/api/messages").json()["messages"])


def circle(up: Up) -> tuple[int, int]:
    """How many patients and medications the demo's owner sees, after logging in with what the table says."""
    demo = json.loads(up.data.demo.read_text())
    assert demo["password"] in up.text
    running = up.data.running()
    assert running is not None
    form = {"username": demo["owner"], "password": demo["password"]}
    with httpx2.Client(base_url=f"{running.api_url}/v1") as client:
        token = client.post("/auth/token", data=form).json()["access_token"]
        client.headers["authorization"] = f"Bearer {token}"
        patients = client.get("/patients").json()["items"]
        return len(patients), len(client.get(f"/patients/{patients[0]['id']}/medications").json()["items"])
