"""The workers as processes: a job in Redis and a row in PostgreSQL become a message at the provider."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import aiohttp
from sqlalchemy import select
from tests.waiting import eventually
from tests.zones import zone_where_it_is

from carecircle.db.deliveries import Delivery
from carecircle.db.patients import Patient
from carecircle.db.push_subscriptions import PushSubscription
from carecircle.db.supply import SupplyRow
from carecircle.domain.supply import SupplySettings
from carecircle.jobs import SEND, Send, job_id
from carecircle.runtime import vapid
from carecircle_cli.engines import free_port
from carecircle_email.testing import Act, Fault, Point, SmtpSink
from carecircle_push.testing import PushSink
from carequeue import Queue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from uuid import UUID


class Process:
    """One worker, told where everything is by its environment alone."""

    def __init__(self, module: str, environment: dict[str, str]) -> None:
        self._module = module
        self._health = free_port()
        self._environment = os.environ | environment | {"CARECIRCLE_HEALTH_PORT": str(self._health)}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", self._module, env=self._environment, stdout=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(30):
            while b"health.listening" not in await self._line():
                pass

    async def _line(self) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, "the worker ended before it was ready"
        return line

    async def is_ready(self) -> bool:
        url = f"http://127.0.0.1:{self._health}/readyz"
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            return answer.status == 200

    async def stop(self) -> tuple[int, str]:
        """Exit code and what it said, after a SIGTERM."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            said, _ = await asyncio.wait_for(self._process.communicate(), 30)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise
        return self._process.returncode or 0, said.decode()


@asynccontextmanager
async def running(module: str, environment: dict[str, str]) -> AsyncIterator[Process]:
    process = Process(module, environment)
    try:
        await process.start()
        yield process
    finally:
        _, said = await process.stop()
        sys.stdout.write(said)  # for the report of a failed test


def surroundings(database_url: str, redis_url: str, **more: str) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "CARECIRCLE_QUEUE_PREFIX": f"t-{secrets.token_hex(6)}",
        "CARECIRCLE_APP_URL": "https://care.example",
        **{f"CARECIRCLE_{name}": value for name, value in more.items()},
    }


def mail_settings(sink: SmtpSink) -> dict[str, str]:
    return {"SMTP_HOST": sink.host, "SMTP_PORT": str(sink.port), "SMTP_SECURITY": "none"}


async def enqueue(environment: dict[str, str], channel: str, delivery_id: UUID) -> Queue:
    queue = Queue(channel, environment["REDIS_URL"], prefix=environment["CARECIRCLE_QUEUE_PREFIX"])
    await queue.open()
    await queue.add(SEND, Send(delivery_id, 1), job_id=job_id(delivery_id, 1))
    return queue


async def test_the_email_worker_sends_what_is_queued_and_drains_on_sigterm(
    world: Any, new_database_url: str, redis_url: str
) -> None:
    async with SmtpSink(http_port=None) as sink:
        environment = surroundings(new_database_url, redis_url, **mail_settings(sink))
        async with running("carecircle_email", environment) as worker:
            assert await worker.is_ready()
            delivery = await world.delivery(await world.dose(), "email", world.account_id)
            queue = await enqueue(environment, "email", delivery)
            [message] = await sink.wait_for(1)
            assert message.recipients == (world.address,)
            code, said = await worker.stop()
        await queue.close()

    assert code == 0
    assert "delivery.sent" in said
    assert "canary" not in said.lower()
    assert (await world.get(Delivery, delivery)).state == "sent"


