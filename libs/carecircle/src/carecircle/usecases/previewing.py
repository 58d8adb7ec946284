"""What people ask before something happens, and after it did not: what will fire, to whom, and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from carecircle.db.facts import people_to_remind
from carecircle.db.moves import moved_dose, open_moves
from carecircle.db.occurrences import occurrence_by_id, taken_times
from carecircle.db.patients import names_of
from carecircle.db.schedules import circumstances
from carecircle.db.stories import answer_stories, dose_story, message_stories
from carecircle.domain.as_needed import AsNeededRule
from carecircle.domain.errors import NotFound
from carecircle.domain.explain import explain
from carecircle.domain.people import Action
from carecircle.domain.preview import Preview, preview, with_moved
from carecircle.domain.schedule import Background
from carecircle.usecases.access import Actor, require
from carecircle.usecases.schedules import get_schedule
from carecircle.usecases.series import background_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.channels import ChannelSpec
    from carecircle.domain.explain import Explained


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody who would be told now, and how."""

    account_id: UUID
    display_name: str
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SavedPreview:
    preview: Preview
    recipients: list[Recipient]
    active: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    state: str
    steps: list[Explained]


async def preview_schedule(
    session: AsyncSession,
    actor: Actor,
    schedule_id: UUID,
    channels: Mapping[str, ChannelSpec],
    days: int,
    now: datetime,
) -> SavedPreview:
    """What a saved schedule does in the next days, as its patient, answers and circle are now."""
    schedule = await get_schedule(session, actor, schedule_id)
    around = await circumstances(session, schedule.medication_id)
    if around is None:
        raise NotFound
    plan = schedule.plan()
    background, valid_from = await background_of(session, schedule, plan, around)
    if isinstance(plan.rule, AsNeededRule):
        taken = await taken_times(session, schedule.id, now - plan.rule.looks_back)
        background = Background(around.routine, tuple(taken))
    found = preview(
        plan,
        zone=around.zone,
        since=now,
        until=now + timedelta(days=days),
        background=background,
        valid_from=valid_from,
    )
    found = with_moved(found, [moved_dose(row) for row in await open_moves(session, schedule.id, now)])
    return SavedPreview(found, await recipients_of(session, schedule.patient_id, channels), around.active)


async def explain_occurrence(session: AsyncSession, actor: Actor, occurrence_id: UUID, now: datetime) -> Explanation:
    """Everything that happened to one dose, in order."""
    row = await occurrence_by_id(session, occurrence_id)
    if row is None:
        raise NotFound
    await require(session, actor, row.patient_id, Action.READ)
    messages = await message_stories(session, occurrence_id)
    answers = await answer_stories(session, occurrence_id)
    return Explanation(row.state, explain(dose_story(row), messages, answers, now))


async def recipients_of(
    session: AsyncSession, patient_id: UUID, channels: Mapping[str, ChannelSpec]
) -> list[Recipient]:
    """Who is told when a dose of this patient is due, in a fixed order."""
    accounts = await people_to_remind(session, patient_id)
    names = await names_of(session, accounts)
    return [
        Recipient(
            account_id,
            names[account_id],
            tuple([name for name, spec in channels.items() if await spec.targets(session, account_id)]),
        )
        for account_id in accounts
    ]
