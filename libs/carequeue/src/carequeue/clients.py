"""Who is connected to a queue, by the names that BullMQ's clients give their connections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker that is connected, ours or another client's."""

    name: str | None
    address: str
    connected_seconds: int
    idle_seconds: int
    library: str | None = None
    """The Redis client it uses: "redis-py" in Python, "ioredis" in Node; None: it does not say, or Redis before 7.2."""


@dataclass(frozen=True, slots=True)
class ListenerInfo:
    """Somebody who hears a queue's events: a QueueEvents, ours or another client's."""

    address: str
    connected_seconds: int
    idle_seconds: int


def workers_among(connections: Iterable[Mapping[str, str]], queue: str) -> list[WorkerInfo]:
    """`queue`: what the connections of its workers are called, a worker's own name aside."""
    named = f"{queue}:w:"
    return [
        WorkerInfo(
            None if name == queue else name.removeprefix(named), *_told(connection), connection.get("lib-name") or None
        )
        for connection in connections
        if (name := connection.get("name", "")) == queue or name.startswith(named)
    ]


def listeners_among(connections: Iterable[Mapping[str, str]], queue: str) -> list[ListenerInfo]:
    return [ListenerInfo(*_told(connection)) for connection in connections if connection.get("name") == f"{queue}:qe"]


def _told(connection: Mapping[str, str]) -> tuple[str, int, int]:
    return connection.get("addr", ""), int(connection.get("age", "0")), int(connection.get("idle", "0"))
