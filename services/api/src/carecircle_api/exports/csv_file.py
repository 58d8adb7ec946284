"""Doses as CSV (RFC 4180), one line a dose, safe to open in a spreadsheet.

A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@`, tab or CR for a formula, and may run it (OWASP, "CSV
Injection"). Such a cell gets an apostrophe in front, which spreadsheets take as "this is text".
"""

from __future__ import annotations

import csv
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from io import StringIO

from carecircle.db.doses import OccurrenceView
from carecircle.domain.dose import Dose
from carecircle.domain.occurrence import AdministrationStatus
from carecircle_api.schemas.schedules import wall_time

BOM = "\ufeff"
# The wide forms are taken for their narrow ones in Japanese spreadsheets. After a separator inside of a text as well:
# with another separator than ours, what follows it is a cell of its own.
FORMULA = re.compile(r"(^|[,;\t\r\n])(?=[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20])")
COLUMNS = (
    "nominal_local_time",
    "zone",
    "due_at",
    "medication",
    "dose_quantity",
    "dose_unit",
    "state",
    "answered_by",
    "answered_at",
    "recorded_at",
    "taken_quantity",
    "taken_unit",
    "timing",
    "reason_code",
    "reason",
    "note",
)


def safe_cell(text: str) -> str:
    """The text, such that no spreadsheet reads a formula in it."""
    return FORMULA.sub(r"\1'", text)


def csv_lines(rows: Iterable[Sequence[str]]) -> str:
    """Lines that end with CRLF; every cell is quoted, so that no separator inside of it counts."""
    written = StringIO()
    writer = csv.writer(written, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    for row in rows:
        writer.writerow([safe_cell(cell) for cell in row])
    return written.getvalue()


async def doses_csv(pages: AsyncIterator[list[OccurrenceView]], *, bom: bool) -> AsyncIterator[bytes]:
    """The whole file in UTF-8. `bom`: with the mark by which spreadsheets know that."""
    yield ((BOM if bom else "") + csv_lines([COLUMNS])).encode()
    async for page in pages:
        yield csv_lines(_cells(view) for view in page).encode()


def _cells(view: OccurrenceView) -> tuple[str, ...]:
    return (
        wall_time(view.nominal_local),
        view.zone,
        _instant(view.due_at),
        view.medication_name,
        f"{view.dose.quantity:f}",
        view.dose.unit,
        view.state.value,
        *_answer_cells(view),
        view.note or "",
    )


def _answer_cells(view: OccurrenceView) -> tuple[str, ...]:
    given = view.administration
    if given is None:
        return ("", "", "", "", "", "", "", view.reason or "")
    taken = Dose(given.dose_quantity, given.dose_unit) if given.status == AdministrationStatus.TAKEN else None
    return (
        view.recorded_by_name or "",
        _instant(given.at),
        _instant(given.recorded_at),
        "" if taken is None else f"{taken.quantity:f}",
        "" if taken is None else taken.unit,
        given.timing or "",
        given.reason_code or "",
        given.reason or view.reason or "",
    )


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
