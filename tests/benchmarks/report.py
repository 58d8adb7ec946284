"""From rows to medians, a table with ratios, and a file."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.benchmarks.peers import PEERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

OURS = "carequeue"
CALM = 0.3
"""Cores used by other programs above which a figure is marked: it is too low then, by as much as half."""

BEGIN = "<!-- results: written by `make bench ARGS=--write-docs` -->"
END = "<!-- end of results -->"

Summary = dict[str, dict[str, dict[str, float]]]


@dataclass(frozen=True, slots=True)
class Row:
    """One run of one scenario by one peer."""

    scenario: str
    peer: str
    figures: Mapping[str, float]
    foreign: float | None
    error: str = ""

    def __str__(self) -> str:
        found = self.error or ", ".join(f"{name} {number(value)}" for name, value in self.figures.items())
        return f"{self.scenario} {self.peer}: {found}{'' if self.foreign is None else f' (foreign {self.foreign:.1f})'}"


@dataclass(frozen=True, slots=True)
class Measure:
    """A line of the table: where its figure is found, and whether more is better."""

    title: str
    scenario: str
    figure: str
    more_is_better: bool = True

    def ratio(self, ours: float, theirs: float) -> float | None:
        """How many times better ours is."""
        above, below = (ours, theirs) if self.more_is_better else (theirs, ours)
        return above / below if below > 0 else None


MEASURES = (
    Measure("S1 add one by one, jobs/s", "S1", "one"),
    Measure("S1 add in bulk, jobs/s", "S1", "bulk"),
    Measure("S2 drain, jobs/s", "S2", "rate"),
    Measure("S2 worker CPU, µs/job", "S2", "worker_us", more_is_better=False),
    Measure("S2 server CPU, µs/job", "S2", "engine_us", more_is_better=False),
    Measure("S2 script calls a job", "S2", "calls", more_is_better=False),
    Measure("S3 add to start p50, ms", "S3", "p50", more_is_better=False),
    Measure("S3 add to start p99, ms", "S3", "p99", more_is_better=False),
    Measure("S4 first start after due, ms", "S4", "first", more_is_better=False),
    Measure("S4 late p50, ms", "S4", "p50", more_is_better=False),
    Measure("S4 late p99, ms", "S4", "p99", more_is_better=False),
    Measure("S4 after due, jobs/s", "S4", "rate"),
    Measure("S4 last start after due, ms", "S4", "max", more_is_better=False),
    Measure("S5 delayed job at rest, bytes", "S5", "bytes", more_is_better=False),
    Measure("S5 with the listpack hint, bytes", "S5", "bytes_hint", more_is_better=False),
    Measure("S6 10 ms handler, jobs/s", "S6", "rate"),
    Measure("G1 drain of 20,000 waiting, jobs/s", "G1", "few"),
    Measure("G1 drain of 1,000,000 waiting, jobs/s", "G1", "many"),
    Measure("G1 the first 20,000 of them, jobs/s", "G1", "many_first"),
    Measure("G1 the last 20,000 of them, jobs/s", "G1", "many_last"),
    Measure("G2 one worker process, jobs/s", "G2", "processes_1"),
    Measure("G2 two worker processes, jobs/s", "G2", "processes_2"),
    Measure("G2 four worker processes, jobs/s", "G2", "processes_4"),
    Measure("G3 late p50, ms", "G3", "alone_p50", more_is_better=False),
    Measure("G3 late p50 beside 1,000,000 delayed, ms", "G3", "p50", more_is_better=False),
    Measure("G3 last start, ms", "G3", "alone_max", more_is_better=False),
    Measure("G3 last start beside 1,000,000 delayed, ms", "G3", "max", more_is_better=False),
)


def summary(rows: Sequence[Row]) -> Summary:
    """Medians by scenario, peer and figure."""
    collected: dict[str, dict[str, dict[str, list[float]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    for row in rows:
        for name, value in row.figures.items():
            collected[row.scenario][row.peer][name].append(value)
        if row.foreign is not None and not row.error:
            collected[row.scenario][row.peer]["foreign"].append(row.foreign)
    return {
        scenario: {
            peer: {name: statistics.median(values) for name, values in figures.items()}
            for peer, figures in peers.items()
        }
        for scenario, peers in collected.items()
    }


def tables(found: Summary, peers: Sequence[str]) -> str:
    """The table. The last columns say how many times better carequeue is; `*`: the machine had other work."""
    others = [peer for peer in peers if peer != OURS and OURS in peers]
    head = ["", *(PEERS[peer].title for peer in peers), *(f"times {PEERS[peer].title}" for peer in others)]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for measure in MEASURES:
        figures = {peer: found.get(measure.scenario, {}).get(peer, {}) for peer in peers}
        if any(measure.figure in figure for figure in figures.values()):
            lines.append(
                [
                    measure.title,
                    *(_cell(figures[peer], measure.figure) for peer in peers),
                    *(_ratio(measure, figures[OURS], figures[peer]) for peer in others),
                ]
            )
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", _noise(found)])


def write_json(path: Path, found: Summary) -> None:
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    report: dict[str, Any] = {**found, "machine": machine, "at": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2, sort_keys=True) + "\n")


def write_page(path: Path, results: str) -> None:
    """Put the results between the two marks of a page; what is written around them stays."""
    text = path.read_text("utf-8")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    path.write_text(f"{before}{BEGIN}\n\n{results}\n\n{END}{after}", "utf-8")


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _noise(found: Summary) -> str:
    loads = [figures["foreign"] for peers in found.values() for figures in peers.values() if "foreign" in figures]
    if not loads:
        return "What other programs did meanwhile is not known on this system."
    return (
        f"Other programs used {statistics.median(loads):.1f} of {os.cpu_count()} cores meanwhile, "
        f"at most {max(loads):.1f}; * marks what was measured beside {CALM} or more: "
        "rates are too low then, but ratios still tell."
    )


def _cell(figures: Mapping[str, float], name: str) -> str:
    if name not in figures:
        return "-"
    return number(figures[name]) + ("*" if figures.get("foreign", 0.0) >= CALM else "")


def _ratio(measure: Measure, ours: Mapping[str, float], theirs: Mapping[str, float]) -> str:
    if measure.figure not in ours or measure.figure not in theirs:
        return "-"
    ratio = measure.ratio(ours[measure.figure], theirs[measure.figure])
    return "-" if ratio is None else f"{ratio:.2f}"
