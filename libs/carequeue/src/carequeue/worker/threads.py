"""Threads for handlers that are plain functions.

Not `concurrent.futures`: its threads are joined when the interpreter exits, so one hanging handler would keep a worker
alive past its deadline. These are daemons; the stall check rescues what they held.
"""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Call = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", "Callable[[], Any]"]


class Threads:
    """As many threads as were ever busy at once. The worker's concurrency bounds them, since each holds a job."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._started = 0
        self._busy = 0

    def run(self, function: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        """Call `function` in a thread, in a copy of this context. The future gets what it returns or raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        context = contextvars.copy_context()
        self._busy += 1
        if self._busy > self._started:
            self._started += 1
            threading.Thread(target=self._serve, name=f"{self._name}-{self._started}", daemon=True).start()
        self._calls.put((loop, future, lambda: context.run(function, *arguments)))
        return future

    def close(self) -> None:
        """Let idle threads end; busy ones end after their call."""
        for _ in range(self._started):
            self._calls.put(None)
        self._started = 0

    def _serve(self) -> None:
        while call := self._calls.get():
            loop, future, function = call
            try:
                value = function()
            except BaseException as error:  # noqa: BLE001 - it belongs to the caller, whatever it is
                self._tell(loop, future, None, error)
            else:
                self._tell(loop, future, value, None)
            del call, future, function  # an idle thread holds on to nothing

    def _tell(
        self, loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], value: Any, error: BaseException | None
    ) -> None:
        try:
            loop.call_soon_threadsafe(self._settle, future, value, error)
        except RuntimeError:
            return  # the loop closed while the function ran: nobody is left to hear it

    def _settle(self, future: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
        self._busy -= 1
        if future.done():
            return
        if isinstance(error, StopIteration):  # a future refuses it: it would end the awaiting generator
            error = RuntimeError(f"handler raised StopIteration: {error}")
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)
