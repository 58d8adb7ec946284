"""A queue as text for Prometheus, read by Prometheus's own parser."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from carequeue import Counts, InvalidOption
from carequeue.exposition import checked, text

COUNTS = Counts(1, 2, 3, 4, 5, 6, 7, paused=False)


def read(page: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    families = list(text_string_to_metric_families(page))
    assert [(family.name, family.type) for family in families] == [
        ("bullmq_job_count", "gauge"),
        ("bullmq_job_completed", "counter"),
        ("bullmq_job_failed", "counter"),
    ]
    assert all(family.documentation for family in families)
    return {family.samples[0].name: [(s.labels, s.value) for s in family.samples] for family in families}


def test_every_state_and_both_totals_are_told() -> None:
    page = text("paint", {}, COUNTS.by_state, 50, 60)
    assert page.endswith("\n")
    assert read(page) == {
        "bullmq_job_count": [
            ({"queue": "paint", "state": state}, number)
            for state, number in (
                ("active", 4),
                ("completed", 5),
                ("delayed", 3),
                ("failed", 6),
                ("prioritized", 2),
                ("waiting", 1),
                ("waiting-children", 7),
            )
        ],
        "bullmq_job_completed_total": [({"queue": "paint"}, 50)],
        "bullmq_job_failed_total": [({"queue": "paint"}, 60)],
    }


def test_labels_go_on_every_line_whatever_is_in_them() -> None:
    odd = 'a "b"\\c\nd ☃'
    samples = read(text(odd, checked({"site": odd}), COUNTS.by_state, 0, 0))
    for values in samples.values():
        for labels, _ in values:
            assert labels["queue"] == labels["site"] == odd


@pytest.mark.parametrize("name", ["", "1a", "a-b", "__a", "é", "queue", "state"])
def test_labels_that_cannot_be_used(name: Any) -> None:
    with pytest.raises(InvalidOption):
        checked({name: "x"})
