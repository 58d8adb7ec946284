"""Tells a worker's owner, at its start, when this machine and the Redis server do not agree what time it is."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from carequeue.errors import CarequeueError
from carequeue.store.server_time import measure

if TYPE_CHECKING:
    from carequeue.clock import Clock
    from carequeue.store.client import LinkedRedis
    from carequeue.worker.setting import Setting

TOLERATED_MS = 1000
"""More than what is left of a second shows in when jobs run."""

log: logging.Logger = logging.getLogger("carequeue.worker")


async def compare_clocks(client: LinkedRedis, clock: Clock, setting: Setting) -> None:
    """Warn if they are apart: jobs are due by the clock of whoever adds them, and start by a worker's."""
    try:
        ahead = (await measure(client)).now_ms() - clock.now_ms()
    except CarequeueError:
        return  # it is only a look; whatever is wrong will be told when it matters
    if abs(ahead) > TOLERATED_MS:
        log.warning("clock.skewed", extra=setting.about(seconds=ahead / 1000))
        setting.emit("clock.skewed", seconds=ahead / 1000)
