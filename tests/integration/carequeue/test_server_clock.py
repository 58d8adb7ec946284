"""ServerClock: queues and workers that go by the clock of the Redis server, and what is said when clocks disagree.

The server's clock is an hour ahead here: a proxy changes its answers to TIME.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.carequeue.conftest import FaultProxy
from tests.waiting import eventually

from carequeue import FlowNode, FlowProducer, InvalidOption, Job, Queue, Repeat, ServerClock, Telemetry
from carequeue.testing import Signal

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable

    from carequeue import Worker

pytestmark = pytest.mark.redis

HOUR = timedelta(hours=1)
NEAR = timedelta(seconds=2)
TIME = re.compile(rb"\*2\r\n\$10\r\n(\d{10})\r\n")


class AheadProxy(FaultProxy):
    """A server whose clock is ahead."""

    ahead = 3600

    async def _replies(self, up: asyncio.StreamReader, writer: asyncio.StreamWriter, pending: dict[str, bool]) -> None:
        while chunk := await up.read(1 << 20):
            writer.write(TIME.sub(self._moved, chunk))
            await writer.drain()

    def _moved(self, found: re.Match[bytes]) -> bytes:
        return found[0].replace(found[1], str(int(found[1]) + self.ahead).encode())


@pytest.fixture
async def ahead(redis_url: str) -> AsyncIterator[AheadProxy]:
    proxy = AheadProxy(redis_url)
    await proxy.start()
    yield proxy
    await proxy.stop()


def near(found: datetime | None, expected: datetime) -> bool:
    return found is not None and abs(found - expected) < NEAR


async def test_it_tells_the_servers_time(redis_url: str, ahead: AheadProxy) -> None:
    async with ServerClock(redis_url) as true, ServerClock(ahead.url) as moved:
        assert abs(true.offset) < NEAR
        assert abs(moved.offset - HOUR) < NEAR
        assert abs(moved.now_ms() - time.time() * 1000 - 3_600_000) < 2000


async def test_it_is_measured_again(ahead: AheadProxy) -> None:
    async with ServerClock(ahead.url, interval=timedelta(milliseconds=10)) as clock:
        ahead.ahead = -60
        await eventually(lambda: abs(clock.offset + timedelta(seconds=60)) < NEAR, "the new time")


async def test_an_outage_leaves_it_the_last_measurement(ahead: AheadProxy) -> None:
    async with ServerClock(ahead.url, interval=timedelta(milliseconds=10)) as clock:
        await ahead.refuse()
        await eventually(lambda: ahead.connections == 0, "no connection")
        assert abs(clock.offset - HOUR) < NEAR
        ahead.ahead = -60
        await ahead.start()
        await eventually(lambda: abs(clock.offset + timedelta(seconds=60)) < NEAR, "the new time")


async def test_before_it_is_open_it_tells_nothing(redis_url: str) -> None:
    with pytest.raises(InvalidOption, match="once it is open"):
        ServerClock(redis_url).now_ms()
    with pytest.raises(InvalidOption, match="longer than nothing"):
        ServerClock(redis_url, interval=timedelta(0))


async def test_all_that_has_one_goes_by_it(
    queue_name: str, redis_url: str, queue: Queue, ahead: AheadProxy, new_worker: Callable[..., Worker]
) -> None:
    """Machines whose clocks are an hour behind the server's: their jobs are for its time, and start by it."""
    soon = timedelta(milliseconds=150)
    async with (
        ServerClock(ahead.url) as clock,
        Queue(queue_name, redis_url, clock=clock) as producer,
        FlowProducer(redis_url, clock=clock) as flows,
    ):
        now = datetime.now(UTC)
        job = await producer.add("later", delay=soon)
        assert near(job.added_at, now + HOUR)
        at_once = await producer.add("at once", run_at=now + HOUR)
        assert at_once.delay < NEAR
        flow = await flows.add(FlowNode("flow", queue=queue_name))
        assert near(flow.job.added_at, now + HOUR)
        run = await producer.schedule("s", Repeat.every(HOUR), "tick")
        assert near(run.scheduled_for, now + HOUR)
        started, began = Signal("started"), time.monotonic()
        worker = new_worker(started, clock=clock, concurrency=4)
        async with worker:
            calls = await started.wait(4)
        assert time.monotonic() - began < 5  # by its own clock it would have been an hour
    ran = {job.name: job for (job, *_) in calls}
    assert near(ran["later"].started_at, now + HOUR)
    assert ran["later"].started_at >= ran["later"].added_at + soon


async def test_a_worker_says_at_its_start_that_clocks_disagree(
    ahead: AheadProxy, redis_url: str, new_worker: Callable[..., Worker], caplog: pytest.LogCaptureFixture
) -> None:
    async def nothing(job: Job[Any]) -> None: ...

    telemetry, told = Telemetry(), Signal("told")
    telemetry.subscribe(told, "clock.skewed")
    async with new_worker(nothing, url=redis_url, telemetry=telemetry):
        assert told.calls == []
    async with new_worker(nothing, url=ahead.url, telemetry=telemetry):
        [(_, fields)] = told.calls
        assert abs(fields["seconds"] - 3600) < 2
    async with ServerClock(ahead.url) as clock, new_worker(nothing, url=ahead.url, telemetry=telemetry, clock=clock):
        assert len(told.calls) == 1
    assert [record.message for record in caplog.records if record.message == "clock.skewed"] == ["clock.skewed"]
