"""One typed method for each script about schedulers. Changes say what they saw, and are refused if that has changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from carequeue.store.reading import pairs
from carequeue.store.script import Scripts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from carequeue.store.client import Argument
    from carequeue.wire.schedule import RunRecord

COLLISION = -10
"""A job with the id of the new run exists already."""
CHANGED = -13
"""The scheduler waits for another run than the caller saw: look again."""


@dataclass(frozen=True, slots=True)
class StoredScheduler:
    """A scheduler as it is stored; `due` is the ms at which its next run is due, `pending` if that has not started."""

    id: str
    due: int
    fields: Mapping[str, str]
    pending: bool = True


class Scheduling(Scripts):
    """The schedulers of one queue."""

    async def get(self, scheduler_id: str) -> StoredScheduler | None:
        due, fields, pending = await self._run("getScheduler", scheduler_id)
        return StoredScheduler(scheduler_id, int(due), pairs(fields), pending == 1) if due else None

    async def page(self, first: int, last: int) -> list[StoredScheduler]:
        flat = await self._run("getSchedulers", first, last)
        return [StoredScheduler(flat[at], int(flat[at + 1]), pairs(flat[at + 2])) for at in range(0, len(flat), 3)]

    async def upsert(
        self, scheduler_id: str, seen: StoredScheduler | None, fields: Mapping[str, str], run: RunRecord
    ) -> int:
        """Write a scheduler and its next run: 0, COLLISION or CHANGED."""
        flat: list[Argument] = [text for pair in fields.items() for text in pair]
        return cast(
            "int",
            await self._run(
                "upsertScheduler", scheduler_id, seen.due if seen else "", run.due, run.name, run.data, run.opts,
                run.timestamp, run.delay, run.priority, "1" if run.lifo else "", *flat,
            ),
        )  # fmt: skip

    async def advance(self, scheduler_id: str, taken: int, run: RunRecord | None) -> int:
        """Write the run after the one due at `taken`; None ends the scheduler. Answers as `upsert`."""
        details = (run.due, run.opts, run.timestamp, run.delay, run.priority, "1" if run.lifo else "") if run else ("",)
        return cast("int", await self._run("advanceScheduler", scheduler_id, taken, *details))

    async def remove(self, scheduler_id: str, now: int) -> bool:
        return await self._run("removeScheduler", now, scheduler_id) == 1
