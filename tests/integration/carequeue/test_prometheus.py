"""A scrape tells what workers do and where jobs are, on a real server."""

from __future__ import annotations

import asyncio
import logging
import urllib.request
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry, start_http_server
from tests.scraping import page_of

from carequeue import Backoff, Inspector, Job, NewJob, Queue, Telemetry, Worker
from carequeue.prometheus import PrometheusTelemetry
from carequeue.testing import Signal, drain

if TYPE_CHECKING:
    from carecircle_cli.engines import EmbeddedValkey

pytestmark = pytest.mark.redis

NewWorker = Callable[..., Worker]


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry(auto_describe=True)


async def test_what_became_of_jobs_is_told_by_name_and_outcome(
    queue: Queue, redis_url: str, new_worker: NewWorker, registry: CollectorRegistry
) -> None:
    telemetry, done = Telemetry(PrometheusTelemetry(registry)), Signal("done")
    most_running: list[float] = []

    async def work(job: Job[Any]) -> None:
        most_running.append(page_of(registry)["carequeue_jobs_running", queue.name])
        if job.name == "spill" or (job.name == "twice" and not job.attempts_made):
            raise ValueError("private")

    async with Queue(queue.name, redis_url, telemetry=telemetry) as told:
        await told.add_bulk([NewJob("paint", {})] * 3)
        await told.add("spill")
        await told.add("twice", attempts=2, backoff=Backoff.fixed(timedelta(milliseconds=1)))
    worker = new_worker(work, telemetry=telemetry)
    worker.on_completed(done)
    async with worker:
        await done.wait(4)

    page = page_of(registry)

    def ended(name: str, outcome: str) -> float:
        return page.get(("carequeue_job_duration_seconds_count", queue.name, name, outcome), 0)

    assert (ended("paint", "completed"), ended("spill", "failed")) == (3, 1)
    assert (ended("twice", "retrying"), ended("twice", "completed")) == (1, 1)
    assert page["carequeue_jobs_added_total", queue.name, "paint"] == 3
    assert page["carequeue_job_wait_seconds_count", queue.name, "twice"] == 1
    assert page["carequeue_jobs_fetched_total", queue.name] == 6
    assert page["carequeue_step_duration_seconds_count", queue.name] >= 6
    assert set(most_running) == {1.0}
    assert page["carequeue_jobs_running", queue.name] == page["carequeue_workers", queue.name] == 0
    assert page["carequeue_locks_lost_total", queue.name] == 0


async def test_a_scrape_in_a_thread_looks_into_the_watched_queues(
    queue: Queue, new_worker: NewWorker, registry: CollectorRegistry
) -> None:
    prometheus = PrometheusTelemetry(registry)
    prometheus.watch(queue)
    await queue.add_bulk([NewJob("paint", {})] * 3)
    await drain(new_worker(lambda job: None, max_data_points=5))
    await queue.add("paint", delay=timedelta(hours=1))
    page = await asyncio.to_thread(page_of, registry)
    assert page["bullmq_job_count", queue.name, "completed"] == 3
    assert page["bullmq_job_count", queue.name, "delayed"] == 1
    assert page["bullmq_job_completed_total", queue.name] == 3
    assert page["bullmq_job_failed_total", queue.name] == 0
    await queue.add("paint")
    page = await asyncio.to_thread(page_of, registry)
    assert page["bullmq_job_count", queue.name, "waiting"] == 1


async def test_prometheus_own_server_serves_it_all(queue: Queue, registry: CollectorRegistry) -> None:
    PrometheusTelemetry(registry).watch(queue)
    await queue.add("paint")
    server, thread = start_http_server(0, "127.0.0.1", registry)
    try:
        url = f"http://127.0.0.1:{server.server_port}/metrics"
        page = await asyncio.to_thread(lambda: urllib.request.urlopen(url).read().decode())
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert f'bullmq_job_count{{queue="{queue.name}",state="waiting"}} 1.0' in page


async def test_a_scrape_in_the_event_loop_tells_what_was_refreshed_or_recorded(
    queue: Queue, redis_url: str, registry: CollectorRegistry
) -> None:
    prometheus = PrometheusTelemetry(registry)
    waiting = ("bullmq_job_count", queue.name, "waiting")
    await queue.add("paint")
    prometheus.watch(queue)
    assert waiting not in page_of(registry)
    await prometheus.refresh()
    assert page_of(registry)[waiting] == 1
    await queue.add("paint")
    async with Inspector(queue.name, redis_url, telemetry=Telemetry(prometheus)) as inspector:
        await inspector.record_job_counts()
    assert page_of(registry)[waiting] == 2
    assert ("bullmq_job_completed_total", queue.name) not in page_of(registry)


async def test_numbers_that_cannot_be_looked_up_are_left_out(
    own_valkey: EmbeddedValkey, queue: Queue, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    prometheus = PrometheusTelemetry(registry)
    async with Queue("lost", own_valkey.url()) as lost:
        prometheus.watch(lost, queue)
        await prometheus.refresh()
        assert page_of(registry)["bullmq_job_count", "lost", "waiting"] == 0
        own_valkey.stop()
        with caplog.at_level(logging.WARNING, "carequeue.prometheus"):
            await prometheus.refresh()
        page = page_of(registry)
    assert ("bullmq_job_count", "lost", "waiting") not in page
    assert page["bullmq_job_count", queue.name, "waiting"] == 0
    assert [record.message for record in caplog.records] == ["prometheus.counts_missing"]


async def test_a_scrape_after_the_end_of_the_loop_tells_no_old_numbers(
    queue: Queue, registry: CollectorRegistry
) -> None:
    def elsewhere() -> None:
        async def note_and_end() -> None:
            prometheus = PrometheusTelemetry(registry)
            prometheus.watch(Inspector(queue.name))
            Telemetry(prometheus).emit("queue.counted", queue=queue.name, counts={"waiting": 3})
            assert page_of(registry)["bullmq_job_count", queue.name, "waiting"] == 3

        asyncio.run(note_and_end())
        assert ("bullmq_job_count", queue.name, "waiting") not in page_of(registry)

    await asyncio.to_thread(elsewhere)
