"""The queues of the running system, opened for one look or one intervention. Used by `carecircle queue`."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from carecircle.channels import discover
from carecircle.jobs import HOUSEKEEPING, REMINDERS, Queues
from carecircle.runtime.settings import Settings
from carecircle_cli.errors import CommandFailed
from carequeue import JobState

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from carequeue import Job, Queue


async def counts() -> Mapping[str, Mapping[str, Any]]:
    """By queue: the number of jobs in each state, and `paused`."""
    found: dict[str, Mapping[str, Any]] = {}
    async with _queues() as queues:
        for name in names():
            queue = await queues.get(name)
            counted = await queue.counts()
            by_state = {state.value: getattr(counted, state.name.lower()) for state in JobState}
            found[name] = {**by_state, "paused": await queue.is_paused()}
    return found


async def jobs(name: str, state: str, limit: int) -> Sequence[Mapping[str, Any]]:
    """The newest jobs of a state: ids, names and times, nothing of their data or their errors."""
    async with _queue(name) as queue:
        return [_facts(job) for job in await queue.jobs(JobState(state), start=0, end=limit - 1)]


async def retry(name: str, job_ids: Sequence[str]) -> int:
    async with _queue(name) as queue:
        for job_id in job_ids:
            await queue.retry(job_id)
    return len(job_ids)


async def retry_all(name: str) -> int:
    """Every failed job; how many there were."""
    async with _queue(name) as queue:
        return await queue.retry_all()


async def pause(name: str) -> None:
    async with _queue(name) as queue:
        await queue.pause()


async def resume(name: str) -> None:
    async with _queue(name) as queue:
        await queue.resume()


def names() -> list[str]:
    """Every queue of the system: the dispatcher's, and one for each channel that is installed."""
    return [REMINDERS, *sorted(discover()), HOUSEKEEPING]


@asynccontextmanager
async def _queue(name: str) -> AsyncGenerator[Queue]:
    if name not in names():
        raise CommandFailed(f"there is no queue {name!r}; there are: {', '.join(names())}", exit_code=2)
    async with _queues() as queues:
        yield await queues.get(name)


@asynccontextmanager
async def _queues() -> AsyncGenerator[Queues]:
    # Nobody needs the database's password to look at a queue.
    settings = Settings.load(database_url="postgresql://not-asked")
    async with Queues(settings.redis_url.get_secret_value(), settings.queue_prefix) as queues:
        yield queues


def _facts(job: Job[Any]) -> Mapping[str, Any]:
    times = {"added": job.added_at, "started": job.started_at, "finished": job.finished_at}
    return {
        "id": job.id,
        "name": job.name,
        "attempts": job.attempts_made,
        **{name: at.isoformat(timespec="seconds") if at else None for name, at in times.items()},
    }
