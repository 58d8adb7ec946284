"""What workers tell, as Prometheus scrapes it: with its client library, read by its parser, and no queue."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.extras import blocked
from tests.scraping import page_of

from carequeue import Inspector, InvalidOption, Telemetry
from carequeue.labels import OTHER
from carequeue.prometheus import PrometheusTelemetry
from carequeue.prometheus.listener import NAME_COUNTERS, OUTCOMES, QUEUE_COUNTERS
from carequeue.telemetry import EVENTS


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry(auto_describe=True)


@pytest.fixture
def telemetry(registry: CollectorRegistry) -> Telemetry:
    return Telemetry(PrometheusTelemetry(registry))


def about(event: str, **said: Any) -> dict[str, Any]:
    known: dict[str, Any] = {
        "queue": "doors", "worker": "w", "concurrency": 1, "handed_back": 0, "abandoned": 0, "job_id": "1",
        "name": "paint", "attempt": 1, "waited": 0.5, "seconds": 0.25, "error": "ValueError", "delay": 0.0, "code": -2,
        "hook": "completed", "parent_id": "2",
        "scheduler_id": "often", "finished": 1, "asked": 3, "fetched": 2, "count": 1,
        "counts": {"waiting": 3}, "state": "completed", "letters": "bull:dead",
        "late": 1.5,
    }  # fmt: skip
    return {field: said.get(field, known[field]) for field in EVENTS[event]}


def test_every_event_it_listens_to_is_one_and_none_breaks_it(
    telemetry: Telemetry, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    assert {*OUTCOMES, *QUEUE_COUNTERS, *NAME_COUNTERS} <= set(EVENTS)
    for event in EVENTS:
        telemetry.emit(event, **about(event))
    assert caplog.records == []
    page = page_of(registry)
    for word, _ in QUEUE_COUNTERS.values():
        assert page[f"carequeue_{word}_total", "doors"] == 1
    for word, _ in NAME_COUNTERS.values():
        assert page[f"carequeue_{word}_total", "doors", "paint"] == 1
    for outcome in OUTCOMES.values():
        assert page["carequeue_job_duration_seconds_sum", "doors", "paint", outcome] == 0.25
    assert page["carequeue_job_wait_seconds_count", "doors", "paint"] == 1
    assert page["carequeue_step_duration_seconds_count", "doors"] == 1
    assert page["carequeue_jobs_fetched_total", "doors"] == 2
    assert page["carequeue_outage_seconds_total", "doors"] == 0.25
    assert page["bullmq_job_count", "doors", "waiting"] == 3


def test_what_runs_is_counted_up_and_down(telemetry: Telemetry, registry: CollectorRegistry) -> None:
    seen: list[tuple[float, float]] = []

    def look() -> None:
        page = page_of(registry)
        seen.append((page["carequeue_workers", "doors"], page["carequeue_jobs_running", "doors"]))

    for event in ("worker.started", "job.started", "job.started", "job.ended", "job.ended", "worker.closed"):
        telemetry.emit(event, **about(event))
        look()
    assert seen == [(1, 0), (1, 1), (1, 2), (1, 1), (1, 0), (0, 0)]


def test_numbers_of_trouble_are_0_from_the_start(telemetry: Telemetry, registry: CollectorRegistry) -> None:
    telemetry.emit("worker.started", **about("worker.started"))
    page = page_of(registry)
    assert {page[f"carequeue_{word}_total", "doors"] for word, _ in QUEUE_COUNTERS.values()} == {0.0}


def test_later_attempts_do_not_wait(telemetry: Telemetry, registry: CollectorRegistry) -> None:
    telemetry.emit("job.started", **about("job.started") | {"waited": None})
    telemetry.emit("job.started", **about("job.started") | {"waited": -0.001})  # clocks of two machines
    page = page_of(registry)
    assert page["carequeue_job_wait_seconds_count", "doors", "paint"] == 1
    assert page["carequeue_job_wait_seconds_sum", "doors", "paint"] == 0


def test_names_that_a_program_makes_up_do_not_fill_the_memory(registry: CollectorRegistry) -> None:
    telemetry = Telemetry(PrometheusTelemetry(registry, max_job_names=2))
    for number in range(50):
        telemetry.emit("job.completed", **about("job.completed", name=f"paint-{number}"))
    counts = {
        key[2]: value for key, value in page_of(registry).items() if key[0] == "carequeue_job_duration_seconds_count"
    }
    assert counts == {"paint-0": 1, "paint-1": 1, OTHER: 48}


def test_times_have_the_buckets_that_were_asked_for(registry: CollectorRegistry) -> None:
    telemetry = Telemetry(PrometheusTelemetry(registry, buckets=(1.0, 60.0)))
    telemetry.emit("job.completed", **about("job.completed", seconds=30.0))
    page = generate_latest(registry).decode()
    [family] = [f for f in text_string_to_metric_families(page) if f.name == "carequeue_job_duration_seconds"]
    assert [(s.labels["le"], s.value) for s in family.samples if s.name.endswith("_bucket")] == [
        ("1.0", 0),
        ("60.0", 1),
        ("+Inf", 1),
    ]


def test_two_in_one_registry_are_refused(registry: CollectorRegistry) -> None:
    PrometheusTelemetry(registry)
    with pytest.raises(ValueError, match=r"[Dd]uplicate"):
        PrometheusTelemetry(registry)


def test_a_missing_extra_is_named() -> None:
    done = blocked({"prometheus_client"}, "import carequeue.prometheus")
    assert "pip install 'carequeue[prometheus]'" in done.stderr


async def test_two_queues_of_one_name_are_refused(registry: CollectorRegistry) -> None:
    prometheus = PrometheusTelemetry(registry)
    doors = Inspector("doors")
    prometheus.watch(doors, Inspector("windows"))
    prometheus.watch(doors)
    with pytest.raises(InvalidOption, match="'doors' is watched already"):
        prometheus.watch(Inspector("doors", prefix="other"))
