"""Planned doses as a calendar shows them: what is stored with what is still to be worked out, in one order. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING

from carecircle.domain.as_needed import AsNeededRule
from carecircle.domain.occurrence import ANSWERED, OccurrenceState
from carecircle.domain.schedule import Background, PlannedDose, SchedulePlan, occurrences

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime
    from uuid import UUID

    from carecircle.domain.dose import Dose

GONE = frozenset({OccurrenceState.CANCELLED, OccurrenceState.ON_HOLD})


class Standing(Enum):
    """What a calendar has to know of a dose."""

    PLANNED = "planned"
    """Nobody answered it: also when its window is over."""
    ANSWERED = "answered"
    CANCELLED = "cancelled"

    @classmethod
    def of(cls, state: OccurrenceState) -> Standing:
        if state in ANSWERED:
            return cls.ANSWERED
        return cls.CANCELLED if state in GONE else cls.PLANNED


@dataclass(frozen=True, slots=True)
class AgendaEntry:
    """One dose. Its identity is that of the occurrence: schedule, revision, nominal local time (R4)."""

    schedule_id: UUID
    revision: int
    nominal_local: datetime
    """Naive, in `zone`; `fold` is 1 in the second round of a clock that is set back."""
    zone: str
    due_at: datetime
    note: str | None
    medication: str
    dose: Dose
    standing: Standing
    changed_at: datetime
    """When any of this last changed."""
    sequence: int
    """0 as planned at first; rises with every change, as iCalendar's SEQUENCE."""

    @property
    def uid(self) -> str:
        """Stays the same as long as the dose is the same one."""
        fold = "b" if self.nominal_local.fold else ""
        return f"{self.schedule_id}-r{self.revision}-{self.nominal_local:%Y%m%dT%H%M}{fold}@carecircle-reminders"


@dataclass(frozen=True, slots=True)
class Ahead:
    """A schedule beyond what is stored of it."""

    schedule_id: UUID
    revision: int
    medication: str
    plan: SchedulePlan
    zone: str
    """The patient's."""
    valid_from: datetime
    since: datetime
    background: Background
    changed_at: datetime

    def entries(self, until: datetime) -> Iterator[AgendaEntry]:
        """In the order they are due. None for doses as needed: they are not planned."""
        if isinstance(self.plan.rule, AsNeededRule):
            return
        for dose in occurrences(
            self.plan,
            zone=self.zone,
            valid_from=self.valid_from,
            since=self.since,
            until=until,
            background=self.background,
        ):
            yield self._entry(dose)

    def _entry(self, dose: PlannedDose) -> AgendaEntry:
        return AgendaEntry(
            schedule_id=self.schedule_id,
            revision=self.revision,
            nominal_local=dose.nominal_local,
            zone=dose.zone,
            due_at=dose.due_at,
            note=dose.note,
            medication=self.medication,
            dose=dose.dose,
            standing=Standing.PLANNED,
            changed_at=self.changed_at,
            sequence=0,
        )


def agenda(stored: Sequence[AgendaEntry], ahead: Iterable[Ahead], *, until: datetime, most: int) -> list[AgendaEntry]:
    """The first `most` doses due before `until`, each once: what is stored wins over what is worked out."""
    known = {entry.uid for entry in stored}
    lines = [stored, *(_unknown(schedule.entries(until), known) for schedule in ahead)]
    return list(islice(merge(*lines, key=lambda entry: entry.due_at), most))


def _unknown(entries: Iterable[AgendaEntry], known: set[str]) -> Iterator[AgendaEntry]:
    return (entry for entry in entries if entry.uid not in known)
