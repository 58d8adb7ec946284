"""Each script's call is broken in each way: the caller is told, no job is lost or done twice, none is stuck, and where
it is documented the call may be repeated. A script without a scenario fails these tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.integration.carequeue.faults import (
    scenarios_changing,
    scenarios_keeping_house,
    scenarios_looking,
    scenarios_working,
)
from tests.integration.carequeue.faults.stage import SCENARIOS, Stage
from tests.redis_proxy import NAMES, CommandProxy, Fault

from carequeue import Queue
from carequeue.lua.loader import load

if TYPE_CHECKING:
    from redis.asyncio import Redis

pytestmark = pytest.mark.redis

TOLD_IN = (scenarios_changing, scenarios_keeping_house, scenarios_looking, scenarios_working)
IMPATIENT = 0.4
"""Seconds after which a client gives up a reply that comes late."""


def test_every_script_has_a_scenario() -> None:
    assert set(NAMES) == set(SCENARIOS), f"see {', '.join(module.__name__ for module in TOLD_IN)}"


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("command", NAMES)
async def test_a_broken_call_is_told_and_loses_and_doubles_nothing(
    queue: Queue, redis_url: str, redis: Redis, command: str, fault: Fault
) -> None:
    await redis.script_load(load(command).text)  # else the first call is one that the server does not know
    async with CommandProxy(redis_url) as proxy:
        proxied = proxy.url(IMPATIENT if fault is Fault.REPLY_LATE else None)
        broken = Queue(queue.name, proxied)
        stage = Stage(proxy, proxied, command, fault, broken, queue, redis)
        try:
            await SCENARIOS[command](stage)
            await stage.rest()
        finally:
            await broken.close()
