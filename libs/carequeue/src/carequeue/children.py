"""Children: what the children of a job came to, as `queue.children(job_id)` and a handler's `context.children` tell."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from carequeue.store.flows import Flows, Held
from carequeue.wire.keys import split_job_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from redis.asyncio import Redis

    from carequeue.wire.keys import QueueKeys


class ChildState(StrEnum):
    """What a child came to, as its parent knows it."""

    PENDING = "pending"
    """The parent waits for it."""
    BLOCKING = "blocking"
    """It failed, and nobody said (`on_failure`) what that means: the parent waits until it is retried or removed."""
    PROCESSED = "processed"
    """It completed; its value is kept."""
    IGNORED = "ignored"
    """It failed, and the parent goes on without it."""
    FAILED = "failed"
    """It failed, and the parent with it."""


@dataclass(frozen=True, slots=True)
class Child:
    """One child; `value` is what a processed one returned, `reason` why another one failed."""

    id: str
    queue_key: str
    state: ChildState
    value: Any = None
    reason: str | None = None

    @property
    def queue(self) -> str:
        """The name of its queue."""
        return self.queue_key.rpartition(":")[2]


@dataclass(frozen=True, slots=True)
class ChildCounts:
    """How many children of a job came to what. `pending` counts the blocking ones too."""

    pending: int
    processed: int
    ignored: int
    failed: int

    @property
    def total(self) -> int:
        """All of its children, whatever became of them."""
        return self.pending + self.processed + self.ignored + self.failed


HOLDERS: Mapping[ChildState, Held] = {
    ChildState.PENDING: "dependencies",
    ChildState.BLOCKING: "dependencies",
    ChildState.PROCESSED: "processed",
    ChildState.IGNORED: "failed",
    ChildState.FAILED: "unsuccessful",
}


class Children:
    """The children of one job. A job that is not there has none. Every method raises ConnectionLost as Queue's do."""

    __slots__ = ("_flows", "_job_id")

    def __init__(self, client: Redis, keys: QueueKeys, job_id: str) -> None:
        self._flows = Flows(client, keys)
        self._job_id = job_id

    async def values(self) -> dict[str, Any]:
        """What the children that completed returned, by their keys (`prefix:queue:id`)."""
        return {key: json.loads(text) for key, text in (await self._flows.texts(self._job_id, "processed")).items()}

    async def ignored(self) -> dict[str, str]:
        """Why children failed without whom the job goes on, by their keys."""
        return await self._flows.texts(self._job_id, "failed")

    async def counts(self) -> ChildCounts:
        """How many children came to what. One round trip, however many there are."""
        return ChildCounts(*await self._flows.counts(self._job_id))

    async def iterate(self, *states: ChildState, page: int = 100) -> AsyncIterator[Child]:
        """Every child, or those of some states, in no order, read page by page.

        A child whose state changes meanwhile may be told twice, or not at all.
        """
        wanted = set(states or ChildState)
        holders: dict[Held, None] = dict.fromkeys(HOLDERS[state] for state in ChildState if state in wanted)
        for held in holders:
            seen: set[str] = set()
            cursor = "0"
            while True:
                cursor, found = await self._flows.page(self._job_id, held, cursor, page)
                for key, text in found:
                    child = _child(key, text, held)
                    if key not in seen and child.state in wanted:
                        yield child
                    seen.add(key)
                if cursor == "0":
                    break

    async def remove_unprocessed(self) -> int:
        """Remove the children that have not run, with theirs, and return how many; the job goes on if it waits.

        What a worker holds, and what failed, stays.

        Raises:
            JobNotFound: the job is not there.
        """
        return await self._flows.remove_unprocessed(self._job_id, time.time_ns() // 1_000_000)


def _child(key: str, text: str, held: Held) -> Child:
    base, job_id = split_job_key(key)
    match held:
        case "processed":
            return Child(job_id, base, ChildState.PROCESSED, value=json.loads(text))
        case "failed":
            return Child(job_id, base, ChildState.IGNORED, reason=text)
        case "unsuccessful":
            return Child(job_id, base, ChildState.FAILED, reason=text)
        case "dependencies" if text:
            return Child(job_id, base, ChildState.BLOCKING, reason=text)
        case "dependencies":
            return Child(job_id, base, ChildState.PENDING)
