"""The life of a service process: settings, logs, run until asked to stop, drain, exit.

if __name__ == "__main__":
    start("email_worker", EmailSettings, serve)
"""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING, TypeVar

import structlog

from carecircle.runtime import logs
from carecircle.runtime.settings import Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

S = TypeVar("S", bound=Settings)

BAD_SETTINGS = 2
CRASHED = 1

log = structlog.stdlib.get_logger(__name__)


def start(name: str, settings_type: type[S], serve: Callable[[S, asyncio.Event], Awaitable[None]]) -> None:
    """Run `serve(settings, stop)` until SIGTERM or SIGINT sets `stop` and it returns. Exits the process.

    Code 0 after a drain, 2 when the settings are wrong (they are listed on stderr), 1 after a crash.
    """
    try:
        settings = settings_type.load()
    except SettingsError as error:
        sys.stderr.write(f"{name} cannot start, its settings are wrong:\n{error}\n")
        sys.exit(BAD_SETTINGS)
    logs.configure(settings.log_level, settings.log_format, service=name)
    try:
        asyncio.run(until_stopped(lambda stop: serve(settings, stop)))
    except Exception:
        log.exception("service.crashed")
        sys.exit(CRASHED)
    sys.exit(0)


async def until_stopped(serve: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run `serve(stop)`. The first SIGTERM or SIGINT sets `stop`; a second one cancels what still runs."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    serving = asyncio.ensure_future(serve(stop))

    def asked_to_stop() -> None:
        if stop.is_set():
            log.warning("service.cancelled")
            serving.cancel()
        else:
            log.info("service.stopping")
            stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop)
    log.info("service.started")
    try:
        await serving
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
    log.info("service.stopped")
