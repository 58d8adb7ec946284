"""Handlers that yield: each value is how far the job is, and the last one is what it returns."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import aclosing, closing
from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol, cast

from carequeue.errors import Instruction

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from carequeue.worker.context import JobContext, ThreadJobContext


class BlockingContext(Protocol):
    """What is asked of the context of a thread or a process."""

    @property
    def is_cancelled(self) -> bool: ...
    def update_progress(self, value: Any) -> None: ...


def either(is_such: Callable[[object], bool], function: Callable[..., Any]) -> bool:
    """Of the function, or of the method by which an object is called."""
    return is_such(function) or is_such(getattr(function, "__call__", None))  # noqa: B004 - its method


def yields(function: Callable[..., Any]) -> bool:
    """Whether calling it makes a generator, of either kind."""
    return either(inspect.isasyncgenfunction, function) or either(inspect.isgeneratorfunction, function)


def returning(function: Callable[..., Any], *, takes_context: bool) -> Callable[..., Any]:
    """A handler that yields, as one that takes the context and returns."""
    make = _awaiting if either(inspect.isasyncgenfunction, function) else _blocking
    return make(function, takes_context=takes_context)


def told(values: Any, context: BlockingContext) -> Any:
    """What the handler returned; if that is a generator, what comes of it after each of its values was told."""
    if not inspect.isgenerator(values):
        return values
    last: Any = None
    with closing(cast("Generator[Any, None, Any]", values)) as steps:
        while not isinstance(last, Instruction):
            if context.is_cancelled:
                raise asyncio.CancelledError  # between two steps even a thread can be ended
            try:
                last = next(steps)
            except StopIteration as end:
                return last if end.value is None else end.value
            if not isinstance(last, Instruction):
                context.update_progress(last)
    return last


def _awaiting(function: Callable[..., Any], *, takes_context: bool) -> Callable[..., Any]:
    @wraps(function)
    async def handler(job: Any, context: JobContext) -> Any:
        last = None
        async with aclosing(function(job, context) if takes_context else function(job)) as values:
            async for last in values:
                if isinstance(last, Instruction):
                    break
                await context.update_progress(last)
        return last

    return handler


def _blocking(function: Callable[..., Any], *, takes_context: bool) -> Callable[..., Any]:
    @wraps(function)
    def handler(job: Any, context: ThreadJobContext) -> Any:
        return told(function(job, context) if takes_context else function(job), context)

    return handler
