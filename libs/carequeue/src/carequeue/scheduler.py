"""Schedulers: jobs that repeat. A scheduler always has exactly one run waiting; taking it adds the next one.

`Queue.schedule` and its neighbours call `upsert`, `find` and `listing`; a worker calls `advance` for each run that it
takes, before it runs the handler, so a slow run never delays the next one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from carequeue.errors import ConnectionLost, InvalidOption, SchedulerBusy
from carequeue.misfire import MissedRun, SkipLate
from carequeue.store.scheduling import CHANGED, COLLISION
from carequeue.timetable import Timetable
from carequeue.wire.codec import decode_options
from carequeue.wire.json_text import parse
from carequeue.wire.schedule import (
    RunRecord,
    Template,
    decode_misfire,
    decode_repeat,
    decode_template,
    encode_misfire,
    encode_scheduler,
    iterations,
    make_run,
    run_id,
    same_rule,
)
from carequeue.wire.times import from_ms, to_ms

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime

    from carequeue.job import Job
    from carequeue.options import JobOptions
    from carequeue.repeat import Repeat
    from carequeue.store.scheduling import Scheduling, StoredScheduler
    from carequeue.timetable import RepeatStrategy

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


async def upsert(store: Scheduling, timetable: Timetable, template: Template, now: int) -> RunRecord:
    """Create or change a scheduler and return its next run.

    With the same times as before the run that waits stays at its instant, even if that is past: starting a program
    again does not skip a run. Otherwise the run that waits is replaced. The number of runs made is kept, and the limit.

    Raises:
        InvalidOption: the rule has no run (any more), or no strategy that its pattern needs.
        SchedulerBusy: other programs keep changing it, or its next slots are all taken.
    """
    scheduler_id, repeat = timetable.scheduler_id, timetable.repeat
    template = replace(template, opts={**template.opts, **encode_misfire(repeat.misfire)})
    for _ in range(TRIES):
        seen = await store.get(scheduler_id)
        made = iterations(seen.fields) if seen else 1
        async for due in _first_slots(timetable, seen, now):
            run = make_run(scheduler_id, repeat, template, due=due, now=now, count=made)
            code = await store.upsert(scheduler_id, seen, encode_scheduler(repeat, template, due), run)
            if code == 0:
                return run
            if code == CHANGED:
                break
        else:
            raise SchedulerBusy
    raise SchedulerBusy


async def advance(
    store: Scheduling,
    job: Job[Any],
    now: int,
    advanced: Callable[[str], None] = lambda _: None,
    *,
    strategy: RepeatStrategy | None = None,
) -> MissedRun | None:
    """Add the run after the one that was just taken, or end the scheduler: it has no further run.

    Adds nothing if the job is no run of a living scheduler, or the scheduler waits for another one already. Answers
    why the run that was taken is not to run, if so. `advanced` is called with the id of the run that was added.

    Raises:
        InvalidOption: another client made the scheduler with a pattern that carequeue cannot follow, or the strategy
            did not keep its word.
        SchedulerBusy: its next slots are all taken.
    """
    scheduler_id, taken = job.scheduler_id, job.scheduled_for
    if scheduler_id is None or taken is None:
        return None
    seen = await store.get(scheduler_id)
    if seen is None or seen.due != to_ms(taken) or "ic" not in seen.fields:
        return _missed(job, now)
    try:
        timetable = Timetable(scheduler_id, decode_repeat(seen.fields, custom=strategy is not None), strategy)
        turn = await timetable.take(taken, from_ms(now))
        await _follow(store, timetable, seen, turn.following, now, advanced)
    except ConnectionLost:
        raise
    except Exception:  # a strategy may raise anything
        await store.note_started(scheduler_id, seen.due)
        raise
    return _missed(job, now, skipped=turn.skipped)


async def find(store: Scheduling, scheduler_id: str) -> Scheduler | None:
    stored = await store.get(scheduler_id)
    return None if stored is None else _read(stored)


async def listing(store: Scheduling, start: int, end: int) -> list[Scheduler]:
    """Those due first first. What another client made with a zone or bounds that carequeue cannot read is left out."""
    found: list[Scheduler] = []
    for stored in await store.page(start, end):
        try:
            found.append(_read(stored))
        except InvalidOption:
            continue
    return found


async def _follow(
    store: Scheduling,
    timetable: Timetable,
    seen: StoredScheduler,
    following: datetime | None,
    now: int,
    advanced: Callable[[str], None],
) -> None:
    """Write the run after the one that the scheduler was seen to wait for, or its end."""
    repeat, template, made = timetable.repeat, decode_template(seen.fields), iterations(seen.fields)
    if repeat.limit is not None and made >= repeat.limit:
        following = None
    tried = 0
    async for due in timetable.slots(following, TRIES):
        tried += 1
        run = make_run(seen.id, repeat, template, due=to_ms(due), now=now, count=made + 1)
        code = await store.advance(seen.id, seen.due, run)
        if code == 0:
            advanced(run_id(seen.id, run.due))
        if code != COLLISION:
            return
    if tried == TRIES:
        raise SchedulerBusy
    await store.advance(seen.id, seen.due, None)


def _missed(job: Job[Any], now: int, *, skipped: bool | None = None) -> MissedRun | None:
    """Why a run that was taken is not to run. `skipped`: what its scheduler says; None: that waits for another one."""
    if job.scheduled_for is None:
        return None
    late = from_ms(now) - job.scheduled_for
    rule = job.raw_options.get("repeat")
    end = cast("dict[str, Any]", rule).get("endDate") if isinstance(rule, dict) else None
    if isinstance(end, int | float) and to_ms(job.scheduled_for) > end:
        return MissedRun("its scheduler had ended before it was due", late)
    if skipped is None:
        misfire = decode_misfire(job.raw_options)
        skipped = isinstance(misfire, SkipLate) and late > misfire.after
    if not skipped or job.attempts_made:  # another attempt is late on purpose
        return None
    return MissedRun(f"it came {late} late", late)


async def _first_slots(timetable: Timetable, seen: StoredScheduler | None, now: int) -> AsyncIterator[int]:
    """Where the next run of a scheduler that is created or changed may lie, the best first."""
    previous: datetime | None = None
    empty = True
    if seen is not None and _unchanged(timetable.repeat, seen):
        previous = from_ms(seen.due)
        if seen.state in ("pending", "lost"):
            empty = False
            yield seen.due
    first = await timetable.next(after=from_ms(now), previous=previous)
    async for slot in timetable.slots(first, TRIES):
        empty = False
        yield to_ms(slot)
    if empty:
        who = timetable.scheduler_id
        raise InvalidOption(f"the scheduler {who!r} would never run: its end is past, or no day fits")


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
        repeat=decode_repeat(stored.fields, custom=True),
        next_run=from_ms(stored.due),
        runs=iterations(stored.fields),
        data=parse(template.data),
        options=decode_options(template.opts),
    )
