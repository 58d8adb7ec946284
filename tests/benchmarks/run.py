"""carequeue beside BullMQ for Python and for Node: `python tests/benchmarks/run.py [S2 S4 …] [--quick]`.

Starts its own Valkey without persistence, runs the scenarios peer by peer, prints a table with ratios and what else the
machine was doing, and writes the medians to build/bench.json. `scenarios.py` says what is measured.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.benchmarks.bench import Bench, Failed  # noqa: E402
from tests.benchmarks.peers import PEERS, Peer, prepare  # noqa: E402
from tests.benchmarks.report import Row, summary, tables, write_json  # noqa: E402
from tests.benchmarks.scenarios import FULL, QUICK, SCENARIOS, Sizes  # noqa: E402

from carecircle_cli.engines import EmbeddedValkey  # noqa: E402 - after the path, as all of these

BUILD = ROOT / "build" / "bench"
RESULT = ROOT / "build" / "bench.json"


def main() -> int:
    asked = arguments()
    peers = [PEERS[name] for name in asked.peers.split(",")]
    sizes = QUICK if asked.quick else FULL
    for peer in peers:
        prepare(peer, BUILD)
    server = EmbeddedValkey(BUILD / "valkey", persistent=False)
    server.start()
    try:
        rows = measure(Bench(server.url()), asked.scenarios or list(SCENARIOS), peers, sizes, asked.repeat)
    finally:
        server.stop()
    found = summary(rows)
    say("\n" + tables(found, [peer.name for peer in peers]))
    write_json(RESULT, found)
    say(f"\nMedians: {RESULT.relative_to(ROOT)}")
    return 1 if any(row.error for row in rows) else 0


def measure(bench: Bench, names: list[str], peers: list[Peer], sizes: Sizes, repeat: int) -> list[Row]:
    """Every scenario for every peer. Peers are inside a repeat, so that a noisy minute is shared by all."""
    rows: list[Row] = []
    for name in names:
        for _ in range(repeat):
            for peer in peers:
                row = one(bench, name, peer, sizes)
                rows.append(row)
                say(f"{time.strftime('%H:%M:%S')} {row}")
    return rows


def one(bench: Bench, name: str, peer: Peer, sizes: Sizes) -> Row:
    load = bench.load()
    try:
        figures = SCENARIOS[name](bench, peer, sizes)
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
        help=f"{', '.join(SCENARIOS)}; all if none is named (S5 is taken with S4)",
    )
    parser.add_argument("--peers", default=",".join(PEERS), help=f"comma-separated, of {', '.join(PEERS)}")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each scenario; medians are shown")
    parser.add_argument("--quick", action="store_true", help="few jobs, under a minute: does everything complete?")
    asked = parser.parse_args()
    unknown = set(asked.peers.split(",")) - set(PEERS)
    if unknown:
        parser.error(f"no such peer: {', '.join(sorted(unknown))}")
    return asked


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
