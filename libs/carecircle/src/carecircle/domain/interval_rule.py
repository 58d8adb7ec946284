"""Doses by the distance between them: every so many minutes, hours or days, from a start or from the last one taken."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from itertools import count, takewhile
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

from carecircle.domain.errors import Invalid
from carecircle.domain.routine import USUAL_ROUTINE, Routine
from carecircle.domain.slots import DAY, Slot, Span, slots_on
from carecircle.domain.times import local_date_time, wall_clock
from carecircle.domain.zones import instant_of, local_date, note_of, shown_at, zone_named

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORTEST_STEP = timedelta(minutes=5)
LONGEST_STEP = timedelta(days=366)


class TimeUnit(StrEnum):
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"


LENGTHS = {TimeUnit.MINUTE: timedelta(minutes=1), TimeUnit.HOUR: timedelta(hours=1), TimeUnit.DAY: DAY}


class IntervalMode(StrEnum):
    ELAPSED = "elapsed"
    """So much time, whatever the wall clock does."""
    WINDOWED = "windowed"
    """Elapsed steps inside a window of each day, from its opening."""
    CALENDAR = "calendar"
    """So many days, always at the wall-clock time of the start."""


class Anchor(StrEnum):
    START = "start"
    LAST_TAKEN = "last_taken"


@dataclass(frozen=True, slots=True)
class EveryTime:
    n: int
    unit: TimeUnit

    def __post_init__(self) -> None:
        if not 1 <= self.n <= LONGEST_STEP // LENGTHS[self.unit] or self.length < SHORTEST_STEP:
            raise Invalid("An interval is 5 minutes to 366 days.", field="every.n")

    @property
    def length(self) -> timedelta:
        return self.n * LENGTHS[self.unit]


@dataclass(frozen=True, slots=True)
class Window:
    """A part of each day, both ends inclusive. One that ends before it begins goes over midnight."""

    opens: time
    closes: time

    def __post_init__(self) -> None:
        if self.opens == self.closes:
            raise Invalid("The window has to end at another time than it begins.", field="window.to")

    def length(self) -> timedelta:
        """By the wall clock."""
        day = datetime.combine(date.min, self.closes) - datetime.combine(date.min, self.opens)
        return day if day > timedelta(0) else day + DAY


@dataclass(frozen=True, slots=True)
class IntervalRule:
    """Every n units. With the anchor `last_taken` each dose that was taken starts the count afresh; until one is
    taken, the doses go on as if the one before had been taken on time: silence never ends a schedule.
    """

    kind: ClassVar[str] = "interval"

    every: EveryTime
    start: datetime
    """Wall-clock, naive: the first dose, or for windows the earliest."""
    mode: IntervalMode = IntervalMode.ELAPSED
    anchor: Anchor = Anchor.START
    window: Window | None = None
    start_zone: str | None = None
    """The zone that `start` was meant in; None: the zone in force. A traveller's start does not move."""

    def __post_init__(self) -> None:
        if self.mode is IntervalMode.CALENDAR and self.every.unit is not TimeUnit.DAY:
            raise Invalid("By the calendar an interval is whole days; `elapsed` counts hours.", field="mode")
        if self.mode is IntervalMode.WINDOWED and self.window is None:
            raise Invalid(
                'A windowed interval needs its window, such as {"from":"09:00","to":"21:00"}.', field="window"
            )
        if self.mode is IntervalMode.WINDOWED and self.every.length >= DAY:
            raise Invalid("Inside a window of the day an interval is shorter than a day.", field="every")
        if self.mode is not IntervalMode.WINDOWED and self.window is not None:
            raise Invalid("A window goes with the mode `windowed`.", field="window")
        if self.start_zone is not None:
            zone_named(self.start_zone)

    @property
    def more_often_than_daily(self) -> bool:
        return self.every.length < DAY

    @property
    def follows_answers(self) -> bool:
        return self.anchor is Anchor.LAST_TAKEN

    @property
    def keeps_its_instants(self) -> bool:
        """Whether a change of the patient's zone leaves the doses where they are (R8)."""
        return self.mode is IntervalMode.ELAPSED

    def slots(self, span: Span) -> Iterator[Slot]:
        """Each taken dose answers the nearest slot; what comes after that one is counted from when it was taken."""
        since = instant_of(datetime.combine(span.first, time.min), span.zone)
        until = instant_of(datetime.combine(span.last + DAY, time.min), span.zone)
        for slot in self._chain(since, span):
            if slot.due_at >= until:
                return
            if slot.due_at >= since:
                yield slot

    def shortest_interval(self, start: date, routine: Routine = USUAL_ROUTINE) -> timedelta:
        del start, routine
        step = self.every.length
        if self.window is None:
            return step
        return min(step, DAY - self.window.length() // step * step)

    def falls_between(self, first: date, last: date) -> bool:
        return next(self.slots(Span(ZoneInfo("UTC"), first, last, first)), None) is not None

    def to_json(self) -> dict[str, Any]:
        window = self.window
        return {
            "every": {"n": self.every.n, "unit": self.every.unit},
            "start": self.start.isoformat(timespec="minutes"),
            "mode": self.mode,
            "anchor": self.anchor,
            "window": None if window is None else {"from": f"{window.opens:%H:%M}", "to": f"{window.closes:%H:%M}"},
            "start_zone": self.start_zone,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> IntervalRule:
        window: dict[str, str] | None = data.get("window")
        return cls(
            every=EveryTime(data["every"]["n"], TimeUnit(data["every"]["unit"])),
            start=local_date_time(data["start"], field="start"),
            mode=IntervalMode(data["mode"]),
            anchor=Anchor(data["anchor"]),
            window=None
            if window is None
            else Window(wall_clock(window["from"], field="window.from"), wall_clock(window["to"], field="window.to")),
            start_zone=data.get("start_zone"),
        )

    def _chain(self, since: datetime, span: Span) -> Iterator[Slot]:
        """Endless, in order. What is well before `since` may be left out."""
        restart: datetime | None = None
        for at in span.taken:
            if not self.is_answered_by(at, span.zone):
                continue
            yield from self._until_taken(restart, at, since, span)
            restart = self.resumes_at(at, span.zone)
        yield from self._series(restart, since, span)

    def _until_taken(self, restart: datetime | None, at: datetime, since: datetime, span: Span) -> Iterator[Slot]:
        """What was planned before a dose was taken at `at`: up to the slot that it answers, which may be the next."""
        step = self.every.length
        before = (restart or self._own_start(span.zone)) - step
        for slot in self._series(restart, min(since, at - 2 * step), span):
            if slot.due_at > at:
                if slot.due_at - at < at - before:
                    yield slot
                return
            yield slot
            before = slot.due_at

    def is_answered_by(self, at: datetime, zone: ZoneInfo) -> bool:
        """Whether a dose taken at `at` belongs to this series: not long before its start, as before an edit of it."""
        return self.follows_answers and at > self._own_start(zone) - self.every.length / 2

    def resumes_at(self, at: datetime, zone: ZoneInfo) -> datetime:
        """When the next dose is due after one was taken at `at`."""
        match self.mode:
            case IntervalMode.ELAPSED:
                return at + self.every.length
            case IntervalMode.CALENDAR:
                return instant_of(datetime.combine(local_date(at, zone) + self.every.length, self.start.time()), zone)
            case IntervalMode.WINDOWED:
                return self._inside_window(at + self.every.length, zone)

    def _inside_window(self, at: datetime, zone: ZoneInfo) -> datetime:
        """That instant if a window is open then, else the next opening."""
        day = local_date(at, zone) - DAY
        while at > (hours := self._hours(day, zone))[1]:
            day += DAY
        return max(at, hours[0])

    def _series(self, restart: datetime | None, since: datetime, span: Span) -> Iterator[Slot]:
        """The slots from `restart`, which is one, or from the rule's own start. Endless."""
        match self.mode:
            case IntervalMode.ELAPSED:
                return self._elapsed(restart, since, span.zone)
            case IntervalMode.CALENDAR:
                return self._dates(restart, since, span.zone)
            case IntervalMode.WINDOWED:
                return self._windows(restart, since, span.zone)

    def _elapsed(self, restart: datetime | None, since: datetime, zone: ZoneInfo) -> Iterator[Slot]:
        step, first = self.every.length, restart or self._own_start(zone)
        skipped = max(0, -((first - since) // step))
        if not skipped and restart is None and self.start_zone in {None, zone.key}:
            yield Slot(self.start, first, note_of(self.start, zone))
            skipped = 1
        for n in count(skipped):
            yield shown_slot(first + n * step, zone)

    def _dates(self, restart: datetime | None, since: datetime, zone: ZoneInfo) -> Iterator[Slot]:
        begin = (self.start.date() if restart is None else local_date(restart, zone)).toordinal()
        n = self.every.length.days
        skipped = max(0, (local_date(since, zone).toordinal() - begin) // n)
        for ordinal in count(begin + skipped * n, n):
            yield from slots_on(date.fromordinal(ordinal), (self.start.time(),), zone)

    def _windows(self, restart: datetime | None, since: datetime, zone: ZoneInfo) -> Iterator[Slot]:
        """`restart` and what follows it inside its window, then every window from its opening on."""
        first = restart or self._own_start(zone)
        begin = local_date(max(first, since), zone).toordinal() - 1
        for day in map(date.fromordinal, count(begin)):
            opens, closes = self._hours(day, zone)
            if local_date(opens, zone) != day:  # the clocks skip that day, or move the opening out of it (R2)
                continue
            at = restart if restart is not None and opens <= restart <= closes else opens
            for due_at in takewhile(closes.__ge__, (at + n * self.every.length for n in count())):
                if due_at >= first:
                    yield self._opening(day, zone) if due_at == opens else shown_slot(due_at, zone)

    def _opening(self, day: date, zone: ZoneInfo) -> Slot:
        assert self.window is not None  # noqa: S101 - the constructor asks for it
        nominal = datetime.combine(day, self.window.opens)
        return Slot(nominal, instant_of(nominal, zone), note_of(nominal, zone))

    def _hours(self, day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """When the window of a date opens and closes."""
        assert self.window is not None  # noqa: S101 - the constructor asks for it
        opens, closes = datetime.combine(day, self.window.opens), datetime.combine(day, self.window.closes)
        return instant_of(opens, zone), instant_of(closes if closes > opens else closes + DAY, zone)

    def _own_start(self, zone: ZoneInfo) -> datetime:
        return instant_of(self.start, zone if self.start_zone is None else zone_named(self.start_zone))


def shown_slot(due_at: datetime, zone: ZoneInfo) -> Slot:
    """The slot of an instant: what the wall clock shows then."""
    return Slot(shown_at(due_at, zone), due_at)
