"""How one attempt at a delivery ended for its job, and what the queue is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from carequeue import RetryAt, Skip, Unrecoverable

if TYPE_CHECKING:
    from datetime import datetime

    from carequeue import Instruction


@dataclass(frozen=True, slots=True)
class Done:
    """The provider has it."""

    reference: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """There was nothing to do: somebody else did it, or nobody wants it any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class Later:
    """Another attempt at `at`, by the machine's clock."""

    at: datetime
    why: str
    pauses_channel: bool = False


@dataclass(frozen=True, slots=True)
class Dead:
    """It ended without being sent, or nobody knows; a person should look."""

    reason: str


Verdict = Done | Nothing | Later | Dead


def for_queue(verdict: Verdict) -> dict[str, str] | Instruction:
    """The return value of a job, or the instruction to return instead."""
    match verdict:
        case Done(reference):
            return {"sent": reference}
        case Nothing(reason):
            return Skip(reason)
        case Later(at, why):
            return RetryAt(at, why)
        case Dead(reason):
            return Unrecoverable(reason)
