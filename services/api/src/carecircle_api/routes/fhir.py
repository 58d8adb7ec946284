"""FHIR R4 and R5: a patient's record out, prescriptions of others in."""

from __future__ import annotations

import asyncio
import json
from datetime import date, timedelta
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Response

from carecircle.domain.errors import Invalid
from carecircle.domain.fhir.reading import Reading, read_requests
from carecircle.domain.fhir.resources import bundle
from carecircle.domain.fhir.terms import Version
from carecircle.domain.zones import zone_named
from carecircle.usecases.fhir_export import fhir_record
from carecircle_api.deps import ExportDep, WorkDep
from carecircle_api.schemas.fhir import FhirImportBody, FhirImportedBody
from carecircle_api.schemas.problem import IN_A_CIRCLE, SIGNED_IN, problems
from carecircle_api.schemas.values import Id, QueryInstant

router = APIRouter(prefix="/v1", tags=["fhir"])
MEDIA_TYPE = "application/fhir+json"
FHIR_VERSION = {Version.R4: "4.0", Version.R5: "5.0"}
SPAN = timedelta(days=90)
BUNDLE = {"description": "A Bundle (collection).", "content": {MEDIA_TYPE: {"schema": {"type": "object"}}}}


@router.get(
    "/patients/{patient_id}/fhir",
    response_class=Response,
    responses=problems(*IN_A_CIRCLE, 409, 429) | {200: BUNDLE},
)
async def export_fhir(
    patient_id: Id,
    work: ExportDep,
    version: Version = Version.R4,
    since: Annotated[
        QueryInstant | None, Query(description="Answers from then on. Default: 90 days before `until`.")
    ] = None,
    until: Annotated[QueryInstant | None, Query(description="Exclusive. Default: now.")] = None,
) -> Response:
    """Patient, Medication, MedicationRequest, MedicationStatement and MedicationAdministration in one Bundle."""
    end = until or work.now
    record = await fhir_record(work.session, work.actor, patient_id, version, since or end - SPAN, end)
    make = partial(bundle, version, *record, work.now)
    body = await asyncio.to_thread(lambda: json.dumps(make(), ensure_ascii=False).encode())
    return Response(body, media_type=f"{MEDIA_TYPE}; fhirVersion={FHIR_VERSION[version]}")


@router.post("/fhir/medication-requests/preview", responses=problems(*SIGNED_IN))
async def preview_fhir(body: FhirImportBody, work: WorkDep) -> FhirImportedBody:
    """Read prescriptions as medications and schedules that can be sent back. Nothing is saved. What does not mean
    exactly the same here is listed with its path, and stays as text in the instructions.
    """
    zone = None if body.patient_zone is None else zone_named(body.patient_zone, field="patient_zone").key
    today = body.start_date or work.now.date()
    return await asyncio.to_thread(lambda: FhirImportedBody.of(_read(body, zone, today)))


def _read(body: FhirImportBody, zone: str | None, today: date) -> Reading:
    try:
        return read_requests(body.resource, patient_zone=zone, today=today)
    except Invalid as refused:
        if refused.field == "patient_zone":
            raise
        raise Invalid(refused.message, field=f"resource.{refused.field or ''}".rstrip(".")) from None
