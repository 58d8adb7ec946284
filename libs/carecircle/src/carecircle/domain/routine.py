"""The daily routine of a patient: when they get up, eat and go to bed, and the doses that hang on it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Any

from carecircle.domain.errors import Invalid
from carecircle.domain.times import wall_clock

AROUND_A_MEAL = timedelta(minutes=30)
"""How long before or after a meal its `before_…` and `after_…` are."""
EARLIEST, LATEST = time(0, 30), time(23, 29)
"""Within these, half an hour before or after a meal is the same date."""


class When(StrEnum):
    """A point of the day as people live it."""

    WAKE_UP = "wake_up"
    BEFORE_BREAKFAST = "before_breakfast"
    BREAKFAST = "breakfast"
    AFTER_BREAKFAST = "after_breakfast"
    BEFORE_LUNCH = "before_lunch"
    LUNCH = "lunch"
    AFTER_LUNCH = "after_lunch"
    BEFORE_DINNER = "before_dinner"
    DINNER = "dinner"
    AFTER_DINNER = "after_dinner"
    BEDTIME = "bedtime"


@dataclass(frozen=True, slots=True)
class Routine:
    """The patient's own times. Meals are in their order; going to bed may be after midnight."""

    wake_up: time = time(7, 0)
    breakfast: time = time(8, 0)
    lunch: time = time(12, 30)
    dinner: time = time(18, 30)
    bedtime: time = time(22, 0)

    def __post_init__(self) -> None:
        for one in fields(self):
            at = getattr(self, one.name)
            if at.tzinfo is not None or at.second or at.microsecond:
                raise Invalid("A time of day is hours and minutes, without a zone.", field=f"routine.{one.name}")
        meals = {"breakfast": self.breakfast, "lunch": self.lunch, "dinner": self.dinner}
        for name, at in meals.items():
            if not EARLIEST <= at <= LATEST:
                raise Invalid(f"Give a time between {EARLIEST:%H:%M} and {LATEST:%H:%M}.", field=f"routine.{name}")
        for (_, earlier), (name, later) in pairwise(meals.items()):
            if later <= earlier:
                raise Invalid("Breakfast, lunch and dinner come in this order.", field=f"routine.{name}")

    def at(self, when: When) -> time:
        """The time of day that it means for this patient."""
        side, _, meal = when.value.partition("_")
        if side not in {"before", "after"}:
            return getattr(self, when.value)
        shift = -AROUND_A_MEAL if side == "before" else AROUND_A_MEAL
        return (datetime.combine(date.min, getattr(self, meal)) + shift).time()

    def to_json(self) -> dict[str, str]:
        return {one.name: getattr(self, one.name).strftime("%H:%M") for one in fields(self)}

    @classmethod
    def from_json(cls, data: dict[str, Any] | None) -> Routine:
        """What was stored; what is missing there is as usual."""
        return cls(**{name: wall_clock(text, field=f"routine.{name}") for name, text in (data or {}).items()})


USUAL_ROUTINE = Routine()
