"""Misfires: what becomes of the runs of a scheduler that came due while nobody could take them. Values, no I/O.

A run is late by the time between the instant that it was meant for and the moment in which a worker takes it, whatever
the reason: no worker, a paused queue, a long queue, a server that was away.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from carequeue.errors import InvalidOption, Skip

MOST: int = 1000
"""More missed runs than this are never made up for: each is a job, and finding the oldest of them takes time."""


@dataclass(frozen=True, slots=True)
class RunOnce:
    """The oldest missed run runs, however late, and stands for all of them. BullMQ knows only this; the default."""


@dataclass(frozen=True, slots=True)
class SkipLate:
    """A run that would start more than `after` late is skipped, and `on_missed` tells it. The oldest missed run that is
    not so late, if there is one, runs and stands for the others.
    """

    after: timedelta

    def __post_init__(self) -> None:
        if self.after < timedelta(milliseconds=1):
            raise InvalidOption(f"runs are skipped when they are late by 1 ms at least, got {self.after}")


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Every missed run runs, in order, each with its own `scheduled_for`: of more than `most` the newest ones. The run
    with which the others were skipped is told by `on_missed`.
    """

    most: int

    def __post_init__(self) -> None:
        if not 1 <= self.most <= MOST:
            raise InvalidOption(f"1 to {MOST} missed runs can be made up for, got {self.most}")


Misfire = RunOnce | SkipLate | CatchUp
RUN_ONCE: RunOnce = RunOnce()


class MissedRun(Skip):
    """A run of a scheduler that is not run any more: it came too late, or was meant for after its scheduler's end."""

    def __init__(self, why: str, late: timedelta) -> None:
        self.late = late
        super().__init__(why)
