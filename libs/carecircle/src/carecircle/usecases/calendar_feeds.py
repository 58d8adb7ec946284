"""Calendar feeds: make one, see which there are, revoke one, and read the doses that one shows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from carecircle.db.audit import add_entry
from carecircle.db.base import new_id
from carecircle.db.calendar_feeds import (
    CalendarFeed,
    active_schedules,
    feeds_of,
    last_changes,
    live_feed,
    locked_feed,
    note_reading,
    planned_rows,
)
from carecircle.db.patients import Patient, locked_patient
from carecircle.db.schedules import Circumstances
from carecircle.domain.agenda import AgendaEntry, Ahead, Standing, agenda
from carecircle.domain.dose import Dose
from carecircle.domain.errors import Invalid, LimitReached, NotAllowed, NotFound
from carecircle.domain.occurrence import OccurrenceState
from carecircle.domain.people import Action, Role, may
from carecircle.domain.routine import Routine
from carecircle.usecases.access import Actor, require
from carecircle.usecases.accounts import digest, new_token
from carecircle.usecases.series import background_of

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.medications import Medication
    from carecircle.db.occurrences import OccurrenceRow
    from carecircle.db.patients import Membership
    from carecircle.db.schedules import ScheduleRow

MAX_FEEDS = 10
"""Of one account for one patient."""
LONGEST_LEAD = timedelta(hours=24)
DAYS_BACK, DAYS_AHEAD = 7, 60
MOST_DOSES = 3000
TOKEN = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
"""256 bits as base64url."""


@dataclass(frozen=True, slots=True)
class NewFeed:
    name: str
    medicine_names: bool = False
    """Whether whoever has the address can read what is taken."""
    alarm_lead: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class MadeFeed:
    """The feed and its secret, which is shown once and not kept."""

    feed: CalendarFeed
    token: str


@dataclass(frozen=True, slots=True)
class FeedSource:
    """What a feed is made of. Nothing of it needs the database any more: `entries` can be worked out elsewhere."""

    name: str
    medicine_names: bool
    alarm_lead: timedelta
    stored: list[AgendaEntry]
    ahead: list[Ahead]
    until: datetime

    def entries(self) -> list[AgendaEntry]:
        return agenda(self.stored, self.ahead, until=self.until, most=MOST_DOSES)


async def create_feed(session: AsyncSession, actor: Actor, patient_id: UUID, new: NewFeed, now: datetime) -> MadeFeed:
    """A feed with a secret of 256 bits. Whoever may see the plan may have it in their calendar."""
    await require(session, actor, patient_id, Action.READ)
    if not timedelta(0) <= new.alarm_lead <= LONGEST_LEAD:
        raise Invalid("Give a lead of up to 24 hours.", field="alarm_lead")
    await locked_patient(session, patient_id)  # two at once would both find room
    if len(await feeds_of(session, patient_id, actor.account_id)) >= MAX_FEEDS:
        raise LimitReached(f"You have {MAX_FEEDS} calendar feeds of this patient; revoke one first.")
    token = new_token()
    feed = CalendarFeed(
        id=new_id(),
        patient_id=patient_id,
        account_id=actor.account_id,
        name=new.name,
        token_hash=digest(token),
        medicine_names=new.medicine_names,
        alarm_lead=new.alarm_lead,
        created_at=now,
    )
    session.add(feed)
    await session.flush()
    _note(session, actor, "calendar_feed.created", feed)
    return MadeFeed(feed, token)


async def list_feeds(session: AsyncSession, actor: Actor, patient_id: UUID) -> list[CalendarFeed]:
    """One's own feeds; for who manages the circle, everybody's."""
    member = await require(session, actor, patient_id, Action.READ)
    return await feeds_of(session, patient_id, None if _manages(member) else actor.account_id)


async def revoke_feed(session: AsyncSession, actor: Actor, patient_id: UUID, feed_id: UUID, now: datetime) -> None:
    """End a feed: its address is as unknown as any other from now on."""
    member = await require(session, actor, patient_id, Action.READ)
    feed = await locked_feed(session, patient_id, feed_id)
    if feed is None:
        raise NotFound
    if feed.account_id != actor.account_id and not _manages(member):
        raise NotAllowed
    feed.revoked_at = now
    _note(session, actor, "calendar_feed.revoked", feed)


async def read_feed(session: AsyncSession, token: str, now: datetime) -> FeedSource | None:
    """What the feed with this secret shows; None if there is none, or none any more.

    Its period begins and ends at midnight UTC, so that the answer stays the same for as long as the doses do.
    """
    feed = await live_feed(session, digest(token)) if TOKEN.fullmatch(token) else None
    patient = None if feed is None else await session.get(Patient, feed.patient_id)
    if feed is None or patient is None:
        return None
    await note_reading(session, feed.id, now)
    today = datetime.combine(now.date(), time.min, UTC)
    since, until = today - timedelta(days=DAYS_BACK), today + timedelta(days=DAYS_AHEAD + 1)
    changes = await last_changes(session, patient.id)
    stored = [
        _stored(row, medication, changes)
        for row, medication in await planned_rows(session, patient.id, since, until, MOST_DOSES)
    ]
    around = Circumstances(patient.zone, Routine.from_json(patient.routine), active=True)
    ahead: list[Ahead] = []
    for schedule, medication in await active_schedules(session, patient.id):
        found = await _ahead(session, schedule, medication, around, since, changes)
        if found is not None:
            ahead.append(found)
    return FeedSource(feed.name, feed.medicine_names, feed.alarm_lead, stored, ahead, until)


async def _ahead(
    session: AsyncSession,
    schedule: ScheduleRow,
    medication: Medication,
    around: Circumstances,
    since: datetime,
    changes: dict[UUID, datetime],
) -> Ahead | None:
    try:
        plan = schedule.plan()
    except Invalid:  # of a later version; the planner says so in its log, and plans nothing of it either
        return None
    background, valid_from = await background_of(session, schedule, plan, around)
    return Ahead(
        schedule_id=schedule.id,
        revision=schedule.revision,
        medication=_title(medication),
        plan=plan,
        zone=around.zone,
        valid_from=valid_from,
        since=max(since, schedule.planned_until),
        background=background,
        changed_at=_latest(schedule.valid_from, schedule.id, medication.id, changes),
    )


def _stored(row: OccurrenceRow, medication: Medication, changes: dict[UUID, datetime]) -> AgendaEntry:
    wall = row.nominal_local
    changed = row.updated_at - row.created_at
    return AgendaEntry(
        schedule_id=row.schedule_id,
        revision=row.revision,
        nominal_local=wall.replace(microsecond=0, fold=1 if wall.microsecond else 0),
        zone=row.zone,
        due_at=row.due_at,
        note=row.note,
        medication=_title(medication),
        dose=Dose(row.dose_quantity, row.dose_unit),
        standing=Standing.of(OccurrenceState(row.state)),
        changed_at=_latest(row.updated_at, row.medication_id, row.medication_id, changes),
        # Rows do not count their changes, but they know when they last changed, and that only rises.
        sequence=1 + int(changed.total_seconds()) if changed > timedelta(0) else 0,
    )


def _latest(at: datetime, schedule_id: UUID, medication_id: UUID, changes: dict[UUID, datetime]) -> datetime:
    return max(at, changes.get(schedule_id, at), changes.get(medication_id, at))


def _title(medication: Medication) -> str:
    return medication.name if medication.strength is None else f"{medication.name} {medication.strength}"


def _manages(member: Membership) -> bool:
    return may(Role(member.role), Action.MANAGE, is_patient=member.is_patient)


def _note(session: AsyncSession, actor: Actor, action: str, feed: CalendarFeed) -> None:
    details = {"medicine_names": feed.medicine_names}
    add_entry(session, action, feed.id, actor_id=actor.account_id, patient_id=feed.patient_id, details=details)
