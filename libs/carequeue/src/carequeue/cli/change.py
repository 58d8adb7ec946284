"""Commands that change a queue. What touches many jobs, or cannot be undone, asks first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from carequeue.cli.look import queue
from carequeue.cli.output import refuse
from carequeue.errors import JobError, JobNotFound

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Awaitable, Callable

    from carequeue.cli.output import Output


async def add(asked: Namespace, output: Output) -> int:
    async with queue(asked) as one:
        job = await one.add(
            asked.name,
            asked.data,
            job_id=asked.job_id,
            delay=asked.delay,
            priority=asked.priority,
            attempts=asked.attempts,
        )
    output.done(f"added {job.id}", id=job.id)
    return 0


async def retry(asked: Namespace, output: Output) -> int:
    _check_choice(asked, ids=asked.ids, all=asked.all, error=asked.error)
    state = "completed" if asked.completed else "failed"
    async with queue(asked) as one:
        if asked.ids:
            return await _each(
                asked, output, "retried", lambda id_: one.retry(id_, reset_attempts=asked.reset_attempts)
            )
        output.confirm(f"Run {_which(asked, state)} of {asked.queue} again?", yes=asked.yes)
        if asked.error:
            count = await one.retry_error_group(asked.error, limit=asked.limit, reset_attempts=asked.reset_attempts)
        else:
            count = await one.retry_all(state, limit=asked.limit)
    output.done(f"retried {count}", retried=count)
    return 0


async def promote(asked: Namespace, output: Output) -> int:
    _check_choice(asked, ids=asked.ids, all=asked.all)
    async with queue(asked) as one:
        if asked.ids:
            return await _each(asked, output, "promoted", one.promote)
        which = f"at most {asked.limit} delayed jobs" if asked.limit else "every delayed job"
        output.confirm(f"Run {which} of {asked.queue} now?", yes=asked.yes)
        count = await one.promote_all(limit=asked.limit)
    output.done(f"promoted {count}", promoted=count)
    return 0


async def remove(asked: Namespace, output: Output) -> int:
    _check_choice(asked, ids=asked.ids, error=asked.error)
    async with queue(asked) as one:
        if asked.ids:

            async def gone(job_id: str) -> None:
                if not await one.remove(job_id):
                    raise JobNotFound(job_id)

            return await _each(asked, output, "removed", gone)
        output.confirm(f"Remove the failed jobs of error {asked.error} from {asked.queue}?", yes=asked.yes)
        count = await one.remove_error_group(asked.error)
    output.done(f"removed {count}", removed=count)
    return 0


async def clean(asked: Namespace, output: Output) -> int:
    output.confirm(f"Remove {asked.state} jobs of {asked.queue}?", yes=asked.yes)
    async with queue(asked) as one:
        ids = await one.clean(asked.older_than, asked.limit, asked.state)
    output.done(f"removed {len(ids)}", removed=len(ids))
    return 0


async def pause(asked: Namespace, output: Output) -> int:
    async with queue(asked) as one:
        await one.pause()
    output.done(f"{asked.queue} is paused; what is active goes on", paused=True)
    return 0


async def resume(asked: Namespace, output: Output) -> int:
    async with queue(asked) as one:
        await one.resume()
    output.done(f"{asked.queue} is not paused any more", paused=False)
    return 0


async def drain(asked: Namespace, output: Output) -> int:
    kinds = "waiting and delayed" if asked.delayed else "waiting"
    output.confirm(f"Remove all {kinds} jobs of {asked.queue}?", yes=asked.yes)
    async with queue(asked) as one:
        removed = await one.drain(delayed=asked.delayed)
    output.done(f"removed {removed}", removed=removed)
    return 0


async def obliterate(asked: Namespace, output: Output) -> int:
    output.confirm(f"Delete {asked.queue} with all its jobs and schedulers? Nothing brings them back.", yes=asked.yes)
    async with queue(asked) as one:
        await one.obliterate(force=asked.force)
    output.done(f"{asked.queue} is gone", obliterated=True)
    return 0


async def remove_orphans(asked: Namespace, output: Output) -> int:
    output.confirm(f"Remove the jobs of {asked.queue} that are in no state? Every key is looked at.", yes=asked.yes)
    async with queue(asked) as one:
        removed = await one.remove_orphans(limit=asked.limit)
    output.done(f"removed {removed}", removed=removed)
    return 0


async def unschedule(asked: Namespace, output: Output) -> int:
    async with queue(asked) as one:
        if not await one.unschedule(asked.id):
            refuse(f"queue {asked.queue!r} has no scheduler {asked.id!r}")
    output.done(f"{asked.id} repeats no more", unscheduled=asked.id)
    return 0


async def replay(asked: Namespace, output: Output) -> int:
    _check_choice(asked, ids=asked.ids, all=asked.all)
    async with queue(asked) as one:
        if asked.ids:
            return await _each(asked, output, "replayed", one.replay)
        output.confirm(f"Put the jobs of the letters in {asked.queue} back?", yes=asked.yes)
        count = await one.replay_all(count=asked.limit)
    output.done(f"replayed {count}", replayed=count)
    return 0


async def _each(asked: Namespace, output: Output, done: str, change: Callable[[str], Awaitable[object]]) -> int:
    """Job by job: one that cannot be changed is told and does not keep the others from it."""
    failed = False
    for job_id in asked.ids:
        try:
            await change(job_id)
        except JobError as error:
            failed = True
            output.complain(str(error))
        else:
            output.done(f"{done} {job_id}", **{done: job_id})
    return 1 if failed else 0


def _check_choice(asked: Namespace, **ways: object) -> None:
    if sum(bool(way) for way in ways.values()) != 1:
        words = ["ids of jobs" if name == "ids" else f"--{name}" for name in ways]
        refuse(f"say which: {' or '.join(words)}, and one of these only")
    if getattr(asked, "all", False) and getattr(asked, "reset_attempts", False):
        refuse("--reset-attempts goes with ids or --error")
    if getattr(asked, "completed", False) and not asked.all:
        refuse("--completed goes with --all; a completed job is retried by its id as well")


def _which(asked: Namespace, state: str) -> str:
    count = f"at most {asked.limit}" if asked.limit else "all"
    return f"{count} {state} jobs" + (f" of error {asked.error}" if asked.error else "")
