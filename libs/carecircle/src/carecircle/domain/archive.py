"""A patient with medications, schedules and history as a value that can leave one care circle and enter another.

Ids here say only what belongs together: whoever brings an archive in gives everything ids of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from carecircle.domain.errors import Invalid
from carecircle.domain.occurrence import ANSWERED, NOT_REMINDED, OPEN, OccurrenceState, sweep_state
from carecircle.domain.zones import zone_named

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from uuid import UUID

    from carecircle.domain.answer import NotDoneReason, Timing
    from carecircle.domain.dose import Dose
    from carecircle.domain.medication import MedicationStatus, Severity
    from carecircle.domain.occurrence import AdministrationStatus
    from carecircle.domain.routine import Routine
    from carecircle.domain.schedule import SchedulePlan

MOST_ERRORS = 100
"""So many are looked for; then reading stops."""
MOST_LIVE_SCHEDULES = 20
MOST_LIVE_MEDICATIONS = 200


@dataclass(frozen=True, slots=True)
class ArchivedAnswer:
    """What somebody said of a dose; with `entered_in_error_at`, one that was taken back."""

    status: AdministrationStatus
    at: datetime
    reason: str | None
    dose: Dose
    recorded_by: str
    """The person's name."""
    recorded_at: datetime
    entered_in_error_at: datetime | None = None
    entered_in_error_by: str | None = None
    reason_code: NotDoneReason | None = None
    timing: Timing | None = None
    """By the window that held when it was recorded; None: skipped, as needed, or not known."""
    dose_changed: bool = False
    """`dose` is not what was planned."""


@dataclass(frozen=True, slots=True)
class ArchivedDose:
    id: UUID
    schedule_id: UUID
    revision: int
    """Of the schedule, when the dose was planned."""
    nominal_local: datetime
    """Naive, in `zone`; a microsecond marks the second round of a clock set back."""
    zone: str
    due_at: datetime
    missed_at: datetime
    note: str | None
    dose: Dose
    state: OccurrenceState
    reason: str | None
    remind_at: datetime
    reminder_step: int
    reminded_step: int | None
    created_at: datetime
    updated_at: datetime
    moved_from: datetime | None = None
    """Where `due_at` was before a person moved this one dose."""
    moved_at: datetime | None = None
    answers: tuple[ArchivedAnswer, ...] = ()

    @property
    def standing(self) -> ArchivedAnswer | None:
        return next((answer for answer in self.answers if answer.entered_in_error_at is None), None)

    def settled(self, now: datetime) -> ArchivedDose:
        """The dose in a circle that gets it at `now`: nobody is asked for what was due before.

        One that was due and open has nobody's answer: it is missed if somebody was reminded, else unknown, and can
        still be answered. One to come is open as if nobody had been told of it.
        """
        if self.state not in OPEN:
            return self
        if self.due_at <= now:
            reminded = self.reminded_step is not None
            return replace(self, state=sweep_state(reminded=reminded), reason=None if reminded else NOT_REMINDED)
        in_time = self.due_at <= self.remind_at < self.missed_at
        return replace(
            self,
            state=OccurrenceState.PLANNED,
            remind_at=self.remind_at if in_time else self.due_at,
            reminder_step=0,
            reminded_step=None,
        )


@dataclass(frozen=True, slots=True)
class ArchivedSchedule:
    id: UUID
    plan: SchedulePlan
    revision: int
    created_at: datetime
    valid_from: datetime
    planned_until: datetime
    """Every dose due before it, and after `valid_from`, is among the doses of the archive."""
    deleted_at: datetime | None


@dataclass(frozen=True, slots=True)
class ArchivedMedication:
    id: UUID
    name: str
    strength: str | None
    form: str | None
    instructions: str | None
    status: MedicationStatus
    severity: Severity
    created_at: datetime
    deleted_at: datetime | None
    schedules: tuple[ArchivedSchedule, ...] = ()


@dataclass(frozen=True, slots=True)
class Archive:
    display_name: str
    zone: str
    routine: Routine | None
    """None: as usual."""
    medications: tuple[ArchivedMedication, ...]
    doses: Sequence[ArchivedDose]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one part of a document."""

    field: str
    """Dotted: `doses.17.answers.0.at`."""
    message: str


class InvalidArchive(Invalid):
    """The document cannot be brought in as it is; `errors` says where."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"Nothing was brought in: the document has {len(faults)} errors; `errors` says where.")


