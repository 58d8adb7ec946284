"""A care circle to try wishes on: a patient in Berlin, a carer, a viewer, a stranger, and one medication."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from carecircle.db.accounts import Account
from carecircle.db.audit import AuditEntry
from carecircle.db.base import new_id
from carecircle.db.deliveries import Delivery
from carecircle.db.medications import Medication
from carecircle.db.occurrences import OccurrenceRow
from carecircle.db.patients import Membership, Patient
from carecircle.domain.schedule import CalendarRule, Dose, SchedulePlan, Weekday, ZonePolicy
from carecircle.usecases.access import Actor

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

UNUSABLE = "-"
TEN_IN_BERLIN = datetime(2026, 4, 10, 8, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Circle:
    """One care circle, and short ways to look at what became of its doses."""

    patient: Patient
    medication: Medication
    anna: Actor
    ben: Actor
    viewer: Actor
    stranger: Actor

    async def occurrences(self, session: AsyncSession) -> list[OccurrenceRow]:
        found = await session.scalars(
            select(OccurrenceRow)
            .where(OccurrenceRow.patient_id == self.patient.id)
            .order_by(OccurrenceRow.due_at, OccurrenceRow.revision)
            .execution_options(populate_existing=True)
        )
        return list(found)

    async def planned(self, session: AsyncSession) -> list[str]:
        """What is still to come: `10T18:00` for each."""
        return [f"{row.due_at:%dT%H:%M}" for row in await self.occurrences(session) if row.state in {"planned", "due"}]

    async def states(self, session: AsyncSession) -> list[tuple[str, str, str | None]]:
        """(due, state, reason) of every dose."""
        return [(f"{row.due_at:%dT%H:%M}", row.state, row.reason) for row in await self.occurrences(session)]

    async def audit(self, session: AsyncSession) -> list[AuditEntry]:
        found = await session.scalars(
            select(AuditEntry).where(AuditEntry.patient_id == self.patient.id).order_by(AuditEntry.id)
        )
        return list(found)


async def make_circle(session: AsyncSession, *, zone: str = "Europe/Berlin") -> Circle:
    patient = Patient(id=new_id(), display_name="Rosa", zone=zone)
    medication = Medication(id=new_id(), patient_id=patient.id, name="Levodopa")
    accounts = {
        name: Account(
            id=new_id(), email=f"{name}-{new_id().hex}@example.org", password_hash=UNUSABLE, display_name=name
        )
        for name in ("Anna", "Ben", "Vera", "Stranger")
    }
    session.add_all([patient, *accounts.values()])
    await session.flush()
    session.add_all(
        [
            medication,
            Membership(patient_id=patient.id, account_id=accounts["Anna"].id, role="owner"),
            Membership(patient_id=patient.id, account_id=accounts["Ben"].id, role="carer"),
            Membership(patient_id=patient.id, account_id=accounts["Vera"].id, role="viewer"),
        ]
    )
    await session.flush()
    return Circle(patient, medication, *(Actor(account.id) for account in accounts.values()))


def make_plan(times: str = "08:00 20:00", **changes: Any) -> SchedulePlan:
    """`make_plan("08:00", days="mon wed", zone="Asia/Tokyo")`."""
    days: str | None = changes.pop("days", None)
    rule = CalendarRule(
        tuple(time.fromisoformat(at) for at in times.split()),
        None if days is None else frozenset(Weekday(day) for day in days.split()),
    )
    values: dict[str, Any] = {
        "rule": rule,
        "start_date": date(2026, 4, 1),
        "end_date": None,
        "zone": None,
        "zone_policy": ZonePolicy.FOLLOW,
        "dose": Dose(Decimal(1), "tablet"),
    }
    return SchedulePlan(**{**values, **changes})


async def add_delivery(
    session: AsyncSession, occurrence: OccurrenceRow, recipient: Actor, *, state: str = "pending", step: int = 0
) -> UUID:
    """A reminder of this dose, in any state."""
    delivery = Delivery(
        id=new_id(),
        occurrence_id=occurrence.id,
        patient_id=occurrence.patient_id,
        recipient_id=recipient.account_id,
        channel="email",
        target_id=recipient.account_id,
        kind="due",
        step=step,
        severity="normal",
        state=state,
        expires_at=occurrence.missed_at,
    )
    session.add(delivery)
    await session.flush()
    return delivery.id


async def delivery_outcome(session: AsyncSession, delivery_id: UUID) -> tuple[str, str | None]:
    found = await session.execute(select(Delivery.state, Delivery.outcome).where(Delivery.id == delivery_id))
    return found.one()


@dataclass(frozen=True)
class Kit:
    """The functions above, for tests that cannot import this file."""

    make_circle = staticmethod(make_circle)
    make_plan = staticmethod(make_plan)
    add_delivery = staticmethod(add_delivery)
    delivery_outcome = staticmethod(delivery_outcome)
    now: datetime = TEN_IN_BERLIN


@pytest.fixture
def kit() -> Kit:
    return Kit()


@pytest.fixture
async def circle(session: AsyncSession) -> Circle:
    """A circle in the transaction that is rolled back."""
    return await make_circle(session)
