"""Medications."""

from __future__ import annotations

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from carecircle.db.medications import Medication
from carecircle.domain.medication import MedicationStatus, Severity
from carecircle_api.schemas.values import Answer, Body, Instructions, Name, ShortText


class NewMedicationBody(Body):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Metoprolol",
                    "strength": "50 mg",
                    "form": "tablet",
                    "instructions": "With water, before breakfast.",
                    "severity": "normal",
                }
            ]
        }
    )

    name: Name
    strength: ShortText | None = None
    form: ShortText | None = None
    instructions: Instructions | None = None
    status: MedicationStatus = MedicationStatus.ACTIVE
    severity: Severity = Field(
        default=Severity.NORMAL, description="How much it matters that a reminder arrives, and in time."
    )


@with_config(ConfigDict(extra="forbid", json_schema_extra={"examples": [{"status": "on_hold"}]}))
class MedicationChangesBody(TypedDict, total=False):
    """What is to change. `on_hold`, `stopped` and `completed` stop its reminders at once, `active` starts them."""

    name: Name
    strength: ShortText | None
    form: ShortText | None
    instructions: Instructions | None
    status: MedicationStatus
    severity: Severity


class MedicationBody(Answer):
    id: UUID
    patient_id: UUID
    name: str
    strength: str | None
    form: str | None
    instructions: str | None
    status: MedicationStatus
    severity: Severity
    created_at: datetime

    @classmethod
    def of(cls, medication: Medication) -> Self:
        return cls.model_validate(medication)
