"""One message to one recipient: its states, and what a provider can answer.

    pending → claimed(n, lease) → handoff(n) → sent | retry | failed | ambiguous | expired | cancelled

Every change is fenced by the attempt number `n`: a worker that lost its lease changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta


class DeliveryState(StrEnum):
    PENDING = "pending"
    CLAIMED = "claimed"
    HANDOFF = "handoff"
    SENT = "sent"
    RETRY = "retry"
    FAILED = "failed"
    AMBIGUOUS = "ambiguous"
    """Nobody knows whether the provider took it; resent once, byte for byte the same, then left so."""
    EXPIRED = "expired"
    CANCELLED = "cancelled"


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
