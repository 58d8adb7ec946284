"""Schedules as they are answered: one body for each value of `kind`."""

from __future__ import annotations

import hashlib
import json
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal, Self, TypeAlias
from uuid import UUID

from pydantic import BaseModel, Field

from carecircle.domain.calendar_rule import DateUnit, MonthEnd, Weekday
from carecircle.domain.dose import Dose
from carecircle.domain.interval_rule import Anchor, IntervalMode, TimeUnit
from carecircle.domain.medication import Severity
from carecircle.domain.routine import When
from carecircle.domain.schedule import PlannedDose, ZonePolicy
from carecircle.domain.times import duration_text
from carecircle.usecases.overview import ScheduleView
from carecircle.usecases.schedules import plan_to_json
from carecircle_api.schemas.values import Amount, Answer


class NextOccurrence(Answer):
    nominal_local_time: str = Field(examples=["2026-11-25T08:00"])
    zone: str
    due_at: datetime
    note: str | None = Field(description="`gap`: the clocks skip this time; the dose is due right after.")

    @classmethod
    def of(cls, dose: PlannedDose) -> Self:
        return cls(nominal_local_time=wall_time(dose.nominal_local), zone=dose.zone, due_at=dose.due_at, note=dose.note)


class DoseAnswer(Answer):
    quantity: Amount
    unit: str

    @classmethod
    def of(cls, dose: Dose) -> Self:
        return cls(quantity=dose.quantity, unit=dose.unit)


class AnyScheduleBody(Answer):
    """What every kind has."""

    id: UUID
    medication_id: UUID
    patient_id: UUID
    revision: int = Field(description="Rises when the times change.")
    start_date: date
    end_date: date | None
    dose: DoseAnswer
    zone: str | None
    zone_policy: ZonePolicy
    zone_in_force: str
    count: int | None
    min_gap: str | None
    severity: Severity | None
    on_time: str | None
    missed_after: str | None
    created_at: datetime
    next_occurrences: list[NextOccurrence] = Field(description="The next few doses that follow from the schedule.")


class EveryDateAnswer(Answer):
    n: int
    unit: DateUnit


class CycleAnswer(Answer):
    on: int
    off: int


class CalendarScheduleBody(AnyScheduleBody):
    kind: Literal["calendar"]
    times: list[str]
    when: list[When] = Field(default_factory=list[When])
    days_of_week: list[Weekday] | None
    every: EveryDateAnswer | None = None
    days_of_month: list[int] | None = None
    month_end: MonthEnd = MonthEnd.CLAMP
    cycle: CycleAnswer | None = None


class EveryTimeAnswer(Answer):
    n: int
    unit: TimeUnit


class WindowAnswer(Answer):
    opens: str = Field(alias="from")
    closes: str = Field(alias="to")


class IntervalScheduleBody(AnyScheduleBody):
    kind: Literal["interval"]
    every: EveryTimeAnswer
    mode: IntervalMode
    anchor: Anchor
    start: str = Field(examples=["2026-11-24T22:00"])
    start_zone: str | None = Field(description="Where `start` is meant, of an elapsed interval; null: `zone_in_force`.")
    window: WindowAnswer | None


class StepAnswer(Answer):
    start_date: date
    end_date: date | None
    days_of_week: list[Weekday] | None
    dose: DoseAnswer


class StepsScheduleBody(AnyScheduleBody):
    kind: Literal["steps"]
    times: list[str]
    when: list[When]
    steps: list[StepAnswer]


class MaximumAnswer(Answer):
    count: int
    per: str


class AsNeededScheduleBody(AnyScheduleBody):
    kind: Literal["as_needed"]
    min_interval: str | None
    max: MaximumAnswer | None


ScheduleBody: TypeAlias = Annotated[
    CalendarScheduleBody | IntervalScheduleBody | StepsScheduleBody | AsNeededScheduleBody,
    Field(discriminator="kind"),
]


