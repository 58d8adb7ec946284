"""What can become of one planned dose, and whether its reminder still matters. Pure: facts in, decision out.

    planned → due → taken | skipped | missed | unknown | on_hold | cancelled

Missed and unknown are not the end: a later answer makes them taken (late) or skipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeVar

from carecircle.domain.errors import Conflict, Invalid
from carecircle.domain.medication import MedicationStatus

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

LATE_AFTER = timedelta(minutes=5)
"""From then on a reminder says that the dose was due earlier."""
NOT_REMINDED = "not_reminded"
SUPERSEDED = "superseded"
AS_NEEDED = "as_needed"
"""The note of a dose that was not planned: it is logged when it is taken."""
ENTERED_IN_ERROR = "entered_in_error"


class OccurrenceState(StrEnum):
    PLANNED = "planned"
    DUE = "due"
    TAKEN = "taken"
    SKIPPED = "skipped"
    MISSED = "missed"
    """Asked, and nobody answered."""
    UNKNOWN = "unknown"
    """Never asked: it says nothing about the patient."""
    ON_HOLD = "on_hold"
    CANCELLED = "cancelled"


OPEN = frozenset({OccurrenceState.PLANNED, OccurrenceState.DUE})
ANSWERED = frozenset({OccurrenceState.TAKEN, OccurrenceState.SKIPPED})
ANSWERABLE = OPEN | {OccurrenceState.MISSED, OccurrenceState.UNKNOWN}


class SkipReason(StrEnum):
    """Why a reminder is not sent: the `skipped` of a job's return value."""

    NOT_FOUND = "not_found"
    INACTIVE = "inactive"
    ALREADY_SENT = "already_sent"
    ANSWERED = "answered"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True, slots=True)
class Facts:
    """What decides about a reminder, read in one go, and under the row's lock where it matters."""

    state: OccurrenceState
    revision: int
    """The revision of the schedule that the occurrence belongs to …"""
    schedule_revision: int
    """… and the one that counts now."""
    schedule_deleted: bool
    medication_status: MedicationStatus
    medication_deleted: bool
    due_at: datetime
    missed_at: datetime
    remind_at: datetime
    already_sent: bool = False
    """The deliveries of this step were decided before. For the dispatcher; a delivery at its handoff says False."""
    newer_is_due: bool = False
    """A later dose of the same medication is due by now: only that one is asked for (R11)."""
    acknowledged_by: UUID | None = None
    """Who handles the dose …"""
    acknowledged_until: datetime | None = None
    """… and until when: as long as that lasts, nobody else is reminded."""

    def handled_by(self, now: datetime) -> UUID | None:
        """The account that handles it now."""
        holds = self.acknowledged_until is not None and now < self.acknowledged_until
        return self.acknowledged_by if holds else None


@dataclass(frozen=True, slots=True)
class Remind:
    """Send it. `late`: say when it was due, and to check before taking."""

    late: bool
    only_to: UUID | None = None
    """The account that handles the dose; None: everybody."""


