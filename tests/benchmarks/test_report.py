"""From rows to the table: medians, and ratios that say "better" in one direction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.benchmarks.report import BEGIN, END, Measure, Row, summary, tables, write_json, write_page
from tests.benchmarks.scenarios import quantile

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [
    Row("S2", "carequeue", {"rate": 30.0}, foreign=0.1),
    Row("S2", "carequeue", {"rate": 10.0}, foreign=0.5),
    Row("S2", "carequeue", {"rate": 20.0}, foreign=0.0),
    Row("S2", "bullmq_node", {"rate": 5.0}, foreign=1.0),
    Row("S2", "bullmq_python", {}, foreign=None, error="no job ran"),
    Row("S4", "carequeue", {"p50": 4.0}, foreign=0.0),
    Row("S4", "bullmq_node", {"p50": 8.0}, foreign=0.0),
    Row("S5", "carequeue", {"bytes": 800.0}, foreign=0.0),
    Row("S5", "bullmq_node", {"bytes": 400.0}, foreign=0.0),
]
PEERS = ["carequeue", "bullmq_python", "bullmq_node"]


def line(table: str, title: str) -> list[str]:
    [found] = [row for row in table.splitlines() if title in row]
    return [cell.strip() for cell in found.strip("|").split("|")][1:]


def test_the_table_has_medians_and_says_how_many_times_better_we_are() -> None:
    table = tables(summary(ROWS), PEERS)

    assert line(table, "S2 drain") == ["20.0", "-", "5.00*", "-", "4.00"]
    assert line(table, "S4 late p50") == ["4.00", "-", "8.00", "-", "2.00"]
    assert line(table, "S5 delayed") == ["800", "-", "400", "-", "0.50"]


def test_a_table_without_us_has_no_ratios() -> None:
    assert line(tables(summary(ROWS), ["bullmq_node"]), "S2 drain") == ["5.00*"]


def test_the_file_has_the_medians_by_scenario_and_peer(tmp_path: Path) -> None:
    write_json(tmp_path / "bench.json", summary(ROWS))

    written = json.loads((tmp_path / "bench.json").read_text())
    assert written["S2"]["carequeue"] == {"rate": 20.0, "foreign": 0.1}
    assert written["S5"]["bullmq_node"] == {"bytes": 400.0, "foreign": 0.0}


def test_the_documents_results_are_replaced_and_its_words_stay(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text(f"# Words\n\n{BEGIN}\n\nold\n\n{END}\n\nMore words.\n")
    write_page(page, "new")
    assert page.read_text() == f"# Words\n\n{BEGIN}\n\nnew\n\n{END}\n\nMore words.\n"


@pytest.mark.parametrize(("more_is_better", "expected"), [(True, 2.0), (False, 0.5)])
def test_a_ratio_above_one_is_always_good(more_is_better: bool, expected: float) -> None:
    assert Measure("", "", "", more_is_better).ratio(10.0, 5.0) == expected
    assert Measure("", "", "", more_is_better=False).ratio(0.0, 5.0) is None


def test_quantiles_are_values_that_were_seen() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([1.0], 0.99) == 1.0
