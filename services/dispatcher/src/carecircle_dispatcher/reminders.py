"""The jobs of the queue `reminders`: a dose is due, its deliveries are made, and their jobs are added at once."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from carecircle.db.away import away
from carecircle.db.due import due_occurrences
from carecircle.db.session import database_now
from carecircle.jobs import REMIND, Remind
from carecircle.runtime.clock import local_time, utc_now
from carecircle.usecases.dispatching import Dispatched, TooEarly, dispatch
from carecircle.usecases.enqueueing import add_jobs
from carequeue import RetryAt, Skip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from carecircle.channels import ChannelSpec
    from carecircle.db.session import Database
    from carecircle.domain.occurrence import SkipReason
    from carecircle.jobs import Queues
    from carequeue import Job, Worker

DATABASE_AWAY_WAIT = timedelta(seconds=2)

log = structlog.stdlib.get_logger(__name__)


class Reminders:
    """Decides about due doses, whichever way they came: by a job, or by the feeder while Redis is away."""

    def __init__(self, database: Database, queues: Queues, channels: Mapping[str, ChannelSpec]) -> None:
        self._database = database
        self._queues = queues
        self._channels = channels

    def attach(self, worker: Worker) -> Worker:
        @worker.handles(REMIND)
        async def remind(job: Job[Remind]) -> object:
            return await self.for_queue(job.data.occurrence_id)

        return worker

    async def for_queue(self, occurrence_id: UUID) -> dict[str, int] | RetryAt | Skip:
        """The return value of the job, or how it goes on."""
        try:
            decided = await self.decide(occurrence_id)
        except Exception as error:
            if not away(error):
                raise
            log.warning("reminder.database_away", occurrence_id=occurrence_id)
            wait = DATABASE_AWAY_WAIT * (1 + random.random())  # noqa: S311 - jitter, no secret
            return RetryAt(utc_now() + wait, "database_away")
        match decided:
            case Dispatched(deliveries):
                await add_jobs(self._queues, deliveries)
                return {"sent": len(deliveries)}
            case TooEarly(until, now):
                return RetryAt(local_time(until, now), "too_early")
            case reason:
                return Skip(reason)

    async def decide(self, occurrence_id: UUID) -> Dispatched | TooEarly | SkipReason:
        """Make the deliveries. Without jobs: while Redis is away the channel workers find them by themselves."""
        decided = await dispatch(self._database, self._channels, occurrence_id)
        if isinstance(decided, Dispatched):
            log.info(
                "reminder.dispatched", occurrence_id=occurrence_id, count=len(decided.deliveries), late=decided.late
            )
        return decided

    async def due(self, limit: int) -> Sequence[UUID]:
        """What to remind of now, for the feeder."""
        async with self._database.transaction() as session:
            return await due_occurrences(session, now=await database_now(session), limit=limit)
