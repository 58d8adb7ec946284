"""Medications: what a patient is to take. A change of status changes the planned doses in the same transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from carecircle.db.audit import add_entry, difference
from carecircle.db.base import new_id
from carecircle.db.medications import Medication, count_medications, medication_seen_by, medications_of
from carecircle.db.pages import Page
from carecircle.domain.errors import LimitReached, NotFound
from carecircle.domain.medication import MedicationStatus, Severity
from carecircle.domain.people import Action
from carecircle.usecases.access import Actor, require
from carecircle.usecases.planning import HORIZON, medication_status_changed

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.pages import PageRequest

MAX_MEDICATIONS = 200
FIELDS = ("name", "strength", "form", "instructions", "status", "severity")


@dataclass(frozen=True, slots=True)
class NewMedication:
    name: str
    strength: str | None = None
    form: str | None = None
    instructions: str | None = None
    status: MedicationStatus = MedicationStatus.ACTIVE
    severity: Severity = Severity.NORMAL


class MedicationChanges(TypedDict, total=False):
    """What is to change; a missing key stays as it is."""

    name: str
    strength: str | None
    form: str | None
    instructions: str | None
    status: MedicationStatus
    severity: Severity


async def create_medication(session: AsyncSession, actor: Actor, patient_id: UUID, new: NewMedication) -> Medication:
    await require(session, actor, patient_id, Action.EDIT)
    if await count_medications(session, patient_id) >= MAX_MEDICATIONS:
        raise LimitReached
    medication = Medication(
        id=new_id(),
        patient_id=patient_id,
        name=new.name,
        strength=new.strength,
        form=new.form,
        instructions=new.instructions,
        status=new.status.value,
        severity=new.severity.value,
    )
    session.add(medication)
    await session.flush()
    _note(session, actor, "medication.created", medication, {"after": _state(medication)})
    return medication


async def list_medications(
    session: AsyncSession, actor: Actor, patient_id: UUID, request: PageRequest
) -> Page[Medication]:
    await require(session, actor, patient_id, Action.READ)
    page = await medications_of(session, patient_id, request)
    return Page([medication for (medication,) in page.rows], page.next)


async def get_medication(
    session: AsyncSession, actor: Actor, medication_id: UUID, action: Action = Action.READ
) -> Medication:
    """The medication, if the actor may do this with it. Whoever changes it holds its row."""
    medication = await medication_seen_by(session, actor.account_id, medication_id, locked=action is not Action.READ)
    if medication is None:
        raise NotFound
    await require(session, actor, medication.patient_id, action)
    return medication


async def change_medication(
    session: AsyncSession,
    actor: Actor,
    medication_id: UUID,
    changes: MedicationChanges,
    now: datetime,
    *,
    horizon: timedelta = HORIZON,
) -> Medication:
    """Words change what the next message says and leave the planned doses alone (R9); the status does not (R16)."""
    medication = await get_medication(session, actor, medication_id, Action.EDIT)
    before = _state(medication)
    for field, value in changes.items():
        setattr(medication, field, value)
    await session.flush()
    after = _state(medication)
    if after["status"] != before["status"]:
        await medication_status_changed(session, medication, now, horizon=horizon)
    _note(session, actor, "medication.changed", medication, difference(before, after))
    return medication


async def delete_medication(session: AsyncSession, actor: Actor, medication_id: UUID, now: datetime) -> None:
    """Gone for everybody, kept for the history; nothing of it is sent any more."""
    medication = await get_medication(session, actor, medication_id, Action.EDIT)
    medication.deleted_at = now
    await session.flush()
    await medication_status_changed(session, medication, now)
    _note(session, actor, "medication.deleted", medication, {})


def _state(medication: Medication) -> dict[str, Any]:
    return {field: None if (value := getattr(medication, field)) is None else str(value) for field in FIELDS}


def _note(session: AsyncSession, actor: Actor, action: str, medication: Medication, details: dict[str, Any]) -> None:
    add_entry(
        session,
        action,
        medication.id,
        actor_id=actor.account_id,
        patient_id=medication.patient_id,
        details=details,
    )
