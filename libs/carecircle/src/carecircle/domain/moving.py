"""Moving one dose, or a whole series, to another time: what keeps its distance from its neighbours. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from carecircle.domain.errors import Conflict, Invalid

if TYPE_CHECKING:
    from datetime import datetime

LONGEST_MOVE = timedelta(days=31)
MOVED = "moved"
"""The note of a dose that a person moved; the outcome of a reminder that was to go out at the old time."""


@dataclass(frozen=True, slots=True)
class Room:
    """Where a dose may be without coming too close to those around it; both ends inclusive, None: open."""

    earliest: datetime | None
    latest: datetime | None

    @classmethod
    def between(cls, before: datetime | None, after: datetime | None, gap: timedelta) -> Room:
        """`before` is when the dose before is due or was taken, `after` when the next is due; `gap` as in R8."""
        return cls(None if before is None else before + gap, None if after is None else after - gap)

    def holds(self, at: datetime) -> bool:
        return (self.earliest is None or self.earliest <= at) and (self.latest is None or at <= self.latest)


class NotMovable(Conflict):
    """This dose is not open any more: it was answered, called off, or its window is over."""

    code: ClassVar[str] = "not_movable"


class MovedMeanwhile(Conflict):
    """Somebody else moved this dose since you read it; look at it again."""

    code: ClassVar[str] = "moved_meanwhile"


class TooClose(Conflict):
    """That time is too close to another dose of this series, or beyond it."""

    code: ClassVar[str] = "too_close"

    def __init__(self, room: Room) -> None:
        self.room = room
        ends = [
            f"{word} {at:%Y-%m-%d %H:%M} UTC" for word, at in (("from", room.earliest), ("until", room.latest)) if at
        ]
        super().__init__(
            f"That is too close to another dose of this series, or beyond it. There is room {' '.join(ends)}."
            if room.earliest is None or room.latest is None or room.earliest <= room.latest
            else "The doses around this one leave no room to move it."
        )


def check_move(to: datetime, *, origin: datetime, room: Room, now: datetime) -> None:
    """Whether an open dose may be moved to `to`. Its own place (`origin`) needs no room: it was there.

    Raises:
        Invalid: the time is past, or too far from where the dose belongs.
        TooClose: a neighbour is too near; says where there is room.
    """
    if to == origin:
        return
    if to <= now:
        raise Invalid("Give a time that is still to come; a dose that was taken is answered, not moved.", field="to")
    if abs(to - origin) > LONGEST_MOVE:
        raise Invalid(f"A dose moves by at most {LONGEST_MOVE.days} days; change its schedule instead.", field="to")
    if not room.holds(to):
        raise TooClose(room)
