"""Short ways to write plans and instants down in tables of cases."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from carecircle.domain.schedule import CalendarRule, Dose, SchedulePlan, Weekday, ZonePolicy

if TYPE_CHECKING:
    from collections.abc import Callable


def calendar_plan(
    times: str, *, zone: str | None = None, days: str | None = None, start: str = "2026-01-01", end: str | None = None
) -> SchedulePlan:
    """`calendar_plan("08:00 20:00", days="mon wed")`."""
    rule = CalendarRule(
        tuple(time.fromisoformat(at) for at in times.split()),
        None if days is None else frozenset(Weekday(day) for day in days.split()),
    )
    return SchedulePlan(
        rule=rule,
        start_date=date.fromisoformat(start),
        end_date=None if end is None else date.fromisoformat(end),
        zone=zone,
        zone_policy=ZonePolicy.FOLLOW,
        dose=Dose(Decimal(1), "tablet"),
    )


@pytest.fixture
def make_plan() -> Callable[..., SchedulePlan]:
    return calendar_plan
