"""Say that you handle a dose, and give it back."""

from __future__ import annotations

from fastapi import APIRouter

from carecircle.usecases.acknowledging import acknowledge, give_back
from carecircle_api.deps import WorkDep
from carecircle_api.idempotency import CreatingDep, KeepingRoute
from carecircle_api.schemas.acknowledgements import NewAcknowledgementBody
from carecircle_api.schemas.occurrences import OccurrenceBody
from carecircle_api.schemas.problem import IN_A_CIRCLE, problems
from carecircle_api.schemas.values import Id

router = APIRouter(
    prefix="/v1/occurrences/{occurrence_id}/acknowledgement", tags=["occurrences"], route_class=KeepingRoute
)


@router.post("", responses=problems(*IN_A_CIRCLE, 409))
async def acknowledge_occurrence(occurrence_id: Id, body: NewAcknowledgementBody, work: CreatingDep) -> OccurrenceBody:
    """Say that you handle this dose. Nobody else is reminded until then; without an answer it is asked for again.

    If somebody else handles it, that is a 409 `already_acknowledged` that says who, unless you `take_over`.
    """
    return OccurrenceBody.of(
        await acknowledge(work.session, work.actor, occurrence_id, body.wish(), take_over=body.take_over, now=work.now)
    )


@router.delete("", responses=problems(*IN_A_CIRCLE, 409))
async def give_occurrence_back(occurrence_id: Id, work: WorkDep) -> OccurrenceBody:
    """Handle this dose no longer: it is asked for again at once. Doing it twice is doing it once."""
    view = await give_back(work.session, work.actor, occurrence_id, work.now)
    work.due_soon(view.patient_id)
    return OccurrenceBody.of(view)
