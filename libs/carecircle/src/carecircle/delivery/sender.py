"""One attempt at one delivery: claim → re-check → compose → handoff → provider → outcome row, in that order.

The row is committed as handed off before any byte leaves, and every write is fenced by the attempt: whatever dies,
stops or comes back at any point here, a message is repeated only for an attempt that is recorded as ambiguous.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from carecircle.channels import Undeliverable
from carecircle.db.away import away
from carecircle.db.claims import Claim, claim, hand_off, record, standing
from carecircle.db.session import database_now
from carecircle.delivery.lease import Lease
from carecircle.delivery.message import message_date
from carecircle.delivery.reading import facts_for_channel, read_delivery, wanted_at, why_unwanted
from carecircle.delivery.verdict import Dead, Done, Later, Nothing, Verdict
from carecircle.domain.delivery import (
    OPEN_STATES,
    Ambiguous,
    Broken,
    Decision,
    DeliveryState,
    Outcome,
    Rejected,
    Sent,
    decide,
    unsent,
    used_up,
)
from carecircle.domain.occurrence import SkipReason
from carecircle.runtime.clock import local_time, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID

    from carecircle.channels import Channel
    from carecircle.db.session import Database
    from carecircle.runtime.metrics import Metrics

    Conclusion = Callable[[datetime], Decision]

HELD = (DeliveryState.CLAIMED, DeliveryState.HANDOFF)
NOTEWORTHY = (DeliveryState.RETRY, DeliveryState.FAILED, DeliveryState.AMBIGUOUS, DeliveryState.EXPIRED)

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SenderOptions:
    worker: str
    """Who claims: shown in the row."""
    lease: timedelta = timedelta(seconds=45)
    retry_base: timedelta = timedelta(minutes=1)
    send_limit: timedelta = timedelta(seconds=180)
    luck: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class Ready:
    """A message that is marked as handed off and must leave now, or not at all."""

    message: Any
    target_id: UUID
    wanted_at: datetime


class Sender:
    """The sending half of a channel worker; it knows no queue. Safe to call twice for the same delivery."""

    def __init__(self, database: Database, channel: Channel, metrics: Metrics, options: SenderOptions) -> None:
        self._database = database
        self._channel = channel
        self._metrics = metrics
        self._options = options
        self._name = channel.spec.name

    async def deliver(self, delivery_id: UUID) -> Verdict:
        """Make one attempt, unless somebody else is at it or it is not wanted any more.

        Raises what the database raises when it is away before anything has left.
        """
        taken_at = time.monotonic()
        async with self._database.transaction() as session:
            held = await claim(
                session, delivery_id, channel=self._name, worker=self._options.worker, lease=self._options.lease
            )
        if held is None:
            return await self._why_not(delivery_id)
        self._note_take_over(held)
        if (over := used_up(held.attempt)) is not None:
            return await self._conclude(held, lambda _: over)
        lease = Lease(self._database, held, self._options.lease, taken_at=taken_at)
        ready = await self._prepare(held, lease)
        if not isinstance(ready, Ready):
            return await self._conclude(held, ready)
        outcome = await self._send(held, ready, lease)
        return await self._record(held, ready, outcome, lease)

    async def _prepare(self, held: Claim, lease: Lease) -> Ready | Conclusion:
        """Hand the message off, or say what the row becomes instead."""
        try:
            ready = await lease.insist(lambda: self._compose_and_hand_off(held, lease))
        except Exception as error:
            if away(error):
                raise
            log.exception("delivery.broken", delivery_id=held.delivery_id, channel=self._name, attempt=held.number)
            return lambda now: self._decide(Broken(), held, now)
        return ready if isinstance(ready, Ready) else lambda _: unsent(held.attempt, ready)

    async def _compose_and_hand_off(self, held: Claim, lease: Lease) -> Ready | str:
        """Read everything fresh, write the message and mark the handoff in one transaction; or why not."""
        before = time.monotonic()
        async with self._database.transaction() as session:
            read = await read_delivery(session, held)
            reason = why_unwanted(read)
            if read is None or reason is not None:
                return reason or SkipReason.NOT_FOUND
            try:
                message = await self._channel.compose(session, await facts_for_channel(session, read))
            except Undeliverable as gone:
                return gone.code
            if not await hand_off(session, held, first_handoff_at=message_date(read), lease=self._options.lease):
                # Something changed since the facts were read, a moment ago; the next statement sees what.
                return why_unwanted(await read_delivery(session, held)) or SkipReason.SUPERSEDED
        lease.restarted(before)
        return Ready(message, read.delivery.target_id, wanted_at(read))

    async def _send(self, held: Claim, ready: Ready, lease: Lease) -> Outcome | None:
        """What the provider answered; None when this worker lost its lease and may not act any more."""
        if not lease.seconds_left:
            return None
        sending = asyncio.ensure_future(self._channel.send(ready.message))
        keeping = asyncio.ensure_future(lease.keep())
        try:
            limit = self._options.send_limit.total_seconds()
            await asyncio.wait({sending, keeping}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                return self._outcome(held, sending)
            return None if keeping.done() else Ambiguous("deadline")
        finally:
            await stop(keeping)
            await stop(sending)

    def _outcome(self, held: Claim, sending: asyncio.Future[Outcome]) -> Outcome:
        if (error := sending.exception()) is None:
            return sending.result()
        log.error(
            "delivery.broken",
            delivery_id=held.delivery_id,
            channel=self._name,
            attempt=held.number,
            exc_info=error,
        )
        return Ambiguous(Broken.code)  # a channel raises only by a bug, and nobody knows what it did before that

    async def _record(self, held: Claim, ready: Ready, outcome: Outcome | None, lease: Lease) -> Verdict:
        if outcome is None:
            return await self._fenced(held)
        try:
            return await lease.insist(
                lambda: self._conclude(held, lambda now: self._decide(outcome, held, now), ready, outcome)
            )
        except Exception as error:
            if not away(error):
                raise
            # Whoever takes the row over finds it handed off, and counts the attempt as ambiguous.
            log.exception(
                "delivery.outcome_lost",
                delivery_id=held.delivery_id,
                channel=self._name,
                attempt=held.number,
                outcome=outcome.code,
            )
            return Later(utc_now() + self._options.lease, "outcome_lost")

    async def _conclude(
        self, held: Claim, conclude: Conclusion, ready: Ready | None = None, outcome: Outcome | None = None
    ) -> Verdict:
        """Write how the attempt ended; only then count it, say it, and tell the queue."""
        async with self._database.transaction() as session:
            now = await database_now(session)
            decision = conclude(now)
            reference = outcome.reference if isinstance(outcome, Sent) else None
            recorded = await record(session, held, decision, now=now, reference=reference)
            if recorded and ready is not None and isinstance(outcome, Rejected) and outcome.target_gone:
                await self._channel.mark_gone(session, ready.target_id, now)
        if not recorded:
            return await self._fenced(held)
        if ready is not None and decision.state is DeliveryState.SENT:
            waited = (now - ready.wanted_at).total_seconds()
            self._metrics.due_to_sent.labels(self._name).observe(max(0.0, waited))
        self._count(held, decision)
        return verdict(held, decision, now)

    async def _fenced(self, held: Claim) -> Verdict:
        """Another worker took the delivery over, or it was cancelled meanwhile: this one changes nothing."""
        log.warning("delivery.fenced", delivery_id=held.delivery_id, channel=self._name, attempt=held.number)
        return await self._why_not(held.delivery_id)

    async def _why_not(self, delivery_id: UUID) -> Verdict:
        """What to do about a row that is being sent, waits for its time, or has ended."""
        async with self._database.transaction() as session:
            row = await standing(session, delivery_id, self._name)
        if row is None:
            return Nothing(SkipReason.NOT_FOUND)
        if row.state in OPEN_STATES:
            wait_for = row.lease_until if row.state in HELD else row.next_attempt_at
            return Later(local_time(wait_for or row.now, row.now), row.state)
        return Nothing(skip_reason(row.state, row.outcome))

    def _decide(self, outcome: Outcome | Broken, held: Claim, now: datetime) -> Decision:
        return decide(outcome, held.attempt, now=now, retry_base=self._options.retry_base, luck=self._options.luck())

    def _note_take_over(self, held: Claim) -> None:
        if held.taken_over_from not in HELD:
            return
        if held.taken_over_from is DeliveryState.HANDOFF:
            self._metrics.ambiguous.labels(self._name).inc()
        log.warning(
            "delivery.taken_over",
            delivery_id=held.delivery_id,
            channel=self._name,
            attempt=held.number,
            state=held.taken_over_from,
        )

    def _count(self, held: Claim, decision: Decision) -> None:
        self._metrics.deliveries.labels(self._name, decision.state, decision.outcome).inc()
        if decision.ambiguous > held.ambiguous:
            self._metrics.ambiguous.labels(self._name).inc()
        say = log.warning if decision.state in NOTEWORTHY else log.info
        say(
            f"delivery.{decision.state}",
            delivery_id=held.delivery_id,
            channel=self._name,
            attempt=held.number,
            outcome=decision.outcome,
            until=decision.next_attempt_at,
        )


def verdict(held: Claim, decision: Decision, now: datetime) -> Verdict:
    """What the queue is told about a decision that the row holds."""
    match decision.state:
        case DeliveryState.SENT:
            return Done(str(held.delivery_id))
        case DeliveryState.RETRY:
            at = local_time(decision.next_attempt_at or now, now)
            return Later(at, decision.outcome, pauses_channel=decision.pauses_channel)
        case DeliveryState.CANCELLED | DeliveryState.EXPIRED:
            return Nothing(skip_reason(decision.state, decision.outcome))
        case _:
            return Dead(decision.outcome)


def skip_reason(state: DeliveryState, outcome: str | None) -> SkipReason:
    """Why there is nothing to do about a delivery that ended like this."""
    if state is DeliveryState.SENT:
        return SkipReason.ALREADY_SENT
    if state is DeliveryState.EXPIRED:
        return SkipReason.EXPIRED
    return SkipReason(outcome) if outcome in frozenset(SkipReason) else SkipReason.INACTIVE


async def stop(task: asyncio.Future[Any]) -> None:
    """Cancel it and wait until it has ended; whatever it raises meanwhile is of no interest any more."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()