async def test_the_push_worker_sends_what_is_queued_and_drains_on_sigterm(
    world: Any, new_database_url: str, redis_url: str, tmp_path: Path
) -> None:
    key = tmp_path / "vapid.pem"
    public = vapid.generate(key)
    async with PushSink() as sink:
        subscription = await sink.subscribe(public)
        target = await world.add(
            PushSubscription(account_id=world.account_id, endpoint=subscription["endpoint"], **subscription["keys"])
        )
        environment = surroundings(
            new_database_url,
            redis_url,
            VAPID_PRIVATE_KEY_FILE=str(key),
            VAPID_SUBJECT="mailto:operator@care.example",
            PUSH_ALLOWED_ORIGINS=sink.origin,
        )
        async with running("carecircle_push", environment) as worker:
            delivery = await world.delivery(await world.dose(), "push", target)
            queue = await enqueue(environment, "push", delivery)
            [message] = await sink.wait_for(1)
            assert message.json["kind"] == "due"
            code, said = await worker.stop()
        await queue.close()
        assert sink.refusals == []

    assert code == 0
    assert "delivery.sent" in said
    assert subscription["endpoint"].rsplit("/", 1)[-1] not in said
    assert (await world.get(Delivery, delivery)).state == "sent"


async def test_a_worker_asked_to_stop_waits_for_the_mail_server_that_has_the_mail(
    world: Any, new_database_url: str, redis_url: str
) -> None:
    async with SmtpSink(http_port=None) as sink:
        sink.fail(Fault(Point.END, Act.HANG))
        settings = mail_settings(sink) | {"SMTP_FINAL_REPLY_SECONDS": "2"}
        environment = surroundings(new_database_url, redis_url, **settings)
        async with running("carecircle_email", environment) as worker:
            delivery = await world.delivery(await world.dose(), "email", world.account_id)
            queue = await enqueue(environment, "email", delivery)
            await sink.wait_for(1)
            code, _ = await worker.stop()
        await queue.close()

    assert code == 0
    row = await world.get(Delivery, delivery)
    assert (row.state, row.outcome, row.ambiguous) == ("retry", "smtp_timeout_after_data", 1)


async def test_a_supply_that_runs_low_becomes_one_mail_by_dispatcher_and_worker(
    world: Any, new_database_url: str, redis_url: str
) -> None:
    await world.change(Patient, world.patient_id, zone=zone_where_it_is(12, world.now))
    supply = SupplyRow(
        medication_id=world.medication_id,
        patient_id=world.patient_id,
        stock=Decimal(3),
        counted_at=world.now,
        last_entry_at=world.now,
        check_at=world.now,
    )
    supply.adopt(SupplySettings("canary-tablet"))
    async with world.database.transaction() as session:
        session.add(supply)
    async with SmtpSink(http_port=None) as sink:
        environment = surroundings(
            new_database_url, redis_url, SUPPLIES_SECONDS="0.2", RECONCILE_SECONDS="0.2", **mail_settings(sink)
        )
        async with running("carecircle_email", environment), running("carecircle_dispatcher", environment) as one:
            [mail] = await sink.wait_for(1)
            # Told once: by the time the next look is over, nothing more has come.
            await world.change(SupplyRow, world.medication_id, check_at=world.now)

            async def looked_again() -> bool:
                return (await world.get(SupplyRow, world.medication_id)).check_at > world.now

            await eventually(looked_again, "the supply was looked at again")
            _, said = await one.stop()
        assert len(sink.to(world.address)) == 1

    assert mail.recipients == (world.address,)
    assert "canary-tablet" not in mail.raw
    assert "A medicine runs low" in mail.text
    assert f"/patients/{world.patient_id}/supply" in mail.text
    assert "canary" not in said.lower()
    async with world.database.transaction() as session:
        [row] = await session.scalars(select(Delivery))
    assert (row.kind, row.state) == ("refill", "sent")


async def test_a_push_worker_without_its_key_says_so_and_makes_none(
    new_database_url: str, redis_url: str, tmp_path: Path
) -> None:
    missing = tmp_path / "vapid.pem"
    environment = surroundings(
        new_database_url, redis_url, VAPID_PRIVATE_KEY_FILE=str(missing), VAPID_SUBJECT="mailto:a@care.example"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "carecircle_push"), env=os.environ | environment, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await asyncio.wait_for(process.communicate(), 30)

    assert process.returncode == 1
    assert b"vapid generate" in said
    assert not missing.exists()
