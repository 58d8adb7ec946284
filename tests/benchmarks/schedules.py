"""How fast the engine says what is due in 30 days, beside dateutil's rrule on the same zoned rules, in one run.

    .venv/bin/python tests/benchmarks/schedules.py [--schedules 200]

Each of the schedules has its own two times of day, zone and dose. "Asked again" is what pages and previews do all day:
the engine keeps the sheets of a schedule that it worked out. "First time" throws them away before each question. "The
planner's" question is the next 48 hours, which keeps nothing. dateutil gives wall-clock times; once with the step to
UTC, which reminders need, and once without, in its favour.
"""

from __future__ import annotations

import argparse
import random
import sys
import time as clock
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from dateutil.rrule import DAILY, rrule

from carecircle.domain import schedule as engine
from carecircle.domain.schedule import CalendarRule, Dose, SchedulePlan, ZonePolicy, occurrences

if TYPE_CHECKING:
    from collections.abc import Callable

ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Sydney", "America/Sao_Paulo", "UTC")
MONTH = timedelta(days=30)
ROUNDS = 5
WANTED = 10


@dataclass(frozen=True)
class Case:
    plan: SchedulePlan
    zone: ZoneInfo
    since: datetime

    @property
    def times(self) -> tuple[time, ...]:
        rule = self.plan.rule
        assert isinstance(rule, CalendarRule)
        return rule.times


def cases(number: int) -> list[Case]:
    chance = random.Random(4)  # noqa: S311 - the same schedules on each run
    return [case(chance) for _ in range(number)]


def case(chance: random.Random) -> Case:
    name = chance.choice(ZONES)
    times = (time(chance.randrange(5, 11), chance.choice((0, 15, 30))), time(chance.randrange(17, 23)))
    plan = SchedulePlan(
        rule=CalendarRule(times),
        start_date=date(2026, 1, 1),
        end_date=None,
        zone=name,
        zone_policy=ZonePolicy.FOLLOW,
        dose=Dose(Decimal(chance.randrange(1, 4)), "tablet"),
    )
    since = datetime(2026, 1, 10, tzinfo=UTC) + timedelta(hours=chance.randrange(300 * 24))
    return Case(plan, ZoneInfo(name), since)


def ours(one: Case) -> int:
    return len(list(occurrences(one.plan, zone="UTC", valid_from=one.since, until=one.since + MONTH)))


def ours_first_time(one: Case) -> int:
    engine._book.cache_clear()
    return ours(one)


def ours_planning(one: Case) -> int:
    found = occurrences(one.plan, zone="UTC", valid_from=one.since, until=one.since + timedelta(hours=48))
    return len(list(found))


def dateutils(one: Case) -> rrule:
    first, second = one.times
    start = one.since.astimezone(one.zone).replace(hour=0, minute=0, second=0, microsecond=0)
    hours, minutes = sorted({first.hour, second.hour}), sorted({first.minute, second.minute})
    if len(minutes) == 1:
        return rrule(DAILY, dtstart=start, byhour=hours, byminute=minutes, bysecond=0, count=60)
    # dateutil would cross hours with minutes: two times that differ in both are asked for as on the full hour.
    return rrule(DAILY, dtstart=start, byhour=hours, byminute=0, bysecond=0, count=60)


def dateutil_wall(one: Case) -> int:
    return len(list(dateutils(one)))


def dateutil_utc(one: Case) -> int:
    return len([at.astimezone(UTC) for at in dateutils(one)])


def rate(ask: Callable[[Case], int], population: list[Case]) -> float:
    """Doses a second, of the best of some rounds."""
    best = 0.0
    for _ in range(ROUNDS):
        begin = clock.perf_counter()
        doses = sum(ask(one) for one in population)
        best = max(best, doses / (clock.perf_counter() - begin))
    return best


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--schedules", type=int, default=200)
    population = cases(parser.parse_args().schedules)
    for one in population:
        ours(one)
    wall, utc = rate(dateutil_wall, population), rate(dateutil_utc, population)
    print(f"{'':24}{'doses/s':>12}{'x dateutil':>14}{'x dateutil, UTC':>18}")  # noqa: T201 - it is a report
    asked_again = 0.0
    for name, ask in (("asked again", ours), ("first time", ours_first_time), ("the planner's 48 h", ours_planning)):
        found = rate(ask, population)
        asked_again = asked_again or found / wall
        print(f"{name:24}{found:12,.0f}{found / wall:14.1f}{found / utc:18.1f}")  # noqa: T201
    print(f"{'dateutil, wall clock':24}{wall:12,.0f}\n{'dateutil, UTC':24}{utc:12,.0f}")  # noqa: T201
    return 0 if asked_again >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
