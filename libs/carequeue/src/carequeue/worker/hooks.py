"""What the owner of a worker wants to hear: `@worker.on_completed` and its siblings.

A hook is a function or a coroutine function. It runs after the fact; an error in it is logged, told to `on_error`, and
changes nothing about the job.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from carequeue.telemetry import Telemetry

log: logging.Logger = logging.getLogger("carequeue.worker")

HookName = Literal[
    "active", "completed", "failed", "error", "progress", "stalled", "drained", "blocked", "expired", "ready", "paused",
    "resumed", "closing", "closed", "locks_renewed", "lock_renewal_failed", "missed", "scheduler_repaired",
]  # fmt: skip
Hook = Callable[..., Any]


class Hooks:
    """The hooks of one worker, and the ones that are still running."""

    def __init__(self, queue: str, telemetry: Telemetry) -> None:
        self._queue = queue
        self._telemetry = telemetry
        self._hooks: dict[str, list[Hook]] = {}
        self._running: set[asyncio.Task[None]] = set()

    def add(self, name: HookName, hook: Hook) -> None:
        self._hooks.setdefault(name, []).append(hook)

    def wanted(self, name: HookName) -> bool:
        return name in self._hooks

    def call(self, name: HookName, *arguments: Any) -> None:
        for hook in self._hooks.get(name, ()):
            try:
                result = hook(*arguments)
            except Exception as error:  # noqa: BLE001 - the owner's code; whatever it raises stays its own
                self._broken(name, error)
                continue
            if inspect.iscoroutine(result):
                task = asyncio.ensure_future(self._finish(name, result))
                self._running.add(task)
                task.add_done_callback(self._running.discard)

    async def settle(self, patience: float) -> None:
        """Wait up to `patience` seconds for the coroutine hooks that are under way, and end the others."""
        if self._running:
            _, pending = await asyncio.wait(self._running, timeout=patience)
            for task in pending:
                task.cancel()

    async def _finish(self, name: HookName, result: Any) -> None:
        try:
            await result
        except Exception as error:  # noqa: BLE001 - as above
            self._broken(name, error)

    def _broken(self, name: HookName, error: Exception) -> None:
        log.error("hook.failed", exc_info=error, extra={"queue": self._queue, "hook": name})
        self._telemetry.emit("hook.failed", queue=self._queue, hook=name, error=type(error).__name__)
        if name != "error":
            self.call("error", error)
