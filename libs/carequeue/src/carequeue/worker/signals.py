"""SIGTERM and SIGINT as a callback in the event loop, for as long as a worker runs."""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_signals(heard: Callable[[], None]) -> Generator[None]:
    """Call `heard` at each stop signal. The handlers of before come back at the end."""
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    try:
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, heard)
    except (NotImplementedError, RuntimeError, ValueError):
        yield  # Windows, or not the main thread: whoever runs the process has to call `close()`
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
