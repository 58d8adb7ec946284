"""What a worker reads before it sends: of a message about a dose, or of one about supplies."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from carecircle.db.facts import DeliveryFacts, delivery_facts
from carecircle.db.supply_alerts import SupplyDelivery, supply_delivery
from carecircle.delivery.message import message_facts, unwanted
from carecircle.delivery.supply_message import supply_message_facts, unwanted_supply
from carecircle.domain.delivery import DIGEST_SETTLING, Kind

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.channels import MessageFacts
    from carecircle.db.claims import Claim
    from carecircle.domain.occurrence import SkipReason

Read: TypeAlias = DeliveryFacts | SupplyDelivery


async def read_delivery(session: AsyncSession, held: Claim) -> Read | None:
    """Everything as it is now. None: the row, or what it is about, is gone."""
    if held.about_supply:
        return await supply_delivery(session, held.delivery_id)
    return await delivery_facts(session, held.delivery_id)


def why_unwanted(read: Read | None) -> SkipReason | None:
    """Why this message is not to be sent now; None when it is."""
    return unwanted_supply(read) if isinstance(read, SupplyDelivery) else unwanted(read)


async def facts_for_channel(session: AsyncSession, read: Read) -> MessageFacts:
    """What the message may say."""
    return supply_message_facts(read) if isinstance(read, SupplyDelivery) else await message_facts(session, read)


def wanted_at(read: Read) -> datetime:
    """When the message was to go out."""
    if isinstance(read, SupplyDelivery):
        return read.delivery.created_at
    match read.delivery.kind:
        case Kind.DUE:
            return read.dose.occurrence.remind_at
        case Kind.NOT_REMINDED:
            return read.delivery.created_at + DIGEST_SETTLING
        case _:
            return read.delivery.created_at
