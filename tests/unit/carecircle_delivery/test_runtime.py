"""Clocks, budgets, health, the fallback's switch, and the life of a process."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from carecircle.runtime.budgets import INNER_BEFORE_OUTER, Budgets
from carecircle.runtime.clock import delay_until, local_time, utc_now
from carecircle.runtime.feeder import Feeder
from carecircle.runtime.health import Check, Health
from carecircle.runtime.metrics import Metrics
from carecircle.runtime.run import until_stopped

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = datetime(2026, 3, 7, 8, 0, tzinfo=UTC)
LEASE = timedelta(seconds=45)


def test_a_delay_counts_by_the_databases_clock_whatever_ours_says() -> None:
    assert delay_until(NOW + timedelta(seconds=10), NOW) >= timedelta(seconds=10)
    assert delay_until(NOW - timedelta(seconds=10), NOW) == timedelta(0)


def test_a_machine_whose_clock_is_ahead_still_waits() -> None:
    behind = utc_now() - timedelta(seconds=90)  # the database's clock
    at = local_time(behind + timedelta(seconds=60), behind)
    assert utc_now() + timedelta(seconds=59) < at < utc_now() + timedelta(seconds=61)


def test_the_budgets_nest() -> None:
    Budgets(lease=LEASE).check()


SETTABLE = [pair for pair in INNER_BEFORE_OUTER if "renewal" not in pair]  # that is a third of the lease


@pytest.mark.parametrize(("inner", "outer"), SETTABLE)
def test_a_budget_that_outlives_what_it_is_in_is_refused(inner: str, outer: str) -> None:
    budgets = Budgets(lease=LEASE)
    wrong = replace(budgets, **{inner: getattr(budgets, outer)})

    with pytest.raises(ValueError, match=f"{inner} .* must be shorter than {outer}"):
        wrong.check()


async def _get(port: int, request: bytes) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    async with asyncio.timeout(5):
        reply = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    head, _, body = reply.partition("\r\n\r\n")
    return int(head.split(" ")[1]), body


async def _fine() -> bool:
    return True


async def _broken() -> bool:
    raise ConnectionError


@pytest.mark.parametrize(
    ("checks", "status", "word"),
    [
        ({"postgres": Check(_fine, needed=True), "redis": Check(_fine)}, 200, '"ok"'),
        ({"postgres": Check(_fine, needed=True), "redis": Check(_broken)}, 200, '"degraded"'),
        ({"postgres": Check(_broken, needed=True), "redis": Check(_fine)}, 503, '"unavailable"'),
    ],
    ids=["all well", "without redis", "without postgres"],
)
async def test_readiness_says_what_is_missing(checks: dict[str, Check], status: int, word: str) -> None:
    async with Health("127.0.0.1", 0, Metrics(), checks) as health:
        assert await _get(health.port, b"GET /livez HTTP/1.1\r\n\r\n") == (200, "ok\n")
        got, body = await _get(health.port, b"GET /readyz HTTP/1.1\r\n\r\n")
        assert got == status
        assert f'"status": {word}' in body


async def test_metrics_are_served_under_their_names() -> None:
    metrics = Metrics()
    metrics.ambiguous.labels("email").inc()
    async with Health("127.0.0.1", 0, metrics, {}) as health:
        status, body = await _get(health.port, b"GET /metrics HTTP/1.1\r\n\r\n")
    assert status == 200
    assert 'reminder_ambiguous_total{channel="email"} 1.0' in body
    for name in ("reminder_due_to_sent_seconds", "reminder_missed_total", "reminder_oldest_unsent_seconds"):
        assert f"# TYPE {name}" in body


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /other HTTP/1.1\r\n\r\n", 404),
        (b"POST /livez HTTP/1.1\r\n\r\n", 405),
        (b"rubbish\r\n\r\n", 400),
    ],
)
async def test_other_requests_are_refused(request_: bytes, status: int) -> None:
    async with Health("127.0.0.1", 0, Metrics(), {}) as health:
        assert (await _get(health.port, request_))[0] == status


async def test_an_endless_request_head_is_cut_off() -> None:
    async with Health("127.0.0.1", 0, Metrics(), {}) as health:
        reader, writer = await asyncio.open_connection("127.0.0.1", health.port)
        writer.write(b"GET /livez HTTP/1.1\r\nX: " + b"a" * 100_000)
        async with asyncio.timeout(5):
            with suppress(ConnectionError):  # the kernel may reset what was not read
                assert await reader.read() == b""
        writer.close()


class _Watch:
    """A Redis that is away for as long as the test says."""

    down_for = 0.0


async def test_the_fallback_feeds_only_while_redis_is_away() -> None:
    watch: Any = _Watch()
    rows = [UUID(int=1), UUID(int=2)]
    handled: asyncio.Queue[UUID] = asyncio.Queue()
    asked = 0

    async def due(limit: int) -> Sequence[UUID]:
        nonlocal asked
        asked += 1
        return rows[:limit]

    async def handle(row_id: UUID) -> None:
        rows.remove(row_id)
        handled.put_nowait(row_id)

    stop = asyncio.Event()
    feeder = Feeder(watch, due, handle, concurrency=10, every=0.01)
    running = asyncio.create_task(feeder.run(stop))
    watch.down_for = 1.0  # a restart, not an outage
    await asyncio.sleep(0.05)  # several rounds, in which nothing may happen
    assert asked == 0
    watch.down_for = 4.0
    async with asyncio.timeout(5):
        assert {await handled.get(), await handled.get()} == {UUID(int=1), UUID(int=2)}
        stop.set()
        await running
    assert feeder.active


async def test_the_fallback_never_runs_a_row_twice_at_once_nor_more_than_its_concurrency() -> None:
    watch: Any = _Watch()
    release = asyncio.Event()
    started: list[UUID] = []

    async def due(limit: int) -> Sequence[UUID]:
        return [UUID(int=number) for number in range(1, limit + 1)]

    async def handle(row_id: UUID) -> None:
        started.append(row_id)
        await release.wait()

    feeder = Feeder(watch, due, handle, concurrency=2)
    assert await feeder.feed() == 2
    assert await feeder.feed() == 0
    await asyncio.sleep(0)
    assert started == [UUID(int=1), UUID(int=2)]
    release.set()
    stop = asyncio.Event()
    stop.set()
    await feeder.run(stop)


async def test_the_fallback_outlives_a_database_that_is_away_too() -> None:
    watch: Any = _Watch()

    async def due(_: int) -> Sequence[UUID]:
        raise ConnectionError

    async def handle(_: UUID) -> None:
        raise AssertionError

    assert await Feeder(watch, due, handle, concurrency=2).feed() == 0


async def test_a_signal_asks_to_stop_and_a_second_one_cancels() -> None:
    asked = asyncio.Event()
    cancelled = asyncio.Event()

    async def serve(stop: asyncio.Event) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await stop.wait()
        asked.set()
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with asyncio.timeout(5):
        await until_stopped(serve)
    assert asked.is_set()
    assert cancelled.is_set()
