"""From rows to jobs: what becomes due gets one, and what lost its job gets another.

The row is committed first and the job added after, so a job always has its row. Every loss on the way (Redis away,
emptied, or a job stuck in its failed set) is seen by `reconcile`, which looks at rows and never at history.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog
from redis.exceptions import RedisError

from carecircle.db.due import Waiting, enqueued_before, mark_enqueued, raise_generations
from carecircle.db.session import database_now
from carecircle.jobs import REMIND, REMINDERS, SEND, Queues, Remind, Send, job_id
from carecircle.runtime.clock import delay_until
from carequeue import ConnectionLost, JobState, UnsuitableRedis

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from uuid import UUID

    from carecircle.db.session import Database
    from carequeue import NewJob

ENQUEUE_HORIZON = timedelta(minutes=15)
BATCH = 1000
SOON = timedelta(seconds=30)
"""So long before its time a row's job is looked for in Redis."""
STALE = timedelta(seconds=30)
"""So long after its time a row that nobody handled gets another job, if the old one has ended."""
SETTLING = timedelta(seconds=2)
"""Between a row's commit and its job's arrival in Redis nobody calls the job lost."""
CANDIDATES = 5000
REDIS_AWAY = (ConnectionLost, UnsuitableRedis, RedisError, OSError)

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What one round did: jobs for rows that had none yet, and new jobs for rows whose job was lost or stuck."""

    enqueued: int
    healed: int


async def enqueue_due_soon(
    database: Database,
    queues: Queues,
    *,
    patient_id: UUID | None = None,
    horizon: timedelta = ENQUEUE_HORIZON,
) -> int:
    """Give a job to everything that is due within the horizon and has none; the number of jobs added.

    A Redis that is away is logged, not raised: the rows are marked, and `reconcile` sees that their jobs are missing.
    """
    added = 0
    while True:
        async with database.transaction() as session:
            now = await database_now(session)
            marked = await mark_enqueued(session, until=now + horizon, limit=BATCH, patient_id=patient_id)
        added += await add_jobs(queues, marked)
        if len(marked) < BATCH:
            return added


async def reconcile(database: Database, queues: Queues, *, horizon: timedelta = ENQUEUE_HORIZON) -> Reconciled:
    """One round: enqueue what is due soon, then look for the jobs of what is due now and replace lost ones.

    Raises what the queue raises when Redis is away: nothing can be known about its jobs then.
    """
    enqueued = await enqueue_due_soon(database, queues, horizon=horizon)
    async with database.transaction() as session:
        now = await database_now(session)
        waiting = await enqueued_before(session, soon=now + SOON, now=now, limit=CANDIDATES)
    lost = [one for name, rows in by_queue(waiting).items() for one in await lost_jobs(queues, name, rows, now)]
    if not lost:
        return Reconciled(enqueued, 0)
    async with database.transaction() as session:
        raised = await raise_generations(session, lost)
    log.warning("reconciler.healed", healed=len(raised))
    return Reconciled(enqueued, await add_jobs(queues, raised))


async def add_jobs(queues: Queues, waiting: Iterable[Waiting]) -> int:
    """Add the jobs of these rows, one round trip a queue; the number added."""
    added = 0
    for name, rows in by_queue(waiting).items():
        try:
            queue = await queues.get(name)
            await queue.add_bulk(new_job(row) for row in rows)
        except REDIS_AWAY as error:
            log.warning("enqueue.lost", queue=name, count=len(rows), error=type(error).__name__)
        else:
            added += len(rows)
    return added


def new_job(row: Waiting) -> NewJob[Any]:
    """The job of a row. Its delay is measured on the database's clock, from when the row was given its generation."""
    name = job_id(row.row_id, row.generation)
    delay, priority = delay_until(row.at, row.enqueued_at or row.at), row.severity.priority
    if row.channel is None:
        return REMIND.with_id(name, Remind(row.row_id, row.generation), delay=delay, priority=priority)
    return SEND.with_id(name, Send(row.row_id, row.generation), delay=delay, priority=priority)


async def lost_jobs(queues: Queues, name: str, rows: list[Waiting], now: datetime) -> list[Waiting]:
    """Those of one queue's rows that need another job."""
    queue = await queues.get(name)
    ids = {job_id(row.row_id, row.generation): row for row in rows}
    present = await queue.exists(ids)
    asked = {key for key in present if may_be_stuck(ids[key], now)}
    states = await queue.states(asked)
    return [
        row
        for key, row in ids.items()
        if (key not in present and is_settled(row, now)) or (key in asked and is_stuck(row, states.get(key)))
    ]


def by_queue(rows: Iterable[Waiting]) -> Mapping[str, list[Waiting]]:
    found: defaultdict[str, list[Waiting]] = defaultdict(list)
    for row in rows:
        found[row.channel or REMINDERS].append(row)
    return found


def is_settled(row: Waiting, now: datetime) -> bool:
    return row.enqueued_at is not None and now - row.enqueued_at > SETTLING


def may_be_stuck(row: Waiting, now: datetime) -> bool:
    """Its worker died, or its time passed a while ago; and it was not given this job just now."""
    if row.enqueued_at is None:
        return False
    given_long_ago = now - row.enqueued_at > STALE
    if row.held:
        return row.enqueued_at < row.at or given_long_ago
    return now - row.at > STALE and given_long_ago


def is_stuck(row: Waiting, state: JobState | None) -> bool:
    """Its job has ended without handling the row. One that waits is left alone: an operator may have paused the queue.

    A worker that died holds its job as active until the queue notices; there is no need to wait for that.
    """
    ended = state in {None, JobState.COMPLETED, JobState.FAILED}
    return ended or (row.held and state is JobState.ACTIVE)
