"""Six circles, one due minute: each dose goes from a REST call to what the providers got, or rightly does not."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from tests.e2e.app import Story, next_minute
from tests.e2e.system import RECONCILE_SECONDS, System
from tests.waiting import eventually, until

from carecircle_email.testing import Fault, Point
from carecircle_push.testing import PushFault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240), pytest.mark.slow]

NAMES = ("plain", "held", "early", "greylisted", "refused", "unsubscribed")
SETTLED = {"sent", "failed", "expired", "cancelled", "ambiguous"}


@dataclass(frozen=True)
class Minute:
    system: System
    due_at: datetime
    stories: dict[str, Story]

    def __getitem__(self, name: str) -> Story:
        return self.stories[name]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def minute(system: System) -> AsyncIterator[Minute]:
    """The circles, some time after their doses were due and everything about them has come to an end."""
    due_at = next_minute(after_seconds=12)
    async with AsyncExitStack() as stack:
        stories: dict[str, Story] = {}
        for name in NAMES:
            story = await Story.begin(await stack.enter_async_context(system.app()))
            await story.subscribe(await system.push.subscribe())
            await story.schedule(due_at)
            stories[name] = story
        await _order_faults(system, stories)
        await _act_before_due(stories)

        async def settled() -> bool:
            states = [await story.states() for name, story in stories.items() if name not in ("held", "early")]
            return all(len(one) == 2 and set(one.values()) <= SETTLED for one in states)

        await until(due_at)
        await eventually(settled, "each delivery has come to an end", seconds=60)
        # Whatever would send something twice has had its chance: two rounds of the reconciler, and the stale limit.
        await until(datetime.now(UTC) + timedelta(seconds=3 * RECONCILE_SECONDS))
        yield Minute(system, due_at, stories)


async def _order_faults(system: System, stories: dict[str, Story]) -> None:
    system.mail.fail(
        Fault(Point.END, reply="451 4.3.0 Try again later", times=2, recipient=stories["greylisted"].app.email),
        Fault(Point.RCPT, reply="550 5.1.1 No such user", times=None, recipient=stories["refused"].app.email),
    )
    system.push.fail(PushFault(410, endpoint=stories["unsubscribed"].endpoint))


async def _act_before_due(stories: dict[str, Story]) -> None:
    held, early = stories["held"], stories["early"]
    await held.app.patch(f"/medications/{held.medication['id']}", {"status": "on_hold"})
    dose = await early.occurrence()
    answer = {"status": "taken", "at": datetime.now(UTC).isoformat()}
    await early.app.post(f"/occurrences/{dose['id']}/administrations", answer)


async def test_a_due_dose_sends_one_mail_and_one_push(minute: Minute) -> None:
    story = minute["plain"]
    (mail,) = minute.system.mail.to(story.app.email)
    (push,) = minute.system.push.to(story.endpoint)
    assert await story.states() == {"email": "sent", "push": "sent"}
    assert minute.due_at <= mail.received_at < minute.due_at + timedelta(seconds=20)
    occurrence = await story.occurrence()
    assert occurrence["state"] == "due"
    assert push.json["occurrence_id"] == occurrence["id"]
    assert minute.due_at.strftime("%H:%M") in mail.text


async def test_messages_have_no_drug_name_unless_their_reader_asked_for_it(minute: Minute) -> None:
    story = minute["plain"]
    (mail,) = minute.system.mail.to(story.app.email)
    (push,) = minute.system.push.to(story.endpoint)
    assert "Secretamol" not in mail.raw
    assert "Secretamol" not in push.text


async def test_neither_logs_nor_redis_know_names_or_addresses(minute: Minute) -> None:
    secret = [story.app.email for story in minute.stories.values()] + ["Secretamol", "Mother"]
    logs = "\n".join(minute.system.logs().values())
    stored = await minute.system.redis_dump()
    assert "delivery." in logs
    assert "occurrence_id" in stored
    assert [word for word in secret if word in logs] == []
    assert [word for word in secret if word in stored] == []


async def test_a_medication_on_hold_sends_nothing(minute: Minute) -> None:
    story = minute["held"]
    assert minute.system.mail.to(story.app.email) == []
    assert minute.system.push.to(story.endpoint) == []
    assert await story.states() == {}
    assert (await story.occurrence())["state"] == "on_hold"


async def test_a_dose_taken_early_sends_nothing(minute: Minute) -> None:
    story = minute["early"]
    assert minute.system.mail.to(story.app.email) == []
    assert minute.system.push.to(story.endpoint) == []
    assert (await story.occurrence())["state"] == "taken"


async def test_a_mail_refused_twice_for_now_is_sent_at_the_third_attempt(minute: Minute) -> None:
    story = minute["greylisted"]
    (mail,) = minute.system.mail.to(story.app.email)
    (row,) = [row for row in await story.deliveries() if row["channel"] == "email"]
    assert (row["state"], row["attempts"]) == ("sent", 3)
    # Backoff from a base of 2 s with a fifth of jitter: at least 1.6 s and 3.2 s.
    assert mail.received_at >= minute.due_at + timedelta(seconds=4.8)


async def test_an_address_that_does_not_exist_is_flagged_and_the_push_still_goes(minute: Minute) -> None:
    story = minute["refused"]
    assert await story.states() == {"email": "failed", "push": "sent"}
    assert minute.system.mail.to(story.app.email) == []
    assert (await story.app.get("/me"))["email_undeliverable_at"] is not None


async def test_a_subscription_that_is_gone_is_forgotten_and_the_mail_still_goes(minute: Minute) -> None:
    story = minute["unsubscribed"]
    assert await story.states() == {"email": "sent", "push": "failed"}
    assert (await story.app.get("/push-subscriptions"))["items"] == []
    assert len(minute.system.mail.to(story.app.email)) == 1