@dataclass(slots=True)
class Examiner:
    """Looks at an archive piece by piece: what its parts say of each other. Each part alone is in order by then."""

    faults: list[Fault] = field(default_factory=list[Fault])
    _revisions: dict[UUID, int] = field(default_factory=dict["UUID", int])
    _doses: set[UUID] = field(default_factory=set["UUID"])
    _identities: set[tuple[UUID, int, datetime]] = field(default_factory=set[tuple["UUID", int, "datetime"]])

    def look_at_plan(self, archive: Archive) -> None:
        """The patient, medications and schedules; before the doses."""
        if (message := _wrong_with_zone(archive.zone)) is not None:
            self._say("patient.zone", message)
        seen: set[UUID] = set()
        for n, medication in enumerate(archive.medications):
            place = f"medications.{n}"
            if medication.id in seen:
                self._say(f"{place}.id", "This id is there twice.")
            seen.add(medication.id)
            for m, schedule in enumerate(medication.schedules):
                if schedule.id in self._revisions:
                    self._say(f"{place}.schedules.{m}.id", "This id is there twice.")
                self._revisions[schedule.id] = schedule.revision
            live = [one for one in medication.schedules if one.deleted_at is None]
            if len(live) > MOST_LIVE_SCHEDULES:
                self._say(f"{place}.schedules", f"At most {MOST_LIVE_SCHEDULES} that are not deleted.")
        live_medications = [one for one in archive.medications if one.deleted_at is None]
        if len(live_medications) > MOST_LIVE_MEDICATIONS:
            self._say("medications", f"At most {MOST_LIVE_MEDICATIONS} that are not deleted.")

    def look_at_doses(self, doses: Sequence[ArchivedDose], first: int) -> None:
        """Some of the doses; `first` is the place of the first one."""
        for n, dose in enumerate(doses, first):
            if len(self.faults) >= MOST_ERRORS:
                return
            for name, message in self._wrong_with(dose):
                self._say(f"doses.{n}.{name}", message)

    def conclude(self) -> None:
        """Raises `InvalidArchive` if anything was wrong."""
        if self.faults:
            raise InvalidArchive(self.faults)

    def _wrong_with(self, dose: ArchivedDose) -> Iterator[tuple[str, str]]:
        revision = self._revisions.get(dose.schedule_id)
        identity = (dose.schedule_id, dose.revision, dose.nominal_local)
        if revision is None:
            yield "schedule_id", "No medication of this document has a schedule with this id."
        elif dose.revision > revision:
            yield "revision", f"The schedule has only reached revision {revision}."
        if dose.id in self._doses:
            yield "id", "This id is there twice."
        if identity in self._identities:
            yield "nominal_local_time", "This schedule has another dose of this revision at this time."
        if (message := _wrong_with_zone(dose.zone)) is not None:
            yield "zone", message
        if dose.missed_at < dose.due_at:
            yield "missed_at", "This is before the dose is due."
        yield from self._wrong_with_answers(dose)
        self._doses.add(dose.id)
        self._identities.add(identity)

    def _wrong_with_answers(self, dose: ArchivedDose) -> Iterator[tuple[str, str]]:
        standing = [n for n, answer in enumerate(dose.answers) if answer.entered_in_error_at is None]
        if len(standing) > 1:
            yield f"answers.{standing[1]}", "One answer stands; the others have `entered_in_error_at`."
        if dose.state in OPEN and standing:
            yield f"answers.{standing[0]}", f"A dose that is {dose.state} has no answer that stands."
        if dose.state in ANSWERED and (dose.standing is None or dose.standing.status.value != dose.state.value):
            yield "answers", f"A dose that is {dose.state} has an answer that says so."

    def _say(self, place: str, message: str) -> None:
        self.faults.append(Fault(place, message))


def _wrong_with_zone(name: str) -> str | None:
    try:
        zone_named(name)
    except Invalid as refused:
        return refused.message
    return None
