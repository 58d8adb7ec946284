"""The traces of the attempts of one worker, where its telemetry has a tracing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from carequeue.tracing import safely

if TYPE_CHECKING:
    from carequeue.job import Job
    from carequeue.tracing import AttemptTrace, Ending, Tracing

UNREPORTED = "Unreported"
"""Nobody knows whether Redis heard of the end."""


class Traces:
    """Begins traces, and ends those that nobody else will when the worker closes."""

    def __init__(self, tracing: Tracing, worker_id: str, worker_name: str | None) -> None:
        self._tracing = tracing
        self._worker_id = worker_id
        self._worker_name = worker_name
        self._open: set[Trace] = set()

    def begin(self, job: Job[Any]) -> Trace | None:
        """The trace of an attempt, from now on the current one of this task. None if tracing failed."""
        begun = safely(self._tracing.attempt, job, self._worker_id, self._worker_name)
        if begun is None:
            return None
        trace = Trace(begun, self._open, omits=job.raw_options.get("omc") is True)
        safely(begun.enter)
        return trace

    def close(self) -> None:
        for trace in list(self._open):
            trace.settled(UNREPORTED)


class Trace:
    """One attempt as its trace sees it. Whatever tracing raises stays here."""

    __slots__ = ("_open", "_trace", "omits")

    def __init__(self, trace: AttemptTrace, open_ones: set[Trace], *, omits: bool) -> None:
        self._trace = trace
        self._open = open_ones
        self._open.add(self)
        self.omits: bool = omits
        """The job takes no trace along: the next attempt is told nothing."""

    @property
    def carrier(self) -> str:
        """This attempt as others can point to it, or go on with it in a process; empty for nothing."""
        return safely(getattr, self._trace, "carrier") or ""

    def note(self, event: str, **about: str | float) -> None:
        safely(self._trace.note, event, **about)

    def ended(self, ending: Ending, error: BaseException | None, delay: float) -> None:
        safely(self._trace.ended, ending, error, delay)

    def settled(self, refusal: str | None) -> None:
        self._open.discard(self)
        safely(self._trace.settled, refusal)
