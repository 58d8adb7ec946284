"""What a person says became of a dose: how it was answered, when, why not, and how much of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from carecircle.domain.errors import Invalid
from carecircle.domain.occurrence import AdministrationStatus, check_administered_at
from carecircle.domain.text import check_text

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from uuid import UUID

    from carecircle.domain.dose import Dose

MAX_REASON_LENGTH = 500


class NotDoneReason(StrEnum):
    """Why a dose was left out on purpose (`MedicationAdministration.statusReason` of FHIR).

    HL7's own list (`reason-medication-not-given`) has four: none, away, asleep, vomit. These are what people say.
    """

    FELT_UNWELL = "felt_unwell"
    SIDE_EFFECTS = "side_effects"
    VOMITED = "vomited"
    ASLEEP = "asleep"
    AWAY = "away"
    REFUSED = "refused"
    FORGOTTEN = "forgotten"
    OUT_OF_STOCK = "out_of_stock"
    DOCTOR_SAID_SO = "doctor_said_so"
    NOT_NEEDED = "not_needed"
    OTHER = "other"


class Timing(StrEnum):
    """When a dose was taken, measured by its window (R10)."""

    EARLY = "early"
    ON_TIME = "on_time"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to one dose, as the person gives it."""

    status: AdministrationStatus
    at: datetime
    """When it happened."""
    reason: str | None = None
    """In the person's own words."""
    reason_code: NotDoneReason | None = None
    dose: Dose | None = None
    """What was really taken; None: as planned."""
    id: UUID | None = None
    """Chosen by who gives it, so that it can be given again without being stored twice."""

    def checked(self, *, due_at: datetime, planned: Dose, now: datetime) -> Answer:
        """The answer as it counts for this dose: never in the future, and an amount only if it differs.

        Raises:
            Invalid: it makes no sense for this dose; says which field.
        """
        at = check_administered_at(self.at, self.status, due_at=due_at, now=now)
        if self.reason is not None:
            check_text(self.reason, field="reason", max_length=MAX_REASON_LENGTH)
        if self.status is AdministrationStatus.TAKEN and self.reason_code is not None:
            raise Invalid("This says why a dose was skipped; leave it out for one that was taken.", field="reason_code")
        return replace(self, at=at, dose=self._changed_dose(planned))

    def _changed_dose(self, planned: Dose) -> Dose | None:
        if self.dose is None:
            return None
        if self.status is AdministrationStatus.SKIPPED:
            raise Invalid("Nothing of a skipped dose was taken; leave the amount out.", field="dose")
        if self.dose.unit != planned.unit:
            raise Invalid(f"Give the amount in the unit of the planned dose: {planned.unit}.", field="dose.unit")
        return None if self.dose == planned else self.dose


class IdTaken(Invalid):
    """This id belongs to another answer; make a new one for each."""

    code: ClassVar[str] = "id_taken"


def timing(at: datetime, *, due_at: datetime, missed_at: datetime, on_time: timedelta) -> Timing:
    """Whether a dose taken at `at` was early, on time or late. One that was missed by then is late, however near."""
    if at < due_at - on_time:
        return Timing.EARLY
    return Timing.LATE if at > min(due_at + on_time, missed_at) else Timing.ON_TIME
