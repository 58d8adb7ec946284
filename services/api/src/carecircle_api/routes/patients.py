"""Patients."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Body, Response

from carecircle.usecases.patients import (
    NewPatient,
    PatientChanges,
    change_patient,
    create_patient,
    get_patient,
    list_patients,
)
from carecircle_api.deps import WorkDep
from carecircle_api.idempotency import CreatingDep, KeepingRoute
from carecircle_api.schemas.pages import ListOf, PageDep, write_cursor
from carecircle_api.schemas.patients import NewPatientBody, PatientBody, PatientChangesBody
from carecircle_api.schemas.problem import IN_A_CIRCLE, SIGNED_IN, problems
from carecircle_api.schemas.values import Id

router = APIRouter(prefix="/v1/patients", tags=["patients"], route_class=KeepingRoute)


@router.post("", status_code=201, responses=problems(*SIGNED_IN, 409))
async def add_patient(body: NewPatientBody, work: CreatingDep, response: Response) -> PatientBody:
    """Add a patient. You become the owner of the care circle."""
    new = NewPatient(body.display_name, body.zone, body.is_self)
    view = await create_patient(work.session, work.actor, new)
    response.headers["Location"] = f"/v1/patients/{view.patient.id}"
    return PatientBody.of(view)


@router.get("", responses=problems(*SIGNED_IN))
async def list_my_patients(work: WorkDep, request: PageDep) -> ListOf[PatientBody]:
    """The patients whose care circles you belong to."""
    page = await list_patients(work.session, work.actor, request)
    return ListOf(items=[PatientBody.of(view) for view in page.rows], next=write_cursor(page.next))


@router.get("/{patient_id}", responses=problems(*IN_A_CIRCLE))
async def get_one_patient(patient_id: Id, work: WorkDep) -> PatientBody:
    return PatientBody.of(await get_patient(work.session, work.actor, patient_id))


@router.patch("/{patient_id}", responses=problems(*IN_A_CIRCLE))
async def change_one_patient(patient_id: Id, body: Annotated[PatientChangesBody, Body()], work: WorkDep) -> PatientBody:
    """Change name, zone or routine (owners)."""
    changes = cast("PatientChanges", body)
    view = await change_patient(work.session, work.actor, patient_id, changes, work.now, horizon=work.plan_horizon)
    work.due_soon(patient_id)
    return PatientBody.of(view)
