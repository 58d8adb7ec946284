"""Reports what ended and fetches into free slots, both in one script call.

While one call is under way the next ended jobs gather, so the busier the worker, the more one call carries (a group
commit without a timer). Two calls may be under way, so that Redis works while Python does.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from carequeue.errors import ConnectionLost
from carequeue.store.commands import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from carequeue.store.commands import Commands, FetchedJob, StepReply
    from carequeue.worker.bell import Bell
    from carequeue.worker.reporter import Reporter
    from carequeue.worker.setting import Setting
    from carequeue.worker.slots import Flight, Slots

FLIGHTS = 2

log: logging.Logger = logging.getLogger("carequeue.worker")


class Fetcher:
    """The flights of one worker."""

    def __init__(
        self,
        setting: Setting,
        commands: Commands,
        slots: Slots,
        bell: Bell,
        reporter: Reporter,
        start: Callable[[Sequence[FetchedJob]], None],
    ) -> None:
        self._setting = setting
        self._terms = setting.terms
        self._outage = setting.outage
        self._commands = commands
        self._slots = slots
        self._bell = bell
        self._reporter = reporter
        self._start = start

    async def fly(self) -> None:
        """Make one flight after the other until cancelled; FLIGHTS of these loops run at once."""
        while True:
            flight = self._slots.next_flight()
            if flight is None:
                await self._slots.work.wait()
            else:
                await self._send(flight)

    async def _send(self, flight: Flight) -> None:
        began = asyncio.get_running_loop().time()
        try:
            reply = await self._commands.step(self._step(flight))
        except ConnectionLost as error:
            self._slots.lost(flight)
            await self._outage.pause(error)
        except Exception as error:  # whatever it is, the loop goes on: jobs must not wait for ever because of one
            log.exception("step.refused", extra=self._setting.about())
            self._reporter.gave_up(self._slots.refused(flight), error)
            await self._outage.pause(error)
        else:
            self._outage.answered()
            self._land(flight, reply)
            if self._setting.telemetry.wanted("step"):
                seconds = asyncio.get_running_loop().time() - began
                finished, fetched = len(flight.outcomes), len(reply.jobs)
                self._setting.emit("step", finished=finished, asked=flight.fetch, fetched=fetched, seconds=seconds)

    def _land(self, flight: Flight, reply: StepReply) -> None:
        self._slots.landed(flight, len(reply.jobs))
        if flight.outcomes:
            self._reporter.answered(flight, reply.codes)  # first: one of the fetched jobs may be the retry of these
        if reply.jobs:
            self._start(reply.jobs)
        if reply.next_due is not None:
            self._bell.ring_at(reply.next_due)
        if reply.limited_for:
            self._bell.ring_at(self._setting.clock.now_ms() + reply.limited_for)
        if reply.drained:
            self._reporter.drained()

    def _step(self, flight: Flight) -> Step:
        return Step(
            finishes=[outcome.finish for outcome in flight.outcomes],
            fetch=flight.fetch,
            now=self._setting.clock.now_ms(),
            token_prefix=self._terms.token_prefix,
            token_from=flight.token_from,
            lock_ms=self._terms.lock_ms,
            worker_name=self._terms.name,
            limit=self._terms.limit,
            limit_ms=self._terms.limit_ms,
            metrics_points=self._terms.metrics_points,
        )
