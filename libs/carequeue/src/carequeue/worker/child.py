"""The program of a child process: runs handlers that are CPU-heavy or have to be killable, one job after the other.

A worker starts it with a socket and sends orders. When the worker is gone, so is the child: the socket says so.
"""

from __future__ import annotations

import asyncio
import ctypes
import io
import os
import queue
import signal
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from carequeue.errors import CarequeueError, Instruction, PayloadError, Unrecoverable
from carequeue.wire.codec import Codec, encode_data
from carequeue.worker.context import ProcessJobContext
from carequeue.worker.importable import find
from carequeue.worker.messages import Answer, Began, Call, Interrupted, Order, Raised, Returned, frame, receive
from carequeue.worker.portable import pack, unpack
from carequeue.worker.traces import going_on
from carequeue.worker.yielding import told

if TYPE_CHECKING:
    from carequeue.worker.context import Method

PR_SET_PDEATHSIG = 1
TIDY_UP = 2.0
"""Seconds for what a program does at its end; a child that runs no job may do it."""


def main(descriptor: int) -> None:
    """Serve the worker at the other end of the socket until it hangs up."""
    connection = socket.socket(fileno=descriptor)
    connection.set_inheritable(False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)  # what was printed before a kill is not lost
    Child(connection).serve()


class Child:
    """One job at a time. Handlers run in the main thread, which alone hears signals; another one listens."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._line = threading.Lock()
        self._token: str | None = None
        """Of the attempt that runs."""
        self._cancelled = False
        self._handling = False
        """The handler runs and was not interrupted yet, which happens once."""
        self._talking = False
        """The main thread is in the middle of a message, which must not be torn."""

    def serve(self) -> None:
        """Carry out orders until the worker hangs up."""
        # When the worker stops is the worker's business. Not SIG_IGN: programs that a handler starts would inherit it.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, frame: None)
        signal.signal(signal.SIGUSR1, self._interrupt)
        _end_with_parent()
        threading.Thread(target=self._listen, name="carequeue-child", daemon=True).start()
        while order := self._inbox.get():
            self._carry_out(order)

    def call(self, token: str, method: Method, arguments: tuple[Any, ...]) -> Any:
        """Have the worker call a method of the attempt's context."""
        is_main = threading.current_thread() is threading.main_thread()
        with self._line:
            if token != self._token:
                raise CarequeueError("this attempt is over")
            self._talking = is_main
            try:
                self._send(Call(method, arguments))
                answer: Answer = self._inbox.get()
            finally:
                self._talking = False
        if is_main:
            self._end_if_told()
        if answer.error is not None:
            raise unpack(answer.error)
        return answer.value

    @property
    def is_cancelled(self) -> bool:
        return self._cancelled

    def _carry_out(self, order: Order) -> None:
        self._cancelled = False
        self._token = order.token
        report: Returned | Raised | Interrupted
        try:
            report = Returned(self._run(order))
        except BaseException as error:  # noqa: BLE001 - it belongs to the job, whatever it is
            is_told = self._cancelled and isinstance(error, asyncio.CancelledError)
            report = Interrupted() if is_told else Raised(pack(error))
        self._handling = False
        with self._line:  # a thread that the handler left behind has to wait, and then is too late
            self._token = None
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            self._send(report)

    def _run(self, order: Order) -> str:
        function, payload_type = find(order.reference)
        job = Codec(order.queue, payload_type).job(order.job_id, order.fields)
        context = ProcessJobContext(self, order.job_id, order.token, order.attempt)
        with going_on(order.trace, order.continued):
            self._send(Began())
            self._handling = True
            self._end_if_told()
            value = told(function(job, context) if order.takes_context else function(job), context)
            self._handling = False
        if isinstance(value, Instruction):
            raise value
        try:
            return "null" if value is None else encode_data(None, value)
        except PayloadError as error:
            raise Unrecoverable(f"the handler's return value cannot be stored as JSON: {error}") from error

    def _interrupt(self, number: int, frame: Any) -> None:
        self._cancelled = True
        if not self._talking:
            self._end_if_told()

    def _end_if_told(self) -> None:
        if self._cancelled and self._handling:
            self._handling = False
            raise asyncio.CancelledError

    def _send(self, message: object) -> None:
        packed = frame(message)
        try:
            self._connection.sendall(packed)
        except OSError:
            _end_all()

    def _listen(self) -> None:
        try:
            while True:
                self._inbox.put(receive(self._connection))
        except (EOFError, OSError):
            if self._token is None:
                self._inbox.put(None)
                time.sleep(TIDY_UP)
            _end_all()


def _end_with_parent() -> None:
    """Have Linux say so when the worker is gone: a handler in a C function may keep the listening thread from it."""
    if sys.platform == "linux":
        signal.signal(signal.SIGUSR2, lambda number, frame: _end_all())
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGUSR2), 0, 0, 0)


def _end_all() -> None:
    """End this process and whatever a handler has started: nobody is left who would."""
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
