"""The report for a doctor's visit: what is taken and how, and what became of the planned doses of a period."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from carecircle.db.accounts import Account
from carecircle.db.archives import archived_medications
from carecircle.db.patients import Patient
from carecircle.domain.adherence import DueDose, Figures, Outcome, outcome
from carecircle.domain.answer import Timing
from carecircle.domain.as_needed import AsNeededRule
from carecircle.domain.as_needed_use import TakenDose, Use, as_needed_use
from carecircle.domain.dose import Dose
from carecircle.domain.errors import Invalid
from carecircle.domain.medication import MedicationStatus
from carecircle.domain.occurrence import AS_NEEDED, OccurrenceState
from carecircle.domain.people import Action
from carecircle.domain.plain_words import dose_words, in_words
from carecircle.domain.report import (
    AsNeededLine,
    FigureLine,
    MedicationLine,
    NotTaken,
    NotTakenLine,
    Report,
    skip_reason,
)
from carecircle.domain.routine import Routine
from carecircle.domain.zones import local_date, shown_at, zone_named
from carecircle.usecases.access import Actor, require
from carecircle.usecases.exporting import begin_export, dose_pages

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.doses import OccurrenceView
    from carecircle.domain.archive import ArchivedMedication, ArchivedSchedule

LONGEST_REPORT = 366
"""Days."""
AROUND = timedelta(days=2)
"""A local date is somewhere within so much of the same date in UTC."""
LOOKS_BACK = timedelta(days=31)
"""The longest that a rule for doses as needed looks back."""
GOING_ON = {MedicationStatus.ACTIVE, MedicationStatus.ON_HOLD}
MOST_LINES = 40
"""Of how one medication is taken."""


async def make_report(
    session: AsyncSession, actor: Actor, patient_id: UUID, since: date | None, until: date | None, now: datetime
) -> Report:
    """The report on the local dates from `since` to `until`, both inclusive; the last 30 days if not said.

    Raises:
        Invalid: the period is none, or longer than a year.
    """
    await require(session, actor, patient_id, Action.READ)
    patient = await session.get_one(Patient, patient_id)
    zone = zone_named(patient.zone)
    today = local_date(now, zone)
    begins, ends = _period(since, until, today)
    await begin_export(session, actor, patient_id, "report", since=begins, until=ends)
    medications = await archived_medications(session, patient_id)
    tally = _Tally(medications, begins, ends)
    start = datetime.combine(begins, time.min, UTC) - AROUND - (LOOKS_BACK if tally.rules else timedelta(0))
    end = datetime.combine(ends, time.min, UTC) + timedelta(days=1) + AROUND
    async for page in dose_pages(session, patient_id, start, end):
        for view in page:
            tally.add(view)
    account = await session.get_one(Account, actor.account_id)
    routine = Routine.from_json(patient.routine)
    return Report(
        patient=patient.display_name,
        zone=patient.zone,
        since=begins,
        until=ends,
        generated_at=shown_at(now, zone),
        generated_for=account.display_name,
        medications=tuple(_line(one, routine, today) for one in medications if _goes_on(one)),
        figures=tuple(tally.figures()),
        not_taken=tuple(tally.not_taken.lines),
        not_taken_before=tally.not_taken.before,
        as_needed=tuple(tally.as_needed()),
    )


def _period(since: date | None, until: date | None, today: date) -> tuple[date, date]:
    ends = until or max(today, since or today)
    begins = since or ends - timedelta(days=29)
    if begins > ends:
        raise Invalid("The end of the period is before its start.", field="until")
    if (ends - begins).days >= LONGEST_REPORT:
        raise Invalid(f"Ask for at most {LONGEST_REPORT} days at once.", field="until")
    return begins, ends


class _Tally:
    """Counts doses as they come, page by page."""

    def __init__(self, medications: Sequence[ArchivedMedication], since: date, until: date) -> None:
        self._since, self._until = since, until
        self._medications = {medication.id: medication for medication in medications}
        self.rules = {
            schedule.id: (medication, schedule.plan.rule)
            for medication in medications
            for schedule in medication.schedules
            if isinstance(schedule.plan.rule, AsNeededRule)
        }
        self._taken: dict[UUID, list[TakenDose]] = {}
        self._counts: dict[UUID, Counter[str]] = {}
        self.not_taken = NotTaken()

    def add(self, view: OccurrenceView) -> None:
        day = view.nominal_local.date()
        if view.note == AS_NEEDED:
            if view.administration is not None and day <= self._until:
                given = view.administration
                dose = TakenDose(given.at, day, Dose(given.dose_quantity, given.dose_unit))
                self._taken.setdefault(view.schedule_id, []).append(dose)
        elif self._since <= day <= self._until:
            self._add_planned(view)

    def _add_planned(self, view: OccurrenceView) -> None:
        given = view.administration
        taken_at = given.at if given is not None and view.state is OccurrenceState.TAKEN else None
        timing = Timing(given.timing) if given is not None and given.timing is not None else None
        came_to = outcome(DueDose(view.medication_id, view.nominal_local, view.due_at, view.state, taken_at, timing))
        if came_to is None:
            return
        self._counts.setdefault(view.medication_id, Counter())[came_to.value] += 1
        if came_to in {Outcome.SKIPPED, Outcome.MISSED}:
            reason = "" if given is None else skip_reason(given.reason_code, given.reason)
            skipped = came_to is Outcome.SKIPPED
            self.not_taken.add(NotTakenLine(view.nominal_local, view.medication_name, skipped, reason))

    def figures(self) -> Iterator[FigureLine]:
        for id_, medication in self._medications.items():
            if (counts := self._counts.get(id_)) is not None:
                yield FigureLine(medication.name, _remark(medication), Figures(**counts))

    def as_needed(self) -> Iterator[AsNeededLine]:
        for id_, (medication, rule) in self.rules.items():
            use = as_needed_use(rule, self._taken.get(id_, ()), self._since, self._until)
            if use.total.doses:
                amounts = tuple(dose_words(Dose(quantity, unit)) for unit, quantity in use.total.amounts)
                yield AsNeededLine(
                    medication.name, use.total.doses, use.days_with_use, amounts, tuple(_remarks(use.total))
                )


def _goes_on(medication: ArchivedMedication) -> bool:
    return medication.deleted_at is None and medication.status in GOING_ON


def _remark(medication: ArchivedMedication) -> str:
    if medication.deleted_at is not None:
        return "removed"
    return {MedicationStatus.ACTIVE: "", MedicationStatus.ON_HOLD: "paused"}.get(medication.status, medication.status)


def _line(medication: ArchivedMedication, routine: Routine, today: date) -> MedicationLine:
    how = [text for one in medication.schedules if _holds(one, today) for text in in_words(one.plan, routine, today)]
    if len(how) > MOST_LINES:
        how = [*how[:MOST_LINES], f"… and {len(how) - MOST_LINES} more"]
    return MedicationLine(
        name=medication.name,
        detail=", ".join(text for text in (medication.strength, medication.form) if text),
        how=tuple(how),
        instructions=medication.instructions,
        paused=medication.status is MedicationStatus.ON_HOLD,
    )


def _holds(schedule: ArchivedSchedule, today: date) -> bool:
    ends = schedule.plan.end_date
    return schedule.deleted_at is None and (ends is None or ends >= today)


def _remarks(use: Use) -> Iterator[str]:
    for number, text in (
        (use.at_max, "reached the maximum"),
        (use.above_max, "went above the maximum"),
        (use.too_early, "came too early"),
    ):
        if number:
            yield f"{number} {'dose' if number == 1 else 'doses'} {text}"
