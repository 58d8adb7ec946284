"""What people take with them of a patient: each export is noted in the audit trail, and read in pages."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from carecircle.db.audit import add_entry
from carecircle.db.doses import views_page
from carecircle.db.pages import Mark
from carecircle.domain.errors import Invalid
from carecircle.domain.people import Action
from carecircle.usecases.access import Actor, require

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import date, datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.doses import OccurrenceView

PAGE = 500
"""Doses in memory at once."""
LONGEST_PERIOD = timedelta(days=3653)


async def export_doses(
    session: AsyncSession, actor: Actor, patient_id: UUID, since: datetime, until: datetime
) -> AsyncIterator[list[OccurrenceView]]:
    """The patient's doses due in [since, until), in that order, page by page; without those that an edit cancelled.

    Raises:
        Invalid: the period is none, or longer than ten years.
    """
    check_period(since, until, LONGEST_PERIOD)
    await begin_export(session, actor, patient_id, "doses", since=since, until=until)
    return dose_pages(session, patient_id, since, until)


async def begin_export(
    session: AsyncSession,
    actor: Actor,
    patient_id: UUID,
    what: str,
    *,
    since: date | None = None,
    until: date | None = None,
) -> None:
    """Ask whether the actor may read all this, and note who took what: of which instants, or local dates."""
    await require(session, actor, patient_id, Action.READ)
    details = {
        "what": what,
        "since": None if since is None else since.isoformat(),
        "until": None if until is None else until.isoformat(),
    }
    add_entry(
        session, "patient.exported", patient_id, actor_id=actor.account_id, patient_id=patient_id, details=details
    )


def check_period(since: datetime, until: datetime, longest: timedelta) -> None:
    if since >= until:
        raise Invalid("The end of the period is not after its start.", field="until")
    if until - since > longest:
        raise Invalid(f"Ask for at most {longest.days} days at once.", field="until")


async def dose_pages(
    session: AsyncSession, patient_id: UUID, since: datetime, until: datetime
) -> AsyncIterator[list[OccurrenceView]]:
    """For who has asked whether they may read them."""
    after: Mark | None = None
    while page := await views_page(session, patient_id, since, until, after=after, limit=PAGE):
        yield page
        after = Mark(page[-1].due_at, page[-1].id)
        if len(page) < PAGE:
            return
