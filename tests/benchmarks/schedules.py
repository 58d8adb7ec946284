"""How fast the engine says what is due in the next 30 days, beside dateutil's rrule on the same rules, in one run.

    .venv/bin/python tests/benchmarks/schedules.py [--schedules 5000] [--rounds 7]

Each round has another instant as its "now", over a year, and schedules twice a day at times of their own, in any IANA
zone: what a planner asks. Nothing of a schedule's doses is kept between two questions; the zones' changes of
clocks are (read before, and timed).

Both say the same instants (checked). dateutil yields wall-clock times; reminders need UTC, so that is compared as
well. All times are CPU time of this process, the two take turns, and what is printed are medians of the rounds.
With `recurring-ical-events` installed, it takes part with fewer schedules, as it takes longer.
"""

from __future__ import annotations

import argparse
import random
import sys
import time as clock
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from importlib.util import find_spec
from statistics import median
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from dateutil.rrule import DAILY, rrule

from carecircle.domain.schedule import CalendarRule, Dose, SchedulePlan, ZonePolicy, occurrences, sheets
from carecircle.domain.zones import place_zones, steady_offset

if TYPE_CHECKING:
    from collections.abc import Callable

ZONES = sorted(place_zones())
MONTH = timedelta(days=30)
WANTED = 10
FEWER = 200
"""So many times fewer schedules for what takes long."""


@dataclass(frozen=True)
class Case:
    plan: SchedulePlan
    zone: ZoneInfo
    hours: tuple[int, int]
    minute: int
    now: datetime


def cases(number: int, now: datetime, chance: random.Random) -> list[Case]:
    return [case(now, chance) for _ in range(number)]


def case(now: datetime, chance: random.Random) -> Case:
    # The same minute twice a day: dateutil crosses hours with minutes, so it needs one rule for that, not two. No
    # clock changes at these hours, as dateutil has another mind about times that do not exist.
    name, hours, minute = (
        chance.choice(ZONES),
        (chance.randrange(5, 12), chance.randrange(16, 22)),
        chance.randrange(60),
    )
    plan = SchedulePlan(
        rule=CalendarRule((time(hours[0], minute), time(hours[1], minute))),
        start_date=date(2020, 1, 1),
        end_date=None,
        zone=name,
        zone_policy=ZonePolicy.FOLLOW,
        dose=Dose(Decimal(chance.randrange(1, 4)), "tablet"),
    )
    return Case(plan, ZoneInfo(name), hours, minute, now)


def due_times(one: Case) -> int:
    return sum(len(sheet.due_at()) for sheet in sheets(one.plan, zone="UTC", valid_from=one.now, until=one.now + MONTH))


def all_columns(one: Case) -> int:
    doses = 0
    for sheet in sheets(one.plan, zone="UTC", valid_from=one.now, until=one.now + MONTH):
        sheet.nominal_local(), sheet.missed_at(), sheet.note(), sheet.dose()
        doses += len(sheet.due_at())
    return doses


def one_by_one(one: Case) -> int:
    return len(list(occurrences(one.plan, zone="UTC", valid_from=one.now, until=one.now + MONTH)))


def a_day(one: Case) -> int:
    return sum(
        len(sheet.due_at())
        for sheet in sheets(one.plan, zone="UTC", valid_from=one.now, until=one.now + timedelta(days=1))
    )


def dateutils(one: Case) -> rrule:
    here = one.now.astimezone(one.zone)
    end = (one.now + MONTH).astimezone(one.zone)
    return rrule(DAILY, dtstart=here, until=end, byhour=one.hours, byminute=one.minute, bysecond=0)


def dateutil_wall(one: Case) -> int:
    return len(list(dateutils(one)))


def dateutil_utc(one: Case) -> int:
    return len([at.astimezone(UTC) for at in dateutils(one)])


def calendar_of(one: Case) -> object:
    from icalendar import Calendar, Event

    event = Event()
    event.add("dtstart", one.now.astimezone(one.zone).replace(hour=one.hours[0], minute=one.minute))
    event.add("rrule", {"freq": "daily", "byhour": one.hours, "byminute": one.minute, "bysecond": 0})
    calendar = Calendar()
    calendar.add_component(event)
    return calendar


def recurring_ical_events(one: Case) -> int:
    import recurring_ical_events as recurring

    return len(recurring.of(calendar_of(one)).between(one.now, one.now + MONTH))


def check(population: list[Case]) -> None:
    for one in population[::10]:
        found = occurrences(one.plan, zone="UTC", valid_from=one.now, until=one.now + MONTH)
        ours, theirs = [dose.due_at for dose in found], [at.astimezone(UTC) for at in dateutils(one)]
        assert ours == theirs, (one.zone, one.hours, one.minute, one.now)


def rate(ask: Callable[[Case], int], population: list[Case]) -> float:
    """Doses a second of CPU time."""
    begin = clock.process_time()
    doses = sum(ask(one) for one in population)
    return doses / (clock.process_time() - begin)


CONTESTANTS: dict[str, Callable[[Case], int]] = {
    "due times": due_times,
    "dateutil, wall clock": dateutil_wall,
    "all columns of rows": all_columns,
    "dateutil, UTC": dateutil_utc,
    "doses one by one": one_by_one,
    "due times of one day": a_day,
}


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--schedules", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    chance = random.Random(4)  # noqa: S311 - the same schedules on each run
    begin = clock.process_time()
    for name in ZONES:
        for year in (2026, 2027):
            steady_offset(date(year, 6, 1), ZoneInfo(name))
    say(f"reading the changes of clocks of {len(ZONES)} zones: {(clock.process_time() - begin) * 1000:.0f} ms, once")
    contestants = dict(CONTESTANTS)
    if find_spec("recurring_ical_events"):
        contestants["recurring-ical-events"] = recurring_ical_events
    rates: dict[str, list[float]] = defaultdict(list)
    for number in range(options.rounds):
        now = datetime(2026, 2, 1, tzinfo=UTC) + timedelta(
            minutes=chance.randrange(60 * 24), seconds=30, days=37 * number
        )
        population = cases(options.schedules, now, chance)
        for contestant, ask in contestants.items():
            few = population[:: FEWER if ask is recurring_ical_events else 1]
            rates[contestant].append(rate(ask, few))
        check(population)
    wall, utc = rates["dateutil, wall clock"], rates["dateutil, UTC"]
    say(f"{'':24}{'doses/s':>12}{'x dateutil':>14}{'x dateutil, UTC':>18}")
    for contestant, found in rates.items():
        ratios = (median(mine / theirs for mine, theirs in zip(found, other, strict=True)) for other in (wall, utc))
        say(f"{contestant:24}{median(found):12,.0f}" + "{:14.1f}{:18.1f}".format(*ratios))
    reached = median(mine / theirs for mine, theirs in zip(rates["due times"], utc, strict=True))
    return 0 if reached >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
