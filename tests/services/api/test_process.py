"""`python -m carecircle_api` as operators run it: starts, says when it is ready, works without Redis, drains, exits."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx2
import pytest

from carecircle.runtime import vapid

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SECRET = "of the tests and long enough to sign with it"  # noqa: S105 - of the tests
START_SECONDS = 30


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@asynccontextmanager
async def api(**environment: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, httpx2.AsyncClient]]:
    """The process and a client of it. The port is the one that it says in its log."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CARECIRCLE_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "carecircle_api",
        env=clean | {"CARECIRCLE_API_PORT": "0", "CARECIRCLE_SECRET_KEY": SECRET} | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(START_SECONDS):
            port = await listening(process)
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=15) as client:
            yield process, client
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def listening(process: asyncio.subprocess.Process) -> int:
    assert process.stdout is not None
    written: list[bytes] = []
    async for line in process.stdout:
        written.append(line)
        event = json.loads(line) if line.startswith(b"{") else {"event": None}
        if event["event"] == "api.listening":
            return event["port"]
    raise AssertionError(b"".join(written).decode())


async def stop(process: asyncio.subprocess.Process, number: signal.Signals = signal.SIGTERM) -> int:
    process.send_signal(number)
    async with asyncio.timeout(START_SECONDS):
        await process.communicate()
    assert process.returncode is not None
    return process.returncode


async def registered(client: httpx2.AsyncClient) -> int:
    body = {"email": "anna@example.org", "password": "correct horse battery", "display_name": "Anna"}
    return (await client.post("/v1/auth/register", json=body)).status_code


async def test_it_serves_until_asked_to_stop_and_exits_with_0(new_database_url, redis_url, tmp_path):
    key = tmp_path / "vapid.pem"
    public = vapid.generate(key)
    async with api(DATABASE_URL=new_database_url, REDIS_URL=redis_url, CARECIRCLE_VAPID_PRIVATE_KEY_FILE=str(key)) as (
        process,
        client,
    ):
        ready = await client.get("/readyz")
        assert ready.status_code == 200
        assert ready.json() == {"status": "ok", "checks": {"postgresql": "ok", "redis": "ok"}}
        assert (await client.get("/v1/push/vapid-public-key")).json() == {"public_key": public}
        assert await registered(client) == 201
        assert "process_resident_memory_bytes" in (await client.get("/metrics")).text
        assert "server" not in (await client.get("/livez")).headers
        assert await stop(process) == 0


async def test_without_redis_it_works_and_says_degraded(new_database_url):
    nowhere = f"redis://127.0.0.1:{unused_port()}/0"
    async with api(DATABASE_URL=new_database_url, REDIS_URL=nowhere) as (process, client):
        ready = await client.get("/readyz")
        assert ready.status_code == 200
        assert ready.json() == {"status": "degraded", "checks": {"postgresql": "ok", "redis": "failing"}}
        assert await registered(client) == 201
        assert await stop(process, signal.SIGINT) == 0


async def test_without_postgresql_it_is_alive_but_not_ready(redis_url):
    nowhere = f"postgresql://nobody@127.0.0.1:{unused_port()}/nothing"
    async with api(DATABASE_URL=nowhere, REDIS_URL=redis_url) as (_, client):
        assert (await client.get("/livez")).status_code == 200
        assert (await client.get("/readyz")).status_code == 503
        answer = await client.post("/v1/auth/token", data={"username": "a@example.org", "password": "x"})
        assert answer.status_code == 503
        assert answer.json()["code"] == "try_again"


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"CARECIRCLE_SECRET_KEY": "short"}, "CARECIRCLE_SECRET_KEY"),
        ({"CARECIRCLE_SECRET_KEY": ""}, "CARECIRCLE_SECRET_KEY"),
        ({"CARECIRCLE_API_PORT": "99999"}, "CARECIRCLE_API_PORT"),
        ({"CARECIRCLE_PUSH_ALLOWED_ORIGINS": "https://push.example.org/path"}, "CARECIRCLE_PUSH_ALLOWED_ORIGINS"),
    ],
)
async def test_wrong_settings_are_named_at_the_start(environment, named):
    with pytest.raises(AssertionError, match=named):
        async with api(DATABASE_URL="postgresql://x@127.0.0.1/x", **environment):
            pass
