"""Doses taken as needed."""

from __future__ import annotations

from fastapi import APIRouter, Response

from carecircle.usecases.accounts import get_account
from carecircle.usecases.as_needed import next_allowed, record_as_needed
from carecircle_api.deps import WorkDep
from carecircle_api.idempotency import CreatingDep, KeepingRoute
from carecircle_api.schemas.as_needed import AllowanceBody, AsNeededDoseBody, NewAsNeededDoseBody
from carecircle_api.schemas.problem import IN_A_CIRCLE, problems
from carecircle_api.schemas.values import Id

router = APIRouter(prefix="/v1/schedules/{schedule_id}", tags=["occurrences"], route_class=KeepingRoute)


@router.post("/administrations", status_code=201, responses=problems(*IN_A_CIRCLE, 409))
async def log_as_needed_dose(
    schedule_id: Id, body: NewAsNeededDoseBody, work: CreatingDep, response: Response
) -> AsNeededDoseBody:
    """Log a dose of an `as_needed` schedule. One that is not allowed yet gets 409 `too_early` with `next_allowed_at`;
    if it was taken all the same, say `even_if_early`.
    """
    given = await record_as_needed(
        work.session,
        work.actor,
        schedule_id,
        at=body.at or work.now,
        dose=None if body.dose is None else body.dose.dose(),
        reason=body.reason,
        even_if_early=body.even_if_early,
        now=work.now,
    )
    dose = given.administration
    response.headers["Location"] = f"/v1/occurrences/{dose.occurrence_id}/administrations/{dose.id}"
    recorder = await get_account(work.session, work.actor)
    return AsNeededDoseBody.given(given, recorder.display_name, work.now)


@router.get("/allowance", responses=problems(*IN_A_CIRCLE, 409))
async def get_allowance(schedule_id: Id, work: WorkDep) -> AllowanceBody:
    """Whether a dose of an `as_needed` schedule may be taken now, and if not, from when."""
    return AllowanceBody.of(await next_allowed(work.session, work.actor, schedule_id, work.now), work.now)
