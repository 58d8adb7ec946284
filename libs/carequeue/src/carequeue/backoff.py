"""How long to wait before the next try: of a failed job (by its `Backoff`) and of a lost connection.

Pure: chance comes in as `random`, a function that gives a number from 0 up to 1. Used by the worker and by `events.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from carequeue.errors import CarequeueError
from carequeue.options import MAX_DELAY

if TYPE_CHECKING:
    from carequeue.options import Backoff

MILLISECOND = timedelta(milliseconds=1)
LONGEST_PAUSE = 3.0
"""Seconds that one wait for a lost connection lasts at the most."""
LONGEST_DOUBLING = 62  # an exponent that no float overflows at; MAX_DELAY caps what comes out long before

BackoffStrategy = Callable[[int, BaseException, Any], timedelta | None]
"""(attempts made, this one included; the error; the job) → how long to wait. None gives up: the job fails now."""

Random = Callable[[], float]


class UnknownBackoff(CarequeueError):
    """The job's backoff names a strategy that this worker was not given."""


def retry_delay(
    backoff: Backoff | None,
    attempts_made: int,
    *,
    random: Random,
    strategies: Mapping[str, BackoffStrategy],
    error: BaseException,
    job: object = None,
) -> timedelta | None:
    """How long a failed job waits; zero without a backoff, None if its strategy gives up.

    A strategy of the worker's comes before a built-in one of the same name, as in BullMQ.

    Raises:
        UnknownBackoff: neither built in nor among `strategies`.
    """
    if backoff is None:
        return timedelta(0)
    if strategy := strategies.get(backoff.kind):
        return strategy(attempts_made, error, job)
    if backoff.kind == "fixed":
        return jittered(backoff.delay, backoff.jitter, random)
    if backoff.kind == "exponential":
        return jittered(doubled(backoff.delay, attempts_made), backoff.jitter, random)
    raise UnknownBackoff(
        f"the job's backoff is {backoff.kind!r}, but this worker knows only "
        f"{', '.join(sorted({'fixed', 'exponential', *strategies}))}; give it to Worker(backoff_strategies=...)"
    )


def doubled(delay: timedelta, attempts_made: int) -> timedelta:
    """`delay` after the first attempt, twice it after the second, and so on; never past the longest delay of a job."""
    factor = 2 ** min(max(attempts_made - 1, 0), LONGEST_DOUBLING)
    return delay * factor if delay <= MAX_DELAY / factor else MAX_DELAY


def jittered(delay: timedelta, jitter: float, random: Random) -> timedelta:
    """`delay` with a random part of up to the share `jitter` taken away, in whole milliseconds."""
    if not jitter:
        return delay
    full = delay / MILLISECOND
    return math.floor(full * (1 - jitter) + random() * full * jitter) * MILLISECOND


def reconnect_delay(failures: int, *, random: Random, base: float = 0.05, cap: float = LONGEST_PAUSE) -> float:
    """Seconds before the next attempt to reach Redis: full jitter under a doubling ceiling, so that a fleet spreads.

    The floor of a tenth of the ceiling keeps an unlucky draw from becoming a tight loop.
    """
    ceiling = min(cap, base * 2 ** min(failures, LONGEST_DOUBLING))
    return ceiling * (0.1 + 0.9 * random())
