"""Which dose a log without a dose's id belongs to (R12): the nearest in time, never the one of the day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from carecircle.db.medications import medication_seen_by
from carecircle.db.nearby import Nearby, doses_near
from carecircle.domain.errors import Conflict, NotFound
from carecircle.domain.occurrence import ANSWERED, nearest
from carecircle.domain.people import Action
from carecircle.usecases.access import Actor, require
from carecircle.usecases.answering import already_recorded, known_answer
from carecircle.usecases.doses import answer_dose
from carecircle.usecases.planning import HORIZON

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.occurrences import Administration
    from carecircle.domain.answer import Answer

CANDIDATES = 5


class NoDoseInWindow(Conflict):
    """No planned dose of this medication is open at this time; answer one of the candidates, if it is meant."""

    code = "no_dose_in_window"

    def __init__(self, candidates: list[Nearby]) -> None:
        self.candidates = candidates
        """The doses nearest in time that can still be answered."""
        super().__init__()


async def answer_medication(
    session: AsyncSession,
    actor: Actor,
    medication_id: UUID,
    answer: Answer,
    now: datetime,
    *,
    horizon: timedelta = HORIZON,
) -> Administration:
    """Answer the dose of this medication that is nearest to when it happened, inside its window.

    Raises:
        AlreadyRecorded: that dose was answered; whoever logs it again may be about to give it twice.
        NoDoseInWindow: no window holds that time.
        NotFound: no such medication in the actor's circles.
    """
    medication = await medication_seen_by(session, actor.account_id, medication_id)
    if medication is None:
        raise NotFound
    await require(session, actor, medication.patient_id, Action.ANSWER)
    known = await known_answer(session, actor, medication.patient_id, answer)
    if known is not None:
        return known
    around = await doses_near(session, medication_id, answer.at)
    found = bound_dose(around, answer.at)
    if found is None:
        raise NoDoseInWindow(nearest_open(around, answer.at))
    if found.state in ANSWERED:
        raise await already_recorded(session, found.occurrence_id)
    return await answer_dose(session, actor, found.occurrence_id, answer, now, horizon=horizon)


def bound_dose(around: Iterable[Nearby], at: datetime) -> Nearby | None:
    """The nearest dose whose window holds `at`.

    An answered one is not passed over for the next: what is logged then is most likely the same dose, and the next one
    would never be asked for. Of two at the same distance an open one is meant.
    """
    within = [one for one in around if nearest([one], at, early=one.early) is not None]
    return min(within, key=lambda one: (abs(at - one.due_at), one.state in ANSWERED), default=None)


def nearest_open(around: Iterable[Nearby], at: datetime) -> list[Nearby]:
    """Some doses that can still be answered, the nearest first."""
    still = [one for one in around if one.state not in ANSWERED]
    return sorted(still, key=lambda one: abs(at - one.due_at))[:CANDIDATES]
