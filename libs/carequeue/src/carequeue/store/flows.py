"""One typed method for each script, or plain command, about parents and children."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from carequeue.store.commands import DEFAULT_MAX_EVENTS, VERSION
from carequeue.store.connection import redis_errors
from carequeue.store.reading import Fields, pairs
from carequeue.store.script import Scripts
from carequeue.wire.codes import error_of
from carequeue.wire.keys import split_job_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from carequeue.store.client import Argument
    from carequeue.wire.codec import JobRecord

Held = Literal["dependencies", "processed", "failed", "unsuccessful"]
"""The keys of a job that hold its children, by what these came to."""
Place = Literal["", "parent", "child", "both"]


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A job of a flow as the script takes it. `place`: whether children of it, its parent, or both come with it."""

    base: str
    job: JobRecord
    place: Place = ""


class Flows(Scripts):
    """What one queue's jobs have to do with their parents and children, in whatever queues these are."""

    async def add(self, nodes: Sequence[NodeRecord], now: int, *, max_events: int = DEFAULT_MAX_EVENTS) -> None:
        """Add jobs, parents before their children; all of them or none. Safe to repeat: every job has an id.

        Raises:
            ParentNotFound: a parent outside of the flow does not exist.
            WrongState: a job exists already and has another living parent.
        """
        arguments: list[Argument] = [now, max_events, VERSION]
        for node in nodes:
            job = node.job
            arguments += (
                self._base(node.base), job.id, job.name, job.data, job.opts, job.timestamp, job.delay, job.priority,
                "1" if job.lifo else "", job.parent_key, job.parent, node.place,
            )  # fmt: skip
        reply = await self._run("addFlow", *arguments)
        if reply != 0:
            code, place = cast("tuple[int, int]", reply)
            raise error_of(code, nodes[place - 1].job.id)

    async def families(self, keys: Sequence[str], most: int) -> list[tuple[Fields, list[str]]]:
        """The hash of each job, empty if it is not there, and the keys of up to `most` children."""
        arguments = [part for base, job_id in map(split_job_key, keys) for part in (self._base(base), job_id)]
        reply = await self._run("getFamilies", most, *arguments)
        return [(pairs(fields), children) for fields, children in reply]

    async def page(self, job_id: str, held: Held, cursor: str, count: int) -> tuple[str, list[tuple[str, str]]]:
        """The cursor of the next page ("0": there is none), and (key, value or reason) of each child."""
        cursor, flat = await self._run("getChildren", job_id, held, cursor, count)
        return cursor, list(zip(flat[::2], flat[1::2], strict=True))

    async def texts(self, job_id: str, held: Literal["processed", "failed"]) -> Fields:
        """By its key, the value JSON of each child that completed, or why each failed that was ignored."""
        with redis_errors(self.client):
            return pairs(await self._execute("HGETALL", f"{self.keys.job(job_id)}:{held}"))

    async def counts(self, job_id: str) -> list[int]:
        """How many children there are: pending, processed, ignored, failed."""
        key = self.keys.job(job_id)
        with redis_errors(self.client):
            pipeline = cast("Any", self.client).pipeline()
            pipeline.scard(f"{key}:dependencies").hlen(f"{key}:processed")
            pipeline.hlen(f"{key}:failed").zcard(f"{key}:unsuccessful")
            return cast("list[int]", await pipeline.execute())

    async def leave_parent(self, job_id: str, now: int) -> bool:
        """Raises JobNotFound."""
        return await self._on_job("leaveParent", job_id, now, job_id) == 1

    async def remove_unprocessed(self, job_id: str, now: int) -> int:
        """Raises JobNotFound."""
        return await self._on_job("removeUnprocessedChildren", job_id, now, job_id)

    def _base(self, base: str) -> str:
        """As the scripts want it: they know their own queue."""
        return "" if base == self.keys.base else base
