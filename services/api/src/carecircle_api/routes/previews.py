"""What will fire, when and why: before a schedule is saved, and after."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query

from carecircle.domain.errors import Invalid
from carecircle.domain.occurrence import OccurrenceState
from carecircle.domain.preview import ZoneChange, preview
from carecircle.domain.routine import Routine
from carecircle.domain.schedule import Background, SchedulePlan
from carecircle.domain.zones import zone_named
from carecircle.usecases.previewing import explain_occurrence, preview_schedule
from carecircle_api.deps import ServicesDep, WorkDep
from carecircle_api.idempotency import KeepingRoute
from carecircle_api.schemas.previews import (
    ExplainedBody,
    ExplanationBody,
    PreviewBody,
    PreviewRequestBody,
    RecipientBody,
    SavedPreviewBody,
    fields,
)
from carecircle_api.schemas.problem import IN_A_CIRCLE, SIGNED_IN, problems
from carecircle_api.schemas.values import Id

LONGEST = timedelta(days=3653)

router = APIRouter(prefix="/v1", route_class=KeepingRoute)


@router.post("/schedules/preview", responses=problems(*SIGNED_IN), tags=["schedules"])
async def preview_body(body: PreviewRequestBody, work: WorkDep) -> PreviewBody:
    """What this schedule would do in any period, past or to come, also on a journey. Nothing is saved."""
    if not body.since < body.until:
        raise Invalid("The end of the period is not after its start.", field="until")
    if body.until - body.since > LONGEST:
        raise Invalid("Ask for at most ten years at once.", field="until")
    plan = _plan(body, work)
    zone = body.patient_zone or plan.zone
    if zone is None:
        raise Invalid("Say where the patient lives, or give the schedule a zone.", field="patient_zone")
    ask = partial(
        preview,
        plan,
        zone=zone_named(zone, field="patient_zone").key,
        since=body.since,
        until=body.until,
        zone_changes=_journey(body),
        background=Background(
            routine=Routine.from_json(dict(body.routine or {})),
            taken=tuple(sorted(one.at for one in body.taken)),
        ),
    )
    return PreviewBody.of(await asyncio.to_thread(ask))  # years of doses take a second: others are not kept waiting


@router.get("/schedules/{schedule_id}/preview", responses=problems(*IN_A_CIRCLE), tags=["schedules"])
async def preview_saved_schedule(
    schedule_id: Id,
    work: WorkDep,
    services: ServicesDep,
    days: Annotated[int, Query(ge=1, le=366, description="From now on.")] = 30,
) -> SavedPreviewBody:
    """What a saved schedule does next, who is told of it and on which channels."""
    found = await preview_schedule(work.session, work.actor, schedule_id, services.channels, days, work.now)
    return SavedPreviewBody.model_validate(
        fields(found.preview)
        | {
            "recipients": [RecipientBody.model_validate(one) for one in found.recipients],
            "paused": not found.active,
        }
    )


@router.get("/occurrences/{occurrence_id}/explain", responses=problems(*IN_A_CIRCLE), tags=["occurrences"])
async def explain_one_occurrence(occurrence_id: Id, work: WorkDep) -> ExplanationBody:
    """Why a reminder was or was not sent: one sentence a step, from the plan to the answer."""
    found = await explain_occurrence(work.session, work.actor, occurrence_id, work.now)
    return ExplanationBody(
        occurrence_id=occurrence_id,
        state=OccurrenceState(found.state),
        steps=[ExplainedBody.model_validate(step) for step in found.steps],
    )


def _plan(body: PreviewRequestBody, work: WorkDep) -> SchedulePlan:
    try:
        return body.schedule.plan(work.now.date())
    except Invalid as refused:
        raise Invalid(refused.message, field=f"schedule.{refused.field}") from None


def _journey(body: PreviewRequestBody) -> list[ZoneChange]:
    return [
        ZoneChange(change.at, zone_named(change.zone, field=f"zone_changes.{number}.zone").key)
        for number, change in enumerate(body.zone_changes)
    ]
