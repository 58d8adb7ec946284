"""What a worker and its child processes tell each other: one pickled value a frame, after its length in four bytes."""

from __future__ import annotations

import pickle
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from socket import socket

    from carequeue.job import Job
    from carequeue.worker.context import JobContext, Method
    from carequeue.worker.importable import Reference
    from carequeue.worker.portable import PortableError
    from carequeue.worker.traces import Trace

LENGTH: struct.Struct = struct.Struct("!I")


@dataclass(frozen=True, slots=True)
class Order:
    """Worker to child: run this handler for this job."""

    reference: Reference
    takes_context: bool
    queue: str
    job_id: str
    token: str
    attempt: int
    fields: Mapping[str, str]
    trace: str = ""
    """The attempt as the handler goes on with it; empty if it is not traced."""
    continued: str = ""
    """`module:function` of what goes on with it."""


@dataclass(frozen=True, slots=True)
class Began:
    """Child to worker: the handler is imported and begins now."""


@dataclass(frozen=True, slots=True)
class Call:
    """Child to worker: the handler called a method of its context."""

    method: Method
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """Worker to child: what the method returned or raised."""

    value: Any = None
    error: PortableError | None = None


@dataclass(frozen=True, slots=True)
class Returned:
    """Child to worker: the handler returned this JSON."""

    text: str


@dataclass(frozen=True, slots=True)
class Raised:
    """Child to worker: the handler raised."""

    error: PortableError


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Child to worker: the handler ended because it was told to."""


def order_of(
    reference: Reference, job: Job[Any], context: JobContext, *, takes_context: bool, trace: Trace | None = None
) -> Order:
    order = Order(reference, takes_context, job.queue, job.id, context.token, context.attempt, dict(job.fields))
    return order if trace is None else replace(order, trace=trace.carrier, continued=trace.continued)


def frame(message: object) -> bytes:
    body = pickle.dumps(message)
    return LENGTH.pack(len(body)) + body


def unframe(body: bytes) -> Any:
    return pickle.loads(body)  # noqa: S301 - from a process of the same worker


def receive(connection: socket) -> Any:
    """The next message; blocks.

    Raises:
        EOFError: the other side is gone.
    """
    (length,) = LENGTH.unpack(_read(connection, LENGTH.size))
    return unframe(_read(connection, length))


def _read(connection: socket, size: int) -> bytes:
    parts: list[bytes] = []
    while size:
        part = connection.recv(min(size, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
