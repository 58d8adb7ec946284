"""Whether Redis answers. Every loop of a worker that talks to Redis tells what happened here, and waits here after a
failure, so that they try again together, with jitter, and one outage is reported once a round.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from carequeue.backoff import LONGEST_PAUSE, reconnect_delay
from carequeue.errors import AccessRefused, NotPermitted

if TYPE_CHECKING:
    from carequeue.backoff import Random
    from carequeue.telemetry import Telemetry
    from carequeue.worker.hooks import Hooks

HOPELESS = (AccessRefused, NotPermitted)
"""What waiting does not mend, unless somebody is changing it at this moment."""
PATIENCE = 60.0
"""Seconds for which a worker that has worked before waits for that."""

log: logging.Logger = logging.getLogger("carequeue.worker")


class Outage:
    """The present outage, if there is one."""

    def __init__(
        self, queue: str, hooks: Hooks, telemetry: Telemetry, random: Random, longest: float = LONGEST_PAUSE
    ) -> None:
        self.connected: bool = False
        self._queue = queue
        self._hooks = hooks
        self._telemetry = telemetry
        self._random = random
        self._longest = longest
        self._failures = 0
        self._since = 0.0
        self._next_try = 0.0
        self._hopeless_since: float | None = None

    def answered(self) -> None:
        """Redis did what it was asked."""
        self._hopeless_since = None
        if self.connected:
            return
        self.connected = True
        self._hooks.call("ready")
        if self._failures:
            lasted = asyncio.get_running_loop().time() - self._since
            log.warning("worker.reconnected", extra={"queue": self._queue, "seconds": round(lasted, 3)})
            self._telemetry.emit("worker.reconnected", queue=self._queue, seconds=lasted)
        self._failures = 0

    async def pause(self, error: BaseException) -> None:
        """Note that a call failed, and wait until it makes sense to try again.

        Raises:
            AccessRefused, NotPermitted: that is what the calls fail of, and have for PATIENCE: the worker ends.
        """
        now = asyncio.get_running_loop().time()
        self._give_up(error, now)
        if not self._failures:
            self._since = now
        if now >= self._next_try:  # the first loop to fail in this round; the others wait with it
            self._failures += 1
            self._next_try = now + reconnect_delay(self._failures, random=self._random, cap=self._longest)
            self._report(error)
        self.connected = False
        await asyncio.sleep(self._next_try - now)

    def _give_up(self, error: BaseException, now: float) -> None:
        if not isinstance(error, HOPELESS):
            self._hopeless_since = None
            return
        if self._hopeless_since is None:
            self._hopeless_since = now
        if now - self._hopeless_since >= PATIENCE:
            raise error

    def _report(self, error: BaseException) -> None:
        first = self._failures == 1
        log.log(
            logging.WARNING if first else logging.DEBUG,
            "worker.disconnected",
            extra={"queue": self._queue, "error": str(error)},
        )
        if first:
            self._telemetry.emit("worker.disconnected", queue=self._queue, error=type(error).__name__)
        self._hooks.call("error", error)
