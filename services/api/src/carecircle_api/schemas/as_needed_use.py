"""How often medicines were taken as needed, over time."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Self
from uuid import UUID

from pydantic import Field

from carecircle.domain.as_needed_use import Use, UseOfStretch
from carecircle_api.schemas.schedule_kinds import MaximumBody
from carecircle_api.schemas.values import Answer, Duration

if TYPE_CHECKING:
    from carecircle.usecases.adherence import ScheduleUse, UseView

Count = Annotated[int, Field(ge=0)]


class AmountBody(Answer):
    quantity: Annotated[float, Field(ge=0, examples=[7.5])]
    unit: str


class UseBody(Answer):
    doses: Count
    amounts: list[AmountBody] = Field(description="Sums, one for each unit that doses were logged in.")
    near_max: Count = Field(description="Doses that left at most one in the period of the maximum: the next three.")
    before_max: Count = Field(description="Doses after which one more was allowed.")
    at_max: Count = Field(description="Doses that reached the maximum.")
    above_max: Count = Field(description="Doses taken all the same.")
    too_early: Count = Field(description="Doses closer to the one before than `min_interval`.")

    @classmethod
    def of(cls, use: Use) -> Self:
        return cls(
            doses=use.doses,
            amounts=[AmountBody(quantity=float(quantity), unit=unit) for unit, quantity in use.amounts],
            near_max=use.near_max,
            before_max=use.before_max,
            at_max=use.at_max,
            above_max=use.above_max,
            too_early=use.too_early,
        )


class UseOfDayBody(Answer):
    day: date
    use: UseBody


class UseOfWeekBody(Answer):
    week: str = Field(examples=["2026-W02"], description="ISO 8601.")
    since: date
    until: date = Field(description="Inclusive.")
    use: UseBody

    @classmethod
    def of(cls, week: UseOfStretch) -> Self:
        return cls(week=week.name, since=week.since, until=week.until, use=UseBody.of(week.use))


class ScheduleUseBody(Answer):
    schedule_id: UUID
    medication_id: UUID
    medication_name: str
    min_interval: Duration | None
    max: MaximumBody | None = Field(description="As the schedule has them now; past doses are judged by them.")
    total: UseBody
    days_with_use: Count
    days: list[UseOfDayBody] = Field(description="Only days with a dose.")
    weeks: list[UseOfWeekBody] = Field(description="Every ISO week of the period.")

    @classmethod
    def of(cls, one: ScheduleUse) -> Self:
        most = one.rule.max
        return cls(
            schedule_id=one.schedule_id,
            medication_id=one.medication_id,
            medication_name=one.medication_name,
            min_interval=one.rule.min_interval,
            max=None if most is None else MaximumBody(count=most.count, per=most.per),
            total=UseBody.of(one.use.total),
            days_with_use=one.use.days_with_use,
            days=[UseOfDayBody(day=day.since, use=UseBody.of(day.use)) for day in one.use.days],
            weeks=[UseOfWeekBody.of(week) for week in one.use.weeks],
        )


class AsNeededUseBody(Answer):
    patient_id: UUID
    since: date
    until: date = Field(description="Inclusive.")
    schedules: list[ScheduleUseBody] = Field(description="Each schedule of the kind `as_needed`.")

    @classmethod
    def of(cls, patient_id: UUID, view: UseView) -> Self:
        schedules = [ScheduleUseBody.of(one) for one in view.schedules]
        return cls(patient_id=patient_id, since=view.since, until=view.until, schedules=schedules)
