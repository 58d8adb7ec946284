"""Possession of a medicine, from fills: PDC and MPR. They say what could have been taken, not what was."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

DAY = timedelta(days=1)


class Fill(Protocol):
    """A pack or more that was got on one day."""

    @property
    def on(self) -> date: ...
    @property
    def days_supply(self) -> Decimal | int:
        """How many days it lasts, taken as prescribed."""
        ...


@dataclass(frozen=True, slots=True)
class Coverage:
    """Days with supply on hand, and what was supplied, in some days. `a + b` are both together."""

    days: int
    """Days in the period, from the first fill on."""
    covered: int
    """Those of them with a day's supply on hand."""
    supplied: Decimal
    """Days' supply of the fills that were got on these days."""
    fills: int
    """The number of those fills."""

    @property
    def pdc(self) -> float | None:
        """Proportion of days covered, 0 to 1. None: nothing was ever got."""
        return self.covered / self.days if self.days else None

    @property
    def mpr(self) -> float | None:
        """Medication possession ratio, may exceed 1. None: nothing was ever got."""
        return float(self.supplied / self.days) if self.days else None

    def __add__(self, other: Coverage) -> Coverage:
        return Coverage(
            self.days + other.days,
            self.covered + other.covered,
            self.supplied + other.supplied,
            self.fills + other.fills,
        )


NOTHING = Coverage(0, 0, Decimal(0), 0)


def coverage(fills: Sequence[Fill], since: date, until: date) -> Coverage:
    """What the fills of one medicine cover of a period, both dates inclusive.

    Counted from the first fill, if that is after `since`: before it nobody knows of a need. A fill that comes while
    there is supply is used after it (carried forward); so is what fills before `since` left.
    """
    first = max(since, min((fill.on for fill in fills), default=date.max))
    if first > until:
        return NOTHING
    inside = [fill for fill in fills if first <= fill.on <= until]
    covered = sum(max(0, (min(end, until + DAY) - max(begin, first)).days) for begin, end in _stretches(fills, until))
    supplied = sum((Decimal(fill.days_supply) for fill in inside), Decimal(0))
    return Coverage((until - first).days + 1, covered, supplied, len(inside))


def _stretches(fills: Iterable[Fill], until: date) -> Iterator[tuple[date, date]]:
    """Days on hand, the end exclusive. Less than a day's supply covers no day; it is added to the next fill."""
    left = Decimal(0)
    free = date.min
    for fill in sorted(fills, key=lambda one: one.on):
        begin = max(free, fill.on)
        if begin > until:
            return
        left += fill.days_supply
        # No further than the period goes: a supply for ten thousand years is not a date.
        whole = min(int(left), (until - begin).days + 1)
        left -= int(left)
        free = begin + whole * DAY
        yield begin, free
