"""One message to one recipient: its states, what a provider can answer, and what follows from each answer.

    pending → claimed(n, lease) → handoff(n) → sent | retry | failed | ambiguous | expired | cancelled

Every change is fenced by the attempt number `n`: a worker that lost its lease changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, ClassVar, Literal

from carecircle.domain.occurrence import SkipReason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

AMBIGUOUS_WAIT = timedelta(seconds=60)
"""Before the identical copy: time for a slow server to settle, and for a relay to drop a duplicate."""
MAX_AMBIGUOUS_RESENDS = 2
MAX_ERRORS = 3
WORKER_LOST = "worker_lost"
MAX_BACKOFF = timedelta(minutes=15)
LAST_CHANCE = timedelta(seconds=30)
"""A retry that would fall past the window is tried this long before its end instead."""
DIGEST_WINDOW = timedelta(hours=24)
"""How long after its sweep a digest is worth sending."""
DIGEST_SETTLING = timedelta(minutes=10)
"""Before a digest goes out planner and sweep may find more doses of the same outage: it tells of them as well."""
SUPPLY_WINDOW = timedelta(days=3)
"""How long a message about a supply is worth sending: it speaks of days."""
DIGEST_REACH = timedelta(days=3)
"""How far back a digest looks for doses that none before it told of: the channel may have been away as well."""


class DeliveryState(StrEnum):
    PENDING = "pending"
    CLAIMED = "claimed"
    """A worker holds it and nothing has left the machine: if it dies, sending again is free of risk."""
    HANDOFF = "handoff"
    """The provider may have it from here on: if the worker dies, the attempt is ambiguous."""
    SENT = "sent"
    RETRY = "retry"
    FAILED = "failed"
    AMBIGUOUS = "ambiguous"
    """Nobody knows whether the provider took it, and the resends are used up."""
    EXPIRED = "expired"
    CANCELLED = "cancelled"


OPEN_STATES = (DeliveryState.PENDING, DeliveryState.RETRY, DeliveryState.CLAIMED, DeliveryState.HANDOFF)


class Kind(StrEnum):
    DUE = "due"
    """A dose is due; also a snooze's repeat."""
    ANSWERED = "answered"
    """Replaces a shown `due` message once somebody answered (R13)."""
    NOT_REMINDED = "not_reminded"
    """The digest of R11: doses of the patient ended and nobody had been reminded of them."""
    REFILL = "refill"
    """Medicines of the patient run low, or expire soon."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The provider took the message. Accepted, not seen."""

    reference: str | None = None
    code: str = "sent"


@dataclass(frozen=True, slots=True)
class TryLater:
    """Definitely not taken; a later attempt may work. `not_before` is the provider's own wish or rule."""

    code: str
    not_before: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """Definitely not taken, and never will be. `target_gone`: the address or subscription itself is dead."""

    code: str
    target_gone: bool = False


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """The message left and no answer came."""

    code: str


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """Our credentials or certificates are refused: no message can be sent until an operator mends that."""

    code: str


Outcome = Sent | TryLater | Rejected | Ambiguous | Misconfigured


@dataclass(frozen=True, slots=True)
class Broken:
    """Our own code raised before the provider could have anything; never a provider's answer."""

    code: ClassVar[str] = "error"


class Wait(Enum):
    BACKOFF = "exponential, with jitter, capped"
    FIXED = "always AMBIGUOUS_WAIT"


@dataclass(frozen=True, slots=True)
class Rule:
    """What one kind of outcome leads to: a final state, or another attempt until something is used up."""

    state: DeliveryState
    wait: Wait | None = None
    used_up: DeliveryState = DeliveryState.EXPIRED
    """The final state once too many attempts ended like this."""
    counts: Literal["ambiguous", "errors"] | None = None
    """Which of the row's counters this outcome raises."""
    pauses_channel: bool = False


