"""Ctrl-C, SIGTERM and a closed terminal: the first stops everything in order, the second at once."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from carecircle_cli.up.supervisor import Supervisor

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def until_told(
    supervisor: Supervisor, work: Coroutine[Any, Any, None], stopping: Callable[[signal.Signals], None]
) -> bool:
    """Do `work` until it ends, fails, or a signal comes; then stop every child of `supervisor`. Work's error is raised.

    `stopping` hears of the first signal. Returns whether the children were stopped in order, not at once.
    """
    task = asyncio.create_task(work)
    heard: list[signal.Signals] = []

    def hear(number: signal.Signals) -> None:
        heard.append(number)
        if len(heard) == 1:
            stopping(number)
            task.cancel()
        else:
            supervisor.kill()

    _listen(hear)
    try:
        await asyncio.wait({task})
    finally:
        await supervisor.stop()
    if not (task.cancelled() and heard):
        task.result()
    return len(heard) <= 1


def _listen(hear: Callable[[signal.Signals], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        # `nohup` and some service managers have us ignore SIGHUP: then it stays ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, hear, number)
