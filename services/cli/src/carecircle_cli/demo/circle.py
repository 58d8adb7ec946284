"""The demo circle itself: a patient, two caregivers in two zones, three medications, one of them due in a moment.

Made of what is there already: a second run finds everything and only moves the dose that is due.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from carecircle_cli.demo.person import Person

if TYPE_CHECKING:
    from collections.abc import Sequence

    from carecircle_cli.demo.state import DemoState

OWNER_ZONE = PATIENT_ZONE = "Europe/Berlin"
CARER_ZONE = "America/New_York"
PATIENT = "Rosa"
LEAD = timedelta(seconds=10)
"""At least so long from now: everything has to be on its way before the dose is due."""


@dataclass(frozen=True, slots=True)
class Medicine:
    name: str
    strength: str
    form: str
    unit: str
    times: tuple[str, ...] | None
    """None: in a moment, whenever that is."""
    days: tuple[str, ...] | None = None


MEDICINES = (
    Medicine("Metoprolol", "50 mg", "tablet", "tablet", ("08:00", "20:00")),
    Medicine("Vitamin D", "1000 IU", "capsule", "capsule", ("09:00",), ("mon", "wed", "fri")),
    Medicine("Eye drops", "0.1 %", "drops", "drop", None),
)


@dataclass(frozen=True, slots=True)
class Dose:
    """One line of the plan that the table shows."""

    medicine: str
    when: str


@dataclass(frozen=True, slots=True)
class Circle:
    state: DemoState
    patient_id: str
    due_at: datetime
    plan: Sequence[Dose]
    pushes: bool
    """Whether push subscriptions were registered."""


async def seed(
    api_url: str, state: DemoState, now: datetime, *, push: Sequence[dict[str, Any]] = (), carer_mail: bool = True
) -> Circle:
    """Make the circle, or what is missing of it.

    `push`: for each of the two caregivers a browser's subscription.

    Raises:
        CommandFailed: the API does not answer, or refuses.
    """
    async with AsyncExitStack() as stack:
        owner = await stack.enter_async_context(Person(api_url, state.owner, state.password))
        carer = await stack.enter_async_context(Person(api_url, state.carer, state.password))
        await owner.enter("Anna", OWNER_ZONE)
        await carer.enter("Daniel", CARER_ZONE)
        await carer.patch("/me", {"email_enabled": carer_mail})
        patient = await _patient(owner)
        await _join(carer, owner, patient["id"])
        for person, subscription in zip((owner, carer), push, strict=False):
            await _subscribe(person, subscription)
        due_at = soon(now)
        plan = [await _medication(owner, patient["id"], medicine, due_at) for medicine in MEDICINES]
        return Circle(state, patient["id"], due_at, plan, bool(push))


def soon(now: datetime) -> datetime:
    """The next full minute that leaves enough time."""
    return (now + LEAD).replace(second=0, microsecond=0) + timedelta(minutes=1)


async def _patient(owner: Person) -> dict[str, Any]:
    for patient in await owner.items("/patients"):
        if patient["display_name"] == PATIENT:
            return patient
    return await owner.post("/patients", {"display_name": PATIENT, "zone": PATIENT_ZONE})


async def _join(carer: Person, owner: Person, patient_id: str) -> None:
    if any(patient["id"] == patient_id for patient in await carer.items("/patients")):
        return
    invitation = await owner.post(f"/patients/{patient_id}/members", {"email": carer.email, "role": "carer"})
    await carer.post(f"/invitations/{invitation['token']}/accept")


async def _subscribe(person: Person, subscription: dict[str, Any]) -> None:
    """Only this browser of its push service: the sink forgets its browsers when it ends. Others (real ones) stay."""
    added = await person.post("/push-subscriptions", subscription)
    for known in await person.items("/push-subscriptions"):
        if known["push_service"] == added["push_service"] and known["id"] != added["id"]:
            await person.delete(f"/push-subscriptions/{known['id']}")


async def _medication(owner: Person, patient_id: str, medicine: Medicine, due_at: datetime) -> Dose:
    known = {row["name"]: row for row in await owner.items(f"/patients/{patient_id}/medications")}
    medication = known.get(medicine.name)
    if medication is None:
        body = {"name": medicine.name, "strength": medicine.strength, "form": medicine.form}
        medication = await owner.post(f"/patients/{patient_id}/medications", body)
    if medicine.times is None and medication["status"] != "active":
        await owner.patch(f"/medications/{medication['id']}", {"status": "active"})
    await _schedule(owner, medication["id"], medicine, due_at.astimezone(ZoneInfo(PATIENT_ZONE)))
    when = ", ".join(medicine.times) if medicine.times else f"{due_at.astimezone(ZoneInfo(PATIENT_ZONE)):%H:%M}"
    days = " ".join(medicine.days) if medicine.days else "today" if medicine.times is None else "every day"
    return Dose(f"{medicine.name} {medicine.strength}", f"{days} {when} ({PATIENT_ZONE})")


async def _schedule(owner: Person, medication_id: str, medicine: Medicine, due: datetime) -> None:
    schedules = await owner.items(f"/medications/{medication_id}/schedules")
    if medicine.times is not None and schedules:
        return
    body = {
        "kind": "calendar",
        "times": list(medicine.times or (f"{due:%H:%M}",)),
        "days_of_week": list(medicine.days) if medicine.days else None,
        "start_date": due.date().isoformat(),
        "end_date": None if medicine.times else due.date().isoformat(),
        "dose": {"quantity": 1, "unit": medicine.unit},
        "zone": None,
        "zone_policy": "follow",
    }
    if schedules:
        await owner.put(f"/schedules/{schedules[0]['id']}", body)
    else:
        await owner.post(f"/medications/{medication_id}/schedules", body)