ACTIONS: Mapping[type[Outcome | Broken], Rule] = {
    Sent: Rule(DeliveryState.SENT),
    TryLater: Rule(DeliveryState.RETRY, Wait.BACKOFF),
    Rejected: Rule(DeliveryState.FAILED),
    Ambiguous: Rule(DeliveryState.RETRY, Wait.FIXED, used_up=DeliveryState.AMBIGUOUS, counts="ambiguous"),
    Misconfigured: Rule(DeliveryState.RETRY, Wait.FIXED, pauses_channel=True),
    Broken: Rule(DeliveryState.RETRY, Wait.BACKOFF, used_up=DeliveryState.FAILED, counts="errors"),
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """What the row says while one attempt runs."""

    number: int
    ambiguous: int
    """Attempts so far whose end nobody knows."""
    errors: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """What the row becomes. `next_attempt_at` is set exactly when the state is `retry`."""

    state: DeliveryState
    outcome: str
    ambiguous: int
    errors: int
    next_attempt_at: datetime | None = None
    pauses_channel: bool = False


def decide(
    outcome: Outcome | Broken, attempt: Attempt, *, now: datetime, retry_base: timedelta, luck: float
) -> Decision:
    """What follows from this outcome. `luck` is a random number from 0 to 1: the jitter."""
    rule = ACTIONS[type(outcome)]
    ambiguous = attempt.ambiguous + (rule.counts == "ambiguous")
    errors = attempt.errors + (rule.counts == "errors")
    ended = Decision(rule.state, outcome.code, ambiguous, errors)
    if rule.wait is None:
        return ended
    if ambiguous > MAX_AMBIGUOUS_RESENDS or errors >= MAX_ERRORS:
        return replace(ended, state=rule.used_up)
    wait = AMBIGUOUS_WAIT if rule.wait is Wait.FIXED else backoff(attempt.number, retry_base, luck)
    wish = outcome.not_before if isinstance(outcome, TryLater) else None
    at = next_attempt(now, wait, wish, attempt.expires_at)
    if at is None:
        return replace(ended, state=DeliveryState.AMBIGUOUS if ambiguous else DeliveryState.EXPIRED)
    return replace(ended, next_attempt_at=at, pauses_channel=rule.pauses_channel)


def used_up(attempt: Attempt) -> Decision | None:
    """The end of a delivery whose earlier workers died too often, decided before anything is sent again."""
    ended = Decision(DeliveryState.FAILED, Broken.code, attempt.ambiguous, attempt.errors)
    if attempt.ambiguous > MAX_AMBIGUOUS_RESENDS:
        return replace(ended, state=DeliveryState.AMBIGUOUS, outcome=WORKER_LOST)
    return ended if attempt.errors >= MAX_ERRORS else None


def unsent(attempt: Attempt, reason: str) -> Decision:
    """The end of a delivery that is no longer wanted: `reason` says why."""
    state = DeliveryState.EXPIRED if reason == SkipReason.EXPIRED else DeliveryState.CANCELLED
    # An earlier attempt may have arrived: whoever got it is told once the dose is answered.
    state = DeliveryState.AMBIGUOUS if attempt.ambiguous else state
    return Decision(state, reason, attempt.ambiguous, attempt.errors)


def backoff(attempt: int, base: timedelta, luck: float) -> timedelta:
    """`base`, twice it, four times it… up to a cap, less a random fifth, so that a herd does not come back as one."""
    doubled = min(base * 2 ** min(attempt - 1, 16), max(MAX_BACKOFF, base))
    return doubled * (1 - 0.2 * luck)


def next_attempt(
    now: datetime, wait: timedelta, provider_wish: timedelta | None, expires_at: datetime
) -> datetime | None:
    """When to try again: not before the provider's wish, inside the window; None when it cannot be both.

    A wait of our own that overshoots the window is shortened to a last chance near its end.
    """
    earliest = now + (provider_wish or timedelta(0))
    at = max(now + wait, earliest)
    if at < expires_at:
        return at
    last = expires_at - LAST_CHANCE
    return last if last > max(earliest, now) else None
