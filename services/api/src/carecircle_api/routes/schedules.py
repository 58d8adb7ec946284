"""Schedules of a medication."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Response

from carecircle.db.schedules import ScheduleRow
from carecircle.domain.errors import RevisionMismatch
from carecircle.usecases.overview import ScheduleView, held_schedule, view_schedule
from carecircle.usecases.schedules import (
    create_schedule,
    delete_schedule,
    get_schedule,
    list_schedules,
    revise_schedule,
)
from carecircle_api.deps import Work, WorkDep
from carecircle_api.idempotency import CreatingDep, KeepingRoute
from carecircle_api.schemas.pages import ListOf
from carecircle_api.schemas.problem import IN_A_CIRCLE, problems
from carecircle_api.schemas.schedule_kinds import NewScheduleBody
from carecircle_api.schemas.schedules import (
    RevisedScheduleBody,
    ScheduleBody,
    etag,
    matches,
    revised_body,
    schedule_body,
)
from carecircle_api.schemas.values import Id

router = APIRouter(prefix="/v1", tags=["schedules"], route_class=KeepingRoute)


@router.post("/medications/{medication_id}/schedules", status_code=201, responses=problems(*IN_A_CIRCLE, 409))
async def add_schedule(medication_id: Id, body: NewScheduleBody, work: CreatingDep, response: Response) -> ScheduleBody:
    """Add a schedule. Doses are planned from now on; a time of today that is past is neither sent nor missed."""
    plan = body.plan(work.now.date())
    schedule = await create_schedule(work.session, work.actor, medication_id, plan, work.now, horizon=work.plan_horizon)
    work.due_soon(schedule.patient_id)
    response.headers["Location"] = f"/v1/schedules/{schedule.id}"
    return schedule_body(await _tagged(work, schedule, response))


@router.get("/medications/{medication_id}/schedules", responses=problems(*IN_A_CIRCLE))
async def list_medication_schedules(medication_id: Id, work: WorkDep) -> ListOf[ScheduleBody]:
    rows = await list_schedules(work.session, work.actor, medication_id)
    return ListOf(items=[schedule_body(await view_schedule(work.session, row, work.now)) for row in rows])


@router.get("/schedules/{schedule_id}", responses=problems(*IN_A_CIRCLE))
async def get_one_schedule(schedule_id: Id, work: WorkDep, response: Response) -> ScheduleBody:
    """The `ETag` of the answer goes into `If-Match` of a change."""
    schedule = await get_schedule(work.session, work.actor, schedule_id)
    return schedule_body(await _tagged(work, schedule, response))


@router.put("/schedules/{schedule_id}", responses=problems(*IN_A_CIRCLE, 412))
async def revise_one_schedule(
    schedule_id: Id,
    body: NewScheduleBody,
    work: WorkDep,
    response: Response,
    if_match: Annotated[
        str | None, Header(max_length=200, description="The `ETag` that the change is based on; optional.")
    ] = None,
) -> RevisedScheduleBody:
    """Replace the schedule. New times apply from now on and replace what was planned; a new dose text keeps it."""
    plan = body.plan(work.now.date())
    await _check_tag(work, schedule_id, if_match)
    revision = await revise_schedule(work.session, work.actor, schedule_id, plan, work.now, horizon=work.plan_horizon)
    work.due_soon(revision.schedule.patient_id)
    view = await _tagged(work, revision.schedule, response)
    return revised_body(view, revision.past_slots_today)


@router.delete("/schedules/{schedule_id}", status_code=204, responses=problems(*IN_A_CIRCLE))
async def delete_one_schedule(schedule_id: Id, work: WorkDep) -> None:
    """End the schedule now and cancel what is still open of it."""
    await delete_schedule(work.session, work.actor, schedule_id, work.now)


async def _check_tag(work: Work, schedule_id: Id, if_match: str | None) -> None:
    """Refuse a tag that is not today's, and keep the schedule as it is until it is changed."""
    if if_match is not None:
        current = await held_schedule(work.session, work.actor, schedule_id, work.now)
        if not matches(if_match, etag(current)):
            raise RevisionMismatch(field="If-Match")


async def _tagged(work: Work, schedule: ScheduleRow, response: Response) -> ScheduleView:
    view = await view_schedule(work.session, schedule, work.now)
    response.headers["ETag"] = etag(view)
    return view
