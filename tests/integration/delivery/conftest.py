"""A circle with a dose that is due, a channel whose provider the test plays, and workers that race for deliveries."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from tests.rows import Rows

from carecircle.channels import ChannelSpec, MessageFacts
from carecircle.db.accounts import Account
from carecircle.db.base import new_id
from carecircle.db.deliveries import Delivery
from carecircle.db.medications import Medication
from carecircle.db.occurrences import Administration, OccurrenceRow
from carecircle.db.patients import Membership, Patient
from carecircle.db.schedules import ScheduleRow
from carecircle.db.session import Database, database_now
from carecircle.delivery.sender import Sender, SenderOptions
from carecircle.domain.delivery import DIGEST_WINDOW, Outcome, Sent
from carecircle.domain.occurrence import NOT_REMINDED
from carecircle.jobs import Queues
from carecircle.runtime.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

UNUSABLE = "-"


@dataclass
class World(Rows):
    """Rows of one circle, made as a test needs them; `now` is when it began, by PostgreSQL's clock."""

    now: datetime
    patient: Patient
    medication: Medication
    schedule: ScheduleRow
    people: list[Account] = field(default_factory=list)
    apart: Iterator[timedelta] = field(default_factory=lambda: (timedelta(microseconds=n) for n in count()))
    """Two doses of one schedule have two nominal times."""

    async def occurrence(
        self, *, due: timedelta = timedelta(0), window: timedelta = timedelta(hours=6), **given: Any
    ) -> UUID:
        """A dose due at `now + due`; planned unless `given` says otherwise."""
        due_at = self.now + due
        values: dict[str, Any] = {
            "schedule_id": self.schedule.id,
            "medication_id": self.medication.id,
            "patient_id": self.patient.id,
            "revision": self.schedule.revision,
            "nominal_local": due_at.replace(tzinfo=None) + next(self.apart),
            "zone": "UTC",
            "due_at": due_at,
            "missed_at": due_at + window,
            "remind_at": due_at,
            "dose_quantity": Decimal(1),
            "dose_unit": "tablet",
            **given,
        }
        return await self.add(OccurrenceRow(id=new_id(), **values))

    async def delivery(self, occurrence_id: UUID, *, to: Account | None = None, **given: Any) -> UUID:
        return await self.add(self.delivery_row(occurrence_id, to=to, **given))

    def delivery_row(self, occurrence_id: UUID, *, to: Account | None = None, **given: Any) -> Delivery:
        recipient = to or self.people[0]
        values: dict[str, Any] = {
            "patient_id": self.patient.id,
            "recipient_id": recipient.id,
            "channel": "fake",
            "target_id": recipient.id,
            "kind": "due",
            "severity": self.medication.severity,
            "expires_at": self.now + timedelta(hours=6),
            "created_at": self.now,
            **given,
        }
        return Delivery(id=new_id(), occurrence_id=occurrence_id, **values)

    async def due_delivery(self, **given: Any) -> UUID:
        """A delivery of a dose that is due now."""
        return await self.delivery(await self.occurrence(state="due", reminded_step=0), **given)

    async def person(self, name: str, *, reminders: bool = True, **given: Any) -> Account:
        account = Account(id=new_id(), email=f"{new_id()}@example.org", display_name=name, **given)
        account.password_hash = UNUSABLE
        await self.add(account)
        await self.add(Membership(patient_id=self.patient.id, account_id=account.id, role="carer", reminders=reminders))
        self.people.append(account)
        return account

    async def unknown(self, due: timedelta, *, ended: timedelta = timedelta(0), **given: Any) -> UUID:
        """A dose that a sweep ended at `now + ended`, because nobody had been reminded of it."""
        over = {"window": timedelta(hours=1), "state": "unknown", "reason": NOT_REMINDED}
        return await self.occurrence(due=due, **{**over, "updated_at": self.now + ended, **given})

    async def digest(self, occurrence_id: UUID, *, swept: timedelta = timedelta(0), **given: Any) -> UUID:
        """The digest of a sweep at `now + swept`, to be sent at once."""
        own = {"kind": "not_reminded", "severity": "info", "expires_at": self.now + swept + DIGEST_WINDOW}
        return await self.delivery(occurrence_id, **{**own, **given})

    async def answer(self, occurrence_id: UUID, status: str = "taken") -> None:
        """What the use case writes, without its cancelling of deliveries: the worst case for a sender."""
        await self.change(OccurrenceRow, occurrence_id, state=status)
        await self.add(
            Administration(
                occurrence_id=occurrence_id,
                patient_id=self.patient.id,
                status=status,
                at=self.now,
                dose_quantity=Decimal(1),
                dose_unit="tablet",
                recorded_by=self.people[0].id,
            )
        )

    async def end_lease(self, delivery_id: UUID) -> None:
        """As if its worker had died long ago."""
        await self.change(Delivery, delivery_id, lease_until=self.now - timedelta(seconds=1))


