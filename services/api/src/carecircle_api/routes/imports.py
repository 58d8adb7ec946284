"""Schedules from calendars of others: read, shown, and saved only when they are sent back."""

from __future__ import annotations

from fastapi import APIRouter

from carecircle.domain.errors import Invalid
from carecircle.domain.rrule import Imported, import_rrule
from carecircle.domain.vevent import import_vevent
from carecircle.domain.zones import zone_named
from carecircle_api.deps import WorkDep
from carecircle_api.idempotency import KeepingRoute
from carecircle_api.schemas.imports import ImportBody, ImportedBody
from carecircle_api.schemas.problem import SIGNED_IN, problems

router = APIRouter(prefix="/v1/schedules", tags=["schedules"], route_class=KeepingRoute)


@router.post("/import", responses=problems(*SIGNED_IN))
async def import_schedule(body: ImportBody, work: WorkDep) -> ImportedBody:
    """Read an RRULE or one VEVENT as a schedule. Nothing is saved; what cannot be kept exactly is refused in words."""
    imported = _read(body)
    answer = ImportedBody.of(imported, body.dose)
    try:
        answer.schedule.plan(work.now.date())
    except Invalid as refused:
        source = "rrule" if body.rrule is not None else "icalendar"
        raise Invalid(f"{refused.field}: {refused.message}", field=source) from None
    return answer


def _read(body: ImportBody) -> Imported:
    if (body.rrule is None) == (body.icalendar is None):
        raise Invalid("Give either `rrule` with `start`, or `icalendar`.", field="rrule")
    if body.icalendar is not None:
        return import_vevent(body.icalendar)
    if body.start is None:
        raise Invalid("A rule needs its start.", field="start")
    zone = None if body.zone is None else zone_named(body.zone).key
    return import_rrule(body.rrule or "", body.start, zone)
