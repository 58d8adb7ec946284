"""What a report for a doctor's visit says. Pure: doses in, lines out; how it looks is the API's business."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from carecircle.domain.adherence import Figures

if TYPE_CHECKING:
    from datetime import date, datetime

MOST_NOT_TAKEN = 100
"""So many doses that were not taken are listed, the latest ones; all of them are in the figures."""
REASONS = {
    "felt_unwell": "felt unwell",
    "side_effects": "side effects",
    "vomited": "vomited",
    "asleep": "asleep",
    "away": "away from home",
    "refused": "refused",
    "forgotten": "forgotten",
    "out_of_stock": "none left",
    "doctor_said_so": "the doctor said so",
    "not_needed": "not needed",
    "other": "another reason",
}
"""`domain.answer.NotDoneReason` in words."""


@dataclass(frozen=True, slots=True)
class MedicationLine:
    """A medication that is to be taken, or is paused."""

    name: str
    detail: str
    """Strength and form."""
    how: tuple[str, ...]
    """In plain words; empty: nothing is planned."""
    instructions: str | None
    paused: bool


@dataclass(frozen=True, slots=True)
class FigureLine:
    """How the planned doses of one medication were taken."""

    name: str
    remark: str
    """`stopped`, …; empty for one that goes on."""
    figures: Figures


@dataclass(frozen=True, slots=True)
class NotTakenLine:
    at: datetime
    """The wall time that was planned, naive."""
    name: str
    skipped: bool
    """Else missed: nobody answered."""
    reason: str


@dataclass(frozen=True, slots=True)
class AsNeededLine:
    name: str
    doses: int
    days: int
    """On which it was taken."""
    amounts: tuple[str, ...]
    """In all, one for each unit."""
    remarks: tuple[str, ...]
    """How near it came to what is allowed."""


@dataclass(frozen=True, slots=True)
class Report:
    patient: str
    zone: str
    since: date
    until: date
    """Inclusive."""
    generated_at: datetime
    """The patient's wall time, naive."""
    generated_for: str
    """Who asked for it."""
    medications: tuple[MedicationLine, ...]
    figures: tuple[FigureLine, ...]
    not_taken: tuple[NotTakenLine, ...]
    """Oldest first."""
    not_taken_before: int
    """So many more came before these."""
    as_needed: tuple[AsNeededLine, ...]

    @property
    def total(self) -> Figures:
        return sum((line.figures for line in self.figures), Figures())


def skip_reason(code: str | None, words: str | None) -> str:
    """Why a dose was skipped: the kind of reason, and the person's own words."""
    kind = REASONS.get(code or "", "")
    if not kind or (code == "other" and words):
        return words or ""
    return f"{kind}: {words}" if words else kind


@dataclass(slots=True)
class NotTaken:
    """Keeps the latest of the doses that were not taken."""

    lines: list[NotTakenLine] = field(default_factory=list[NotTakenLine])
    before: int = 0

    def add(self, line: NotTakenLine) -> None:
        self.lines.append(line)
        if len(self.lines) > MOST_NOT_TAKEN:
            del self.lines[0]
            self.before += 1
