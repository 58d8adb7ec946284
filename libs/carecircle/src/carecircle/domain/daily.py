"""The doses of every date at the same times: what most schedules are, so they are not walked dose by dose.

While the clocks stand still, everything is counted in seconds. The result is that of walking day by day (a test
compares them).
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import date, timedelta
from functools import lru_cache
from operator import sub
from typing import TYPE_CHECKING, NamedTuple

from carecircle.domain.sheet import DAY, MOST_DAYS, ListedSheet, PlannedDose, SteadySheet, instant, seconds_until
from carecircle.domain.slots import slots_on
from carecircle.domain.windows import missed_at, wait
from carecircle.domain.zones import stretch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import time
    from zoneinfo import ZoneInfo

    from carecircle.domain.dose import Dose
    from carecircle.domain.sheet import Sheet


class Daily(NamedTuple):
    """The same times of day, on every date of a zone."""

    times: tuple[time, ...]
    """Sorted."""
    place: ZoneInfo
    dose: Dose
    missed_after: timedelta | None


class Piece(NamedTuple):
    """The doses of some neighbouring dates; there are some."""

    first_due: int
    sheet: Sheet | None
    """Those that were asked for; None: none of them."""
    over: bool
    """Whether one of the doses is too late to be asked for, so that the pieces after this one do not matter."""


def daily_sheets(daily: Daily, first: int, end: int, begin: int, until: int) -> Iterator[Sheet]:
    """The doses due in [begin, until), which are instants in seconds as by `seconds_until`.

    They are among those of the dates in [first, end), given by their ordinals; after these there are no doses.
    """
    waiting: Sheet | None = None
    for piece in _pieces(daily, first, end, begin, until):
        if waiting is not None:
            yield waiting.before(instant(piece.first_due), daily.missed_after)
            waiting = None
        if piece.over:
            if piece.sheet is not None:
                yield piece.sheet
            return
        waiting = piece.sheet
    if waiting is not None:
        yield waiting.before(None, daily.missed_after)


def _pieces(daily: Daily, first: int, end: int, begin: int, until: int) -> Iterator[Piece]:
    pattern = _pattern(daily.times, daily.missed_after)
    day = first
    while day < end:
        steady = stretch(day, daily.place)
        if steady.offset is None:
            if (piece := _odd_day(daily, day, begin, until)) is not None:
                yield piece
            day += 1
            continue
        days = min(steady.end, end, day + MOST_DAYS) - day
        midnight = day * DAY - steady.offset
        start, stop = _due_before(begin, midnight, days, pattern), _due_before(until, midnight, days, pattern)
        sheet = None
        if start < stop:
            passed, turn = divmod(start, pattern.times)
            seconds, waits = pattern.turned[turn]
            sheet = SteadySheet(day + passed, seconds, waits, steady.offset, stop - start, daily.place.key, daily.dose)
        yield Piece(midnight + pattern.turned[0][0][0], sheet, over=stop < days * pattern.times)
        day += days


class Pattern(NamedTuple):
    """The times of a day in seconds after midnight, and how long after each a dose is missed on a steady day."""

    times: int
    """How many."""
    turned: tuple[tuple[tuple[int, ...], tuple[timedelta, ...]], ...]
    """From each of the times on: those before it are the next day's."""


@lru_cache(maxsize=4096)
def _pattern(times: tuple[time, ...], missed_after: timedelta | None) -> Pattern:
    today = [3600 * at.hour + 60 * at.minute for at in times]
    seconds = [*today, *(at + DAY for at in today)]
    waits = [missed_after or wait(timedelta(seconds=gap)) for gap in map(sub, seconds[1:], today)] * 2
    size = len(times)
    turned = ((tuple(seconds[n : n + size]), tuple(waits[n : n + size])) for n in range(size))
    return Pattern(size, tuple(turned))


def _due_before(at: int, midnight: int, days: int, pattern: Pattern) -> int:
    """How many of these dates' doses are due before an instant; `midnight` is the first one's."""
    passed = at - midnight
    if passed <= 0:
        return 0
    if passed >= days * DAY:
        return days * pattern.times
    whole, rest = divmod(passed, DAY)
    return whole * pattern.times + bisect_left(pattern.turned[0][0], rest)


def _odd_day(daily: Daily, day: int, begin: int, until: int) -> Piece | None:
    """A date on which the clocks may change. It may have no doses at all."""
    slots = slots_on(date.fromordinal(day), daily.times, daily.place)
    if not slots:
        return None
    due = [slot.due_at for slot in slots]
    after, before = (bisect_left(due, instant(at)) for at in (begin, until))
    doses: list[PlannedDose] = []
    for slot in slots[after:before]:
        next_due = next((at for at in due if at > slot.due_at), None)
        missed = missed_at(slot.due_at, next_due, daily.missed_after)
        doses.append(PlannedDose(slot.nominal_local, daily.place.key, slot.due_at, missed, slot.note, daily.dose))
    return Piece(seconds_until(due[0]), ListedSheet(doses) if doses else None, over=before < len(due))
