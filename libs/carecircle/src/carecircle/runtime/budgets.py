"""Every time limit of the system in one table: what runs inside another thing must give up before that thing does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from carecircle.db.session import IDLE_IN_TRANSACTION_TIMEOUT_MS, LOCK_TIMEOUT_MS, STATEMENT_TIMEOUT_MS
from carecircle.runtime.redis_url import COMMAND_TIMEOUT


@dataclass(frozen=True, slots=True)
class Budgets:
    """The limits, smallest first. `check` refuses a set in which an inner limit outlives an outer one."""

    lease: timedelta
    redis_command: timedelta = COMMAND_TIMEOUT
    lock_wait: timedelta = timedelta(milliseconds=LOCK_TIMEOUT_MS)
    statement: timedelta = timedelta(milliseconds=STATEMENT_TIMEOUT_MS)
    idle_in_transaction: timedelta = timedelta(milliseconds=IDLE_IN_TRANSACTION_TIMEOUT_MS)
    push_total: timedelta = timedelta(seconds=10)
    smtp_connect: timedelta = timedelta(seconds=10)
    smtp_command: timedelta = timedelta(seconds=15)
    smtp_final_reply: timedelta = timedelta(seconds=120)
    """RFC 5321 asks for ten minutes; a shorter limit makes duplicates, so this one is as long as the send allows."""
    send: timedelta = timedelta(seconds=180)
    """One attempt at one message, everything included. Longer than the lease: that is renewed meanwhile."""
    stop_grace: timedelta = timedelta(seconds=200)
    """How long a stopping worker lets its sends end. The supervisor's own limit must be longer."""

    @property
    def renewal(self) -> timedelta:
        return self.lease / 3

    def check(self) -> None:
        """Raise `ValueError`, naming every pair that is the wrong way round."""
        wrong = [
            f"{inner} ({getattr(self, inner)}) must be shorter than {outer} ({getattr(self, outer)})"
            for inner, outer in INNER_BEFORE_OUTER
            if not getattr(self, inner) < getattr(self, outer)
        ]
        if wrong:
            raise ValueError("; ".join(wrong))


INNER_BEFORE_OUTER = (
    ("redis_command", "statement"),
    ("lock_wait", "statement"),
    ("statement", "idle_in_transaction"),
    ("renewal", "lease"),
    ("push_total", "send"),
    ("smtp_connect", "smtp_final_reply"),
    ("smtp_command", "smtp_final_reply"),
    ("smtp_final_reply", "send"),
    ("send", "stop_grace"),
)
