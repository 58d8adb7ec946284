"""Schedules. One kind so far, `calendar`; later kinds are further values of `kind`."""

from __future__ import annotations

import hashlib
import json
from datetime import date, datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue

from carecircle.domain.errors import Invalid
from carecircle.domain.schedule import CalendarRule, Dose, PlannedDose, SchedulePlan, Weekday, ZonePolicy
from carecircle.domain.times import MAX_TIMES_A_DAY, wall_clock
from carecircle.usecases.overview import ScheduleView
from carecircle.usecases.schedules import plan_to_json
from carecircle_api.schemas.values import Amount, Answer, Body, Day, Unit, WallTime, ZoneName

TWICE_A_DAY: JsonValue = {
    "kind": "calendar",
    "times": ["08:00", "20:00"],
    "days_of_week": ["mon", "wed"],
    "start_date": "2026-11-24",
    "end_date": None,
    "dose": {"quantity": 1, "unit": "tablet"},
    "zone": None,
    "zone_policy": "follow",
}


class DoseBody(Body):
    quantity: Amount
    unit: Unit = Field(examples=["tablet"])


class NewScheduleBody(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [TWICE_A_DAY]})

    kind: Literal["calendar"]
    times: Annotated[list[WallTime], Field(min_length=1, max_length=MAX_TIMES_A_DAY)] = Field(
        description='Wall-clock times, "HH:MM", each once.', json_schema_extra={"uniqueItems": True}
    )
    days_of_week: Annotated[list[Weekday], Field(min_length=1, max_length=7)] | None = Field(
        default=None, description="null: every day."
    )
    start_date: Day
    end_date: Day | None = Field(default=None, description="The last day, inclusive; null: until further notice.")
    dose: DoseBody
    zone: ZoneName | None = Field(default=None, description="null: the zone where the patient lives.")
    zone_policy: ZonePolicy = Field(
        default=ZonePolicy.FOLLOW,
        description="When the patient's zone changes: `follow` goes along, `home` stays with today's zone.",
    )

    def plan(self) -> SchedulePlan:
        """The value the domain works with; it checks what one field alone cannot tell."""
        times = tuple(wall_clock(text, field=f"times.{number}") for number, text in enumerate(self.times))
        return SchedulePlan(
            rule=CalendarRule(times, self._days()),
            start_date=self.start_date,
            end_date=self.end_date,
            zone=self.zone,
            zone_policy=self.zone_policy,
            dose=Dose(self.dose.quantity, self.dose.unit),
        )

    def _days(self) -> frozenset[Weekday] | None:
        if self.days_of_week is None:
            return None
        for number, day in enumerate(self.days_of_week):
            if day in self.days_of_week[:number]:
                raise Invalid(f"{day} is there twice.", field=f"days_of_week.{number}")
        return frozenset(self.days_of_week)


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


class ScheduleBody(Answer):
    id: UUID
    medication_id: UUID
    patient_id: UUID
    revision: int = Field(description="Rises when the times change.")
    kind: Literal["calendar"]
    times: list[str]
    days_of_week: list[Weekday] | None
    start_date: date
    end_date: date | None
    dose: DoseAnswer
    zone: str | None
    zone_policy: ZonePolicy
    zone_in_force: str
    created_at: datetime
    next_occurrences: list[NextOccurrence] = Field(description="The next few doses that follow from the schedule.")

    @classmethod
    def of(cls, view: ScheduleView) -> Self:
        return cls.model_validate(_fields(view))


class RevisedScheduleBody(ScheduleBody):
    past_slots_today: list[str] = Field(
        description="Times of today that the change came too late for: nobody is reminded of them.",
        examples=[["2026-11-24T08:00"]],
    )
    decision_needed: bool = Field(description="Somebody has to say whether those doses were taken.")

    @classmethod
    def revised(cls, view: ScheduleView, past_slots_today: list[datetime]) -> Self:
        slots = [wall_time(slot) for slot in past_slots_today]
        return cls.model_validate(_fields(view) | {"past_slots_today": slots, "decision_needed": bool(slots)})


def _fields(view: ScheduleView) -> dict[str, object]:
    row, plan = view.schedule, view.plan
    stored = plan.rule.to_json()
    return {
        "id": row.id,
        "medication_id": row.medication_id,
        "patient_id": row.patient_id,
        "revision": row.revision,
        "kind": plan.rule.kind,
        "times": stored["times"],
        "days_of_week": stored["days_of_week"],
        "start_date": plan.start_date,
        "end_date": plan.end_date,
        "dose": DoseAnswer(quantity=plan.dose.quantity, unit=plan.dose.unit),
        "zone": plan.zone,
        "zone_policy": plan.zone_policy,
        "zone_in_force": view.zone,
        "created_at": row.created_at,
        "next_occurrences": [NextOccurrence.of(dose) for dose in view.next_doses],
    }


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
