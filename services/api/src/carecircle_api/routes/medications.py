"""Medications."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Body, Response

from carecircle.usecases.medications import (
    MedicationChanges,
    NewMedication,
    change_medication,
    create_medication,
    delete_medication,
    get_medication,
    list_medications,
)
from carecircle_api.deps import WorkDep
from carecircle_api.idempotency import CreatingDep, KeepingRoute
from carecircle_api.schemas.medications import MedicationBody, MedicationChangesBody, NewMedicationBody
from carecircle_api.schemas.pages import ListOf, PageDep, write_cursor
from carecircle_api.schemas.problem import IN_A_CIRCLE, problems
from carecircle_api.schemas.values import Id

router = APIRouter(prefix="/v1", tags=["medications"], route_class=KeepingRoute)


@router.post("/patients/{patient_id}/medications", status_code=201, responses=problems(*IN_A_CIRCLE, 409))
async def add_medication(
    patient_id: Id, body: NewMedicationBody, work: CreatingDep, response: Response
) -> MedicationBody:
    """Add a medication. Its reminders begin with its first schedule."""
    new = NewMedication(body.name, body.strength, body.form, body.instructions, body.status, body.severity)
    medication = await create_medication(work.session, work.actor, patient_id, new)
    response.headers["Location"] = f"/v1/medications/{medication.id}"
    return MedicationBody.of(medication)


@router.get("/patients/{patient_id}/medications", responses=problems(*IN_A_CIRCLE))
async def list_patient_medications(patient_id: Id, work: WorkDep, request: PageDep) -> ListOf[MedicationBody]:
    """What the patient takes, oldest first; also what is on hold, stopped or completed."""
    page = await list_medications(work.session, work.actor, patient_id, request)
    return ListOf(items=[MedicationBody.of(medication) for medication in page.rows], next=write_cursor(page.next))


@router.get("/medications/{medication_id}", responses=problems(*IN_A_CIRCLE))
async def get_one_medication(medication_id: Id, work: WorkDep) -> MedicationBody:
    return MedicationBody.of(await get_medication(work.session, work.actor, medication_id))


@router.patch("/medications/{medication_id}", responses=problems(*IN_A_CIRCLE))
async def change_one_medication(
    medication_id: Id, body: Annotated[MedicationChangesBody, Body()], work: WorkDep
) -> MedicationBody:
    """Change texts (the planned doses stay) or the status (they stop, or start again)."""
    changes = cast("MedicationChanges", body)
    medication = await change_medication(
        work.session, work.actor, medication_id, changes, work.now, horizon=work.plan_horizon
    )
    work.due_soon(medication.patient_id)
    return MedicationBody.of(medication)


@router.delete("/medications/{medication_id}", status_code=204, responses=problems(*IN_A_CIRCLE))
async def delete_one_medication(medication_id: Id, work: WorkDep) -> None:
    """Delete a medication and all that was planned of it. What was taken stays in the log."""
    await delete_medication(work.session, work.actor, medication_id, work.now)
