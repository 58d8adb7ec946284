"""Where the letter about a job that failed for good goes: as the job says, else as its worker does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from carequeue.dead_letters import letters_base
from carequeue.errors import InvalidOption, NotPermitted
from carequeue.options import check_letters_queue
from carequeue.store.cluster import same_slot
from carequeue.store.connection import check_together
from carequeue.store.server import Rights
from carequeue.wire.keys import QueueKeys

if TYPE_CHECKING:
    from carequeue.job import Job
    from carequeue.store.client import LinkedRedis
    from carequeue.store.connection import Source


async def check_letters(client: LinkedRedis, keys: QueueKeys, name: str | None) -> None:
    """Refuse a queue for letters that the user of a client may not write to, before a job fails in vain.

    Raises:
        NotPermitted: they may not.
        ConnectionLost: Redis does not answer.
    """
    if name is None:
        return
    try:
        await Rights(client, QueueKeys(keys.prefix, name)).check("step")
    except NotPermitted as error:
        raise NotPermitted(f"this worker may not write to its dead_letters, {name!r}: {error}") from error


def letter_box(keys: QueueKeys, source: Source, name: str | None) -> LetterBox:
    """The letter box of a worker of the queue `keys` that says `dead_letters=name`.

    Raises:
        InvalidOption: it is the same queue, or in another slot of a cluster.
    """
    base = letters_base(name, keys)
    if source.in_cluster:
        check_together(keys.base, base)
    return LetterBox(keys, name, source.in_cluster)


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
