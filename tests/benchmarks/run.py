"""carequeue beside the job queues a Python user would pick, and BullMQ for Node.

`python tests/benchmarks/run.py [S2 G1 …] [--quick] [--peers carequeue,huey]`. Starts its own Valkey without persistence
(and a durable PostgreSQL for peers that live there), runs the scenarios peer by peer, prints a table with ratios and
what else the machine was doing, and writes the medians to build/bench.json. `scenarios.py` says what is measured.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.benchmarks.bench import Bench, Failed  # noqa: E402
from tests.benchmarks.growth import GROWTH  # noqa: E402
from tests.benchmarks.peers import PEERS, QUICK_PEERS, Peer, prepare  # noqa: E402
from tests.benchmarks.report import Row, summary, tables, write_json, write_page  # noqa: E402
from tests.benchmarks.scenarios import FULL, QUICK, Sizes  # noqa: E402
from tests.benchmarks.scenarios import SCENARIOS as ONES  # noqa: E402

from carecircle_cli.engines import EmbeddedPostgres, EmbeddedValkey  # noqa: E402 - after the path, as all of these

SCENARIOS = ONES | GROWTH
BUILD = ROOT / "build" / "bench"
RESULT = ROOT / "build" / "bench.json"
PAGE = ROOT / "docs" / "benchmarks.md"


def main() -> int:
    asked = arguments()
    sizes = QUICK if asked.quick else FULL
    peers = installed([PEERS[name] for name in asked.peers.split(",")])
    if not peers:
        return 1
    with engines(peers) as bench:
        rows = measure(bench, asked.scenarios or list(SCENARIOS), peers, sizes, asked.repeat)
    found = summary(rows)
    table = tables(found, [peer.name for peer in peers])
    say("\n" + table)
    write_json(RESULT, found)
    if asked.write_docs:
        where = f"{os.cpu_count()} cores, Python {platform.python_version()}"
        write_page(PAGE, f"{time.strftime('%Y-%m-%d')}, {where}, medians of {asked.repeat}.\n\n{table}")
    say(f"\nMedians: {RESULT.relative_to(ROOT)}")
    # what another one cannot do is a line of the report; what ours cannot is a failure
    return 1 if any(row.error for row in rows if PEERS[row.peer].speaks_bullmq) else 0


def installed(peers: list[Peer]) -> list[Peer]:
    """Those that can be measured here; why another cannot is said."""
    ready: list[Peer] = []
    for peer in peers:
        try:
            prepare(peer, BUILD)
        except (subprocess.CalledProcessError, OSError) as problem:
            say(f"{peer.title} is left out: it cannot be installed here: {problem}")
        else:
            ready.append(peer)
    return ready


@contextmanager
def engines(peers: list[Peer]) -> Generator[Bench]:
    """The servers that these peers need, until the end."""
    with ExitStack() as stack:
        valkey = EmbeddedValkey(BUILD / "valkey", persistent=False)
        valkey.start()
        stack.callback(valkey.stop)
        postgres = None
        if any(peer.store == "postgres" for peer in peers):
            postgres = EmbeddedPostgres(BUILD / "postgres", durable=True)
            postgres.start()
            stack.callback(postgres.stop)
        yield Bench(valkey, postgres)


def measure(bench: Bench, names: list[str], peers: list[Peer], sizes: Sizes, repeat: int) -> list[Row]:
    """Every scenario for every peer. Peers are inside a repeat, so that a noisy minute is shared by all."""
    rows: list[Row] = []
    for name in names:
        for _ in range(repeat):
            for peer in peers:
                if name not in peer.scenarios:
                    continue
                row = one(bench, name, peer, sizes)
                rows.append(row)
                say(f"{time.strftime('%H:%M:%S')} {row}")
    return rows


def one(bench: Bench, name: str, peer: Peer, sizes: Sizes) -> Row:
    load = bench.load()
    try:
        figures = SCENARIOS[name](bench, peer, sizes.of(peer))
    except Failed as problem:
        return Row(name, peer.name, {}, foreign=None, error=str(problem))
    return Row(name, peer.name, figures, foreign=load.foreign())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="run.py"
    )
    parser.add_argument(
        "scenarios",
        nargs="*",
        choices=[*SCENARIOS, []],
        metavar="SCENARIO",
        help=f"{', '.join(SCENARIOS)}; all if none is named",
    )
    parser.add_argument("--peers", help=f"comma-separated, of {', '.join(PEERS)}; all, or with --quick the BullMQs")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each scenario; medians are shown")
    parser.add_argument("--quick", action="store_true", help="few jobs, under a minute: does everything complete?")
    parser.add_argument("--write-docs", action="store_true", help="write the table into docs/benchmarks.md")
    asked = parser.parse_args()
    asked.peers = asked.peers or ",".join(QUICK_PEERS if asked.quick else PEERS)
    unknown = set(asked.peers.split(",")) - set(PEERS)
    if unknown:
        parser.error(f"no such peer: {', '.join(sorted(unknown))}")
    return asked


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
