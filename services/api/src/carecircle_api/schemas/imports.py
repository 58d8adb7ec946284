"""Schedules from calendars of others."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, JsonValue, StringConstraints

from carecircle.domain.rrule import LONGEST_RULE, Imported
from carecircle.domain.vevent import LONGEST_FILE
from carecircle_api.schemas.schedule_kinds import DoseBody, NewScheduleBody
from carecircle_api.schemas.values import Answer, Body, LocalDateTime, ZoneName

TABLET: JsonValue = {"quantity": 1, "unit": "tablet"}
EVENT = """BEGIN:VCALENDAR
VERSION:2.0
BEGIN:VEVENT
UID:1
DTSTART;TZID=Europe/Berlin:20261124T080000
RRULE:FREQ=WEEKLY;BYDAY=MO,WE,FR
END:VEVENT
END:VCALENDAR
"""


class ImportBody(Body):
    """Either `rrule` with its `start`, or `icalendar`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"rrule": "FREQ=DAILY;INTERVAL=2;BYHOUR=8,20;COUNT=20", "start": "2026-11-24T08:00", "dose": TABLET},
                {"icalendar": EVENT, "dose": TABLET},
            ]
        }
    )

    rrule: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_RULE)] | None = Field(
        default=None, description="RFC 5545: FREQ, INTERVAL, COUNT, UNTIL, BYDAY, BYMONTHDAY, BYHOUR, BYMINUTE."
    )
    start: LocalDateTime | None = Field(default=None, description="The DTSTART of `rrule`, by the wall clock.")
    zone: ZoneName | None = Field(default=None, description="Of `start`; null: where the patient lives.")
    icalendar: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_FILE)] | None = Field(
        default=None, description="A file with exactly one VEVENT."
    )
    dose: DoseBody


class ImportedBody(Answer):
    schedule: NewScheduleBody = Field(description="Send it to `POST /v1/medications/{medication_id}/schedules`.")
    notes: list[str] = Field(description="What means something slightly else here, in words.")

    @classmethod
    def of(cls, imported: Imported, dose: DoseBody) -> Self:
        return cls.model_validate({"schedule": _schedule(imported, dose), "notes": list(imported.notes)})


def _schedule(imported: Imported, dose: DoseBody) -> dict[str, Any]:
    rule = {name: value for name, value in imported.rule.to_json().items() if value and name != "start_zone"}
    return {
        **rule,
        "kind": imported.rule.kind,
        "start_date": imported.start_date.isoformat(),
        "end_date": None if imported.end_date is None else imported.end_date.isoformat(),
        "count": imported.count,
        "zone": imported.zone,
        "dose": dose,
    }
