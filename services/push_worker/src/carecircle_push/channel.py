"""The push channel: which browsers it reaches, what it shows, and how a dead subscription is remembered."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING

from carecircle.channels import ChannelSpec, MessageFacts, Undeliverable
from carecircle.db.accounts import Account
from carecircle.db.push_subscriptions import PushSubscription, live_subscriptions
from carecircle.delivery import rendering
from carecircle.delivery.wording import occurrence_url, plain, supply_url
from carecircle.domain.delivery import Kind
from carecircle_push.message import PushMessage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.domain.delivery import Outcome
    from carecircle_push.provider import PushProvider

MAX_PAYLOAD = 2700
"""Bytes. The smallest limit among the services, for messages that one service hands on to another."""
TITLE_LENGTH = 100
BODY_LENGTHS = (400, 100, 0)
TOPIC_LENGTH = 32


async def targets(session: AsyncSession, account_id: UUID) -> Sequence[UUID]:
    """Every browser that is subscribed, if the account wants push."""
    account = await session.get(Account, account_id)
    if account is None or not account.push_enabled:
        return []
    return [subscription.id for subscription in await live_subscriptions(session, account_id)]


CHANNEL = ChannelSpec(name="push", targets=targets, replaces=True)


class PushChannel:
    """The sending side, one a worker process."""

    def __init__(self, provider: PushProvider, app_url: str | None) -> None:
        self._provider = provider
        self._app_url = app_url

    @property
    def spec(self) -> ChannelSpec:
        return CHANNEL

    async def compose(self, session: AsyncSession, facts: MessageFacts) -> PushMessage:
        """The message for this browser as it is subscribed at this moment. Raises `Undeliverable`."""
        subscription = await session.get(PushSubscription, facts.target_id)
        if subscription is None or subscription.gone_at is not None:
            raise Undeliverable("target_gone")
        account = await session.get(Account, subscription.account_id)
        if account is None or not account.push_enabled:
            raise Undeliverable("channel_off")
        return PushMessage(
            endpoint=subscription.endpoint,
            p256dh=subscription.p256dh,
            auth=subscription.auth,
            payload=payload(facts, self._url(facts)),
            topic=topic(facts.occurrence_id),
            urgency="high" if facts.kind == Kind.DUE else "normal",
            window_end=facts.expires_at,
        )

    def _url(self, facts: MessageFacts) -> str | None:
        if facts.supply is not None:
            return supply_url(self._app_url, facts.supply.patient_id)
        return occurrence_url(self._app_url, facts.occurrence_id)

    async def send(self, message: PushMessage) -> Outcome:
        return await self._provider.send(message)

    async def mark_gone(self, session: AsyncSession, target_id: UUID, now: datetime) -> None:
        """The push service said that this subscription has ended."""
        subscription = await session.get(PushSubscription, target_id)
        if subscription is not None and subscription.gone_at is None:
            subscription.gone_at = now


def payload(facts: MessageFacts, url: str | None) -> bytes:
    """The plaintext that the service worker of the page gets. One notification a dose: `tag` is the dose.

    Of a message about supplies it is the notice.
    """
    for length in BODY_LENGTHS:
        made = json.dumps(
            {
                "title": plain(rendering.title(facts), TITLE_LENGTH),
                "body": plain(rendering.body(facts), length) if length else "",
                "tag": str(facts.occurrence_id),
                "renotify": alerts_again(facts),
                "url": url,
                "occurrence_id": str(facts.occurrence_id) if facts.supply is None else None,
                "kind": facts.kind,
            },
            ensure_ascii=False,
            separators=(",", ":"),
        ).encode("utf-8")
        if len(made) <= MAX_PAYLOAD:
            return made
    raise ValueError(f"the app's URL is too long for a push message of {MAX_PAYLOAD} bytes")


def alerts_again(facts: MessageFacts) -> bool:
    """Whether it sounds although a notification with this tag is shown.

    A repeated attempt at the first reminder does not: if something is shown, it is the same message. A snooze's
    repeat does, at every attempt: what is shown is the reminder before it.
    """
    return facts.kind == Kind.DUE and (facts.attempt == 1 or facts.step > 0)


def topic(occurrence_id: UUID) -> str:
    """The dose, as RFC 8030 wants a topic: at most 32 characters of base64url. Hashed, as services can read it."""
    digest = hashlib.sha256(occurrence_id.bytes).digest()
    return base64.urlsafe_b64encode(digest).decode("ascii")[:TOPIC_LENGTH]
