"""Doses as needed (PRN): nothing is planned; what matters is when the next one is allowed (R15)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from carecircle.domain.errors import Conflict, Invalid
from carecircle.domain.routine import USUAL_ROUTINE, Routine
from carecircle.domain.slots import DAY, Slot, Span
from carecircle.domain.times import duration, duration_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LONGEST_MIN_INTERVAL = timedelta(days=31)
LONGEST_PERIOD = timedelta(days=31)
MOST_DOSES = 100


@dataclass(frozen=True, slots=True)
class Maximum:
    """At most so many doses in any such period, which rolls: it is not the day of a calendar."""

    count: int
    per: timedelta

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_DOSES:
            raise Invalid(f"Give 1 to {MOST_DOSES} doses.", field="max.count")
        if not timedelta(0) < self.per <= LONGEST_PERIOD:
            raise Invalid(f"Give a period of up to {LONGEST_PERIOD.days} days.", field="max.per")


@dataclass(frozen=True, slots=True)
class AsNeededRule:
    kind: ClassVar[str] = "as_needed"

    min_interval: timedelta | None = None
    max: Maximum | None = None

    def __post_init__(self) -> None:
        if self.min_interval is not None and not timedelta(0) < self.min_interval <= LONGEST_MIN_INTERVAL:
            raise Invalid(f"Give a time of up to {LONGEST_MIN_INTERVAL.days} days.", field="min_interval")

    more_often_than_daily: ClassVar[bool] = False

    @property
    def looks_back(self) -> timedelta:
        """How long a dose that was taken still matters."""
        return max(self.min_interval or timedelta(0), timedelta(0) if self.max is None else self.max.per)

    def slots(self, span: Span) -> Iterator[Slot]:
        del span
        return iter(())

    def shortest_interval(self, start: date, routine: Routine = USUAL_ROUTINE) -> timedelta:
        del start, routine
        return self.min_interval or DAY

    def falls_between(self, first: date, last: date) -> bool:
        return first <= last

    def to_json(self) -> dict[str, Any]:
        return {
            "min_interval": None if self.min_interval is None else duration_text(self.min_interval),
            "max": None if self.max is None else {"count": self.max.count, "per": duration_text(self.max.per)},
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> AsNeededRule:
        most: dict[str, Any] | None = data["max"]
        return cls(
            min_interval=None if data["min_interval"] is None else duration(data["min_interval"], field="min_interval"),
            max=None if most is None else Maximum(most["count"], duration(most["per"], field="max.per")),
        )


@dataclass(frozen=True, slots=True)
class Allowance:
    """Whether another dose may be taken, and from when."""

    next_allowed_at: datetime | None
    """None: at any time."""
    taken_in_period: int
    """Doses that the maximum counts at the moment asked about."""
    left_in_period: int | None
    """None: there is no maximum."""

    @property
    def warning(self) -> str | None:
        """Said before the maximum is reached (R15)."""
        match self.left_in_period:
            case 0:
                return "max_reached"
            case 1:
                return "last_before_max"
            case _:
                return None

    def allows(self, at: datetime) -> bool:
        return self.next_allowed_at is None or at >= self.next_allowed_at


def allowance(rule: AsNeededRule, taken: Iterable[datetime], at: datetime) -> Allowance:
    """What the rule says at `at`, after the doses taken until then. Elapsed time: clock changes do not matter."""
    times = sorted(one for one in taken if one <= at)
    earliest: list[datetime] = []
    if rule.min_interval is not None and times:
        earliest.append(times[-1] + rule.min_interval)
    if rule.max is None:
        return Allowance(max(earliest, default=None), len(times), None)
    counted = [one for one in times if one > at - rule.max.per]
    if len(times) >= rule.max.count:  # that many back: once it is out of the period, one is free
        earliest.append(times[-rule.max.count] + rule.max.per)
    return Allowance(max(earliest, default=None), len(counted), max(0, rule.max.count - len(counted)))


class TooEarly(Conflict):
    """The next dose is not allowed yet."""

    code: ClassVar[str] = "too_early"

    def __init__(self, allowance: Allowance) -> None:
        self.allowance = allowance
        super().__init__("The next dose is not allowed yet; if it was taken all the same, say so with `even_if_early`.")
