"""The dispatcher as operators run it: started, asked how it is, stopped, and started wrongly."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from tests.waiting import eventually

from carecircle.jobs import HOUSEKEEPING, REMINDERS
from carecircle_cli.engines.process import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PATIENCE = 30


class Process:
    """A running dispatcher and its log."""

    def __init__(self, child: asyncio.subprocess.Process, port: int) -> None:
        self.child = child
        self.port = port
        self.seen: list[dict[str, Any]] = []

    async def logged(self, event: str) -> dict[str, Any]:
        """The next line of the log about this."""
        assert self.child.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while line := await self.child.stdout.readline():
                self.seen.append(json.loads(line))
                if self.seen[-1]["event"] == event:
                    return self.seen[-1]
        raise AssertionError(f"the log ended without {event}: {self.seen}")

    async def get(self, path: str) -> tuple[int, str]:
        return await asyncio.to_thread(_get, f"http://127.0.0.1:{self.port}{path}")

    async def stop(self) -> int:
        self.child.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            await self.child.communicate()
        assert self.child.returncode is not None
        return self.child.returncode


@pytest.fixture
async def start(queue_name: str) -> AsyncIterator[Callable[..., Any]]:
    started: list[Process] = []

    async def start(**environment: str) -> Process:
        port = free_port()
        base = {"CARECIRCLE_HEALTH_PORT": str(port), "CARECIRCLE_QUEUE_PREFIX": queue_name}
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "carecircle_dispatcher",
            env={"PATH": os.environ["PATH"], **base, **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        started.append(Process(child, port))
        return started[-1]

    yield start
    for process in started:
        if process.child.returncode is None:
            process.child.kill()
            await process.child.communicate()


@pytest.mark.postgres
@pytest.mark.redis
async def test_it_starts_says_that_it_is_well_and_stops_with_code_0(
    start: Callable[..., Any], new_database_url: str, redis_url: str
) -> None:
    process = await start(DATABASE_URL=new_database_url, REDIS_URL=redis_url)
    await process.logged("redis.back")
    await process.logged("worker.started")

    assert await process.get("/livez") == (200, "ok\n")
    status, ready = await process.get("/readyz")
    assert (status, json.loads(ready)["status"]) == (200, "ok")
    assert "reminder_oldest_unsent_seconds 0.0" in (await process.get("/metrics"))[1]
    assert await process.stop() == 0


@pytest.mark.postgres
@pytest.mark.redis
async def test_its_metrics_tell_what_its_workers_do(
    start: Callable[..., Any], new_database_url: str, redis_url: str
) -> None:
    process = await start(DATABASE_URL=new_database_url, REDIS_URL=redis_url)

    async def told() -> bool:
        page = (await process.get("/metrics"))[1]
        return all(f'carequeue_workers{{queue="{name}"}} 1.0' in page for name in (REMINDERS, HOUSEKEEPING))

    await process.logged("worker.started")
    await eventually(told, "both workers are counted")
    assert await process.stop() == 0


@pytest.mark.postgres
async def test_without_redis_it_serves_and_says_degraded(start: Callable[..., Any], new_database_url: str) -> None:
    process = await start(DATABASE_URL=new_database_url, REDIS_URL="redis://127.0.0.1:1")
    await process.logged("fallback.started")

    status, ready = await process.get("/readyz")

    assert status == 200
    assert json.loads(ready) == {"status": "degraded", "checks": {"postgres": "ok", "redis": "failing"}}
    assert await process.stop() == 0


async def test_without_postgres_it_waits_and_is_not_ready(start: Callable[..., Any]) -> None:
    process = await start(DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing", REDIS_URL="redis://127.0.0.1:1")
    await process.logged("reconciler.database_away")

    assert (await process.get("/livez"))[0] == 200
    assert (await process.get("/readyz"))[0] == 503
    assert await process.stop() == 0


async def test_wrong_settings_are_listed_and_it_does_not_start(start: Callable[..., Any]) -> None:
    process = await start(CARECIRCLE_LEASE_SECONDS="canary", CARECIRCLE_SWEEP_SECONDS="-1")

    async with asyncio.timeout(PATIENCE):
        _, stderr = await process.child.communicate()

    said = stderr.decode()
    assert process.child.returncode == 2
    for name in ("DATABASE_URL is not set", "CARECIRCLE_LEASE_SECONDS", "CARECIRCLE_SWEEP_SECONDS"):
        assert name in said
    assert "canary" not in said
    assert "Traceback" not in said


def _get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:  # noqa: S310 - our own server
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()