class Revised(BaseModel):
    """What a change adds to the answer."""

    past_slots_today: list[str] = Field(
        description="Times of today that the change came too late for: nobody is reminded of them.",
        examples=[["2026-11-24T08:00"]],
    )
    decision_needed: bool = Field(description="Somebody has to say whether those doses were taken.")


class RevisedCalendarBody(CalendarScheduleBody, Revised):
    pass


class RevisedIntervalBody(IntervalScheduleBody, Revised):
    pass


class RevisedStepsBody(StepsScheduleBody, Revised):
    pass


class RevisedAsNeededBody(AsNeededScheduleBody, Revised):
    pass


RevisedScheduleBody: TypeAlias = Annotated[
    RevisedCalendarBody | RevisedIntervalBody | RevisedStepsBody | RevisedAsNeededBody, Field(discriminator="kind")
]

ANSWERS: dict[str, type[AnyScheduleBody]] = {
    "calendar": CalendarScheduleBody,
    "interval": IntervalScheduleBody,
    "steps": StepsScheduleBody,
    "as_needed": AsNeededScheduleBody,
}
REVISED: dict[str, type[AnyScheduleBody]] = {
    "calendar": RevisedCalendarBody,
    "interval": RevisedIntervalBody,
    "steps": RevisedStepsBody,
    "as_needed": RevisedAsNeededBody,
}


def schedule_body(view: ScheduleView) -> Any:
    """The `ScheduleBody` of its kind."""
    return ANSWERS[view.plan.rule.kind].model_validate(_fields(view))


def revised_body(view: ScheduleView, past_slots_today: list[datetime]) -> Any:
    """The `RevisedScheduleBody` of its kind."""
    slots = [wall_time(slot) for slot in past_slots_today]
    more = {"past_slots_today": slots, "decision_needed": bool(slots)}
    return REVISED[view.plan.rule.kind].model_validate(_fields(view) | more)


def _fields(view: ScheduleView) -> dict[str, Any]:
    row, plan = view.schedule, view.plan
    return {
        **rule_fields(plan.rule.to_json()),
        "kind": plan.rule.kind,
        "id": row.id,
        "medication_id": row.medication_id,
        "patient_id": row.patient_id,
        "revision": row.revision,
        "start_date": plan.start_date,
        "end_date": plan.end_date,
        "dose": DoseAnswer.of(plan.dose),
        "zone": plan.zone,
        "zone_policy": plan.zone_policy,
        "zone_in_force": view.zone,
        "count": plan.count,
        "min_gap": _length(plan.min_gap),
        "severity": plan.severity,
        "on_time": _length(plan.on_time),
        "missed_after": _length(plan.missed_after),
        "created_at": row.created_at,
        "next_occurrences": [NextOccurrence.of(dose) for dose in view.next_doses],
    }


def rule_fields(stored: dict[str, Any]) -> dict[str, Any]:
    """A rule's stored form as it is answered: the same names, amounts as numbers."""
    if "steps" not in stored:
        return stored
    steps = [{**step, "dose": DoseAnswer.of(Dose.from_json(step["dose"]))} for step in stored["steps"]]
    return {**stored, "steps": steps}


def _length(length: timedelta | None) -> str | None:
    return None if length is None else duration_text(length)


def wall_time(local: datetime) -> str:
    """A naive wall-clock time with its date, to the minute."""
    return local.strftime("%Y-%m-%dT%H:%M")


def etag(view: ScheduleView) -> str:
    """Changes with every edit: the revision stays when only the dose's text does."""
    text = json.dumps(plan_to_json(view.plan), sort_keys=True)
    return f'"{view.schedule.revision}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"'


def matches(if_match: str, current: str) -> bool:
    """RFC 9110, 13.1.1. A weak tag never matches."""
    given = [tag.strip() for tag in if_match.split(",")]
    return given == ["*"] or current in given
