"""One typed method for the script about dead letters."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha1

from carequeue.store.script import Scripts

CHANGED = -13
"""The letter is not what the caller read: look again."""


@dataclass(frozen=True, slots=True)
class Returned:
    """The job of a letter as it is put back."""

    base: str
    """`prefix:queue` of its own queue."""
    job_id: str
    name: str
    data: str
    opts: str
    priority: int = 0
    lifo: bool = False


class Letters(Scripts):
    """The dead letters in one queue."""

    async def replay(self, letter_id: str, text: str, job: Returned, now: int) -> int:
        """Put the job of the letter whose data is `text` back and remove the letter: 1, 0 if the job is waiting or
        running already, CHANGED, or another code.
        """
        digest = sha1(text.encode(), usedforsecurity=False).hexdigest()
        reply: int = await self._run(
            "replayLetter", now, letter_id, digest, job.base, job.job_id, job.name, job.data, job.opts, job.priority,
            "1" if job.lifo else "",
        )  # fmt: skip
        return reply
