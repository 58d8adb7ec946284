"""Where the letter about a job that failed for good goes: as the job says, else as its worker does. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from carequeue.errors import InvalidOption
from carequeue.options import check_letters_queue
from carequeue.store.cluster import same_slot

if TYPE_CHECKING:
    from carequeue.job import Job
    from carequeue.wire.keys import QueueKeys


@dataclass(frozen=True, slots=True)
class LetterBox:
    """The dead letters of one worker."""

    keys: QueueKeys
    """The worker's own queue."""
    name: str | None = None
    in_cluster: bool = False

    def address(self, job: Job[Any]) -> tuple[str, str]:
        """`prefix:queue` of the queue that gets the letter, empty if none does, and what to say about that.

        A letter is never written about a letter: one that its own worker fails at stays where it failed.
        """
        opts = job.fields.get("opts", "")
        if "letterOf" in opts and job.raw_options.get("letterOf"):
            return "", ""
        name = self.name
        if "deadLetters" in opts:
            own = job.raw_options.get("deadLetters")
            name = own if isinstance(own, str) and _is_name(own) else name
        if name is None or name == self.keys.queue:
            return "", ""
        base = f"{self.keys.prefix}:{name}"
        if self.in_cluster and not _together(self.keys.base, base):
            return "", f" (no dead letter: {base} lies in another slot of the cluster)"
        return base, ""


def _together(base: str, letters: str) -> bool:
    try:
        return same_slot(base, letters)
    except InvalidOption:
        return False  # a queue without a hash tag: its keys are not even together with each other


def _is_name(name: str) -> bool:
    try:
        check_letters_queue(name)
    except InvalidOption:
        return False
    return True
