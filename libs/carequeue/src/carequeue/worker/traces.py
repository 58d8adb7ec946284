"""The traces of the attempts of one worker, where its telemetry has a tracing."""

from __future__ import annotations

import importlib
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from carequeue.tracing import safely

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from carequeue.job import Job
    from carequeue.tracing import AttemptTrace, BatchTrace, Ending, Tracing
    from carequeue.worker.run import Run

UNREPORTED = "Unreported"
"""Nobody knows whether Redis heard of the end."""


class Traces:
    """Begins traces, and ends those that nobody else will when the worker closes."""

    def __init__(self, tracing: Tracing, worker_id: str, worker_name: str | None) -> None:
        self._tracing = tracing
        self._worker_id = worker_id
        self._worker_name = worker_name
        self._continued = safely(getattr, tracing, "continued") or ""
        self._open: set[Trace] = set()

    def begin(self, job: Job[Any]) -> Trace | None:
        """The trace of an attempt, from now on the current one of this task. None if tracing failed."""
        begun = safely(self._tracing.attempt, job, self._worker_id, self._worker_name)
        if begun is None:
            return None
        trace = Trace(begun, self._open, self._continued, omits=job.raw_options.get("omc") is True)
        safely(begun.enter)
        return trace

    def begin_batch(self, runs: Sequence[Run]) -> BatchTrace | None:
        """The trace of a handler that takes these jobs at once, from now on the current one of this task."""
        job, attempts = runs[0].job, [run.trace.of_attempt for run in runs if run.trace is not None]
        begun = safely(self._tracing.batch, job.queue, job.name, attempts)
        if begun is not None:
            safely(begun.enter)
        return begun

    def close(self) -> None:
        for trace in list(self._open):
            trace.settled(UNREPORTED)


class Trace:
    """One attempt as its trace sees it. Whatever tracing raises stays here."""

    __slots__ = ("_open", "continued", "of_attempt", "omits")

    def __init__(self, trace: AttemptTrace, open_ones: set[Trace], continued: str, *, omits: bool) -> None:
        self.of_attempt: AttemptTrace = trace
        self._open = open_ones
        self._open.add(self)
        self.continued: str = continued
        """`module:function` of what goes on with it in another process."""
        self.omits: bool = omits
        """The job takes no trace along: the next attempt is told nothing."""

    @property
    def carrier(self) -> str:
        """This attempt as others can point to it, or go on with it in a process; empty for nothing."""
        return safely(getattr, self.of_attempt, "carrier") or ""

    def note(self, event: str, **about: str | float) -> None:
        safely(self.of_attempt.note, event, **about)

    def ended(self, ending: Ending, error: BaseException | None, delay: float) -> None:
        safely(self.of_attempt.ended, ending, error, delay)

    def settled(self, refusal: str | None) -> None:
        self._open.discard(self)
        safely(self.of_attempt.settled, refusal)


def going_on(carrier: str, continued: str) -> AbstractContextManager[object]:
    """The trace of an attempt in the process to which it was sent; none if it has none, or it cannot be had there."""
    if not carrier:
        return nullcontext()
    module, _, name = continued.partition(":")
    return safely(lambda: getattr(importlib.import_module(module), name)(carrier)) or nullcontext()
