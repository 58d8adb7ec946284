"""`carequeue counts`: how many jobs queues have, once or again and again."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from carequeue.queue import Queue

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from carequeue.cli.output import Output


async def counts(asked: Namespace, output: Output) -> int:
    """One queue as a record, several as a table; with `--watch` a line for each queue every so often."""
    async with AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(Queue(name, asked.url, prefix=asked.prefix))
            for name in dict.fromkeys(asked.queues)
        ]
        if asked.watch is not None:
            await _watch(opened, asked, output)
        found = [await _counted(one, asked.priorities) for one in opened]
        for one, values in zip(opened, found, strict=True):
            values |= await _limits(one)
    if len(found) == 1:
        output.record(found[0])
    else:
        output.table(found, none="")
    return 0


async def _watch(opened: Sequence[Queue], asked: Namespace, output: Output) -> None:
    """Until Ctrl-C, or until nobody reads any more."""
    while True:
        at = datetime.now(UTC)
        for one in opened:
            values = await _counted(one, asked.priorities)
            said = "  ".join(f"{name} {value}" for name, value in values.items() if name not in ("queue", "paused"))
            paused = "  paused" if values["paused"] else ""
            output.line({"at": at, **values}, f"{at.astimezone():%H:%M:%S}  {one.name}  {said}{paused}")
        await asyncio.sleep(asked.watch.total_seconds())


async def _counted(queue: Queue, priorities: Sequence[int]) -> dict[str, Any]:
    counted = await queue.counts()
    per_priority = await queue.counts_per_priority(priorities)
    return {
        "queue": queue.name,
        **counted.by_state,
        **{f"priority_{priority}": count for priority, count in per_priority.items()},
        "paused": counted.paused,
    }


async def _limits(queue: Queue) -> dict[str, Any]:
    rate = await queue.global_rate_limit()
    return {
        "concurrency": await queue.global_concurrency(),
        "rate_limit": None if rate is None else f"{rate.max} in {rate.duration.total_seconds():g} s",
    }