@dataclass
class FakeChannel:
    """A channel whose provider is the test: `answers` are given in turn, then everything is taken."""

    spec: ChannelSpec
    answers: list[Outcome | Exception] = field(default_factory=list)
    sent: list[MessageFacts] = field(default_factory=list)
    gone: list[UUID] = field(default_factory=list)
    before_send: Callable[[], Awaitable[None]] | None = None
    after_send: Callable[[MessageFacts], None] | None = None
    compose_raises: Exception | None = None
    sending: asyncio.Event = field(default_factory=asyncio.Event)

    async def compose(self, session: AsyncSession, facts: MessageFacts) -> MessageFacts:
        if self.compose_raises is not None:
            raise self.compose_raises
        return facts

    async def send(self, message: MessageFacts) -> Outcome:
        self.sent.append(message)
        self.sending.set()
        if self.before_send is not None:
            await self.before_send()
        if self.after_send is not None:
            self.after_send(message)
        answer = self.answers.pop(0) if self.answers else Sent("ref")
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def mark_gone(self, session: AsyncSession, target_id: UUID, now: datetime) -> None:
        self.gone.append(target_id)


async def everyone(session: AsyncSession, account_id: UUID) -> list[UUID]:
    return [account_id]


@pytest.fixture
async def world(database: Database) -> World:
    async with database.transaction() as session:
        now = await database_now(session)
        patient = Patient(id=new_id(), display_name="canary patient", zone="UTC")
        session.add(patient)
        await session.flush()
        medication = Medication(id=new_id(), patient_id=patient.id, name="canary drug", strength="5 mg")
        session.add(medication)
        await session.flush()
        schedule = ScheduleRow(
            id=new_id(),
            medication_id=medication.id,
            patient_id=patient.id,
            kind="calendar",
            rule={"times": ["08:00"], "days_of_week": None},
            start_date=now.date(),
            dose_quantity=Decimal(1),
            dose_unit="tablet",
            valid_from=now - timedelta(days=30),
            planned_until=now,
        )
        session.add(schedule)
    world = World(database, now, patient, medication, schedule)
    await world.person("canary person")
    return world


@pytest.fixture
def channel() -> FakeChannel:
    return FakeChannel(ChannelSpec("fake", everyone, replaces=True))


@pytest.fixture
async def queues(redis_url: str, queue_name: str) -> AsyncIterator[Queues]:
    """Queues under a prefix of the test's own."""
    async with Queues(redis_url, queue_name) as queues:
        yield queues


@pytest.fixture
def channels(channel: FakeChannel) -> dict[str, ChannelSpec]:
    return {"fake": channel.spec}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def new_sender(world: World, channel: FakeChannel, metrics: Metrics) -> Callable[..., Sender]:
    """Workers of the fake channel: `new_sender("b", lease=…)`."""

    def make(worker: str = "a", **options: Any) -> Sender:
        return Sender(world.database, channel, metrics, SenderOptions(worker, luck=lambda: 0.0, **options))

    return make


@pytest.fixture
def sender(new_sender: Callable[..., Sender]) -> Sender:
    return new_sender()
