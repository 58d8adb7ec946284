"""The supervisor with real child processes: crashes, refusals to end, orphans, signals, output."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest
from tests.waiting import eventually

from carecircle_cli.up.child import ChildFailed
from carecircle_cli.up.supervisor import RestartPolicy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.services.cli.conftest import Recorder

    from carecircle_cli.engines import Program
    from carecircle_cli.up.supervisor import Supervisor

POLITE = """
    ready()
    until_told(signal.SIGTERM)
    note("bye-" + pathlib.Path(__file__).stem)
"""
STUBBORN = """
    ready()
    while True:
        until_told(signal.SIGTERM)
        note("no")
"""


async def test_stages_are_stopped_in_the_reverse_of_their_order(
    supervisor: Supervisor, recorder: Recorder, script: Callable[..., Program], notes: Callable[[], list[str]]
) -> None:
    await supervisor.start([script("engine", POLITE)], [script("worker", POLITE)], [script("api", POLITE)])
    await supervisor.stop()
    assert notes() == ["bye-api", "bye-worker", "bye-engine"]
    assert [name for _, name in recorder.of("stopped")] == ["api", "worker", "engine"]
    assert supervisor.children == []


async def test_a_crashed_child_is_started_again_and_said(
    supervisor: Supervisor, recorder: Recorder, script: Callable[..., Program], tmp_path: Path
) -> None:
    body = """
        print("about to fall over", flush=True)
        ready()
        if not (folder / "fell").exists():
            (folder / "fell").touch()
            sys.exit(3)
        until_told(signal.SIGTERM)
    """
    await supervisor.start([script("worker", body)])
    await recorder.until("back")
    assert recorder.of("crashed") == [("crashed", "worker", "ended with exit code 3", "about to fall over", 0.01)]
    assert (tmp_path / "logs" / "worker.log").read_text() == "about to fall over\n" * 2


async def test_a_child_killed_from_outside_comes_back(
    supervisor: Supervisor, recorder: Recorder, script: Callable[..., Program]
) -> None:
    await supervisor.start([script("worker", POLITE)])
    first = supervisor.children[0].pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await recorder.until("back")
    assert recorder.of("crashed")[0][2] == "was ended by SIGKILL"
    assert supervisor.children[0].pid != first


async def test_a_child_that_crashes_again_and_again_waits_longer_each_time(
    supervisor: Supervisor, recorder: Recorder, script: Callable[..., Program]
) -> None:
    body = """
        if (folder / "once").exists():
            sys.exit(7)
        (folder / "once").touch()
        ready()
        sys.exit(3)
    """
    await supervisor.start([script("worker", body)])
    crashes = (await recorder.until("crashed", times=4))[:4]
    assert [again_in for *_, again_in in crashes] == [0.01, 0.02, 0.04, 0.04]
    assert [how for _, _, how, *_ in crashes[:2]] == [
        "ended with exit code 3",
        "ended with exit code 7 before it was ready",
    ]


def test_delays_between_starts_double_up_to_a_limit() -> None:
    policy = RestartPolicy()
    assert [policy.delay(crashes) for crashes in (1, 2, 3, 6, 7, 100_000)] == [0.5, 1, 2, 16, 30, 30]


async def test_a_child_that_does_not_come_up_fails_the_start_with_its_last_words(
    supervisor: Supervisor, script: Callable[..., Program]
) -> None:
    broken = script("broken", 'print("no such database"); sys.exit(1)')
    with pytest.raises(ChildFailed, match="broken ended with exit code 1 before it was ready:\nno such database"):
        await supervisor.start([script("engine", POLITE)], [broken])


async def test_a_child_that_is_never_ready_fails_the_start_in_time(
    supervisor: Supervisor, script: Callable[..., Program]
) -> None:
    with pytest.raises(ChildFailed, match=r"slow was not ready within 0\.3 s; see .*slow\.log"):
        await supervisor.start([script("slow", "until_told(signal.SIGTERM)", ready_within=0.3)])
    assert not any(child.running for child in supervisor.children)


async def test_a_child_that_ignores_sigterm_is_killed_after_its_grace(
    supervisor: Supervisor, recorder: Recorder, script: Callable[..., Program], notes: Callable[[], list[str]]
) -> None:
    await supervisor.start([script("stubborn", STUBBORN, grace=0.3)])
    await supervisor.stop()
    assert recorder.of("killed") == [("killed", "stubborn")]
    assert notes() == ["no"]


async def test_kill_cuts_a_slow_stop_short(
    supervisor: Supervisor,
    script: Callable[..., Program],
    tmp_path: Path,
) -> None:
    await supervisor.start([script("engine", STUBBORN, grace=60)], [script("api", STUBBORN, grace=60)])
    stopping = asyncio.create_task(supervisor.stop())
    await eventually((tmp_path / "notes").exists, "the api has refused, so the stop is under way")
    supervisor.kill()
    async with asyncio.timeout(10):
        await stopping
    assert supervisor.children == []


async def test_stopping_while_a_crashed_child_waits_for_its_restart_starts_nothing(
    supervisor: Supervisor, recorder: Recorder, script: Callable[..., Program]
) -> None:
    supervisor.policy = RestartPolicy(first=60)
    await supervisor.start([script("worker", "ready()")])
    await recorder.until("crashed")
    await supervisor.stop()
    assert recorder.of("back") == []


async def test_what_a_child_started_ends_with_it(
    supervisor: Supervisor,
    script: Callable[..., Program],
    tmp_path: Path,
    is_gone: Callable[[int], bool],
) -> None:
    body = """
        child = os.fork()
        if child == 0:
            signal.sigwait({signal.SIGUSR1})
        (folder / "grandchild").write_text(str(child))
        ready()
        until_told(signal.SIGTERM)
    """
    await supervisor.start([script("parent", body)])
    await supervisor.stop()
    grandchild = int((tmp_path / "grandchild").read_text())
    await eventually(lambda: is_gone(grandchild), "the grandchild is gone")


async def test_a_program_that_ends_by_itself_is_waited_for(
    supervisor: Supervisor, script: Callable[..., Program], notes: Callable[[], list[str]]
) -> None:
    await supervisor.run(script("migrate", 'note("migrated")'))
    assert notes() == ["migrated"]
    with pytest.raises(ChildFailed, match="migrate ended with exit code 2:\nlocked"):
        await supervisor.run(script("migrate", 'print("locked"); sys.exit(2)'))


async def test_its_warnings_are_shown_and_all_of_its_output_is_kept(
    supervisor: Supervisor, recorder: Recorder, script: Callable[..., Program], tmp_path: Path
) -> None:
    body = r"""
        sys.stdout.buffer.write(b"quiet\n" + b"x" * 300_000 + b"\nWARNING \xff\n")
        sys.stdout.flush()
        print("WARNING on stderr", file=sys.stderr)
        ready()
        until_told(signal.SIGTERM)
    """
    await supervisor.start([script("worker", body, shown=lambda line: line if line.startswith("WARNING") else None)])
    assert await recorder.until("line", times=2) == [
        ("line", "worker", "WARNING \ufffd"),
        ("line", "worker", "WARNING on stderr"),
    ]
    assert (tmp_path / "logs" / "worker.log").stat().st_size == len("quiet\n") + 300_001 + 10 + 18


async def test_a_log_that_cannot_be_written_does_not_stop_the_child(
    supervisor: Supervisor, recorder: Recorder, script: Callable[..., Program], tmp_path: Path
) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "worker.log").symlink_to("/dev/full")
    body = """
        sys.stdout.write("x" * 1_000_000)  # more than a pipe holds
        sys.stdout.flush()
        ready()
        until_told(signal.SIGTERM)
    """
    await supervisor.start([script("worker", body)])
    assert [text for *_, text in recorder.of("line")] == [
        f"its log cannot be written ({tmp_path}/logs/worker.log: No space left on device)"
    ]
