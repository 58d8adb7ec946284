"""A circle with a dose that is due, and each channel with its provider: one suite holds for all of them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric import ec
from tests.rows import Rows

from carecircle.db.accounts import Account
from carecircle.db.base import new_id
from carecircle.db.deliveries import Delivery
from carecircle.db.medications import Medication
from carecircle.db.occurrences import Administration, OccurrenceRow
from carecircle.db.patients import Membership, Patient
from carecircle.db.push_subscriptions import PushSubscription
from carecircle.db.schedules import ScheduleRow
from carecircle.db.session import Database, database_now
from carecircle.delivery.sender import Sender, SenderOptions
from carecircle.domain.delivery import DIGEST_WINDOW
from carecircle.runtime.metrics import Metrics
from carecircle_email.channel import EmailChannel
from carecircle_email.channel import Sender as MailSender
from carecircle_email.provider import Limits, Security, Server, SmtpProvider
from carecircle_email.testing import Act as MailAct
from carecircle_email.testing import Fault, Point, SmtpSink
from carecircle_push.channel import PushChannel
from carecircle_push.provider import PushProvider
from carecircle_push.signer import VapidSigner
from carecircle_push.testing import Act, PushFault, PushSink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from datetime import datetime
    from uuid import UUID

    from carecircle.channels import Channel
    from carecircle.delivery.verdict import Verdict

PUBLIC_URL = "https://care.example"


class Trouble(Enum):
    """What a provider can answer, whatever the channel."""

    LATER = auto()
    REJECTED = auto()
    GONE = auto()
    SILENT = auto()
    CREDENTIALS = auto()


@dataclass
class World(Rows):
    """One circle: the patient Rosa Canary, who is to take Canarol, and Ana Canary, who is reminded."""

    now: datetime
    patient_id: UUID
    medication_id: UUID
    schedule_id: UUID
    account_id: UUID
    address: str

    async def dose(self, *, due: timedelta = timedelta(0), step: int = 0, **given: Any) -> UUID:
        due_at = self.now + due
        values: dict[str, Any] = {"state": "due", **given}
        return await self.add(
            OccurrenceRow(
                schedule_id=self.schedule_id,
                medication_id=self.medication_id,
                patient_id=self.patient_id,
                revision=1,
                nominal_local=due_at.replace(tzinfo=None),
                zone="UTC",
                due_at=due_at,
                missed_at=self.now + timedelta(hours=6),
                remind_at=due_at,
                dose_quantity=Decimal(1),
                dose_unit="canary-tablet",
                reminder_step=step,
                reminded_step=step,
                **values,
            )
        )

    async def delivery(self, occurrence_id: UUID, channel: str, target_id: UUID, **given: Any) -> UUID:
        values: dict[str, Any] = {
            "kind": "due",
            "severity": "normal",
            "expires_at": self.now + timedelta(hours=6),
            **given,
        }
        return await self.add(
            Delivery(
                occurrence_id=occurrence_id,
                patient_id=self.patient_id,
                recipient_id=self.account_id,
                channel=channel,
                target_id=target_id,
                **values,
            )
        )

    async def answer(self, occurrence_id: UUID) -> None:
        await self.change(OccurrenceRow, occurrence_id, state="taken")
        await self.add(
            Administration(
                occurrence_id=occurrence_id,
                patient_id=self.patient_id,
                status="taken",
                at=self.now,
                dose_quantity=Decimal(1),
                dose_unit="canary-tablet",
                recorded_by=self.account_id,
            )
        )


class Bench(Protocol):
    """One channel on the bench: its provider misbehaves when told, and what arrived can be read."""

    channel: Channel
    target_id: UUID
    secrets: list[str]
    """What no log may hold, beside the names."""

    def order(self, trouble: Trouble) -> None: ...

    def arrived(self) -> list[str]:
        """Everything a reader could see of each message."""
        ...

    def identities(self) -> list[object]:
        """By which a receiver recognises a second copy."""
        ...

    async def move(self) -> None:
        """The receiver is now reached at another address."""
        ...

    def arrived_after_move(self) -> list[object]: ...

    async def is_gone(self) -> bool: ...


@dataclass
class EmailBench:
    world: World
    sink: SmtpSink
    channel: Channel
    target_id: UUID
    secrets: list[str] = field(default_factory=list)

    def order(self, trouble: Trouble) -> None:
        self.sink.fail(
            {
                Trouble.LATER: Fault(Point.RCPT, reply="451 4.7.1 <ana-canary@example.org> Greylisted"),
                Trouble.REJECTED: Fault(Point.END, reply="554 5.7.1 Spam from ana-canary@example.org"),
                Trouble.GONE: Fault(Point.RCPT, reply="550 5.1.1 <ana-canary@example.org> unknown"),
                Trouble.SILENT: Fault(Point.END, MailAct.HANG),
                Trouble.CREDENTIALS: Fault(Point.MAIL, reply="530 5.7.0 Log in first"),
            }[trouble]
        )

    def arrived(self) -> list[str]:
        return [f"{message.subject}\n{message.text}\n{message.html}" for message in self.sink.messages]

    def identities(self) -> list[object]:
        return [message.content for message in self.sink.messages]

    async def move(self) -> None:
        await self.world.change(Account, self.target_id, email="moved@example.org")

    def arrived_after_move(self) -> list[object]:
        return list(self.sink.to("moved@example.org"))

    async def is_gone(self) -> bool:
        return (await self.world.get(Account, self.target_id)).email_undeliverable_at is not None


@dataclass
class PushBench:
    world: World
    sink: PushSink
    channel: Channel
    target_id: UUID
    secrets: list[str] = field(default_factory=list)
    moved_to: str = ""

    def order(self, trouble: Trouble) -> None:
        self.sink.fail(
            {
                Trouble.LATER: PushFault(503),
                Trouble.REJECTED: PushFault(413),
                Trouble.GONE: PushFault(410),
                Trouble.SILENT: PushFault(act=Act.HANG),
                Trouble.CREDENTIALS: PushFault(403),
            }[trouble]
        )

    def arrived(self) -> list[str]:
        return [message.text for message in self.sink.messages]

    def identities(self) -> list[object]:
        # The encryption differs each time; what replaces an older copy is the topic before delivery, the tag after.
        return [(message.accepted.topic, {**message.json, "renotify": None}) for message in self.sink.messages]

    async def move(self) -> None:
        subscription = await self.sink.subscribe()
        self.moved_to = subscription["endpoint"]
        await self.world.change(
            PushSubscription, self.target_id, endpoint=subscription["endpoint"], **subscription["keys"]
        )

    def arrived_after_move(self) -> list[object]:
        return list(self.sink.to(self.moved_to))

    async def is_gone(self) -> bool:
        return (await self.world.get(PushSubscription, self.target_id)).gone_at is not None


@pytest.fixture
async def world(database: Database) -> World:
    async with database.transaction() as session:
        now = await database_now(session)
    patient = Patient(id=new_id(), display_name="Rosa Canary", zone="UTC")
    medication = Medication(id=new_id(), patient_id=patient.id, name="Canarol", strength="5 mg")
    schedule = ScheduleRow(
        id=new_id(),
        medication_id=medication.id,
        patient_id=patient.id,
        kind="calendar",
        rule={"times": ["08:00"], "days_of_week": None},
        start_date=now.date(),
        dose_quantity=Decimal(1),
        dose_unit="canary-tablet",
        valid_from=now - timedelta(days=30),
        planned_until=now,
    )
    address = "ana-canary@example.org"
    account = Account(id=new_id(), email=address, display_name="Ana Canary", password_hash="x")  # noqa: S106 - no real hash
    world = World(database, now, patient.id, medication.id, schedule.id, account.id, address)
    membership = Membership(patient_id=patient.id, account_id=account.id, role="owner", reminders=True)
    for row in (patient, medication, schedule, account, membership):
        await world.add(row)
    return world


@pytest.fixture
async def email_bench(world: World) -> AsyncIterator[EmailBench]:
    limits = Limits(connect=10, command=10, until_dot=10, final_reply=2)
    async with SmtpSink(http_port=None) as sink:
        provider = SmtpProvider(Server(sink.host, sink.port, Security.NONE), limits)
        channel = EmailChannel(provider, MailSender("CareCircle", "reminders@care.example", PUBLIC_URL))
        yield EmailBench(world, sink, channel, world.account_id, [world.address])


@pytest.fixture
async def push_bench(world: World) -> AsyncIterator[PushBench]:
    async with PushSink() as sink:
        subscription = await sink.subscribe()
        keys = subscription["keys"]
        target_id = await world.add(
            PushSubscription(account_id=world.account_id, endpoint=subscription["endpoint"], **keys)
        )
        signer = VapidSigner(ec.generate_private_key(ec.SECP256R1()), "mailto:operator@care.example")
        async with PushProvider(signer, allowed_origins=[sink.origin], total_seconds=2) as provider:
            secrets = [subscription["endpoint"].rsplit("/", 1)[-1], keys["auth"], keys["p256dh"]]
            yield PushBench(world, sink, PushChannel(provider, PUBLIC_URL), target_id, secrets)


@pytest.fixture(params=["email", "push"])
def bench(request: pytest.FixtureRequest) -> Bench:
    """Every channel in turn."""
    return request.getfixturevalue(f"{request.param}_bench")


@dataclass
class Attempts:
    """Deliveries on one bench, and attempts at them as the worker makes them."""

    world: World
    bench: Bench
    sender: Sender
    made: int = 0

    async def new(self, due: timedelta | None = None) -> UUID:
        """A delivery of a dose that is due, a little later than the one before: else that one would supersede it."""
        self.made += 1
        return await self.of(await self.world.dose(due=due or timedelta(seconds=self.made - 60)))

    async def of(self, occurrence_id: UUID, **given: Any) -> UUID:
        name = self.bench.channel.spec.name
        return await self.world.delivery(occurrence_id, name, self.bench.target_id, **given)

    async def digest(self, *days: int) -> UUID:
        """The digest of doses that were due so many days ago and that a sweep has just ended."""
        ended = {"state": "unknown", "reason": "not_reminded", "updated_at": self.world.now}
        doses = [await self.world.dose(due=timedelta(days=-day), **ended) for day in days]
        return await self.of(doses[-1], kind="not_reminded", expires_at=self.world.now + DIGEST_WINDOW)

    async def attempt(self, delivery_id: UUID) -> Verdict:
        return await self.sender.deliver(delivery_id)

    async def again(self, delivery_id: UUID) -> Verdict:
        """The next attempt, as if its time had come."""
        await self.world.change(Delivery, delivery_id, next_attempt_at=self.world.now)
        return await self.attempt(delivery_id)

    async def row(self, delivery_id: UUID) -> Delivery:
        return await self.world.get(Delivery, delivery_id)


@pytest.fixture
def attempts(world: World, bench: Bench) -> Attempts:
    return Attempts(world, bench, Sender(world.database, bench.channel, Metrics(), SenderOptions("w")))


@pytest.fixture
def trouble() -> type[Trouble]:
    return Trouble


@pytest.fixture
def log_settings() -> Iterator[None]:
    """Logging as it was, after a test that configures it."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers, root.level = handlers, level
