"""Patients: who is cared for, and in which time zone they live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from carecircle.db.audit import add_entry, difference
from carecircle.db.base import new_id
from carecircle.db.pages import Page
from carecircle.db.patients import Membership, Patient, count_circles, locked_patient, patients_of
from carecircle.domain.errors import LimitReached, NotFound
from carecircle.domain.people import Action, Role
from carecircle.domain.routine import Routine
from carecircle.domain.zones import zone_named
from carecircle.usecases.access import Actor, require
from carecircle.usecases.planning import HORIZON, patient_routine_changed, patient_zone_changed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.pages import PageRequest

MAX_CIRCLES = 100


@dataclass(frozen=True, slots=True)
class NewPatient:
    display_name: str
    zone: str
    is_self: bool = False
    """The account that creates the patient is the patient's own login."""


class PatientChanges(TypedDict, total=False):
    """What is to change; a missing key stays as it is."""

    display_name: str
    zone: str
    routine: Mapping[str, str]
    """Times as `HH:MM` by their name; the others stay."""


@dataclass(frozen=True, slots=True)
class PatientView:
    """A patient as one member of the circle sees them."""

    patient: Patient
    membership: Membership


async def create_patient(session: AsyncSession, actor: Actor, new: NewPatient) -> PatientView:
    """A patient whose circle has one member: the actor, as owner."""
    zone_named(new.zone)
    if await count_circles(session, actor.account_id) >= MAX_CIRCLES:
        raise LimitReached
    patient = Patient(id=new_id(), display_name=new.display_name, zone=new.zone)
    membership = Membership(
        patient_id=patient.id, account_id=actor.account_id, role=Role.OWNER.value, is_patient=new.is_self
    )
    session.add(patient)
    await session.flush()
    session.add(membership)
    await session.flush()
    add_entry(session, "patient.created", patient.id, actor_id=actor.account_id, patient_id=patient.id)
    return PatientView(patient, membership)


async def list_patients(session: AsyncSession, actor: Actor, request: PageRequest) -> Page[PatientView]:
    page = await patients_of(session, actor.account_id, request)
    return Page([PatientView(*row) for row in page.rows], page.next)


async def get_patient(session: AsyncSession, actor: Actor, patient_id: UUID) -> PatientView:
    membership = await require(session, actor, patient_id, Action.READ)
    return PatientView(await session.get_one(Patient, patient_id), membership)


async def change_patient(
    session: AsyncSession,
    actor: Actor,
    patient_id: UUID,
    changes: PatientChanges,
    now: datetime,
    *,
    horizon: timedelta = HORIZON,
) -> PatientView:
    """Change the record. A new zone, or new times of the routine, move the doses that follow them (R8)."""
    membership = await require(session, actor, patient_id, Action.MANAGE)
    if "zone" in changes:
        zone_named(changes["zone"])
    patient = await locked_patient(session, patient_id)
    if patient is None:
        raise NotFound
    before = _state(patient)
    _apply(patient, changes)
    await session.flush()
    after = _state(patient)
    if after["zone"] != before["zone"]:
        await patient_zone_changed(session, patient, now, horizon=horizon)
    if after["routine"] != before["routine"]:
        await patient_routine_changed(session, patient, now, horizon=horizon)
    add_entry(
        session,
        "patient.changed",
        patient.id,
        actor_id=actor.account_id,
        patient_id=patient.id,
        details=difference(before, after),
    )
    return PatientView(patient, membership)


def _apply(patient: Patient, changes: PatientChanges) -> None:
    patient.display_name = changes.get("display_name", patient.display_name)
    patient.zone = changes.get("zone", patient.zone)
    if "routine" in changes:
        routine = Routine.from_json({**(patient.routine or {}), **changes["routine"]})
        patient.routine = routine.to_json()


def _state(patient: Patient) -> dict[str, Any]:
    return {
        "display_name": patient.display_name,
        "zone": patient.zone,
        "routine": Routine.from_json(patient.routine).to_json(),
    }
