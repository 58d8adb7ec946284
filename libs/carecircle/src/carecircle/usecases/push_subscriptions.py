"""Push subscriptions: which browsers of an account show its reminders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.exc import IntegrityError

from carecircle.db.base import new_id
from carecircle.db.push_subscriptions import (
    PushSubscription,
    live_subscription_at,
    live_subscriptions,
    own_subscription,
)
from carecircle.domain.errors import LimitReached, NotFound
from carecircle.domain.push_endpoint import check_endpoint
from carecircle.domain.push_keys import check_auth_secret, check_public_key

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.usecases.access import Actor

MAX_SUBSCRIPTIONS = 20


@dataclass(frozen=True, slots=True)
class NewSubscription:
    """What a browser's `PushSubscription.toJSON()` says."""

    endpoint: str
    p256dh: str
    auth: str


async def subscribe(
    session: AsyncSession,
    actor: Actor,
    new: NewSubscription,
    now: datetime,
    *,
    extra_origins: Collection[str] = (),
) -> tuple[PushSubscription, bool]:
    """The account's subscription with this endpoint, and whether it is new.

    A browser that somebody else used before shows the new account's reminders only: the old row ends, so that
    nothing meant for the other account reaches it.
    """
    checked = _checked(new, extra_origins)
    held = await live_subscription_at(session, checked.endpoint)
    if held is not None and held.account_id == actor.account_id:
        held.p256dh, held.auth = checked.p256dh, checked.auth
        return held, False
    if held is not None:
        held.gone_at = now
        await session.flush()
    if len(await live_subscriptions(session, actor.account_id)) >= MAX_SUBSCRIPTIONS:
        raise LimitReached
    return await _add(session, actor, checked)


async def list_subscriptions(session: AsyncSession, actor: Actor) -> list[PushSubscription]:
    return await live_subscriptions(session, actor.account_id)


async def unsubscribe(session: AsyncSession, actor: Actor, subscription_id: UUID, now: datetime) -> None:
    subscription = await own_subscription(session, actor.account_id, subscription_id)
    if subscription is None:
        raise NotFound
    subscription.gone_at = now


def _checked(new: NewSubscription, extra_origins: Collection[str]) -> NewSubscription:
    check_endpoint(new.endpoint, extra_origins)
    return NewSubscription(new.endpoint, check_public_key(new.p256dh), check_auth_secret(new.auth))


async def _add(session: AsyncSession, actor: Actor, new: NewSubscription) -> tuple[PushSubscription, bool]:
    row = PushSubscription(
        id=new_id(), account_id=actor.account_id, endpoint=new.endpoint, p256dh=new.p256dh, auth=new.auth
    )
    try:
        async with session.begin_nested():
            session.add(row)
    except IntegrityError:  # the same browser sent it twice at once; the other request was first
        held = await live_subscription_at(session, new.endpoint)
        if held is None or held.account_id != actor.account_id:
            raise
        return held, False
    return row, True
