"""Files to take with oneself: the doses of a period as CSV, a report as PDF, the whole record as JSON, which
comes back as a patient.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response

from carecircle.usecases.archiving import export_patient, import_patient
from carecircle.usecases.exporting import export_doses
from carecircle.usecases.reporting import make_report
from carecircle_api.deps import BearerDep, ExportDep, ServicesDep, exporting, import_allowed
from carecircle_api.exports.csv_file import doses_csv
from carecircle_api.exports.download import download
from carecircle_api.exports.json_file import archive_json, read_archive
from carecircle_api.exports.report_pdf import Paper
from carecircle_api.idempotency import CreatingDep, KeepingRoute
from carecircle_api.schemas.archives import ArchiveBody, ImportedPatientBody
from carecircle_api.schemas.problem import IN_A_CIRCLE, problems
from carecircle_api.schemas.values import Day, Id, QueryInstant

router = APIRouter(prefix="/v1", tags=["exports"], route_class=KeepingRoute)

IMPORT_PATH = "/v1/patients/import"
SPAN = timedelta(days=90)
SINCE = "Inclusive. Default: 90 days before `until`."
UNTIL = "Exclusive. Default: now."


def a_file(media_type: str, model: type[Any] | None = None) -> dict[int | str, dict[str, Any]]:
    binary: dict[str, Any] = {"type": "string", "format": "binary"}
    content = {"content": {media_type: {"schema": binary}}} if model is None else {"model": model}
    return {
        200: {
            "description": "The file.",
            **content,
            "headers": {"Content-Disposition": {"schema": {"type": "string"}, "description": "`attachment`, a name."}},
        }
    }


@router.get(
    "/patients/{patient_id}/export",
    response_class=Response,
    responses=problems(*IN_A_CIRCLE, 409, 429) | a_file("application/json", ArchiveBody),
)
async def export_whole_patient(patient_id: Id, work: ExportDep) -> Response:
    """The patient, medications, schedules and all doses with their answers: what `POST /v1/patients/import` takes."""
    exported = await export_patient(work.session, work.actor, patient_id)
    name = f"patient-{work.now:%Y-%m-%d}.json"
    return await download(archive_json(exported, work.now), media_type="application/json", name=name)


@router.post(
    "/patients/import",
    status_code=201,
    dependencies=[Depends(import_allowed)],
    responses=problems(401, 409, 429)
    | {200: {"model": ImportedPatientBody, "description": "What would happen: this was a dry run."}},
)
async def import_whole_patient(
    body: ArchiveBody,
    work: CreatingDep,
    response: Response,
    dry_run: Annotated[bool, Query(description="Only say what would happen.")] = False,
) -> ImportedPatientBody:
    """Bring a patient in, as a new one of yours. Nothing of the past is asked for; what is to come is planned."""
    archive = await read_archive(body, work.now)
    done = await import_patient(work.session, work.actor, archive, work.now, dry_run=dry_run, horizon=work.plan_horizon)
    if done.patient_id is None:
        response.status_code = 200
    else:
        work.due_soon(done.patient_id)
        response.headers["Location"] = f"/v1/patients/{done.patient_id}"
    return ImportedPatientBody.of(done)


@router.get(
    "/patients/{patient_id}/doses.csv",
    response_class=Response,
    responses=problems(*IN_A_CIRCLE, 409, 429) | a_file("text/csv"),
)
async def export_doses_csv(
    patient_id: Id,
    work: ExportDep,
    since: Annotated[QueryInstant | None, Query(description=SINCE)] = None,
    until: Annotated[QueryInstant | None, Query(description=UNTIL)] = None,
    bom: Annotated[bool, Query(description="Begin with a byte order mark: some spreadsheets need it.")] = False,
) -> Response:
    """One line a dose of a period of at most ten years, in the order they are due. Cells cannot become formulas."""
    begin, end = period(since, until, work.now)
    pages = await export_doses(work.session, work.actor, patient_id, begin, end)
    name = f"doses-{begin:%Y-%m-%d}-to-{end:%Y-%m-%d}.csv"
    return await download(doses_csv(pages, bom=bom), media_type="text/csv; charset=utf-8", name=name)


@router.get(
    "/patients/{patient_id}/report.pdf",
    response_class=Response,
    responses=problems(*IN_A_CIRCLE, 429) | a_file("application/pdf"),
)
async def export_report_pdf(
    patient_id: Id,
    services: ServicesDep,
    token: BearerDep,
    since: Annotated[Day | None, Query(description="A local date, inclusive. Default: 30 days with `until`.")] = None,
    until: Annotated[Day | None, Query(description="A local date, inclusive. Default: today.")] = None,
    paper: Annotated[Paper, Query(description="Of the pages.")] = "a4",
) -> Response:
    """A report for a doctor's visit: what is taken and how, and what became of the doses of at most a year."""
    # The transaction is over before the pages are drawn.
    async with exporting(services, token) as work:
        report = await make_report(work.session, work.actor, patient_id, since, until, work.now)
    content = await services.printer.printed(report, paper)
    name = f"medication-report-{report.since:%Y-%m-%d}-to-{report.until:%Y-%m-%d}.pdf"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(content, media_type="application/pdf", headers=headers)


def period(since: datetime | None, until: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    end = until or now
    return since or end - SPAN, end
