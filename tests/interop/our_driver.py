"""How carequeue does each operation: by its public names."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.interop import words
from tests.interop.acting import Painter
from tests.interop.node_driver import WORKER, Refused, Side, moment

from carequeue import CarequeueError, ManualWorker, NewJob, Queue, RateLimit, Worker, WorkerOptions
from carequeue.options import JobOptions
from carequeue.store.commands import Commands
from carequeue.testing import Signal
from carequeue.wire.keys import QueueKeys
from carequeue.wire.times import to_ms

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from redis.asyncio import Redis

    from carequeue import HeldJob


class Careless(ManualWorker):
    """BullMQ's `getNextJob` hands out what is condemned or came too late, which ours ends; this does as BullMQ's."""

    async def _turned_away(self, held: HeldJob[Any], missed: Exception | None) -> bool:
        return False


class OurDriver(Side):
    def __init__(self, redis_url: str, redis: Redis, prefix: str, queue: str) -> None:
        self.redis = redis
        self.base = f"{prefix}:{queue}"
        self._redis_url = redis_url
        self._prefix = prefix
        self._queue = Queue(queue, redis_url, prefix=prefix)
        self._commands = Commands(self._queue.client, QueueKeys(prefix, queue))
        options = WorkerOptions(name=WORKER, skip_stalled_check=True)
        self._hand = Careless(queue, redis_url, prefix=prefix, options=options)
        self._held: dict[str, HeldJob[Any]] = {}

    async def start(self) -> None:
        await self._queue.open()

    async def stop(self) -> None:
        await self._hand.close()
        await self._queue.close()

    async def add(self, name: str, data: Any, options: dict[str, Any]) -> Any:
        with refusals():
            return (await self._queue.add(name, data, **words.options(options))).id

    async def add_bulk(self, jobs: Sequence[tuple[str, Any, dict[str, Any]]]) -> Any:
        with refusals():
            new = [NewJob(name, data, JobOptions(**words.options(options))) for name, data, options in jobs]
            return [job.id for job in await self._queue.add_bulk(new)]

    async def take(self, count: int) -> Any:
        ids: list[str] = []
        while len(ids) < count and (held := await self._hand.next_job()):
            self._held[held.id] = held
            ids.append(held.id)
        return ids

    async def complete(self, job_id: str, value: Any) -> None:
        with refusals():
            await self._held[job_id].complete(value)

    async def fail(self, job_id: str, message: str) -> None:
        with refusals():
            await self._held[job_id].fail(message)

    async def fail_for_good(self, job_id: str, message: str) -> None:
        with refusals():
            await self._held[job_id].fail(message, for_good=True)

    async def move_to_delayed(self, job_id: str, at: int) -> None:
        with refusals():
            await self._held[job_id].move_to_delayed(words.instant(moment(at)))

    async def move_to_wait(self, job_id: str) -> None:
        with refusals():
            await self._held[job_id].move_to_wait()

    async def extend_lock(self, job_id: str, duration: int) -> None:
        with refusals():
            await self._held[job_id].extend_lock(words.span(duration))

    async def check_stalled(self) -> Any:
        await self._commands.check_stalled(max_stalled=1, interval_ms=30_000, now=now())

    async def work(self, attempts: int, points: int | None = None) -> Any:
        """A real worker until it has reported so many attempts."""
        ended = Signal("ended")
        options = WorkerOptions(name=WORKER, max_data_points=points)
        worker = Worker(self._queue.name, self._redis_url, Painter(), prefix=self._prefix, options=options)
        worker.on_completed(ended)
        worker.on_failed(ended)
        async with worker:
            await ended.wait(attempts, timeout=30)

    async def update_data(self, job_id: str, data: Any) -> None:
        with refusals():
            await self._queue.update_data(job_id, data)

    async def progress(self, job_id: str, value: Any) -> None:
        with refusals():
            await self._queue.update_progress(job_id, value)

    async def log(self, job_id: str, row: str, keep: int = 0) -> Any:
        with refusals():
            return await self._queue.log(job_id, row, keep=keep)

    async def logs(self, job_id: str) -> Any:
        return await self._queue.logs(job_id)

    async def log_count(self, job_id: str) -> Any:
        return await self._queue.log_count(job_id)

    async def clear_logs(self, job_id: str, keep: int = 0) -> None:
        await self._queue.clear_logs(job_id, keep=keep)

    async def promote(self, job_id: str) -> None:
        with refusals():
            await self._queue.promote(job_id)

    async def promote_all(self) -> None:
        await self._queue.promote_all()

    async def retry(self, job_id: str, state: str = "failed") -> None:
        if await self._queue.state(job_id) != state:  # Node's caller says where the job is, ours need not know
            raise Refused(f"{job_id} is not {state}")
        with refusals():
            await self._queue.retry(job_id)

    async def retry_all(self, state: Any) -> None:
        await self._queue.retry_all(state)

    async def change_priority(self, job_id: str, priority: int, lifo: bool = False) -> None:
        with refusals():
            await self._queue.change_priority(job_id, priority, lifo=lifo)

    async def change_delay(self, job_id: str, delay: int) -> None:
        with refusals():
            await self._queue.change_delay(job_id, timedelta(milliseconds=delay))

    async def pause(self) -> None:
        await self._queue.pause()

    async def resume(self) -> None:
        await self._queue.resume()

    async def is_paused(self) -> Any:
        return await self._queue.is_paused()

    async def deduplication_job(self, deduplication_id: str) -> Any:
        return await self._queue.deduplication_job(deduplication_id)

    async def remove_deduplication(self, deduplication_id: str) -> Any:
        return await self._queue.remove_deduplication(deduplication_id)

    async def remove_own_deduplication(self, job_id: str) -> Any:
        job = await self._queue.get(job_id)
        if job is None or job.deduplication_id is None:
            return False
        return await self._queue.remove_deduplication(job.deduplication_id, owner=job_id)

    async def metrics(self, kind: Any, start: int = 0, end: int = -1) -> Any:
        found = await self._queue.metrics(kind, start=start, end=end)
        return [found.total, found.noted_total, found.per_minute, found.minutes]

    async def delayed_count(self, before: int | None = None) -> Any:
        return await self._queue.delayed_count(None if before is None else words.instant(before))

    async def trim_events(self, most: int) -> Any:
        await self._queue.trim_events(most)

    async def meta(self) -> Any:
        meta = await self._queue.meta()
        limit = meta.rate_limit
        return _without_nones(
            version=meta.version,
            maxLenEvents=meta.max_events,
            paused=meta.paused,
            concurrency=meta.concurrency,
            max=limit and limit.max,
            duration=limit and limit.duration // timedelta(milliseconds=1),
        )

    async def remove_orphans(self) -> Any:
        return await self._queue.remove_orphans()

    async def remove_priority_key(self) -> Any:
        return await self._queue.remove_priority_key()

    async def set_global_concurrency(self, concurrency: int) -> Any:
        with refusals():
            await self._queue.set_global_concurrency(concurrency)

    async def global_concurrency(self) -> Any:
        return await self._queue.global_concurrency()

    async def remove_global_concurrency(self) -> None:
        await self._queue.remove_global_concurrency()

    async def is_maxed(self) -> Any:
        return await self._queue.is_maxed()

    async def set_global_rate_limit(self, most: int, duration: int) -> None:
        await self._queue.set_global_rate_limit(RateLimit(most, words.span(duration)))

    async def global_rate_limit(self) -> Any:
        limit = await self._queue.global_rate_limit()
        return limit and {"max": limit.max, "duration": limit.duration // timedelta(milliseconds=1)}

    async def remove_global_rate_limit(self) -> None:
        await self._queue.remove_global_rate_limit()

    async def rate_limit(self, duration: int) -> None:
        await self._queue.rate_limit(words.span(duration))

    async def rate_limit_seconds(self, most: int | None = None) -> Any:
        return round((await self._queue.rate_limit_ttl(most)).total_seconds())

    async def remove_rate_limit(self) -> None:
        await self._queue.remove_rate_limit()

    async def remove(self, job_id: str) -> Any:
        with refusals():
            return await self._queue.remove(job_id)

    async def drain(self, delayed: bool) -> None:
        await self._queue.drain(delayed=delayed)

    async def clean(self, grace: int, limit: int, state: Any) -> Any:
        return sorted(await self._queue.clean(timedelta(milliseconds=grace), limit, state))

    async def obliterate(self, force: bool) -> None:
        with refusals():
            await self._queue.obliterate(force=force)

    async def schedule(self, scheduler_id: str, repeat: dict[str, Any], template: dict[str, Any]) -> Any:
        rule = words.repeat({name: moment(value) for name, value in repeat.items()})
        chosen = words.options(template.get("opts", {}))
        with refusals():
            job = await self._queue.schedule(scheduler_id, rule, template["name"], template.get("data"), **chosen)
        return job.id

    async def unschedule(self, scheduler_id: str) -> Any:
        return await self._queue.unschedule(scheduler_id)

    async def scheduler_count(self) -> Any:
        return await self._queue.scheduler_count()

    async def schedulers(self) -> Any:
        return [
            _without_nones(
                key=one.id,
                name=one.name,
                next=to_ms(one.next_run),
                pattern=one.repeat.pattern,
                every=one.repeat.interval and one.repeat.interval // timedelta(milliseconds=1),
                tz=one.repeat.zone if one.repeat.pattern else None,
                limit=one.repeat.limit,
                iterationCount=one.runs,
            )
            for one in await self._queue.schedulers()
        ]

    async def exists(self, *ids: str) -> Any:
        found = await self._queue.exists(ids)
        return [job_id for job_id in ids if job_id in found]

    async def counts(self) -> Any:
        counts = await self._queue.counts()
        return {
            "waiting": counts.waiting,
            "active": counts.active,
            "delayed": counts.delayed,
            "prioritized": counts.prioritized,
            "completed": counts.completed,
            "failed": counts.failed,
            "waiting-children": counts.waiting_children,
        }

    async def pending(self) -> Any:
        return (await self._queue.counts()).pending

    async def job_ids(self, states: Any, start: int, end: int, ascending: bool) -> Any:
        return await self._queue.job_ids(states, start=start, end=end, ascending=ascending)

    async def jobs(self, state: Any) -> Any:
        return [job.id for job in await self._queue.jobs(state, ascending=True)]


@contextmanager
def refusals() -> Iterator[None]:
    try:
        yield
    except CarequeueError as error:
        raise Refused(str(error)) from error


def now() -> int:
    return int(time.time() * 1000)


def _without_nones(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
