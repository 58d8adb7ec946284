"""What all parts of one worker share: its terms, its clock, its connection's health, and who wants to hear things."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from carequeue.clock import Clock
    from carequeue.telemetry import Telemetry
    from carequeue.worker.hooks import Hooks
    from carequeue.worker.outage import Outage
    from carequeue.worker.terms import Terms
    from carequeue.worker.traces import Traces


@dataclass(frozen=True, slots=True)
class Setting:
    """The surroundings of a worker's parts."""

    terms: Terms
    clock: Clock
    hooks: Hooks
    outage: Outage
    telemetry: Telemetry
    traces: Traces | None = None

    def emit(self, event: str, **fields: Any) -> None:
        """A telemetry event of this queue."""
        self.telemetry.emit(event, queue=self.terms.queue, **fields)

    def about(self, **fields: Any) -> dict[str, Any]:
        """The fields of a log line of this queue."""
        return {"queue": self.terms.queue, **fields}
