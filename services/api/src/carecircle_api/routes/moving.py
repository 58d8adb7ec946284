"""Other times for doses: move one dose, take that back."""

from __future__ import annotations

from fastapi import APIRouter

from carecircle.usecases.moving import move_back, reschedule
from carecircle_api.deps import WorkDep
from carecircle_api.idempotency import CreatingDep, KeepingRoute
from carecircle_api.schemas.moving import RescheduleBody
from carecircle_api.schemas.occurrences import OccurrenceBody
from carecircle_api.schemas.problem import IN_A_CIRCLE, problems
from carecircle_api.schemas.values import Id

router = APIRouter(prefix="/v1", tags=["occurrences"], route_class=KeepingRoute)


@router.post("/occurrences/{occurrence_id}/reschedule", responses=problems(*IN_A_CIRCLE, 409))
async def reschedule_occurrence(occurrence_id: Id, body: RescheduleBody, work: CreatingDep) -> OccurrenceBody:
    """Move this one dose; its window and its reminder go along, the series stays.

    409 `too_close` says between which instants (`earliest`, `latest`) there is room.
    """
    view = await reschedule(work.session, work.actor, occurrence_id, body.to, work.now, seen_due_at=body.seen)
    work.due_soon(view.patient_id)
    return OccurrenceBody.of(view)


@router.delete("/occurrences/{occurrence_id}/reschedule", responses=problems(*IN_A_CIRCLE, 409))
async def move_occurrence_back(occurrence_id: Id, work: WorkDep) -> OccurrenceBody:
    """Let a moved dose be due where its schedule puts it. One that was not moved stays as it is."""
    view = await move_back(work.session, work.actor, occurrence_id, work.now)
    work.due_soon(view.patient_id)
    return OccurrenceBody.of(view)
