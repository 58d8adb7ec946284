"""The whole system as an operator runs it: real processes and engines, and sinks that play the providers."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx2
from redis.asyncio import Redis
from tests.e2e.app import App
from tests.waiting import eventually

from carecircle.runtime import vapid
from carecircle_cli.engines import EmbeddedValkey, free_port
from carecircle_email.testing import SmtpSink
from carecircle_push.testing import PushSink

if TYPE_CHECKING:
    from pathlib import Path

SERVICES = ("carecircle_api", "carecircle_dispatcher", "carecircle_email", "carecircle_push")
RETRY_BASE_SECONDS = 2
LEASE_SECONDS = 6
RECONCILE_SECONDS = 2


class System:
    """`async with System(folder, database_url) as system:` starts everything; leaving stops it in order."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.database_url = database_url
        self.valkey = EmbeddedValkey(folder / "valkey")
        self.mail = SmtpSink()
        self.push = PushSink()
        self.api_port = free_port()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._env: dict[str, str] = {}

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    async def __aenter__(self) -> System:
        await asyncio.to_thread(self.valkey.start)
        await self.mail.start()
        await self.push.start()
        self._env = self._environment()
        try:
            for service in SERVICES:
                self.start(service)
            await eventually(self._ready, "the API is ready and nothing has ended", seconds=60)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for name in reversed(list(self._processes)):
            await self.stop(name)
        await self.push.close()
        await self.mail.close()
        await asyncio.to_thread(self.valkey.stop)

    def app(self) -> App:
        """A mobile app of a new person."""
        return App(self.api_url)

    def start(self, service: str, name: str | None = None) -> None:
        """Start one more process of `service`; `name` tells several apart."""
        name = name or service
        env = self._env | {"CARECIRCLE_HEALTH_PORT": str(free_port())}
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen([sys.executable, "-m", service], env=env, stdout=log, stderr=log)

    async def stop(self, name: str, how: signal.Signals = signal.SIGTERM) -> int:
        """End one process and wait for it; its exit code."""
        process = self._processes.pop(name)
        process.send_signal(how)
        try:
            return await asyncio.to_thread(process.wait, 40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{name} did not end within 40 s of {how.name}; its log:\n{self.log(name)}") from None

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def logs(self) -> dict[str, str]:
        return {path.stem: path.read_text(errors="replace") for path in self.folder.glob("*.log")}

    async def flush_redis(self) -> None:
        async with Redis.from_url(self.valkey.url()) as redis:
            await redis.flushall()

    async def redis_dump(self) -> str:
        """Every key and value in Redis, as text."""
        async with Redis.from_url(self.valkey.url(), decode_responses=True) as redis:
            keys = [key async for key in redis.scan_iter()]
            return "\n".join([f"{key} {await _value(redis, key)}" for key in keys])

    async def _ready(self) -> bool:
        for name, process in self._processes.items():
            if process.poll() is not None:
                raise AssertionError(f"{name} ended with {process.returncode}; its log:\n{self.log(name)}")
        async with httpx2.AsyncClient(timeout=5) as client:
            try:
                return (await client.get(f"{self.api_url}/readyz")).is_success
            except httpx2.TransportError:
                return False

    def _environment(self) -> dict[str, str]:
        (self.folder / "secret").write_text("0123456789abcdef" * 4)
        key = self.folder / "vapid.pem"
        vapid.generate(key)
        return os.environ | {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.valkey.url(),
            "CARECIRCLE_SECRET_KEY_FILE": str(self.folder / "secret"),
            "CARECIRCLE_PUBLIC_URL": self.api_url,
            "CARECIRCLE_API_HOST": "127.0.0.1",
            "CARECIRCLE_API_PORT": str(self.api_port),
            "CARECIRCLE_SMTP_HOST": "127.0.0.1",
            "CARECIRCLE_SMTP_PORT": str(self.mail.port),
            "CARECIRCLE_SMTP_SECURITY": "none",
            "CARECIRCLE_SMTP_SENDER": "reminders@carecircle.example",
            "CARECIRCLE_VAPID_PRIVATE_KEY_FILE": str(key),
            "CARECIRCLE_VAPID_SUBJECT": "mailto:operator@carecircle.example",
            "CARECIRCLE_PUSH_ALLOWED_ORIGINS": self.push.origin,
            "CARECIRCLE_RETRY_BASE": str(RETRY_BASE_SECONDS),
            "CARECIRCLE_LEASE_SECONDS": str(LEASE_SECONDS),
            "CARECIRCLE_RECONCILE_SECONDS": str(RECONCILE_SECONDS),
            "CARECIRCLE_LOG_LEVEL": "INFO",
        }


async def _value(redis: Redis, key: str) -> object:
    match await redis.type(key):
        case "hash":
            return await redis.hgetall(key)
        case "list":
            return await redis.lrange(key, 0, -1)
        case "zset":
            return await redis.zrange(key, 0, -1, withscores=True)
        case "set":
            return await redis.smembers(key)
        case "stream":
            return await redis.xrange(key)
        case _:
            return await redis.get(key)
