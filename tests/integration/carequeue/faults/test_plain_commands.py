"""What is asked without a script, on connections that are kept and used again: a late or half reply is never taken for
the answer to the next question.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.carequeue.faults.stage import Stage
from tests.redis_proxy import CommandProxy, Fault

from carequeue import Queue
from carequeue.options import Deduplication

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from redis.asyncio import Redis

pytestmark = pytest.mark.redis

IMPATIENT = 0.4
LATER = datetime(2100, 1, 1, tzinfo=UTC)


async def what_is_said_of(queue: Queue, job_id: str) -> Any:
    found = await queue.get(job_id)
    return found and (found.id, found.name, found.data)


LOOKS: dict[str, Callable[[Queue], Awaitable[Any]]] = {
    "HGETALL": lambda queue: what_is_said_of(queue, "j"),
    "LRANGE": lambda queue: queue.logs("j"),
    "HEXISTS": lambda queue: queue.is_paused(),
    "GET": lambda queue: queue.deduplication_job("d"),
    "ZCOUNT": lambda queue: queue.delayed_count(LATER),
    "EXEC": lambda queue: queue.children("j").counts(),
    "CLIENT": lambda queue: queue.workers(),
}


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("command", LOOKS)
async def test_the_next_answer_is_the_next_question_s(
    queue: Queue, redis_url: str, redis: Redis, command: str, fault: Fault
) -> None:
    await queue.add("job", 7, job_id="j", deduplication=Deduplication("d"))
    await queue.log("j", "row")
    await queue.add("job", job_id="late", delay=timedelta(hours=1))
    expected = {name: await look(queue) for name, look in LOOKS.items()}
    async with CommandProxy(redis_url) as proxy:
        proxied = proxy.url(IMPATIENT if fault is Fault.REPLY_LATE else None)
        async with Queue(queue.name, proxied) as broken:
            for look in LOOKS.values():  # its connections are there
                await look(broken)
            stage = Stage(proxy, proxied, command, fault, broken, queue, redis)
            assert await stage.lose(lambda: LOOKS[command](broken)) == expected[command]
            for name, look in LOOKS.items():
                assert await look(broken) == expected[name], name


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("command", ["INFO", "HSETNX"])
async def test_a_broken_opening(queue: Queue, redis_url: str, redis: Redis, command: str, fault: Fault) -> None:
    async with CommandProxy(redis_url) as proxy:
        proxied = proxy.url(IMPATIENT if fault is Fault.REPLY_LATE else None)
        broken = Queue(queue.name, proxied)
        stage = Stage(proxy, proxied, command, fault, broken, queue, redis)
        await stage.lose(broken.open)
        await broken.add("job")
        await broken.close()
    assert (await queue.counts()).waiting == 1
