"""Doses that change by date or day of the week: tapers, and one tablet on weekdays but two on Sundays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from carecircle.domain.calendar_rule import LOOKED_AT, WEEK_ORDER, YEARS_LOOKED_AT, Weekday
from carecircle.domain.dose import Dose
from carecircle.domain.errors import Invalid
from carecircle.domain.routine import USUAL_ROUTINE, Routine, When
from carecircle.domain.slots import Slot, Span, check_times_of_day, shortest_step, slots_on, times_of_day
from carecircle.domain.times import wall_clock

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_STEPS = 60


@dataclass(frozen=True, slots=True)
class Step:
    """One dose for some dates, both ends inclusive."""

    start_date: date
    end_date: date | None
    dose: Dose
    days_of_week: frozenset[Weekday] | None = None
    """None: every day."""

    def holds(self, day: date) -> bool:
        if day < self.start_date or (self.end_date is not None and day > self.end_date):
            return False
        return self.days_of_week is None or WEEK_ORDER[day.weekday()] in self.days_of_week

    def meets(self, other: Step) -> bool:
        """Whether some date may belong to both."""
        first = max(self.start_date, other.start_date)
        last = min(self.end_date or date.max, other.end_date or date.max)
        days = min((last - first).days + 1, 7)
        return any(self.holds(day) and other.holds(day) for day in (first + timedelta(n) for n in range(days)))


@dataclass(frozen=True, slots=True)
class StepsRule:
    """The same times of day throughout, another dose in each step. A date without a step has no dose."""

    kind: ClassVar[str] = "steps"

    times: tuple[time, ...]
    steps: tuple[Step, ...]
    when: tuple[When, ...] = ()

    def __post_init__(self) -> None:
        check_times_of_day(self.times, self.when)
        if not self.steps:
            raise Invalid("Give at least one step.", field="steps")
        if len(self.steps) > MAX_STEPS:
            raise Invalid(f"At most {MAX_STEPS} steps.", field="steps")
        for number, step in enumerate(self.steps):
            self._check(step, number)
        object.__setattr__(self, "times", tuple(sorted(self.times)))

    def _check(self, step: Step, number: int) -> None:
        if step.days_of_week is not None and not step.days_of_week:
            raise Invalid("Name at least one day of the week, or leave it out.", field=f"steps.{number}.days_of_week")
        if step.end_date is not None and step.end_date < step.start_date:
            raise Invalid("The end date is before the start date.", field=f"steps.{number}.end_date")
        for before in range(number):
            if step.meets(self.steps[before]):
                raise Invalid(f"This step shares days with step {before}; one dose a day.", field=f"steps.{number}")

    @property
    def start_date(self) -> date:
        return min(step.start_date for step in self.steps)

    @property
    def end_date(self) -> date | None:
        ends = [step.end_date for step in self.steps if step.end_date is not None]
        return max(ends) if len(ends) == len(self.steps) else None

    @property
    def more_often_than_daily(self) -> bool:
        return len(self.times or self.when) > 1

    def slots(self, span: Span) -> Iterator[Slot]:
        times = times_of_day(self.times, self.when, span.routine)
        for day in span.days():
            if (step := self._step_of(day)) is not None:
                yield from slots_on(day, times, span.zone, step.dose)

    def shortest_interval(self, start: date, routine: Routine = USUAL_ROUTINE) -> timedelta:
        following = (start + timedelta(n) for n in range(YEARS_LOOKED_AT.days))
        days = (day for day in following if self._step_of(day) is not None)
        return shortest_step(islice(days, LOOKED_AT), times_of_day(self.times, self.when, routine))

    def falls_between(self, first: date, last: date) -> bool:
        days = range(first.toordinal(), last.toordinal() + 1)
        return any(self._step_of(date.fromordinal(day)) is not None for day in days)

    def to_json(self) -> dict[str, Any]:
        return {
            "times": [at.strftime("%H:%M") for at in self.times],
            "when": list(self.when),
            "steps": [_step_to_json(step) for step in self.steps],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> StepsRule:
        return cls(
            times=tuple(wall_clock(text, field=f"times.{n}") for n, text in enumerate(data["times"])),
            steps=tuple(_step_from_json(step) for step in data["steps"]),
            when=tuple(When(point) for point in data.get("when", ())),
        )

    def _step_of(self, day: date) -> Step | None:
        return next((step for step in self.steps if step.holds(day)), None)


def _step_to_json(step: Step) -> dict[str, Any]:
    days = step.days_of_week
    return {
        "start_date": step.start_date.isoformat(),
        "end_date": None if step.end_date is None else step.end_date.isoformat(),
        "days_of_week": None if days is None else sorted(days, key=WEEK_ORDER.index),
        "dose": step.dose.to_json(),
    }


def _step_from_json(data: dict[str, Any]) -> Step:
    days: list[str] | None = data["days_of_week"]
    return Step(
        start_date=date.fromisoformat(data["start_date"]),
        end_date=None if data["end_date"] is None else date.fromisoformat(data["end_date"]),
        dose=Dose.from_json(data["dose"]),
        days_of_week=None if days is None else frozenset(Weekday(day) for day in days),
    )
