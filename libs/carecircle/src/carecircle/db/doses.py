"""Doses as people see and answer them: an occurrence with its medication and the administration that stands."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from carecircle.db.accounts import Account
from carecircle.db.medications import Medication
from carecircle.db.occurrences import Administration, OccurrenceRow
from carecircle.db.pages import Mark
from carecircle.db.schedules import ScheduleRow
from carecircle.domain.answer import NotDoneReason, Timing
from carecircle.domain.errors import Invalid
from carecircle.domain.medication import Severity
from carecircle.domain.occurrence import OPEN, AdministrationStatus, OccurrenceState
from carecircle.domain.schedule import Dose


@dataclass(frozen=True, slots=True)
class OccurrenceView:
    """A planned dose as people see it."""

    id: UUID
    schedule_id: UUID
    medication_id: UUID
    patient_id: UUID
    medication_name: str
    nominal_local: datetime
    """Naive, in `zone`."""
    zone: str
    due_at: datetime
    missed_at: datetime
    note: str | None
    moved_from: datetime | None
    """Where it was due before a person moved it."""
    dose: Dose
    state: OccurrenceState
    reason: str | None
    remind_at: datetime
    administration: Administration | None
    """The one that stands."""
    recorded_by_name: str | None
    acknowledged: Acknowledged | None = None
    """Who handles it, while it is open."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Somebody handles the dose: nobody else is reminded before `until`."""

    account_id: UUID
    name: str
    at: datetime
    until: datetime


async def view_of(session: AsyncSession, occurrence_id: UUID) -> OccurrenceView | None:
    found = await session.execute(_views().where(OccurrenceRow.id == occurrence_id))
    row = found.one_or_none()
    return None if row is None else _view(*row)


async def views_between(
    session: AsyncSession, patient_id: UUID, since: datetime, until: datetime
) -> list[OccurrenceView]:
    """The patient's doses due in [since, until), in that order, without those that an edit cancelled."""
    found = await session.execute(
        _views()
        .where(
            OccurrenceRow.patient_id == patient_id,
            OccurrenceRow.due_at >= since,
            OccurrenceRow.due_at < until,
            OccurrenceRow.state != OccurrenceState.CANCELLED,
        )
        .order_by(OccurrenceRow.due_at, OccurrenceRow.id)
    )
    return [_view(*row) for row in found]


async def views_page(
    session: AsyncSession, patient_id: UUID, since: datetime, until: datetime, *, after: Mark | None, limit: int
) -> list[OccurrenceView]:
    """As `views_between`, some at a time: those that come after the place `after`."""
    query = _views().where(
        OccurrenceRow.patient_id == patient_id,
        OccurrenceRow.due_at >= since,
        OccurrenceRow.due_at < until,
        OccurrenceRow.state != OccurrenceState.CANCELLED,
    )
    if after is not None:
        query = query.where(tuple_(OccurrenceRow.due_at, OccurrenceRow.id) > tuple_(after.at, after.id))
    found = await session.execute(query.order_by(OccurrenceRow.due_at, OccurrenceRow.id).limit(limit))
    return [_view(*row) for row in found]


@dataclass(frozen=True, slots=True)
class NewAdministration:
    """What somebody says happened."""

    id: UUID
    occurrence_id: UUID
    patient_id: UUID
    status: AdministrationStatus
    at: datetime
    reason: str | None
    reason_code: NotDoneReason | None
    timing: Timing | None
    dose_quantity: Decimal
    dose_unit: str
    dose_changed: bool
    recorded_by: UUID
    recorded_at: datetime


async def insert_administration(session: AsyncSession, new: NewAdministration) -> Administration | None:
    """Store it, unless one stands already or has this id: then None.

    The unique indexes decide, whoever else is asking.
    """
    return await session.scalar(
        insert(Administration).values(**asdict(new)).on_conflict_do_nothing().returning(Administration)
    )


async def standing_administration(session: AsyncSession, occurrence_id: UUID) -> tuple[Administration, str] | None:
    """The administration that was not undone, and the name of who recorded it."""
    found = await session.execute(
        select(Administration, recorder_name())
        .join(Account, Account.id == Administration.recorded_by)
        .where(Administration.occurrence_id == occurrence_id, Administration.entered_in_error_at.is_(None))
    )
    return found.one_or_none()


async def on_time_of(session: AsyncSession, occurrence: OccurrenceRow) -> timedelta | None:
    """How far from its time this dose counts as on time; None if its schedule cannot be read any more."""
    found = await session.execute(
        select(ScheduleRow, Medication.severity)
        .join(Medication, Medication.id == ScheduleRow.medication_id)
        .where(ScheduleRow.id == occurrence.schedule_id)
    )
    row = found.one_or_none()
    try:
        return None if row is None else row[0].plan().on_time_within(Severity(row[1]))
    except Invalid:  # a rule of a later version, or a zone that is gone: no reason to refuse an answer
        return None


async def administration_of(
    session: AsyncSession, occurrence_id: UUID, administration_id: UUID
) -> Administration | None:
    return await session.scalar(
        select(Administration).where(
            Administration.id == administration_id, Administration.occurrence_id == occurrence_id
        )
    )


def recorder_name() -> ColumnElement[str]:
    """Who gave an answer: the account's name, or the one that came along with an import."""
    return func.coalesce(Administration.recorded_as, Account.display_name)


# Outer joins: of the last three columns pyright does not know that they may be None, `_view` does.
def _views() -> Select[OccurrenceRow, str, Administration, str, str]:
    handler = aliased(Account)
    return (
        select(OccurrenceRow, Medication.name, Administration, recorder_name(), handler.display_name)
        .join(Medication, Medication.id == OccurrenceRow.medication_id)
        .outerjoin(
            Administration,
            (Administration.occurrence_id == OccurrenceRow.id) & Administration.entered_in_error_at.is_(None),
        )
        .outerjoin(Account, Account.id == Administration.recorded_by)
        .outerjoin(handler, handler.id == OccurrenceRow.acknowledged_by)
        .execution_options(populate_existing=True)
    )


def _view(
    row: OccurrenceRow,
    medication_name: str,
    administration: Administration | None,
    recorded_by_name: str | None,
    handler: str | None,
) -> OccurrenceView:
    return OccurrenceView(
        id=row.id,
        schedule_id=row.schedule_id,
        medication_id=row.medication_id,
        patient_id=row.patient_id,
        medication_name=medication_name,
        nominal_local=row.nominal_local,
        zone=row.zone,
        due_at=row.due_at,
        missed_at=row.missed_at,
        note=row.note,
        moved_from=row.moved_from,
        dose=Dose(row.dose_quantity, row.dose_unit),
        state=OccurrenceState(row.state),
        reason=row.reason,
        remind_at=row.remind_at,
        administration=administration,
        recorded_by_name=recorded_by_name,
        acknowledged=_acknowledged(row, handler),
    )


def _acknowledged(row: OccurrenceRow, handler: str | None) -> Acknowledged | None:
    by, at, until = row.acknowledged_by, row.acknowledged_at, row.acknowledged_until
    if row.state not in OPEN or by is None or at is None or until is None:
        return None
    return Acknowledged(by, handler or "", at, until)
