"""The send log of a patient."""

from __future__ import annotations

from fastapi import APIRouter

from carecircle.usecases.overview import list_deliveries
from carecircle_api.deps import WorkDep
from carecircle_api.schemas.deliveries import DeliveryBody
from carecircle_api.schemas.pages import ListOf, PageDep, write_cursor
from carecircle_api.schemas.problem import IN_A_CIRCLE, problems
from carecircle_api.schemas.values import Id

router = APIRouter(prefix="/v1", tags=["deliveries"])


@router.get("/patients/{patient_id}/deliveries", responses=problems(*IN_A_CIRCLE))
async def list_patient_deliveries(patient_id: Id, work: WorkDep, request: PageDep) -> ListOf[DeliveryBody]:
    """Every message about this patient, newest first: to whom, when, and what became of it."""
    page = await list_deliveries(work.session, work.actor, patient_id, request)
    return ListOf(items=[DeliveryBody.of(view) for view in page.rows], next=write_cursor(page.next))
