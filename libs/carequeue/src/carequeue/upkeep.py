"""Many jobs at once, what is old, and what others left behind: `Queue` is one.

No call handles more than a thousand jobs, so a large queue stays usable meanwhile. Jobs that are added, taken or
finished in between are met or missed as they come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from carequeue.errors import InvalidOption
from carequeue.job import JobState
from carequeue.schedules import Schedules
from carequeue.states import State, job_state, wire_states
from carequeue.store.administration import AT_ONCE, Administration
from carequeue.wire.times import span_ms, to_ms

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime, timedelta

    from carequeue.store.administration import WireState


class Upkeep(Schedules):
    """Changes that are about many jobs. All of them may be repeated."""

    async def retry_all(
        self,
        state: Literal["failed", "completed"] = "failed",
        *,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> int:
        """Run finished jobs again, the oldest first, each in its class of priority; returns how many.

        `until` leaves out those that finished later, `limit` bounds the number.

        Raises:
            InvalidOption: neither "failed" nor "completed".
        """
        if state not in ("failed", "completed"):
            raise InvalidOption(f"jobs that are 'failed' or 'completed' are run again, got {state!r}")
        before = to_ms(until) if until is not None else self._now()

        async def some(count: int) -> int:
            return await self._upkeep.retry_all(state, self._now(), until=before, limit=count)

        return await _repeated(some, limit)

    async def promote_all(self, *, limit: int | None = None) -> int:
        """Let every job that is delayed now run at once, in its class of priority; returns how many.

        `limit` bounds the number: those due first come first.
        """
        delayed = (await self.counts()).delayed
        return await _repeated(self._upkeep.promote_all, delayed if limit is None else min(limit, delayed))

    async def drain(self, *, delayed: bool = False) -> int:
        """Remove every job that waits, with `delayed` the delayed ones too; returns how many.

        Next runs of schedulers stay.
        """
        states: list[State] = ["waiting", "prioritized", "delayed"] if delayed else ["waiting", "prioritized"]
        counts = await self.counts()
        left = counts.waiting + counts.prioritized + (counts.delayed if delayed else 0)
        drained = 0
        for state in wire_states(states):
            drained += await self._drain(state, left - drained)
        return drained

    async def clean(self, grace: timedelta, limit: int = 0, state: State = JobState.COMPLETED) -> list[str]:
        """Remove jobs of a state that are older than `grace`, at most `limit` (0: all), and return their ids.

        Finished jobs count from when they finished, others from when they were added. What a worker holds stays.

        Raises:
            InvalidOption: there is no such state.
        """
        now, meant = self._now(), job_state(state)
        removed: list[str] = []
        for wire in wire_states(meant):
            looked = wanted = stay = 0
            while looked == wanted and (limit == 0 or len(removed) < limit):
                wanted = AT_ONCE if limit == 0 else min(AT_ONCE, limit - len(removed))
                gone, looked = await self._upkeep.clean(now, wire, now - span_ms(grace), wanted, stay)
                removed += gone
                stay += looked - len(gone)
        self.telemetry.emit("queue.cleaned", queue=self.name, state=str(meant), count=len(removed))
        return removed

    async def trim_events(self, most: int) -> int:
        """Keep the newest `most` events and return how many went. By itself a queue keeps about `max_events`.

        Raises:
            InvalidOption: `most` is negative.
        """
        if most < 0:
            raise InvalidOption(f"events are trimmed to 0 or more, got {most}")
        return await self._upkeep.trim_events(most)

    async def obliterate(self, *, force: bool = False, limit: int | None = None) -> bool:
        """Delete the queue with all its jobs. It must be paused; `force` takes jobs from under their workers too.

        With a `limit` it stops after about so many jobs. True: the queue is gone; False: call it again.

        Raises:
            QueueNotPaused: it is not paused, or jobs are active and `force` is not said. After a repetition this may
                mean that the first call did it: a queue that is gone is not paused.
        """
        deleted = 0
        while limit is None or deleted < limit:
            at_most = AT_ONCE if limit is None else min(AT_ONCE, limit - deleted)
            if not await self._upkeep.obliterate(self._now(), force=force, at_most=at_most):
                return True
            deleted += at_most
        return False

    async def remove_orphans(self, *, limit: int | None = None) -> int:
        """Delete jobs that are in no state, at most `limit`; returns how many.

        No client leaves such behind. BullMQ from 5.66.6 on did for a while, when it removed finished jobs by age.
        Every key of the server is looked at once, and the ids of the jobs that wait or are active are held in memory.
        """
        placed = set(await self.job_ids(("waiting", "active")))
        removed, cursor = 0, ""
        suspects: dict[str, None] = {}
        while cursor != "0" and (limit is None or removed < limit):
            cursor, found = await self._reading.scan_hashes(cursor or "0", AT_ONCE)
            suspects |= dict.fromkeys(job_id for job_id in found if job_id not in placed)
            if len(suspects) >= AT_ONCE or cursor == "0":  # a call looks through all lists: few calls
                removed += await self._remove_orphans(list(suspects), None if limit is None else limit - removed)
                suspects = {}
        return removed

    async def remove_priority_key(self) -> bool:
        """Delete the key in which BullMQ 3 and 4 counted priorities, of no use since; False if there is none."""
        return await self._upkeep.remove_priority_key()

    async def _remove_orphans(self, suspects: list[str], limit: int | None) -> int:
        removed = 0
        for first in range(0, len(suspects), AT_ONCE):
            some = suspects[first : first + AT_ONCE]
            most = len(some) if limit is None else limit - removed
            removed += await self._upkeep.remove_orphans(some, self._now(), most)
        return removed

    async def _drain(self, state: WireState, most: int) -> int:
        """Drain one state of about `most` jobs: what others add meanwhile does not keep it at work for ever."""
        drained = stay = 0
        while drained < most:
            removed, staying = await self._upkeep.drain(self._now(), state, stay + AT_ONCE)
            drained += removed
            if removed + staying < stay + AT_ONCE:
                break
            stay = staying
        return drained

    @property
    def _upkeep(self) -> Administration:
        return Administration(self.client, self.keys)


async def _repeated(some: Callable[[int], Awaitable[int]], limit: int | None) -> int:
    """Do `some(count)` until it does less than it was asked to, or `limit` in all; returns how much was done."""
    done = 0
    while limit is None or done < limit:
        wanted = AT_ONCE if limit is None else min(AT_ONCE, limit - done)
        did = await some(wanted)
        done += did
        if did < wanted:
            break
    return done
