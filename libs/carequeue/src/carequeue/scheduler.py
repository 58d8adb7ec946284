"""Schedulers: jobs that repeat. A scheduler always has exactly one run waiting; taking it adds the next one.

`Queue.schedule` and its neighbours call `upsert`, `find` and `listing`; a worker calls `advance` for each run that it
takes, before it runs the handler, so a slow run never delays the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from carequeue.errors import InvalidOption, SchedulerBusy
from carequeue.repeat import Repeat, next_run
from carequeue.store.scheduling import CHANGED, COLLISION
from carequeue.wire.codec import decode_options
from carequeue.wire.json_text import parse
from carequeue.wire.schedule import (
    RunRecord,
    Template,
    decode_repeat,
    decode_template,
    encode_scheduler,
    iterations,
    make_run,
    run_due,
    run_id,
    same_rule,
)
from carequeue.wire.times import from_ms, to_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from carequeue.job import Job
    from carequeue.options import JobOptions
    from carequeue.store.scheduling import Scheduling, StoredScheduler

TRIES = 32
"""How many slots that are taken are passed over, and how often a change by somebody else is looked at again."""


@dataclass(frozen=True, slots=True)
class Scheduler:
    """A scheduler as it was when it was read."""

    id: str
    name: str
    repeat: Repeat
    next_run: datetime
    runs: int
    """How many runs it has made, the one that it waits for included."""
    data: Any
    options: JobOptions


async def upsert(store: Scheduling, scheduler_id: str, repeat: Repeat, template: Template, now: int) -> RunRecord:
    """Create or change a scheduler and return its next run.

    With the same times as before the run that waits stays at its instant, even if that is past: starting a program
    again does not skip a run. Otherwise the run that waits is replaced. The number of runs made is kept, and the limit.

    Raises:
        InvalidOption: the rule has no run (any more).
        SchedulerBusy: other programs keep changing it, or its next slots are all taken.
    """
    for _ in range(TRIES):
        seen = await store.get(scheduler_id)
        made = iterations(seen.fields) if seen else 1
        for due in _first_slots(scheduler_id, repeat, seen, now):
            run = make_run(scheduler_id, repeat, template, due=due, now=now, count=made)
            code = await store.upsert(scheduler_id, seen, encode_scheduler(repeat, template, due), run)
            if code == 0:
                return run
            if code == CHANGED:
                break
        else:
            raise SchedulerBusy
    raise SchedulerBusy


async def advance(store: Scheduling, job: Job[Any], now: int, advanced: Callable[[str], None] = lambda _: None) -> None:
    """Add the run after the one that was just taken, or end the scheduler: it has no further run.

    Does nothing if the job is no run of a living scheduler, or the scheduler waits for another one already. `advanced`
    is called with the id of the run that was added.

    Raises:
        InvalidOption: another client made the scheduler with a pattern that carequeue cannot follow.
        SchedulerBusy: its next slots are all taken.
    """
    scheduler_id = job.scheduler_id
    taken = run_due(scheduler_id, job.id) if scheduler_id else None
    if scheduler_id is None or taken is None:
        return
    seen = await store.get(scheduler_id)
    if seen is None or seen.due != taken or "ic" not in seen.fields:
        return
    repeat, template, made = decode_repeat(seen.fields), decode_template(seen.fields), iterations(seen.fields)
    if repeat.limit is not None and made >= repeat.limit:
        await store.advance(scheduler_id, taken, None)
        return
    for due in _slots(scheduler_id, repeat, after=now, previous=taken):
        run = make_run(scheduler_id, repeat, template, due=due, now=now, count=made + 1)
        code = await store.advance(scheduler_id, taken, run)
        if code == 0:
            advanced(run_id(scheduler_id, due))
        if code != COLLISION:
            return
    if next_run(repeat, after=from_ms(now), previous=from_ms(taken), seed=scheduler_id) is None:
        await store.advance(scheduler_id, taken, None)
        return
    raise SchedulerBusy


async def find(store: Scheduling, scheduler_id: str) -> Scheduler | None:
    stored = await store.get(scheduler_id)
    return None if stored is None else _read(stored)


async def listing(store: Scheduling, start: int, end: int) -> list[Scheduler]:
    """Those due first first. What another client made and carequeue cannot follow is left out."""
    found: list[Scheduler] = []
    for stored in await store.page(start, end):
        try:
            found.append(_read(stored))
        except InvalidOption:
            continue
    return found


def _first_slots(scheduler_id: str, repeat: Repeat, seen: StoredScheduler | None, now: int) -> Iterator[int]:
    """Where the next run of a scheduler that is created or changed may lie, the best first."""
    previous: int | None = None
    empty = True
    if seen is not None and _unchanged(repeat, seen):
        previous = seen.due
        if seen.pending:
            empty = False
            yield seen.due
    for slot in _slots(scheduler_id, repeat, after=now, previous=previous):
        empty = False
        yield slot
    if empty:
        raise InvalidOption(f"the scheduler {scheduler_id!r} would never run: its end is past, or no day fits")


def _slots(scheduler_id: str, repeat: Repeat, *, after: int, previous: int | None) -> Iterator[int]:
    last = previous
    for _ in range(TRIES):
        run = next_run(
            repeat, after=from_ms(after), previous=None if last is None else from_ms(last), seed=scheduler_id
        )
        if run is None:
            return
        last = to_ms(run)
        yield last


def _unchanged(repeat: Repeat, seen: StoredScheduler) -> bool:
    try:
        return same_rule(repeat, seen.fields)
    except InvalidOption:
        return False


def _read(stored: StoredScheduler) -> Scheduler:
    template = decode_template(stored.fields)
    return Scheduler(
        id=stored.id,
        name=template.name,
        repeat=decode_repeat(stored.fields),
        next_run=from_ms(stored.due),
        runs=iterations(stored.fields),
        data=parse(template.data),
        options=decode_options(template.opts),
    )
