"""The ledger of a worker: how many jobs it holds, which ended and are not reported yet, and what to ask Redis next.

No I/O. The executor says what ended, the fetcher takes `Flight`s from here and says how they went, the bell says when
there may be work. A slot is free, or asked for by a flight, or holds a running job, or an ended one not yet taken.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from carequeue.worker.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Flight:
    """One script call: what it reports and how many jobs it may bring."""

    outcomes: Sequence[Outcome]
    fetch: int
    token_from: int
    wakes: int
    repeated: bool = False
    """Its reports went out before and no answer came: Redis may know them already."""


class Slots:
    """Who sits in which slot. `concurrency` may change at any time; too many jobs then end first."""

    def __init__(self, concurrency: int, batch: int) -> None:
        self.work: asyncio.Event = asyncio.Event()
        """There may be something to send."""
        self.idle: asyncio.Event = asyncio.Event()
        """Slots are free and the last look found nothing to fill them with."""
        self.quiet: asyncio.Event = asyncio.Event()
        """Idle, and nothing runs, is unreported or under way."""
        self.flushed: asyncio.Event = asyncio.Event()
        """Everything that ended so far was sent, and Redis answered."""
        self.running: int = 0
        self._concurrency = concurrency
        self._batch = batch
        self._ended: deque[Outcome] = deque()
        self._unanswered: deque[Outcome] = deque()
        self._alone = 0  # how many unanswered ones go out one by one, because a call with them was refused
        self._asked = 0
        self._flights = 0
        self._tokens = 0
        self._wakes = 0
        self._hungry = True
        self._owes_marker = False
        self._paused = False
        self._stopped = False

    @property
    def concurrency(self) -> int:
        return self._concurrency

    @concurrency.setter
    def concurrency(self, value: int) -> None:
        grew = value > self._concurrency
        self._concurrency = value
        if grew:
            self.wake()

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def unanswered(self) -> Sequence[Outcome]:
        """What was reported without an answer, and will be again."""
        return self._unanswered

    @property
    def stopped(self) -> bool:
        return self._stopped

    @property
    def has_room(self) -> bool:
        return self._free() > 0

    # What others tell

    def wake(self) -> None:
        """There may be jobs: look, as soon as there is a slot."""
        self._wakes += 1
        self._hungry = True
        self.idle.clear()
        self.quiet.clear()
        self.work.set()

    def rang(self) -> None:
        """A wake-up was taken from Redis. Without a free slot it belongs to another worker: give it back."""
        if not self.has_room:
            self._owes_marker = True
        self.wake()

    def ended(self, outcome: Outcome) -> None:
        """A running job ended, and this is what to report."""
        self.running -= 1
        self._ended.append(outcome)
        self.flushed.clear()
        self.work.set()

    def given_up(self, outcome: Outcome) -> None:
        """A job's end is to be reported although its handler goes on: `released` comes when that ends."""
        self._ended.append(outcome)
        self.flushed.clear()
        self.work.set()

    def released(self) -> None:
        """A running job ended and there is nothing to report: somebody else has it."""
        self.running -= 1
        self.work.set()

    def pause(self) -> None:
        self._paused = True
        self._owes_marker = True  # a wake-up this worker took for later is no use to it now
        self.idle.clear()
        self.flushed.clear()  # a call that is under way may still bring jobs
        self.work.set()

    def resume(self) -> None:
        self._paused = False
        self.wake()

    def stop(self) -> None:
        """Fetch nothing more; what is held still ends and is reported."""
        self._stopped = True
        self._owes_marker = True
        self.idle.clear()
        self.flushed.clear()
        self.work.set()

    # Flights

    def next_flight(self) -> Flight | None:
        """What to send now, if anything. The fetcher calls `landed`, `lost` or `refused` with it afterwards."""
        flight = self._repeat() if self._unanswered else self._fresh()
        if flight is None:
            self.work.clear()
            self._settle()
        else:
            self._flights += 1
        return flight

    def landed(self, flight: Flight, fetched: int) -> None:
        """The call was answered with `fetched` jobs, which run from now on."""
        self._flights -= 1
        self._asked -= flight.fetch
        self.running += fetched
        # A wake-up that came while the call was under way may be about a job that it did not see.
        if fetched < flight.fetch and flight.wakes == self._wakes:
            self._hungry = False

    def lost(self, flight: Flight) -> None:
        """No answer: it may have run. Its reports go out again, alone; its jobs, if any, are the stall check's."""
        self._flights -= 1
        self._asked -= flight.fetch
        self._unanswered.extend(flight.outcomes)
        self.wake()

    def refused(self, flight: Flight) -> Sequence[Outcome]:
        """The call failed for another reason than the connection. One report may be the cause, so each goes out by
        itself; the one that is refused by itself is given up and returned.
        """
        self._flights -= 1
        self._asked -= flight.fetch
        self.wake()
        if flight.repeated and len(flight.outcomes) == 1:
            return flight.outcomes
        self._unanswered.extendleft(reversed(flight.outcomes))
        self._alone += len(flight.outcomes)
        return ()

    def _repeat(self) -> Flight:
        outcomes = _take(self._unanswered, 1 if self._alone else self._batch)
        self._alone = max(0, self._alone - 1)
        return Flight(outcomes, 0, self._tokens, self._wakes, repeated=True)

    def _fresh(self) -> Flight | None:
        outcomes = _take(self._ended, self._batch)
        # A second call that only looks would hold up the reply of the first: the server answers both together.
        looks = outcomes or (self._hungry and not self._asked)
        fetch = min(self._free(), self._batch) if looks else 0
        if not (outcomes or fetch or self._owes_marker):
            return None
        self._owes_marker = False
        flight = Flight(outcomes, fetch, self._tokens, self._wakes)
        self._tokens += fetch
        self._asked += fetch
        return flight

    def _free(self) -> int:
        if self._paused or self._stopped:
            return 0
        return max(0, self._concurrency - self.running - len(self._ended) - self._asked)

    def _settle(self) -> None:
        resting = not self._hungry and not self._flights
        _switch(self.idle, on=resting and self.has_room)
        _switch(self.quiet, on=resting and not self.running)
        _switch(self.flushed, on=not self._flights)


def _take(outcomes: deque[Outcome], most: int) -> Sequence[Outcome]:
    taken = list(islice(outcomes, most))
    for _ in taken:
        outcomes.popleft()
    return taken


def _switch(event: asyncio.Event, *, on: bool) -> None:
    if on:
        event.set()
    else:
        event.clear()
