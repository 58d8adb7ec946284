"""Ends attempts before their handlers do: at their timeout, or because somebody cancels the job.

First the handler is told: a coroutine is cancelled, a process too, a thread may look at its context. What it returns or
raises in the next `cancel_grace` counts. Then the attempt is given up: it fails and is tried again like any other,
while the handler, if there is no way to end it, keeps its slot.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

from carequeue.errors import AttemptTimedOut
from carequeue.wire.codec import TIMEOUT, decode_timeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from carequeue.worker.run import Run
    from carequeue.worker.setting import Setting

KILLING = 1.0
"""Seconds within which a process that is killed is gone."""

log: logging.Logger = logging.getLogger("carequeue.worker")


class Stopping:
    """The timers of one worker's attempts. `give_up` reports one whose handler does not end."""

    def __init__(self, setting: Setting, give_up: Callable[[Run], None]) -> None:
        self._setting = setting
        self._default = setting.terms.timeout
        self._grace = setting.terms.cancel_grace
        self._report = give_up

    def watch(self, run: Run) -> None:
        """The handler begins now: end it at its timeout, if it has one."""
        seconds = self._default
        if TIMEOUT in run.job.fields.get("opts", "") and (own := decode_timeout(run.job.raw_options)):
            seconds = own.total_seconds()
        if seconds is not None:
            run.timer = asyncio.get_running_loop().call_later(seconds, self._time_out, run, seconds)

    def stop(self, run: Run, error: Exception) -> bool:
        """Tell the handler to end, and fail the attempt. False if it is ending already."""
        if run.is_ending:
            return False
        if run.timer is not None:
            run.timer.cancel()
        run.stop(error)
        if run.handling:  # else it ends by itself, before its handler begins
            patience = self._grace + (KILLING if run.in_process else 0)  # which ends by itself, killed if need be
            run.timer = asyncio.get_running_loop().call_later(patience, self._give_up, run)
        return True

    def _time_out(self, run: Run, seconds: float) -> None:
        self.stop(run, AttemptTimedOut(f"the attempt took longer than its timeout of {seconds:g} s"))

    def _give_up(self, run: Run) -> None:
        if run.lost:
            return
        about = partial(self._setting.about, job_id=run.job.id, in_thread=run.in_thread)
        log.warning("handler.unstoppable", extra=about())
        self._setting.emit("handler.unstoppable", job_id=run.job.id)
        self._report(run)
        run.give_up()
