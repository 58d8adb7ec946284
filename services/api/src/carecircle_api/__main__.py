"""`python -m carecircle_api`: serves the API until SIGTERM, then lets running requests end."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING

import structlog
import uvicorn
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from sqlalchemy import text

from carecircle.channels import discover
from carecircle.db.session import Database
from carecircle.jobs import Queues
from carecircle.runtime import vapid
from carecircle.runtime.health import Check, Health
from carecircle.runtime.metrics import Metrics
from carecircle.runtime.redis_watch import RedisWatch
from carecircle.runtime.run import start
from carecircle_api.app import create_app
from carecircle_api.hints import QueueHints
from carecircle_api.observe import HttpMetrics
from carecircle_api.passwords import Passwords
from carecircle_api.services import Services
from carecircle_api.settings import ApiSettings
from carecircle_api.throttle import Throttle
from carecircle_api.tokens import AccessTokens

if TYPE_CHECKING:
    from collections.abc import Generator

    from fastapi import FastAPI

KEEP_ALIVE_SECONDS = 30
MAX_HEADER_BYTES = 32 * 1024

log = structlog.stdlib.get_logger(__name__)


async def serve(settings: ApiSettings, stop: asyncio.Event) -> None:
    """Make the clients, serve until `stop`, close them in the opposite order."""
    database_url, redis_url = settings.database_url.get_secret_value(), settings.redis_url.get_secret_value()
    metrics = Metrics(_registry())
    async with AsyncExitStack() as stack:
        database = Database.connect(database_url, pool_size=settings.database_pool_size)
        stack.push_async_callback(database.close)
        queues = await stack.enter_async_context(Queues(redis_url, settings.queue_prefix))
        hints = await stack.enter_async_context(QueueHints(database, queues, settings.enqueue_horizon))
        redis = await stack.enter_async_context(RedisWatch(redis_url, metrics, prefix=settings.queue_prefix))
        health = Health("", 0, metrics, _checks(database, redis))
        await _serve(settings, create_app(_services(settings, database, hints, health, metrics)), stop)


def _services(
    settings: ApiSettings, database: Database, hints: QueueHints, health: Health, metrics: Metrics
) -> Services:
    key_file = settings.vapid_private_key_file
    return Services(
        settings=settings,
        database=database,
        hints=hints,
        readiness=health.readiness,
        vapid_public_key=vapid.public_key(key_file) if key_file else None,
        tokens=AccessTokens(settings.secret_key.get_secret_value(), settings.public_url, settings.access_lifetime),
        passwords=Passwords(),
        throttle=Throttle(database, logins=settings.login_attempts, registrations=settings.registrations_per_address),
        metrics=HttpMetrics(metrics.registry),
        channels=discover(),
    )


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry


def _checks(database: Database, redis: RedisWatch) -> dict[str, Check]:
    """The same words as at the workers' health endpoints. Without Redis the API works; reminders come later."""

    async def postgresql_answers() -> bool:
        async with database.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
        return True

    return {"postgresql": Check(postgresql_answers, needed=True), "redis": Check(redis.answers)}


async def _serve(settings: ApiSettings, app: FastAPI, stop: asyncio.Event) -> None:
    server = Server(
        uvicorn.Config(
            app,
            host=settings.api_host,
            port=settings.api_port,
            lifespan="off",
            ws="none",
            http="h11",  # slower than httptools, but it bounds a request's head
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=list(settings.trusted_proxies),
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=settings.shutdown_seconds,
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        )
    )
    serving = asyncio.create_task(server.serve(), name="http")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    await serving
    stopping.cancel()


class Server(uvicorn.Server):
    """uvicorn without its own signal handlers: `runtime.run` has them, and a drained process exits with 0."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # pyright: ignore[reportArgumentType] - only handed on
        for server in self.servers:
            for socket in server.sockets:
                host, port = socket.getsockname()[:2]
                log.info("api.listening", host=host, port=port)


if __name__ == "__main__":
    start("api", ApiSettings, serve)
