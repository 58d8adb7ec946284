"""One typed method for each script about schedulers. Changes say what they saw, and are refused if that has changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from carequeue.store.reading import pairs
from carequeue.store.script import Scripts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from carequeue.store.client import Argument
    from carequeue.wire.schedule import RunRecord

COLLISION = -10
"""A job with the id of the new run exists already."""
CHANGED = -13
"""The scheduler waits for another run than the caller saw: look again."""


ADOPTED = 1
"""The run was there already and is the scheduler's again."""

RunState = Literal["pending", "started", "ended", "lost"]
"""What became of the run that a scheduler waits for. Lost: it is nowhere."""


@dataclass(frozen=True, slots=True)
class StoredScheduler:
    """A scheduler as it is stored; `due` is the ms at which its next run is due, `state` what became of that run."""

    id: str
    due: int
    fields: Mapping[str, str]
    state: RunState = "pending"


@dataclass(frozen=True, slots=True)
class BrokenScheduler:
    """A scheduler that no worker will go on with. `forgotten`: it has no hash any more, `run` is that of its run."""

    id: str
    due: int
    state: Literal["lost", "ended", "forgotten"]
    fields: Mapping[str, str]
    run: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Page:
    """A look at some schedulers in the order in which they are due."""

    last_due: int | None
    """When the last of them is due, ms; None: there are no more."""
    together: int
    """How many of them are due with it."""
    broken: Sequence[BrokenScheduler]


class Scheduling(Scripts):
    """The schedulers of one queue."""

    async def get(self, scheduler_id: str) -> StoredScheduler | None:
        due, fields, state = await self._run("getScheduler", scheduler_id)
        return StoredScheduler(scheduler_id, int(due), pairs(fields), state) if due else None

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

    async def audit(self, first: int | None, last: int | None, skip: int, most: int) -> Page:
        """Look at `most` schedulers whose next runs are due between `first` and `last`, those due first first."""
        last_due, together, flat = await self._run(
            "auditSchedulers", "-inf" if first is None else first, "+inf" if last is None else last, skip, most
        )
        broken = [
            BrokenScheduler(flat[at], int(flat[at + 1]), flat[at + 2], pairs(flat[at + 3]), pairs(flat[at + 4]))
            for at in range(0, len(flat), 5)
        ]
        return Page(int(last_due) if last_due else None, together, broken)

    async def mend(self, broken: BrokenScheduler, run: RunRecord | None) -> int:
        """Give it this run, None ends it: 0, ADOPTED, COLLISION or CHANGED."""
        details: tuple[Argument, ...] = ("", "", 0, 0, 0, "")
        if run is not None:
            details = (run.due, run.opts, run.timestamp, run.delay, run.priority, "1" if run.lifo else "")
        return cast("int", await self._run("mendScheduler", broken.id, broken.due, broken.state, *details))

    async def restore(self, broken: BrokenScheduler, fields: Mapping[str, str]) -> int:
        """Write the hash that it has lost: 0 or CHANGED."""
        flat: list[Argument] = [text for pair in fields.items() for text in pair]
        return cast("int", await self._run("restoreScheduler", broken.id, broken.due, *flat))

    async def note_started(self, scheduler_id: str, due: int) -> None:
        """The run due then has started, and the next one could not be made: an audit goes on after it."""
        await self._run("noteStarted", scheduler_id, due)
