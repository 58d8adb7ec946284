"""A patient's archive, written in pages and read in portions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError

from carecircle.domain.archive import MOST_ERRORS, Archive, ArchivedDose, Fault, InvalidArchive
from carecircle.domain.errors import Invalid
from carecircle.usecases.archiving import Exported
from carecircle_api.schemas.archived_doses import ArchivedDoseBody
from carecircle_api.schemas.archives import (
    FORMAT,
    VERSION,
    ArchiveBody,
    ArchivedMedicationBody,
    noting,
)

PORTION = 500
PORTIONS = TypeAdapter(list[ArchivedDoseBody])


class UnknownVersion(Invalid):
    """This document is of a version that is not known here."""

    code = "unknown_version"


async def archive_json(exported: Exported, now: datetime) -> AsyncIterator[bytes]:
    """The whole document, one line a dose."""
    plan = exported.plan
    head = {
        "format": FORMAT,
        "version": VERSION,
        "exported_at": now.isoformat().replace("+00:00", "Z"),
        "patient": {
            "display_name": plan.display_name,
            "zone": plan.zone,
            **({} if plan.routine is None else {"routine": plan.routine.to_json()}),
        },
        "medications": [_body(ArchivedMedicationBody.of(medication)) for medication in plan.medications],
    }
    yield json.dumps(head, ensure_ascii=False, indent=1)[:-2].encode() + b',\n "doses": ['
    first = True
    async for page in exported.doses:
        lines = [json.dumps(_body(ArchivedDoseBody.of(dose)), ensure_ascii=False) for dose in page]
        yield (b"\n  " if first else b",\n  ") + ",\n  ".join(lines).encode()
        first = False
    yield b"\n ]\n}\n"


def _body(model: Any) -> Any:
    return model.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)


async def read_archive(document: ArchiveBody, now: datetime) -> Archive:
    """The archive as a value.

    Raises:
        UnknownVersion: it is none that is known here.
        RequestValidationError: a part of it is not what it should be.
        InvalidArchive: parts of it say what no schedule, routine or dose can be.
    """
    if document.version != VERSION:
        raise UnknownVersion(f"Version {document.version} is not known here; {VERSION} is.", field="version")
    faults: list[Fault] = []
    plan = document.plan(now, faults)
    doses = await _doses(document.doses, now, faults)
    if faults:
        raise InvalidArchive(faults)
    return replace(plan, doses=doses)


async def _doses(given: Sequence[Any], now: datetime, faults: list[Fault]) -> list[ArchivedDose]:
    read: list[ArchivedDose] = []
    wrong: list[Any] = []
    for first in range(0, len(given), PORTION):
        try:
            portion = PORTIONS.validate_python(given[first : first + PORTION])
        except ValidationError as error:
            wrong += [
                {**item, "loc": ("body", "doses", first + int(item["loc"][0]), *item["loc"][1:])}
                for item in error.errors(include_url=False, include_context=False)
            ]
            portion = []
        for n, dose in enumerate(portion, first):
            with noting(faults, f"doses.{n}"):
                read.append(dose.archived(now))
        if len(wrong) >= MOST_ERRORS or len(faults) >= MOST_ERRORS:
            break
        await asyncio.sleep(0)  # others want to be served meanwhile
    if wrong:
        raise RequestValidationError(wrong[:MOST_ERRORS])
    return read
