"""One dose as a wish finds it: by its id, inside the care circle of who asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from carecircle.db.doses import view_of
from carecircle.db.occurrences import lock_occurrence, occurrence_by_id
from carecircle.domain.errors import NotFound
from carecircle.domain.people import Action
from carecircle.usecases.access import Actor, require

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.doses import OccurrenceView
    from carecircle.db.occurrences import OccurrenceRow


async def seen_dose(session: AsyncSession, actor: Actor, occurrence_id: UUID, action: Action) -> OccurrenceRow:
    """The occurrence, without its lock.

    Raises:
        NotFound: it is not there, or of another circle.
        NotAllowed: the actor's role does not allow the action.
    """
    occurrence = await occurrence_by_id(session, occurrence_id)
    if occurrence is None:
        raise NotFound
    await require(session, actor, occurrence.patient_id, action)
    return occurrence


async def locked_dose(session: AsyncSession, actor: Actor, occurrence_id: UUID) -> OccurrenceRow:
    """The occurrence under its lock: a sender and a second caller wait here, and see what the first decided.

    Raises what `seen_dose` raises.
    """
    await seen_dose(session, actor, occurrence_id, Action.ANSWER)
    occurrence = await lock_occurrence(session, occurrence_id)
    if occurrence is None:
        raise NotFound
    return occurrence


async def shown_dose(session: AsyncSession, occurrence_id: UUID) -> OccurrenceView:
    """The dose as people see it, after a change."""
    view = await view_of(session, occurrence_id)
    if view is None:
        raise NotFound
    return view
