"""How doses were taken: counts that add up, and the shares made of them. Pure: doses in, figures out.

Sums are always of doses. The overall figure is not the mean of percentages: a medicine taken four times a day counts
for four. What each figure means, and what is left out, is in docs/adherence.md.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from carecircle.domain.occurrence import OccurrenceState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime
    from uuid import UUID

    from carecircle.domain.answer import Timing


class DueDose(NamedTuple):
    """One planned dose and what became of it. A tuple, as a year has thousands."""

    medication_id: UUID
    nominal_local: datetime
    """The wall time it was planned for, naive: its date is the day that the dose belongs to."""
    due_at: datetime
    state: OccurrenceState
    taken_at: datetime | None
    """When it was taken, as the person says; None unless it was."""
    timing: Timing | None
    """Whether that was early, on time or late (R10); None unless it was taken, or if nobody can say."""

    @property
    def day(self) -> date:
        return self.nominal_local.date()


class Outcome(StrEnum):
    """What one dose counts as. Each dose counts as exactly one of them; a cancelled one as none."""

    ON_TIME = "on_time"
    EARLY = "early"
    """Taken, but before its on-time window."""
    LATE = "late"
    """Taken, but after its on-time window."""
    SKIPPED = "skipped"
    MISSED = "missed"
    UNKNOWN = "unknown"
    """Never asked for (R11): it says nothing about the patient."""
    ON_HOLD = "on_hold"
    OPEN = "open"
    """Neither answered nor over yet."""


SETTLED: dict[OccurrenceState, Outcome] = {
    OccurrenceState.SKIPPED: Outcome.SKIPPED,
    OccurrenceState.MISSED: Outcome.MISSED,
    OccurrenceState.UNKNOWN: Outcome.UNKNOWN,
    OccurrenceState.ON_HOLD: Outcome.ON_HOLD,
    OccurrenceState.PLANNED: Outcome.OPEN,
    OccurrenceState.DUE: Outcome.OPEN,
}
TAKEN = frozenset({Outcome.ON_TIME, Outcome.EARLY, Outcome.LATE})
NOT_TAKEN = frozenset({OccurrenceState.SKIPPED, OccurrenceState.MISSED})


def outcome(dose: DueDose) -> Outcome | None:
    """What a dose counts as. None: an edit cancelled it, so it never was due."""
    if dose.state is not OccurrenceState.TAKEN:
        return SETTLED.get(dose.state)
    # Where nobody can say that it was on time, it is not said.
    return Outcome.LATE if dose.timing is None else Outcome(dose.timing.value)


@dataclass(frozen=True, slots=True)
class Figures:
    """How many doses came to which outcome. `a + b` are the figures of both together."""

    on_time: int = 0
    early: int = 0
    late: int = 0
    skipped: int = 0
    missed: int = 0
    unknown: int = 0
    on_hold: int = 0
    open: int = 0

    @property
    def taken(self) -> int:
        return self.on_time + self.early + self.late

    @property
    def due(self) -> int:
        """Doses that were due and whose outcome is known: what the shares are of."""
        return self.taken + self.skipped + self.missed

    @property
    def taking_adherence(self) -> float | None:
        """Doses taken of doses due, 0 to 1. None: none was due."""
        return _share(self.taken, self.due)

    @property
    def timing_adherence(self) -> float | None:
        """Doses taken inside their on-time window of doses due, 0 to 1. None: none was due."""
        return _share(self.on_time, self.due)

    @property
    def confidence(self) -> float | None:
        """How much is known: doses with a known outcome of these and the unknown ones. None: there is neither."""
        return _share(self.due, self.due + self.unknown)

    def __add__(self, other: Figures) -> Figures:
        return Figures(*(getattr(self, name) + getattr(other, name) for name in COUNTED))


COUNTED = tuple(field.name for field in fields(Figures))


def figures(doses: Iterable[DueDose]) -> Figures:
    """The counts of these doses, in any order."""
    counts = Counter(map(outcome, doses))
    return Figures(*(counts[Outcome(name)] for name in COUNTED))


def by_day(doses: Iterable[DueDose]) -> dict[date, Figures]:
    """The counts by the local date that each dose was planned for, in the order of the dates."""
    days: dict[date, list[DueDose]] = {}
    for dose in doses:
        days.setdefault(dose.day, []).append(dose)
    return {day: figures(days[day]) for day in sorted(days)}


@dataclass(frozen=True, slots=True)
class Streaks:
    """Days in a row on which every dose was taken."""

    longest: int
    current: int
    """Up to the last day whose doses have an outcome."""


def streaks(days: dict[date, Figures]) -> Streaks:
    """Runs of days, in the order given.

    A day with a dose skipped or missed ends a run. One without any known outcome (a day off, on hold, not reminded) or
    with a dose still open neither ends nor lengthens it.
    """
    longest = current = 0
    for one in days.values():
        if one.skipped or one.missed:
            current = 0
        elif one.due and not one.open:
            current += 1
            longest = max(longest, current)
    return Streaks(longest, current)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
