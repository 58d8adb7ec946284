"""Files to take with oneself: the doses of a period as CSV."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from carecircle.usecases.exporting import export_doses
from carecircle_api.deps import ExportDep
from carecircle_api.exports.csv_file import doses_csv
from carecircle_api.exports.download import download
from carecircle_api.schemas.problem import IN_A_CIRCLE, problems
from carecircle_api.schemas.values import Id, QueryInstant

router = APIRouter(prefix="/v1", tags=["exports"])

SPAN = timedelta(days=90)
SINCE = "Inclusive. Default: 90 days before `until`."
UNTIL = "Exclusive. Default: now."


def a_file(media_type: str) -> dict[int | str, dict[str, Any]]:
    return {
        200: {
            "description": "The file.",
            "content": {media_type: {"schema": {"type": "string", "format": "binary"}}},
            "headers": {"Content-Disposition": {"schema": {"type": "string"}, "description": "`attachment`, a name."}},
        }
    }


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


def period(since: datetime | None, until: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    end = until or now
    return since or end - SPAN, end
