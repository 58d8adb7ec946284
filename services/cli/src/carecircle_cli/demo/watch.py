"""Waits for the demo's first reminder on each channel, so that the person sees that it worked."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from carecircle_cli.demo.person import Person
from carecircle_cli.errors import CommandFailed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from carecircle_cli.demo.circle import Circle

LOOK_EVERY = 0.5
PATIENCE = timedelta(minutes=5)
BAD_ENDS = frozenset({"failed", "ambiguous", "expired"})


@dataclass(frozen=True, slots=True)
class Arrival:
    """The first delivery of a channel that has ended, one way or the other."""

    channel: str
    recipient: str
    sent: bool
    outcome: str
    after: timedelta
    """From when it was due."""


async def arrivals(api_url: str, circle: Circle, channels: Sequence[str]) -> AsyncGenerator[Arrival]:
    """The first of each channel, as they come; ends when all have, or when it is no use waiting on."""
    waiting = set(channels)
    async with Person(api_url, circle.state.owner, circle.state.password) as owner:
        await owner.enter("Anna", "UTC")
        await asyncio.sleep(max(0.0, (circle.due_at - datetime.now(UTC)).total_seconds()))
        while waiting and datetime.now(UTC) < circle.due_at + PATIENCE:
            for arrival in await _ended(owner, circle):
                if arrival.channel in waiting:
                    waiting.discard(arrival.channel)
                    yield arrival
            await asyncio.sleep(LOOK_EVERY)


async def _ended(owner: Person, circle: Circle) -> list[Arrival]:
    try:
        page = await owner.get(f"/patients/{circle.patient_id}/deliveries")
    except CommandFailed:
        return []  # the API is being restarted
    found = (_arrival(row, circle.due_at) for row in page["items"])
    return sorted((arrival for arrival in found if arrival is not None), key=lambda arrival: arrival.after)


def _arrival(row: dict[str, Any], due_at: datetime) -> Arrival | None:
    if datetime.fromisoformat(row["due_at"]) != due_at or not (row["sent_at"] or row["state"] in BAD_ENDS):
        return None
    ended = datetime.fromisoformat(row["sent_at"]) if row["sent_at"] else datetime.now(UTC)
    return Arrival(
        row["channel"], row["recipient"]["display_name"], bool(row["sent_at"]), row["outcome"] or "", ended - due_at
    )