@dataclass(frozen=True, slots=True)
class NotYet:
    """Come back then: the dose was snoozed, or a clock runs ahead of the database's."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Skip:
    """Do not send it, ever."""

    reason: SkipReason


def still_matters(facts: Facts | None, now: datetime, *, recipient: UUID | None = None) -> Remind | NotYet | Skip:
    """Whether the reminder of an occurrence is to go out now. None: there is no such occurrence.

    `recipient`: whose message is asked about, for a sender; None for who decides about everybody's.
    """
    if (reason := _reason_to_skip(facts, now)) is not None or facts is None:
        return Skip(reason or SkipReason.NOT_FOUND)
    holder = facts.handled_by(now)
    if holder is not None and recipient not in (None, holder):
        return Skip(SkipReason.ACKNOWLEDGED)
    if now < facts.remind_at:
        return NotYet(facts.remind_at)
    return Remind(late=now - facts.due_at > LATE_AFTER, only_to=holder)


def _reason_to_skip(facts: Facts | None, now: datetime) -> SkipReason | None:
    """The first that holds; an answer comes before all else, as that is what the circle wants to read."""
    if facts is None:
        return SkipReason.NOT_FOUND
    inactive = facts.medication_deleted or facts.schedule_deleted or facts.medication_status != MedicationStatus.ACTIVE
    superseded = facts.revision != facts.schedule_revision or facts.state == OccurrenceState.CANCELLED
    checks = (
        (facts.state in ANSWERED, SkipReason.ANSWERED),
        (inactive or facts.state == OccurrenceState.ON_HOLD, SkipReason.INACTIVE),
        (superseded, SkipReason.SUPERSEDED),
        (now >= facts.missed_at or facts.state not in OPEN, SkipReason.EXPIRED),
        (facts.already_sent, SkipReason.ALREADY_SENT),
        (facts.newer_is_due, SkipReason.SUPERSEDED),
    )
    return next((reason for holds, reason in checks if holds), None)


def sweep_state(*, reminded: bool) -> OccurrenceState:
    """What an open occurrence is once its window is over (R11); `unknown` carries the reason `NOT_REMINDED`."""
    return OccurrenceState.MISSED if reminded else OccurrenceState.UNKNOWN


def reopened_state(due_at: datetime, missed_at: datetime, now: datetime, *, replaced: bool) -> OccurrenceState:
    """What an occurrence is once its answer was undone (R12).

    `replaced`: its schedule was edited or ended since, so it cannot be asked for again.
    """
    if now >= missed_at or (replaced and now >= due_at):
        return OccurrenceState.MISSED
    if replaced:
        return OccurrenceState.CANCELLED
    return OccurrenceState.PLANNED if now < due_at else OccurrenceState.DUE


class AdministrationStatus(StrEnum):
    """How a dose was answered."""

    TAKEN = "taken"
    SKIPPED = "skipped"


CLOCK_SKEW = timedelta(minutes=2)
"""How far ahead of ours the clock of a phone may be."""
EARLIEST_INTAKE = timedelta(hours=24)


def check_administered_at(at: datetime, status: AdministrationStatus, *, due_at: datetime, now: datetime) -> datetime:
    """When an answer counts as given: `at`, never in the future.

    Raises:
        Invalid: it is ahead of us, or so long before the dose that another one must be meant.
    """
    if at.tzinfo is None:
        raise Invalid("Give the time with its offset, such as 2026-03-07T08:05:00Z.", field="at")
    if at > now + CLOCK_SKEW:
        raise Invalid("This time is in the future.", field="at")
    if status is AdministrationStatus.TAKEN and at < due_at - EARLIEST_INTAKE:
        raise Invalid("This is more than 24 hours before the dose was due; was another one meant?", field="at")
    return min(at, now)


SHORTEST_SNOOZE, LONGEST_SNOOZE = 1, 240


def snoozed_until(later: int | datetime, *, due_at: datetime, missed_at: datetime, now: datetime) -> datetime:
    """When to ask again: that many minutes from now, or from when it is due; or at that instant.

    Raises:
        Invalid: that is no later time, or the window of the dose is over by then.
    """
    field = "minutes" if isinstance(later, int) else "until"
    until = _minutes_later(later, max(now, due_at)) if isinstance(later, int) else _at(later, max(now, due_at))
    if until >= missed_at:
        raise Invalid(f"The window of this dose is over by then; it ends at {missed_at:%Y-%m-%dT%H:%M}Z.", field=field)
    return until


def _minutes_later(minutes: int, start: datetime) -> datetime:
    if not SHORTEST_SNOOZE <= minutes <= LONGEST_SNOOZE:
        raise Invalid(f"Give {SHORTEST_SNOOZE} to {LONGEST_SNOOZE} minutes.", field="minutes")
    return start + timedelta(minutes=minutes)


def _at(until: datetime, start: datetime) -> datetime:
    if until.tzinfo is None:
        raise Invalid("Give the time with its offset, such as 2026-03-07T08:05:00Z.", field="until")
    if until <= start:
        raise Invalid("Give a time that is still to come, and after the dose is due.", field="until")
    return until.astimezone(UTC)


class Planned(Protocol):
    """Anything with a window: a row, or a planned dose."""

    @property
    def due_at(self) -> datetime: ...
    @property
    def missed_at(self) -> datetime: ...


P = TypeVar("P", bound=Planned)


def nearest(open_occurrences: Iterable[P], at: datetime, *, early: timedelta) -> P | None:
    """Which occurrence an answer without an id belongs to: the nearest in time, never the one of the day (R12).

    Only those count whose window, from `early` before it is due until it is missed, holds `at`.
    """
    within = [one for one in open_occurrences if one.due_at - early <= at <= one.missed_at]
    return min(within, key=lambda one: abs(at - one.due_at), default=None)


class AlreadyRecorded(Conflict):
    """Somebody answered this dose before."""

    code: ClassVar[str] = "already_recorded"

    def __init__(self, *, by: str, at: datetime, status: str) -> None:
        self.by = by
        """The display name of who recorded it."""
        self.at = at
        self.status = status
        super().__init__(f"Already recorded as {status} by {by}.")


class NotAnswerable(Conflict):
    """This dose is on hold or was cancelled: there is nothing to answer."""

    code: ClassVar[str] = "not_answerable"


class WindowOver(Conflict):
    """The window of this dose is over, or it was answered: it cannot be snoozed any more."""

    code: ClassVar[str] = "window_over"
