"""What people wish to know of the past: how doses were taken, what fills covered, how often something was needed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from carecircle.db.adherence import Regimen, due_doses, fills_by_medication, regimens_of, taken_as_needed
from carecircle.db.patients import Patient
from carecircle.domain.adherence import by_day
from carecircle.domain.adherence_gaps import days_off
from carecircle.domain.adherence_series import Adherence, Week, adherence, by_week
from carecircle.domain.as_needed import LONGEST_PERIOD, AsNeededRule
from carecircle.domain.as_needed_use import AsNeededUse, as_needed_use
from carecircle.domain.coverage import NOTHING, Coverage, coverage
from carecircle.domain.errors import Invalid, NotFound
from carecircle.domain.medication import Severity
from carecircle.domain.people import Action
from carecircle.domain.zones import local_date
from carecircle.usecases.access import Actor, require

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.schedules import ScheduleRow
    from carecircle.domain.adherence import DueDose, Figures

USUAL_DAYS = 28
LONGEST_DAYS = 366
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which period of which medicines; what is None is as usual."""

    since: date | None = None
    """None: so that the period has four weeks."""
    until: date | None = None
    """Inclusive. None: today, where the patient is."""
    medication_id: UUID | None = None
    """None: all."""


@dataclass(frozen=True, slots=True)
class AdherenceView:
    """The figures of a period with what belongs to them."""

    adherence: Adherence
    names: Mapping[UUID, str]
    """Of the medications."""
    coverage: Mapping[UUID, Coverage]
    """From fills, by medication, up to today."""

    @property
    def overall_coverage(self) -> Coverage:
        """Sums of days, not the mean of shares."""
        return sum(self.coverage.values(), NOTHING)


@dataclass(frozen=True, slots=True)
class SeriesView:
    """The figures of a period, one after the other in time."""

    since: date
    until: date
    names: Mapping[UUID, str]
    weeks: list[Week]
    days: Mapping[date, Figures]
    """Only those with a dose."""


@dataclass(frozen=True, slots=True)
class ScheduleUse:
    """The use of one schedule as needed, by its present rule."""

    schedule_id: UUID
    medication_id: UUID
    medication_name: str
    rule: AsNeededRule
    use: AsNeededUse


@dataclass(frozen=True, slots=True)
class UseView:
    since: date
    until: date
    names: Mapping[UUID, str]
    schedules: list[ScheduleUse]


async def adherence_of(
    session: AsyncSession, actor: Actor, patient_id: UUID, wanted: Wanted, now: datetime
) -> AdherenceView:
    """How the patient's planned doses were taken, and what the fills covered.

    Raises:
        NotFound: no such patient in the actor's circles, or no such medication of the patient.
        Invalid: the period ends before it starts, or is longer than a year.
    """
    period = await _period(session, actor, patient_id, wanted, now)
    plans = {one.medication.id: [s.plan() for s in one.schedules if s.deleted_at is None] for one in period.regimens}
    breaks = {one: days_off(plans[one], period.since, period.until, period.zone) for one in plans}
    doses = await _doses(session, period)
    # A year of many medicines takes a while: others are not kept waiting.
    found = await asyncio.to_thread(
        adherence, doses, period.since, period.until, medication_ids=list(period.names), breaks=breaks
    )
    return AdherenceView(found, period.names, await _coverage(session, period))


async def adherence_over_time(
    session: AsyncSession, actor: Actor, patient_id: UUID, wanted: Wanted, now: datetime
) -> SeriesView:
    """The figures by week and by day. Raises as `adherence_of`."""
    period = await _period(session, actor, patient_id, wanted, now)
    doses = await _doses(session, period)
    weeks = await asyncio.to_thread(by_week, doses, period.since, period.until)
    days = await asyncio.to_thread(by_day, doses)
    return SeriesView(period.since, period.until, period.names, weeks, days)


async def as_needed_use_of(
    session: AsyncSession, actor: Actor, patient_id: UUID, wanted: Wanted, now: datetime
) -> UseView:
    """How often medicines were taken as needed; deleted schedules are there if they were used. Raises as above."""
    period = await _period(session, actor, patient_id, wanted, now)
    looked_at = period.since - LONGEST_PERIOD - DAY  # what came before counts towards the maximum
    taken = await taken_as_needed(session, patient_id, looked_at, period.until, medication_id=wanted.medication_id)
    uses = [
        ScheduleUse(
            schedule.id,
            one.medication.id,
            one.medication.name,
            rule,
            as_needed_use(rule, taken.get(schedule.id, []), period.since, period.until),
        )
        for one in period.regimens
        for schedule, rule in _as_needed(one)
    ]
    deleted = {s.id for one in period.regimens for s in one.schedules if s.deleted_at is not None}
    shown = [use for use in uses if use.schedule_id not in deleted or use.use.total.doses]
    return UseView(period.since, period.until, period.names, shown)


@dataclass(frozen=True, slots=True)
class _Period:
    """What was asked for, filled in, with the medicines that it is about."""

    patient_id: UUID
    since: date
    until: date
    today: date
    zone: ZoneInfo
    medication_id: UUID | None
    regimens: list[Regimen]

    @property
    def names(self) -> dict[UUID, str]:
        return {one.medication.id: one.medication.name for one in self.regimens}


async def _period(session: AsyncSession, actor: Actor, patient_id: UUID, wanted: Wanted, now: datetime) -> _Period:
    await require(session, actor, patient_id, Action.READ)
    patient = await session.get_one(Patient, patient_id)
    zone = ZoneInfo(patient.zone)
    today = local_date(now, zone)
    since, until = _dates(wanted, today)
    regimens = await regimens_of(session, patient_id, wanted.medication_id)
    if wanted.medication_id is not None and not regimens:
        raise NotFound
    return _Period(patient_id, since, until, today, zone, wanted.medication_id, regimens)


def _dates(wanted: Wanted, today: date) -> tuple[date, date]:
    """The period, both dates inclusive. One with only a start goes on to today, or for four weeks if that is past."""
    until = wanted.until
    if until is None:
        until = today if wanted.since is None or wanted.since <= today else wanted.since + (USUAL_DAYS - 1) * DAY
    since = wanted.since or until - (USUAL_DAYS - 1) * DAY
    if until < since:
        raise Invalid("The end of the period is before its start.", field="until")
    if (until - since).days >= LONGEST_DAYS:
        raise Invalid(f"Ask for at most {LONGEST_DAYS} days at once.", field="until" if wanted.until else "since")
    return since, until


async def _doses(session: AsyncSession, period: _Period) -> list[DueDose]:
    windows = {
        schedule.id: schedule.plan().on_time_within(Severity(one.medication.severity))
        for one in period.regimens
        for schedule in one.schedules
    }
    return await due_doses(
        session,
        period.patient_id,
        period.since,
        period.until,
        medication_id=period.medication_id,
        windows=windows,
    )


async def _coverage(session: AsyncSession, period: _Period) -> dict[UUID, Coverage]:
    """Up to today: what is to come needs no supply yet."""
    until = min(period.until, period.today)
    fills = await fills_by_medication(session, list(period.names), until)
    return {one: coverage(fills.get(one, []), period.since, until) for one in period.names}


def _as_needed(regimen: Regimen) -> list[tuple[ScheduleRow, AsNeededRule]]:
    pairs = ((schedule, schedule.plan().rule) for schedule in regimen.schedules)
    return [(schedule, rule) for schedule, rule in pairs if isinstance(rule, AsNeededRule)]
