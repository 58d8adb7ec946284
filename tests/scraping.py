"""A page of metrics as a scrape reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

LABELS = ("queue", "name", "outcome", "state")


def page_of(registry: CollectorRegistry) -> dict[tuple[str, ...], float]:
    """Each number by its metric and its labels' values in the order of LABELS; without buckets."""
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (sample.name, *(sample.labels[label] for label in LABELS if label in sample.labels)): sample.value
        for family in families
        for sample in family.samples
        if not sample.name.endswith(("_created", "_bucket"))
    }
