"""Which function runs which job: by name, or one for all."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from carequeue.errors import InvalidOption, Unrecoverable
from carequeue.wire.times import span_ms
from carequeue.worker.importable import Reference, reference_to
from carequeue.worker.yielding import either, returning, yields

if TYPE_CHECKING:
    from collections.abc import Callable

    from carequeue.job import Job
    from carequeue.worker.batch_context import BatchContext, ThreadBatchContext
    from carequeue.worker.context import JobContext, ProcessJobContext, ThreadJobContext

RunIn = Literal["process"]
"""Where a plain function runs that is not to run in a thread."""

P = TypeVar("P")
R = TypeVar("R")

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Handler:
    """A handler and what was found out about it once, instead of at every job."""

    function: Callable[..., Any]
    payload_type: type[Any] | None
    is_coroutine: bool
    takes_context: bool
    reference: Reference | None = None
    """How a child process finds it, if one runs it."""
    batch: BatchTerms | None = None


@dataclass(frozen=True, slots=True)
class BatchTerms:
    """How a batch gathers. `timeout_ms`: how long it waits for its minimum at the most."""

    size: int
    minimum: int
    timeout_ms: int | None


class Handlers:
    """The handlers of one worker."""

    def __init__(self) -> None:
        self._by_name: dict[str, Handler] = {}
        self._catch_all: Handler | None = None

    def add(
        self,
        name: str,
        function: Callable[..., Any],
        payload_type: type[Any] | None = None,
        run_in: RunIn | None = None,
        batch: BatchTerms | None = None,
    ) -> None:
        if name in self._by_name:
            raise InvalidOption(f"this worker already has a handler for {name!r}")
        if batch is not None and yields(function):
            raise InvalidOption(f"a handler of batches returns its values, it does not yield them: {function!r}")
        self._by_name[name] = replace(inspected(function, payload_type, run_in), batch=batch)

    def check_room(self, concurrency: int) -> None:
        """Refuse batches that could never be full.

        Raises:
            InvalidOption: each job of a batch takes one of `concurrency` slots, and there are fewer.
        """
        for name, handler in self._by_name.items():
            if handler.batch is not None and handler.batch.size > concurrency:
                raise InvalidOption(
                    f"a batch of {handler.batch.size} jobs named {name!r} takes as many slots, and the worker has a "
                    f"concurrency of {concurrency}: say Worker(…, concurrency={handler.batch.size}) or more"
                )

    def catch_all(self, function: Callable[..., Any], run_in: RunIn | None = None) -> None:
        self._catch_all = inspected(function, None, run_in)

    def __bool__(self) -> bool:
        return bool(self._by_name) or self._catch_all is not None

    def find(self, name: str) -> Handler:
        """The handler for jobs called `name`.

        Raises:
            Unrecoverable: nobody handles them, and trying again would not change that.
        """
        handler = self._by_name.get(name) or self._catch_all
        if handler is None:
            known = ", ".join(sorted(self._by_name)) or "none"
            raise Unrecoverable(f"this worker has no handler for jobs named {name!r}; it handles: {known}")
        return handler


class Registration(Generic[P]):
    """The decorator that `worker.handles(kind)` returns; it leaves the function as it is. No name: for all others."""

    def __init__(
        self, handlers: Handlers, name: str | None, payload_type: type[P] | None, run_in: RunIn | None
    ) -> None:
        if run_in not in (None, "process"):
            raise InvalidOption(f"run_in is 'process' or left out, got {run_in!r}")
        self._handlers = handlers
        self._name = name
        self._payload_type = payload_type
        self._run_in: RunIn | None = run_in

    @overload
    def __call__(self, handler: Callable[[Job[P]], R], /) -> Callable[[Job[P]], R]: ...
    @overload
    def __call__(self, handler: Callable[[Job[P], JobContext], R], /) -> Callable[[Job[P], JobContext], R]: ...
    @overload
    def __call__(
        self, handler: Callable[[Job[P], ThreadJobContext], R], /
    ) -> Callable[[Job[P], ThreadJobContext], R]: ...
    @overload
    def __call__(
        self, handler: Callable[[Job[P], ProcessJobContext], R], /
    ) -> Callable[[Job[P], ProcessJobContext], R]: ...
    def __call__(self, handler: Callable[..., Any], /) -> Callable[..., Any]:
        if self._name is None:
            self._handlers.catch_all(handler, self._run_in)
        else:
            self._handlers.add(self._name, handler, self._payload_type, self._run_in)
        return handler


class BatchRegistration(Generic[P]):
    """The decorator that `worker.handles_batch(kind)` returns; it leaves the function as it is."""

    def __init__(self, handlers: Handlers, name: str, payload_type: type[P] | None, terms: BatchTerms) -> None:
        self._handlers = handlers
        self._name = name
        self._payload_type = payload_type
        self._terms = terms

    @overload
    def __call__(self, handler: Callable[[list[Job[P]]], R], /) -> Callable[[list[Job[P]]], R]: ...
    @overload
    def __call__(
        self, handler: Callable[[list[Job[P]], BatchContext], R], /
    ) -> Callable[[list[Job[P]], BatchContext], R]: ...
    @overload
    def __call__(
        self, handler: Callable[[list[Job[P]], ThreadBatchContext], R], /
    ) -> Callable[[list[Job[P]], ThreadBatchContext], R]: ...
    def __call__(self, handler: Callable[..., Any], /) -> Callable[..., Any]:
        self._handlers.add(self._name, handler, self._payload_type, batch=self._terms)
        return handler


def batch_terms(size: int, minimum: int, timeout: timedelta | None) -> BatchTerms:
    """
    Raises:
        InvalidOption: a batch cannot be like that.
    """
    if not 1 <= minimum <= size:
        raise InvalidOption(f"a batch has at least 1 job, and at least its minimum: got size={size}, minimum={minimum}")
    if timeout is not None and timeout <= timedelta(0):
        raise InvalidOption(f"a batch waits longer than nothing for its minimum, got {timeout}")
    if minimum > 1 and timeout is None:
        raise InvalidOption("say how long a batch waits for its minimum: handles_batch(…, timeout=timedelta(…))")
    return BatchTerms(size, minimum, None if timeout is None else span_ms(timeout))


def inspected(function: Callable[..., Any], payload_type: type[Any] | None, run_in: RunIn | None = None) -> Handler:
    wants_context = takes_context(function)
    reference = reference_to(function, payload_type) if run_in == "process" else None
    if reference is None and yields(function):
        function, wants_context = returning(function, takes_context=wants_context), True
    is_coroutine = either(inspect.iscoroutinefunction, function)
    return Handler(function, payload_type, is_coroutine, takes_context=wants_context, reference=reference)


def takes_context(function: Callable[..., Any]) -> bool:
    """Whether the handler wants the context: it has a second parameter that is required or is called `context`.

    Raises:
        InvalidOption: it cannot be called with (job) or (job, context).
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return False  # some built-ins have no signature; they get the job alone
    positional = [p for p in signature.parameters.values() if p.kind in POSITIONAL]
    wants = len(positional) > 1 and (
        positional[1].default is inspect.Parameter.empty or positional[1].name == "context"
    )
    try:
        signature.bind(*(("job", "context") if wants else ("job",)))
    except TypeError as error:
        raise InvalidOption(f"a handler takes (job) or (job, context); {function!r} does not: {error}") from error
    return wants
