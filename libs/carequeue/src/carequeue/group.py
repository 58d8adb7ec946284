"""Group: which of a queue's groups a job is of. What a queue knows of its groups is in `groups.py`."""

from __future__ import annotations

from dataclasses import dataclass

from carequeue.errors import InvalidOption

MAX_PRIORITY = 2**21 - 1


@dataclass(frozen=True, slots=True)
class Group:
    """A group by its id, and the job's priority in there: 0 is first. None leaves that to the job's own `priority`."""

    id: str
    priority: int | None = None

    def __post_init__(self) -> None:
        check_group_id(self.id)
        if self.priority is not None and not 0 <= self.priority <= MAX_PRIORITY:
            raise InvalidOption(f"a priority is between 0 (first) and {MAX_PRIORITY}, got {self.priority}")


def check_group_id(group_id: object) -> None:
    """Refuse what cannot be a group's id.

    Raises:
        InvalidOption: it is no text, empty, or not printable.
    """
    if not isinstance(group_id, str) or not group_id or not group_id.isprintable():
        raise InvalidOption(f"a group's id is printable text and not empty, got {group_id!r}")
