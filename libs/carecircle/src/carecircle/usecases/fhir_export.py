"""A patient's record as FHIR."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from carecircle.db.fhir import answers_between, live_medications, live_schedules, silent_doses_between
from carecircle.db.patients import Patient
from carecircle.domain.dose import Dose
from carecircle.domain.errors import Conflict
from carecircle.domain.fhir.resources import REASONS, FhirAdministration, FhirMedication, FhirPatient
from carecircle.domain.medication import MedicationStatus
from carecircle.domain.occurrence import AdministrationStatus
from carecircle.usecases.exporting import begin_export, check_period

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.occurrences import Administration, OccurrenceRow
    from carecircle.domain.fhir.terms import Version
    from carecircle.domain.schedule import SchedulePlan
    from carecircle.usecases.access import Actor

LONGEST = timedelta(days=366)
MOST_ADMINISTRATIONS = 10_000


class TooManyDoses(Conflict):
    """There are more than 10,000 answers in this period; ask for a shorter one."""

    code = "too_many_doses"


async def fhir_record(
    session: AsyncSession, actor: Actor, patient_id: UUID, version: Version, since: datetime, until: datetime
) -> tuple[FhirPatient, list[FhirMedication], list[FhirAdministration]]:
    """What a Bundle is made of: all medications that were not deleted, and the doses of [since, until)."""
    check_period(since, until, LONGEST)
    await begin_export(session, actor, patient_id, f"fhir {version}", since=since, until=until)
    patient = await session.get_one(Patient, patient_id)
    answered = await answers_between(session, patient_id, since, until, MOST_ADMINISTRATIONS + 1)
    silent = await silent_doses_between(session, patient_id, since, until, MOST_ADMINISTRATIONS + 1)
    if len(answered) + len(silent) > MOST_ADMINISTRATIONS:
        raise TooManyDoses
    happened = [_answered(row, dose) for row, dose in answered] + [_silent(row) for row in silent]
    medications = await _medications(session, patient_id)
    person = FhirPatient(patient.id, patient.display_name, patient.zone)
    return person, medications, sorted(happened, key=lambda one: (one.at, one.id))


async def _medications(session: AsyncSession, patient_id: UUID) -> list[FhirMedication]:
    plans: dict[UUID, list[tuple[UUID, SchedulePlan]]] = {}
    for schedule in await live_schedules(session, patient_id):
        plans.setdefault(schedule.medication_id, []).append((schedule.id, schedule.plan()))
    return [
        FhirMedication(
            id=row.id,
            name=row.name,
            strength=row.strength,
            form=row.form,
            instructions=row.instructions,
            status=MedicationStatus(row.status),
            created_at=row.created_at,
            plans=tuple(plans.get(row.id, ())),
        )
        for row in await live_medications(session, patient_id)
    ]


def _answered(row: Administration, dose: OccurrenceRow) -> FhirAdministration:
    taken = row.status == AdministrationStatus.TAKEN
    status = "completed" if taken else "not-done"
    return FhirAdministration(
        id=row.id,
        medication_id=dose.medication_id,
        schedule_id=dose.schedule_id,
        status=status if row.entered_in_error_at is None else "entered-in-error",
        at=row.at,
        reason=row.reason,
        reason_code=row.reason_code,
        dose=Dose(row.dose_quantity, row.dose_unit) if taken and row.dose_quantity > 0 else None,
    )


def _silent(row: OccurrenceRow) -> FhirAdministration:
    return FhirAdministration(
        id=row.id,
        medication_id=row.medication_id,
        schedule_id=row.schedule_id,
        status="not-done" if row.state == "missed" else "unknown",
        at=row.due_at,
        reason=REASONS[row.state],
        reason_code=row.state,
        dose=None,
    )
