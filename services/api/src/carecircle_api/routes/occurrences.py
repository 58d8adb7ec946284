"""Planned doses: see them, answer them, take an answer back, ask to be reminded later."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response

from carecircle.usecases.accounts import get_account
from carecircle.usecases.doses import (
    answer_dose,
    get_occurrence,
    list_occurrences,
    snooze,
    undo_administration,
)
from carecircle_api.deps import WorkDep
from carecircle_api.idempotency import CreatingDep, KeepingRoute
from carecircle_api.schemas.occurrences import AdministrationBody, NewAdministrationBody, OccurrenceBody, SnoozeBody
from carecircle_api.schemas.pages import ListOf
from carecircle_api.schemas.problem import IN_A_CIRCLE, problems
from carecircle_api.schemas.values import Id, QueryInstant

router = APIRouter(prefix="/v1", tags=["occurrences"], route_class=KeepingRoute)

BACK = timedelta(days=1)
SPAN = timedelta(days=3)


@router.get("/patients/{patient_id}/occurrences", responses=problems(*IN_A_CIRCLE))
async def list_patient_occurrences(
    patient_id: Id,
    work: WorkDep,
    since: Annotated[QueryInstant | None, Query(description="Inclusive. Default: a day ago.")] = None,
    until: Annotated[QueryInstant | None, Query(description="Exclusive. Default: three days after `since`.")] = None,
) -> ListOf[OccurrenceBody]:
    """The patient's doses due in a period of at most 93 days, in the order they are due."""
    begin = since or (until - SPAN if until else work.now - BACK)
    views = await list_occurrences(work.session, work.actor, patient_id, begin, until or begin + SPAN)
    return ListOf(items=[OccurrenceBody.of(view) for view in views])


@router.get("/occurrences/{occurrence_id}", responses=problems(*IN_A_CIRCLE))
async def get_one_occurrence(occurrence_id: Id, work: WorkDep) -> OccurrenceBody:
    return OccurrenceBody.of(await get_occurrence(work.session, work.actor, occurrence_id))


@router.post("/occurrences/{occurrence_id}/administrations", status_code=201, responses=problems(*IN_A_CIRCLE, 409))
async def answer_occurrence(
    occurrence_id: Id, body: NewAdministrationBody, work: CreatingDep, response: Response
) -> AdministrationBody:
    """Say that a dose was taken or skipped. Only the first answer counts; a second one gets 409 with who and when."""
    administration = await answer_dose(
        work.session, work.actor, occurrence_id, body.answer(work.now), work.now, horizon=work.plan_horizon
    )
    work.due_soon(administration.patient_id)
    response.headers["Location"] = f"/v1/occurrences/{occurrence_id}/administrations/{administration.id}"
    recorder = await get_account(work.session, work.actor)
    return AdministrationBody.of(administration, recorder.display_name)


@router.delete("/occurrences/{occurrence_id}/administrations/{administration_id}", responses=problems(*IN_A_CIRCLE))
async def undo_answer(occurrence_id: Id, administration_id: Id, work: WorkDep) -> OccurrenceBody:
    """Take an answer back: it stays in the log as entered in error, and the dose is open again if its window lasts."""
    view = await undo_administration(
        work.session, work.actor, occurrence_id, administration_id, work.now, horizon=work.plan_horizon
    )
    work.due_soon(view.patient_id)
    return OccurrenceBody.of(view)


@router.post("/occurrences/{occurrence_id}/snooze", responses=problems(*IN_A_CIRCLE, 409))
async def snooze_occurrence(occurrence_id: Id, body: SnoozeBody, work: CreatingDep) -> OccurrenceBody:
    """Be reminded again in so many minutes, or at a time."""
    view = await snooze(work.session, work.actor, occurrence_id, body.later(), work.now)
    work.due_soon(view.patient_id)
    return OccurrenceBody.of(view)
