"""Commands that change nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from carequeue.cli.output import local, refuse
from carequeue.errors import JobNotFound
from carequeue.events import QueueEvents
from carequeue.flow import FlowProducer
from carequeue.inspect import Inspector
from carequeue.job import JobState
from carequeue.queue import Queue

if TYPE_CHECKING:
    from argparse import Namespace

    from carequeue.cli.output import Output
    from carequeue.flow import Flow
    from carequeue.job import Job

UNFINISHED = [state for state in JobState if state is not JobState.COMPLETED]
ANY = "queues"
"""The name of no queue in particular, for what is asked of the server."""


def inspector(asked: Namespace) -> Inspector:
    return Inspector(asked.queue, asked.url, prefix=asked.prefix)


def queue(asked: Namespace) -> Queue:
    return Queue(asked.queue, asked.url, prefix=asked.prefix)


async def queues(asked: Namespace, output: Output) -> int:
    async with Inspector(ANY, asked.url, prefix=asked.prefix) as server:
        if server.in_cluster:
            refuse("a cluster's queues lie on many servers and cannot be listed: name the queue")
        names = sorted([name async for name in server.names()])
    rows: list[dict[str, Any]] = []
    for name in names:
        async with Inspector(name, asked.url, prefix=asked.prefix) as one:
            found = await one.counts()
        rows.append({"queue": name, **found.by_state, "paused": found.paused})
    output.table(rows, none=f"no queue has the prefix {asked.prefix!r} here")
    return 0


async def job(asked: Namespace, output: Output) -> int:
    async with queue(asked) as one:
        found, state = await one.get(asked.id), await one.state(asked.id)
        if found is None:
            raise JobNotFound(asked.id)
        rows, children = await one.logs(asked.id), await one.children(asked.id).counts()
    output.record(
        {
            **row(found, state, with_data=asked.data),
            "priority": found.priority,
            "started_at": found.started_at,
            "finished_at": found.finished_at,
            "worker": found.worker_name,
            "group": found.group,
            "parent": None if found.parent is None else f"{found.parent.queue_key}:{found.parent.id}",
            "children": {"pending": children.pending, "done": children.total - children.pending},
            "scheduler": found.scheduler_id,
            "stalled": found.stalled_count,
            "options": dict(found.raw_options),
            **({"stacktrace": "\n".join(found.stacktrace), "log": "\n".join(rows)} if asked.data else {}),
        }
    )
    return 0


async def flow(asked: Namespace, output: Output) -> int:
    async with FlowProducer(asked.url, prefix=asked.prefix) as flows:
        found = await flows.get(asked.id, queue=asked.queue, depth=asked.depth)
    if found is None:
        raise JobNotFound(asked.id)
    await _branch(found, asked, output, 0)
    return 0


async def _branch(node: Flow, asked: Namespace, output: Output, depth: int) -> None:
    prefix, _, name = node.queue_key.rpartition(":")
    async with Inspector(name, asked.url, prefix=prefix) as one:
        state = await one.state(node.job.id)
    values = {"depth": depth, "queue": node.job.queue, "id": node.job.id, "name": node.job.name, "state": state}
    output.line(values, f"{'  ' * depth}{node.job.name} {node.job.queue}/{node.job.id} {state or 'gone'}")
    for child in node.children:
        await _branch(child, asked, output, depth + 1)


async def events(asked: Namespace, output: Output) -> int:
    async with QueueEvents(asked.queue, asked.url, prefix=asked.prefix, since=asked.since) as stream:
        async for event in stream:
            if asked.name and event.name not in asked.name:
                continue
            fields = {name: text for name, text in event.fields.items() if asked.data or name not in CARRIED}
            said = " ".join(f"{name}={text}" for name, text in fields.items() if name not in ("event", "jobId"))
            line = f"{local(event.at)}  {event.name:18} {event.job_id or '-':20} {said}".rstrip()
            output.line({"id": event.id, "at": event.at, "event": event.name, **fields}, line)
    return 0


CARRIED = ("returnvalue", "data", "failedReason")
"""What events repeat of what jobs carry, return and say."""


async def errors(asked: Namespace, output: Output) -> int:
    async with inspector(asked) as one:
        found = await one.error_groups(limit=asked.limit)
    output.table(
        [
            {
                "fingerprint": group.fingerprint,
                "count": group.count,
                "last_seen": group.last_seen,
                "error": group.error,
                "place": group.place,
                "names": ", ".join(group.names),
            }
            for group in found
        ],
        none="no job has failed",
    )
    return 0


async def workers(asked: Namespace, output: Output) -> int:
    async with inspector(asked) as one:
        found = await one.workers()
    rows = [
        {
            "name": worker.name,
            "address": worker.address,
            "library": worker.library,
            "connected_seconds": worker.connected_seconds,
        }
        for worker in found
    ]
    output.table(rows, none="no worker is connected")
    return 0


async def schedulers(asked: Namespace, output: Output) -> int:
    async with inspector(asked) as one:
        found = await one.schedulers()
    rows = [
        {
            "id": scheduler.id,
            "name": scheduler.name,
            "repeat": scheduler.repeat.pattern or f"every {scheduler.repeat.interval}",
            "zone": scheduler.repeat.zone,
            "next_run": scheduler.next_run,
            "runs": scheduler.runs,
        }
        for scheduler in found
    ]
    output.table(rows, none="nothing repeats")
    return 0


async def groups(asked: Namespace, output: Output) -> int:
    async with queue(asked) as one:
        rows = [
            {"id": group.id, "waiting": group.waiting, "active": group.active, "status": group.status.value}
            async for group in one.groups()
        ]
    output.table(sorted(rows, key=lambda row: str(row["id"])), none="no group has jobs")
    return 0


async def letters(asked: Namespace, output: Output) -> int:
    async with queue(asked) as one:
        rows = [
            {
                "id": letter.id,
                "queue": letter.queue,
                "job": letter.job_id,
                "name": letter.name,
                "attempts": letter.attempts_made,
                "failed_at": letter.failed_at,
            }
            async for letter in one.letters()
        ]
    output.table(rows, none="no letter is unread")
    return 0


async def metrics(asked: Namespace, output: Output) -> int:
    async with inspector(asked) as one:
        if asked.prometheus:
            output.text((await one.export_prometheus_metrics()).rstrip("\n"))
            return 0
        completed, failed = await asyncio.gather(
            one.metrics("completed", end=asked.minutes - 1), one.metrics("failed", end=asked.minutes - 1)
        )
    output.record(
        {
            "completed": completed.total,
            "failed": failed.total,
            "completed_per_minute": list(completed.per_minute),
            "failed_per_minute": list(failed.per_minute),
        }
    )
    return 0


def row(found: Job[Any], state: Any, *, with_data: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": found.id,
        "name": found.name,
        "state": None if state is None else JobState(state).value,
        "added_at": found.added_at,
        "due_at": found.added_at + found.delay if found.delay and found.added_at else None,
        "attempts": f"{found.attempts_made}/{max(1, found.attempts_allowed)}",
    }
    if with_data:
        row |= {
            "data": found.fields.get("data"),
            "returned": found.fields.get("returnvalue"),
            "reason": found.failed_reason,
        }
    return row
