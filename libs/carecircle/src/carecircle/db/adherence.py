"""What was planned, taken and got of a patient's medicines in a period: tuples for figures, not rows for changing.

Three queries for a period, however many doses and medications it has. `nominal_local` is local already, so no zone is
needed in SQL; `due_at` only narrows what the index has to give.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from carecircle.db.medications import Medication
from carecircle.db.occurrences import Administration, OccurrenceRow
from carecircle.db.schedules import ScheduleRow
from carecircle.db.supply import SupplyEntry
from carecircle.domain.adherence import DueDose
from carecircle.domain.answer import Timing, timing
from carecircle.domain.as_needed_use import TakenDose
from carecircle.domain.dose import Dose
from carecircle.domain.occurrence import AS_NEEDED, AdministrationStatus, OccurrenceState
from carecircle.domain.supply import EntryKind, Fill

ASIDE = timedelta(days=9)
"""How far a dose that was moved, and zones, can take `due_at` from the date that the dose was planned for."""
STATES = {state.value: state for state in OccurrenceState}
TIMINGS = {timing.value: timing for timing in Timing}


@dataclass(frozen=True, slots=True)
class Regimen:
    """A medication and its schedules, also those that ended or were deleted: their doses are history."""

    medication: Medication
    schedules: tuple[ScheduleRow, ...]


async def regimens_of(session: AsyncSession, patient_id: UUID, medication_id: UUID | None) -> list[Regimen]:
    """The patient's medications that were not deleted, or one of them, oldest first."""
    query = (
        select(Medication, ScheduleRow)
        .outerjoin(ScheduleRow, ScheduleRow.medication_id == Medication.id)
        .where(Medication.patient_id == patient_id, Medication.deleted_at.is_(None))
        .order_by(Medication.created_at, Medication.id, ScheduleRow.id)
    )
    if medication_id is not None:
        query = query.where(Medication.id == medication_id)
    found: dict[UUID, tuple[Medication, list[ScheduleRow]]] = {}
    for medication, schedule in await session.execute(query):
        _, schedules = found.setdefault(medication.id, (medication, []))
        if schedule is not None:  # pyright: ignore[reportUnnecessaryComparison] - the join is an outer one
            schedules.append(schedule)
    return [Regimen(medication, tuple(schedules)) for medication, schedules in found.values()]


def planned_doses(
    patient_id: UUID, since: date, until: date, medication_id: UUID | None
) -> Select[UUID, UUID, datetime, datetime, str, datetime, str | None, datetime]:
    """The query of `due_doses`: schedule, medication, wall time, instant, state, when taken and its timing, window."""
    return (
        select(
            OccurrenceRow.schedule_id,
            OccurrenceRow.medication_id,
            OccurrenceRow.nominal_local,
            OccurrenceRow.due_at,
            OccurrenceRow.state,
            Administration.at,
            Administration.timing,
            OccurrenceRow.missed_at,
        )
        .outerjoin(
            Administration,
            (Administration.occurrence_id == OccurrenceRow.id)
            & (Administration.patient_id == patient_id)  # so that it can be read by patient in one go
            & (Administration.status == AdministrationStatus.TAKEN)
            & Administration.entered_in_error_at.is_(None),
        )
        .where(
            *_in_period(patient_id, since, until, medication_id),
            OccurrenceRow.note.is_distinct_from(AS_NEEDED),
            OccurrenceRow.state != OccurrenceState.CANCELLED,
        )
    )


async def due_doses(
    session: AsyncSession,
    patient_id: UUID,
    since: date,
    until: date,
    *,
    medication_id: UUID | None,
    windows: dict[UUID, timedelta],
) -> list[DueDose]:
    """The doses planned for these dates, both inclusive, in no order.

    `windows`: by schedule, for doses whose timing was not stored when they were answered. Doses of other schedules are
    left out.
    """
    rows = await session.execute(planned_doses(patient_id, since, until, medication_id))
    return [
        DueDose(
            medication,
            nominal_local,
            due_at,
            STATES[state],
            taken_at,
            TIMINGS[stored] if stored else _timing(taken_at, due_at, missed_at, windows[schedule]),
        )
        for schedule, medication, nominal_local, due_at, state, taken_at, stored, missed_at in rows
        if schedule in windows
    ]


def _timing(taken_at: datetime | None, due_at: datetime, missed_at: datetime, on_time: timedelta) -> Timing | None:
    return None if taken_at is None else timing(taken_at, due_at=due_at, missed_at=missed_at, on_time=on_time)


async def taken_as_needed(
    session: AsyncSession, patient_id: UUID, since: date, until: date, *, medication_id: UUID | None
) -> dict[UUID, list[TakenDose]]:
    """Doses taken as needed on these local dates, both inclusive, by schedule."""
    rows = await session.execute(
        select(
            OccurrenceRow.schedule_id,
            OccurrenceRow.nominal_local,
            Administration.at,
            Administration.dose_quantity,
            Administration.dose_unit,
        )
        .join(Administration, Administration.occurrence_id == OccurrenceRow.id)
        .where(
            *_in_period(patient_id, since, until, medication_id),
            OccurrenceRow.note == AS_NEEDED,
            OccurrenceRow.state == OccurrenceState.TAKEN,
            Administration.status == AdministrationStatus.TAKEN,
            Administration.entered_in_error_at.is_(None),
        )
        .order_by(Administration.at)
    )
    found: dict[UUID, list[TakenDose]] = {}
    for schedule_id, nominal_local, at, quantity, unit in rows:
        found.setdefault(schedule_id, []).append(TakenDose(at, nominal_local.date(), Dose(quantity, unit)))
    return found


async def fills_by_medication(
    session: AsyncSession, medication_ids: Collection[UUID], until: date
) -> dict[UUID, list[Fill]]:
    """The refills up to a date that stand and say how many days they are for, by medication."""
    undo = aliased(SupplyEntry)
    rows = await session.execute(
        select(SupplyEntry.medication_id, SupplyEntry.filled_on, SupplyEntry.days_supply, SupplyEntry.quantity).where(
            SupplyEntry.medication_id.in_(medication_ids),
            SupplyEntry.kind == EntryKind.REFILL,
            SupplyEntry.filled_on <= until,
            ~select(undo.id).where(undo.undoes == SupplyEntry.id).exists(),
        )
    )
    found: dict[UUID, list[Fill]] = {}
    for medication_id, filled_on, days_supply, quantity in rows:
        if filled_on is not None and days_supply is not None and quantity is not None:
            found.setdefault(medication_id, []).append(Fill(filled_on, days_supply, quantity))
    return found


def _in_period(
    patient_id: UUID, since: date, until: date, medication_id: UUID | None
) -> tuple[ColumnElement[bool], ...]:
    begin, end = datetime.combine(since, time.min), datetime.combine(until + timedelta(days=1), time.min)
    conditions = (
        OccurrenceRow.patient_id == patient_id,
        OccurrenceRow.due_at >= begin.replace(tzinfo=UTC) - ASIDE,
        OccurrenceRow.due_at < end.replace(tzinfo=UTC) + ASIDE,
        OccurrenceRow.nominal_local >= begin,
        OccurrenceRow.nominal_local < end,
    )
    return conditions if medication_id is None else (*conditions, OccurrenceRow.medication_id == medication_id)
