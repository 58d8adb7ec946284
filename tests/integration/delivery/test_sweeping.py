"""What nobody acted on until its window ended."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from carecircle.db.deliveries import Delivery
from carecircle.db.occurrences import OccurrenceRow
from carecircle.usecases.sweeping import sweep

if TYPE_CHECKING:
    from carecircle.channels import ChannelSpec

pytestmark = pytest.mark.postgres

HOUR = timedelta(hours=1)
OVER = {"due": -2 * HOUR, "window": HOUR}


@pytest.mark.parametrize(
    ("delivery", "state", "reason"),
    [
        ({"state": "sent"}, "missed", None),
        ({"state": "ambiguous"}, "missed", None),
        ({"state": "handoff"}, "missed", None),
        ({"state": "cancelled", "ambiguous": 1}, "missed", None),
        ({"state": "failed"}, "unknown", "not_reminded"),
        ({"state": "retry"}, "unknown", "not_reminded"),
        ({"state": "sent", "kind": "answered"}, "unknown", "not_reminded"),
        (None, "unknown", "not_reminded"),
    ],
)
async def test_a_dose_is_missed_only_if_somebody_was_reminded(
    world: Any, channels: dict[str, ChannelSpec], delivery: dict[str, Any] | None, state: str, reason: str | None
) -> None:
    occurrence_id = await world.occurrence(state="due", **OVER)
    if delivery is not None:
        await world.delivery(occurrence_id, **delivery)

    swept = await sweep(world.database, channels)

    row = await world.get(OccurrenceRow, occurrence_id)
    assert (row.state, row.reason) == (state, reason)
    assert (swept.missed, swept.unknown) == (int(state == "missed"), int(state == "unknown"))


@pytest.mark.parametrize("state", ["taken", "skipped", "on_hold", "cancelled", "missed"])
async def test_a_dose_that_took_its_course_is_left(world: Any, channels: dict[str, ChannelSpec], state: str) -> None:
    occurrence_id = await world.occurrence(state=state, **OVER)

    assert (await sweep(world.database, channels)).missed == 0
    assert (await world.get(OccurrenceRow, occurrence_id)).state == state


async def test_a_dose_whose_window_lasts_is_left(world: Any, channels: dict[str, ChannelSpec]) -> None:
    occurrence_id = await world.occurrence(due=-HOUR, window=2 * HOUR)

    await sweep(world.database, channels)
    assert (await world.get(OccurrenceRow, occurrence_id)).state == "planned"


async def test_sweeps_at_once_count_every_dose_once(world: Any, channels: dict[str, ChannelSpec]) -> None:
    for _ in range(7):
        await world.occurrence(**OVER)

    swept = await asyncio.gather(*(sweep(world.database, channels) for _ in range(3)))
    assert sum(one.unknown for one in swept) == 7


@pytest.mark.parametrize(
    ("before", "state", "outcome"),
    [
        ({"state": "pending"}, "expired", "expired"),
        ({"state": "retry", "outcome": "smtp_451"}, "expired", "smtp_451"),
        ({"state": "retry", "outcome": "smtp_451", "ambiguous": 1}, "ambiguous", "smtp_451"),
        ({"state": "claimed", "lease": -1}, "expired", "expired"),
        ({"state": "handoff", "lease": -1}, "ambiguous", "expired"),
        ({"state": "handoff", "lease": 30}, "handoff", None),
        ({"state": "sent", "outcome": "sent"}, "sent", "sent"),
    ],
)
async def test_a_delivery_past_its_window_ends(
    world: Any, channels: dict[str, ChannelSpec], before: dict[str, Any], state: str, outcome: str | None
) -> None:
    if lease := before.pop("lease", None):
        before["lease_until"] = world.now + timedelta(seconds=lease)
    delivery_id = await world.due_delivery(expires_at=world.now - HOUR, **before)

    swept = await sweep(world.database, channels)

    row = await world.get(Delivery, delivery_id)
    assert (row.state, row.outcome) == (state, outcome)
    assert len(swept.deliveries) == (row.state != before["state"])
