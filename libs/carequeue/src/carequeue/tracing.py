"""How a trace follows a job from where it is added to where it runs. `carequeue.opentelemetry` is such a tracing.

Queues, flow producers and workers know no more than these protocols, and call them `safely`: a trace that cannot be
written is logged and left, the job goes on.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from carequeue.job import Job

R = TypeVar("R")

log: logging.Logger = logging.getLogger("carequeue.telemetry")

Operation = Literal["add", "add_bulk", "add_flow", "add_flows", "schedule"]
Ending = Literal["completed", "retrying", "failed", "expired", "parked", "handed_back"]


def safely(call: Callable[..., R], *arguments: Any, **words: Any) -> R | None:
    """What `call` returns; None if it raises, which is logged."""
    try:
        return call(*arguments, **words)
    except Exception:  # somebody else's exporter, sampler or propagator must not keep a job from being added or run
        log.exception("telemetry.tracing_failed")
        return None


class Tracing(Protocol):
    """Makes the traces of one `Telemetry`."""

    @property
    def continued(self) -> str:
        """`module:function` of a context manager that takes a carrier: with it another process goes on with a trace."""
        ...

    def adding(self, operation: Operation, queue: str, names: Sequence[str]) -> AddingTrace:
        """A call that adds jobs with these names begins; for a flow the queue is that of its first job."""
        ...

    def attempt(self, job: Job[Any], worker_id: str, worker_name: str | None) -> AttemptTrace:
        """A worker begins with a job."""
        ...

    def batch(self, queue: str, name: str, attempts: Sequence[AttemptTrace]) -> BatchTrace:
        """A handler begins with a list of jobs of this name, each of which has an attempt of its own."""
        ...


class AddingTrace(Protocol):
    """One call that adds jobs."""

    @property
    def carrier(self) -> str:
        """What the jobs take with them as `tm`; empty for nothing."""
        ...

    def added(self, ids: Sequence[str]) -> None:
        """Redis has them, with these ids in the order of the names."""
        ...

    def ended(self, error: BaseException | None) -> None:
        """The call is over; `error` ended it."""
        ...


class AttemptTrace(Protocol):
    """One attempt at one job."""

    @property
    def carrier(self) -> str:
        """The attempt's own context as text; the next attempt points to it. Empty for none."""
        ...

    def enter(self) -> None:
        """Make it the current one of this task, and of the threads and calls that this task starts."""
        ...

    def note(self, event: str, **about: str | int | float) -> None:
        """Something happened to the job meanwhile."""
        ...

    def ended(self, ending: Ending, error: BaseException | None, delay: float) -> None:
        """The handler is over: `error` is what it raised, `delay` the seconds until the next attempt."""
        ...

    def settled(self, refusal: str | None) -> None:
        """Redis has noted how it ended; `refusal`: why it did not, or will not be told. Nothing comes after this."""
        ...


class BatchTrace(Protocol):
    """One call of a handler that takes lists of jobs."""

    def enter(self) -> None:
        """Make it the current one of this task, as an attempt's."""
        ...

    def ended(self, error: BaseException | None) -> None:
        """The handler is over; `error` is what it raised."""
        ...
