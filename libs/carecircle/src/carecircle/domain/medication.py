"""What is true of a medication as a whole: whether it is being taken, and how much a missed dose matters."""

from __future__ import annotations

from enum import StrEnum


class MedicationStatus(StrEnum):
    ACTIVE = "active"
    ON_HOLD = "on_hold"
    """A planned break: its doses count neither for nor against adherence."""
    STOPPED = "stopped"
    COMPLETED = "completed"


class Severity(StrEnum):
    """How much it matters that a message arrives, and arrives in time."""

    INFO = "info"
    NORMAL = "normal"
    TIME_CRITICAL = "time_critical"
    CRITICAL = "critical"

    @property
    def priority(self) -> int:
        """The job priority: 1 overtakes everything. Never 0, which the queue reads as no priority at all."""
        return PRIORITIES[self]


PRIORITIES: dict[Severity, int] = {
    Severity.CRITICAL: 1,
    Severity.TIME_CRITICAL: 2,
    Severity.NORMAL: 3,
    Severity.INFO: 4,
}
