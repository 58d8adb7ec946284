"""Wakes a worker that has free slots: by Redis, when a producer leaves a marker, and by a timer, when a job is due.

The timer makes a delayed job start at its instant: Redis itself ends a blocking call only at its next tick. A marker is
a hint and never the truth: one that says "later" sets the timer, and a wait without any marker ends in a look as well.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carequeue.clock import Timer
    from carequeue.store.commands import MarkerQueue
    from carequeue.worker.setting import Setting
    from carequeue.worker.slots import Slots

WATCHDOG_MARGIN = 5.0  # seconds past the block time after which a silent connection counts as dead


class Bell:
    """Listens while slots are free; several wake-ups before the worker looks are one."""

    def __init__(self, setting: Setting, markers: MarkerQueue, slots: Slots) -> None:
        self._clock = setting.clock
        self._outage = setting.outage
        self._block = setting.terms.block
        self._markers = markers
        self._slots = slots
        self._timer: Timer | None = None
        self._rings_at: int | None = None

    async def listen(self) -> None:
        """Wait for markers until cancelled."""
        while True:
            await self._slots.idle.wait()
            try:
                async with asyncio.timeout(self._block + WATCHDOG_MARGIN):
                    due = await self._markers.pop(self._block)
            except Exception as error:  # noqa: BLE001 - it is reported, and the worker goes on listening
                await self._outage.pause(error)
                self._slots.wake()  # the marker may have been taken all the same
            else:
                self._heard(due)

    def ring_at(self, when_ms: int) -> None:
        """Wake the worker at an instant; an earlier appointment stays."""
        if self._rings_at is not None and self._rings_at <= when_ms:
            return
        self.silence()
        self._rings_at = when_ms
        self._timer = self._clock.call_at(when_ms, self._ring)

    def silence(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._rings_at = None

    def _heard(self, due: int | None) -> None:
        if due is None:
            self._slots.wake()  # nothing for a whole block time: look once, in case a marker was lost
        elif due <= self._clock.now_ms():
            self._slots.rang()
        else:
            self.ring_at(due)

    def _ring(self) -> None:
        self._timer = self._rings_at = None
        self._slots.wake()
