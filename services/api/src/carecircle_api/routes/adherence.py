"""How doses were taken, over a period of local dates."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from carecircle.usecases.adherence import Wanted, adherence_of, adherence_over_time, as_needed_use_of
from carecircle_api.deps import WorkDep
from carecircle_api.idempotency import KeepingRoute
from carecircle_api.schemas.adherence import AdherenceBody, AdherenceWeeksBody
from carecircle_api.schemas.as_needed_use import AsNeededUseBody
from carecircle_api.schemas.problem import IN_A_CIRCLE, problems
from carecircle_api.schemas.values import Day, Id

router = APIRouter(prefix="/v1/patients/{patient_id}", tags=["adherence"], route_class=KeepingRoute)


def wanted(
    since: Annotated[Day | None, Query(description="Local date, inclusive. Default: four weeks to `until`.")] = None,
    until: Annotated[Day | None, Query(description="Local date, inclusive. Default: today, where they are.")] = None,
    medication: Annotated[Id | None, Query(description="The id of one medication. Default: all.")] = None,
) -> Wanted:
    return Wanted(since, until, medication)


WantedDep = Annotated[Wanted, Depends(wanted)]


@router.get("/adherence", responses=problems(*IN_A_CIRCLE))
async def get_adherence(patient_id: Id, wanted: WantedDep, work: WorkDep) -> AdherenceBody:
    """How the doses planned for a period of at most 366 days were taken, overall and by medication, with what the fills
    covered.
    """
    return AdherenceBody.of(patient_id, await adherence_of(work.session, work.actor, patient_id, wanted, work.now))


@router.get("/adherence/weeks", responses=problems(*IN_A_CIRCLE))
async def get_adherence_weeks(patient_id: Id, wanted: WantedDep, work: WorkDep) -> AdherenceWeeksBody:
    """The same figures week by week."""
    view = await adherence_over_time(work.session, work.actor, patient_id, wanted, work.now)
    return AdherenceWeeksBody.of(patient_id, view)


@router.get("/as-needed-use", responses=problems(*IN_A_CIRCLE))
async def get_as_needed_use(patient_id: Id, wanted: WantedDep, work: WorkDep) -> AsNeededUseBody:
    """How often and how much was taken as needed, by day and by week, and how near to the maximum."""
    return AsNeededUseBody.of(
        patient_id, await as_needed_use_of(work.session, work.actor, patient_id, wanted, work.now)
    )
