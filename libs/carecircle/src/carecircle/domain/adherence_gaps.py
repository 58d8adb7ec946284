"""The longest time without a dose of one medication, planned breaks left out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from carecircle.domain.adherence import NOT_TAKEN, DueDose
from carecircle.domain.calendar_rule import CalendarRule, Cycle
from carecircle.domain.occurrence import OccurrenceState
from carecircle.domain.zones import instant_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from zoneinfo import ZoneInfo

    from carecircle.domain.schedule import SchedulePlan

END_OF_TIME = datetime.max.replace(tzinfo=UTC)
DAY = timedelta(days=1)


class Break(NamedTuple):
    """A stretch in which no dose was wanted: since inclusive, until exclusive."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without a dose."""

    since: datetime
    until: datetime
    length: timedelta
    """Elapsed time from `since` to `until`, less the planned breaks in it."""
    not_taken: int
    """Doses due in it, its ends included, that were skipped or missed."""
    unknown: int
    """Doses due in it of which nobody knows: the gap may be shorter than it looks."""
    began_taken: bool
    """A dose was taken at `since`; if not, it is the first dose of the period that was not taken."""
    ended_taken: bool
    """A dose was taken at `until`; if not, it is the last one that was not taken: the gap may go on."""


def longest_gap(doses: Iterable[DueDose], breaks: Iterable[Break] = ()) -> Gap | None:
    """The longest time without a dose of one medication, the first of several. None: it has no two ends.

    `breaks`: planned ones that cannot be seen in the doses, such as the days off of a cycle. Doses on hold are seen.
    """
    ordered = sorted(doses, key=lambda dose: dose.due_at)
    taken = sorted(dose.taken_at for dose in ordered if _is_taken(dose) and dose.taken_at is not None)
    not_taken = [dose.due_at for dose in ordered if dose.state in NOT_TAKEN]
    off = _merged([*breaks, *holds(ordered)])
    found = max(
        pairwise(_ends(taken, not_taken)), key=lambda ends: (_length(*ends, off), -ends[0].timestamp()), default=None
    )
    if found is None:
        return None
    since, until = found
    return Gap(
        since,
        until,
        _length(since, until, off),
        not_taken=sum(since <= at <= until for at in not_taken),
        unknown=sum(since <= dose.due_at <= until for dose in ordered if dose.state is OccurrenceState.UNKNOWN),
        began_taken=bool(taken) and since >= taken[0],
        ended_taken=bool(taken) and until <= taken[-1],
    )


def holds(ordered: Sequence[DueDose]) -> list[Break]:
    """The pauses: from the first dose on hold to the next one that is not, in the order they are due."""
    found: list[Break] = []
    begun: datetime | None = None
    for dose in ordered:
        if dose.state is OccurrenceState.ON_HOLD:
            begun = begun or dose.due_at
        elif begun is not None and dose.state is not OccurrenceState.CANCELLED:
            found.append(Break(begun, dose.due_at))
            begun = None
    return found if begun is None else [*found, Break(begun, END_OF_TIME)]


def days_off(plans: Sequence[SchedulePlan], first: date, last: date, zone: ZoneInfo) -> list[Break]:
    """The days off of cycles (21 on, 7 off) in a period of local dates, as breaks from midnight to midnight.

    `plans`: of one medication. A day is off if every plan that runs on it has it off.
    """
    days = (date.fromordinal(number) for number in range(first.toordinal(), last.toordinal() + 1))
    midnights = [(_midnight(day, zone), _midnight(day + DAY, zone)) for day in days if _is_off(plans, day)]
    return _merged([Break(*ends) for ends in midnights])


def _is_off(plans: Sequence[SchedulePlan], day: date) -> bool:
    running = [plan for plan in plans if plan.start_date <= day and (plan.end_date is None or day <= plan.end_date)]
    return bool(running) and all(_has_off(plan, day) for plan in running)


def _has_off(plan: SchedulePlan, day: date) -> bool:
    cycle: Cycle | None = plan.rule.cycle if isinstance(plan.rule, CalendarRule) else None
    return cycle is not None and (day - plan.start_date).days % (cycle.on + cycle.off) >= cycle.on


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return instant_of(datetime.combine(day, time.min), zone)


def _is_taken(dose: DueDose) -> bool:
    return dose.state is OccurrenceState.TAKEN


def _ends(taken: list[datetime], not_taken: list[datetime]) -> list[datetime]:
    """What gaps reach from and to: doses taken, and what was not taken before the first and after the last of them."""
    if not taken:
        return not_taken[:1] + not_taken[-1:] if len(not_taken) > 1 else []
    before = [at for at in not_taken[:1] if at < taken[0]]
    after = [at for at in not_taken[-1:] if at > taken[-1]]
    return [*before, *taken, *after]


def _merged(breaks: Iterable[Break]) -> list[Break]:
    merged: list[Break] = []
    for one in sorted(breaks):
        if merged and one.since <= merged[-1].until:
            merged[-1] = Break(merged[-1].since, max(merged[-1].until, one.until))
        else:
            merged.append(one)
    return merged


def _length(since: datetime, until: datetime, off: list[Break]) -> timedelta:
    inside = (min(one.until, until) - max(one.since, since) for one in off)
    return until - since - sum((length for length in inside if length > timedelta(0)), timedelta(0))
