"""What a client sends to make or change a schedule: one body for each value of `kind`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue, RootModel

from carecircle.domain.as_needed import AsNeededRule, Maximum
from carecircle.domain.calendar_rule import CalendarRule, Cycle, DateUnit, EveryDate, MonthEnd, Weekday
from carecircle.domain.dose import Dose
from carecircle.domain.errors import Invalid
from carecircle.domain.interval_rule import Anchor, EveryTime, IntervalMode, IntervalRule, TimeUnit, Window
from carecircle.domain.medication import Severity
from carecircle.domain.routine import When
from carecircle.domain.rules import Rule
from carecircle.domain.schedule import SchedulePlan, ZonePolicy
from carecircle.domain.steps_rule import MAX_STEPS, Step, StepsRule
from carecircle.domain.times import MAX_TIMES_A_DAY, wall_clock
from carecircle_api.schemas.values import (
    Amount,
    Body,
    Day,
    Duration,
    LocalDateTime,
    Unit,
    WallTime,
    Whole,
    ZoneName,
)

TABLET: JsonValue = {"quantity": 1, "unit": "tablet"}
EXAMPLES: dict[str, list[JsonValue]] = {
    "calendar": [
        {
            "kind": "calendar",
            "times": ["08:00", "20:00"],
            "days_of_week": ["mon", "wed"],
            "start_date": "2026-11-24",
            "end_date": None,
            "dose": TABLET,
            "zone": None,
            "zone_policy": "follow",
        },
        {
            "kind": "calendar",
            "times": ["09:00"],
            "every": {"n": 1, "unit": "month"},
            "days_of_month": [15, 31],
            "month_end": "clamp",
            "start_date": "2026-11-24",
            "dose": TABLET,
        },
        {
            "kind": "calendar",
            "when": ["before_breakfast", "bedtime"],
            "cycle": {"on": 21, "off": 7},
            "count": 100,
            "start_date": "2026-11-24",
            "dose": TABLET,
            "severity": "critical",
            "missed_after": "PT2H",
        },
    ],
    "interval": [
        {
            "kind": "interval",
            "every": {"n": 8, "unit": "hour"},
            "start": "2026-11-24T22:00",
            "end_date": "2026-12-01",
            "dose": TABLET,
        },
        {
            "kind": "interval",
            "every": {"n": 3, "unit": "hour"},
            "mode": "windowed",
            "window": {"from": "09:00", "to": "21:00"},
            "start": "2026-11-24T09:00",
            "dose": {"quantity": 2, "unit": "drops"},
        },
        {
            "kind": "interval",
            "every": {"n": 3, "unit": "day"},
            "mode": "calendar",
            "anchor": "last_taken",
            "start": "2026-11-24T09:00",
            "dose": {"quantity": 1, "unit": "patch"},
        },
    ],
    "steps": [
        {
            "kind": "steps",
            "times": ["08:00"],
            "steps": [
                {"start_date": "2026-11-24", "end_date": "2026-11-30", "dose": {"quantity": 20, "unit": "mg"}},
                {"start_date": "2026-12-01", "end_date": "2026-12-07", "dose": {"quantity": 10, "unit": "mg"}},
            ],
        }
    ],
    "as_needed": [
        {"kind": "as_needed", "min_interval": "PT4H", "max": {"count": 4, "per": "PT24H"}, "dose": TABLET},
    ],
}

Weekdays = Annotated[list[Weekday], Field(min_length=1, max_length=7)]
Times = Annotated[list[WallTime], Field(min_length=1, max_length=MAX_TIMES_A_DAY)]
Points = Annotated[list[When], Field(min_length=1, max_length=len(When))]
EVERY_DAY = "null: every day."


class DoseBody(Body):
    quantity: Amount
    unit: Unit = Field(examples=["tablet"])

    def dose(self) -> Dose:
        return Dose(self.quantity, self.unit)


class PlanBody(Body):
    """What every kind has."""

    end_date: Day | None = Field(default=None, description="The last day, inclusive; null: until further notice.")
    zone: ZoneName | None = Field(default=None, description="null: the zone where the patient lives.")
    zone_policy: ZonePolicy = Field(
        default=ZonePolicy.FOLLOW,
        description="When the patient's zone changes: `follow` goes along, `home` stays with today's zone, `elapsed` "
        "(for elapsed intervals, which never move) says so.",
    )
    min_gap: Duration | None = Field(
        default=None,
        description="How close to the last dose a change of zone may bring the next; null: half the shortest interval.",
    )
    severity: Severity | None = Field(default=None, description="null: the medication's.")
    on_time: Duration | None = Field(
        default=None, description="How far from its time a dose counts as on time; null: 30, 60 or 120 minutes."
    )
    missed_after: Duration | None = Field(
        default=None, description="How long after its time a dose counts as missed; null: half way to the next."
    )

    def planned(
        self, rule: Rule, start_date: date, dose: Dose, *, end_date: date | None = None, count: int | None = None
    ) -> SchedulePlan:
        return SchedulePlan(
            rule=rule,
            start_date=start_date,
            end_date=self.end_date or end_date,
            zone=self.zone,
            zone_policy=self.zone_policy,
            dose=dose,
            count=count,
            min_gap=self.min_gap,
            severity=self.severity,
            on_time=self.on_time,
            missed_after=self.missed_after,
        )


class EveryDateBody(Body):
    n: Whole
    unit: DateUnit


class CycleBody(Body):
    on: Whole
    off: Whole


class CalendarBody(PlanBody):
    """Times of day on some dates. Where several conditions are given, a date has to meet them all."""

    model_config = ConfigDict(json_schema_extra={"examples": EXAMPLES["calendar"]})

    kind: Literal["calendar"]
    times: Times | None = Field(
        default=None, description='Wall-clock times, "HH:MM", each once.', json_schema_extra={"uniqueItems": True}
    )
    when: Points | None = Field(
        default=None, description="Points of the patient's routine, in place of `times`; meals ± 30 minutes."
    )
    days_of_week: Weekdays | None = Field(default=None, description=EVERY_DAY)
    every: EveryDateBody | None = Field(
        default=None, description="Every n days, weeks or months, counted from `start_date`; weeks begin on Monday."
    )
    days_of_month: Annotated[list[Whole], Field(min_length=1, max_length=31)] | None = Field(
        default=None, description="1 to 31; null: every day, or with `every` months that of `start_date`."
    )
    month_end: MonthEnd = Field(
        default=MonthEnd.CLAMP, description="A month without that day: `clamp` to its last day, or `skip` it."
    )
    cycle: CycleBody | None = Field(default=None, description="So many days on, then off, from `start_date`: 21 and 7.")
    count: Whole | None = Field(
        default=None, description="The schedule ends after so many doses, from when it is made on."
    )
    start_date: Day
    dose: DoseBody

    def plan(self, today: date) -> SchedulePlan:
        del today
        every, cycle = self.every, self.cycle
        rule = CalendarRule(
            times=_times(self.times),
            days_of_week=_weekdays(self.days_of_week, "days_of_week"),
            every=None if every is None else EveryDate(every.n, every.unit),
            days_of_month=None if self.days_of_month is None else tuple(self.days_of_month),
            month_end=self.month_end,
            cycle=None if cycle is None else Cycle(cycle.on, cycle.off),
            when=tuple(self.when or ()),
        )
        return self.planned(rule, self.start_date, self.dose.dose(), count=self.count)


class EveryTimeBody(Body):
    n: Whole
    unit: TimeUnit


class WindowBody(Body):
    """Both ends inclusive; one that ends before it begins goes over midnight."""

    opens: WallTime = Field(alias="from")
    closes: WallTime = Field(alias="to")


class IntervalBody(PlanBody):
    """Every so many minutes, hours or days."""

    model_config = ConfigDict(json_schema_extra={"examples": EXAMPLES["interval"]})

    kind: Literal["interval"]
    every: EveryTimeBody
    mode: IntervalMode | None = Field(
        default=None,
        description="`elapsed`: so much time, whatever the wall clock does. `windowed`: the same inside a window of "
        "the day, from its opening. `calendar`: so many days, at the time of `start`. null: `calendar` for days, "
        "`windowed` with a window, else `elapsed`.",
    )
    anchor: Anchor = Field(
        default=Anchor.START,
        description="`last_taken`: each dose taken starts the count afresh; an unanswered one does not stop it.",
    )
    start: LocalDateTime | None = Field(
        default=None, description="Local date and time of the first dose. With a window `start_date` will do."
    )
    start_date: Day | None = Field(default=None, description="The date of `start`.")
    window: WindowBody | None = None
    count: Whole | None = Field(
        default=None, description="The schedule ends after so many doses, from when it is made on."
    )
    dose: DoseBody

    def plan(self, today: date) -> SchedulePlan:
        del today
        every = EveryTime(self.every.n, self.every.unit)
        window = None if self.window is None else self._window(self.window)
        start = self._start(window)
        rule = IntervalRule(every=every, start=start, mode=self._mode(), anchor=self.anchor, window=window)
        return self.planned(rule, start.date(), self.dose.dose(), count=self.count)

    def _mode(self) -> IntervalMode:
        if self.mode is not None:
            return self.mode
        if self.window is not None:
            return IntervalMode.WINDOWED
        return IntervalMode.CALENDAR if self.every.unit is TimeUnit.DAY else IntervalMode.ELAPSED

    def _window(self, window: WindowBody) -> Window:
        return Window(wall_clock(window.opens, field="window.from"), wall_clock(window.closes, field="window.to"))

    def _start(self, window: Window | None) -> datetime:
        if self.start is None:
            if window is None or self.start_date is None:
                raise Invalid("Give the local date and time of the first dose.", field="start")
            return datetime.combine(self.start_date, window.opens)
        if self.start_date not in {None, self.start.date()}:
            raise Invalid("This is not the date of `start`; leave it out.", field="start_date")
        return self.start


class StepBody(Body):
    start_date: Day | None = Field(default=None, description="null: that of the schedule.")
    end_date: Day | None = Field(default=None, description="Inclusive; null: that of the schedule.")
    days_of_week: Weekdays | None = Field(default=None, description=EVERY_DAY)
    dose: DoseBody


class StepsBody(PlanBody):
    """The same times of day, another dose in each step: tapers, or another dose at weekends."""

    model_config = ConfigDict(json_schema_extra={"examples": EXAMPLES["steps"]})

    kind: Literal["steps", "taper"] = Field(description="`taper` is another word for `steps`.")
    times: Times | None = Field(default=None, json_schema_extra={"uniqueItems": True})
    when: Points | None = Field(default=None, description="Points of the patient's routine, in place of `times`.")
    steps: Annotated[list[StepBody], Field(min_length=1, max_length=MAX_STEPS)] = Field(
        description="Each day has one dose: steps do not share days. A day without a step has none."
    )
    start_date: Day | None = Field(default=None, description="null: that of the first step.")
    dose: DoseBody | None = Field(default=None, description="Of no meaning here: every step has its own.")

    def plan(self, today: date) -> SchedulePlan:
        steps = tuple(self._step(number, step, today) for number, step in enumerate(self.steps))
        rule = StepsRule(_times(self.times), steps, tuple(self.when or ()))
        start_date = self.start_date or rule.start_date
        return self.planned(rule, start_date, steps[0].dose, end_date=rule.end_date)

    def _step(self, number: int, step: StepBody, today: date) -> Step:
        try:
            dose = step.dose.dose()
        except Invalid as refused:
            raise Invalid(refused.message, field=f"steps.{number}.{refused.field}") from None
        return Step(
            start_date=step.start_date or self.start_date or today,
            end_date=step.end_date or self.end_date,
            dose=dose,
            days_of_week=_weekdays(step.days_of_week, f"steps.{number}.days_of_week"),
        )


class MaximumBody(Body):
    count: Whole
    per: Duration


class AsNeededBody(PlanBody):
    """Nothing is planned. Log what was taken, and see when the next dose is allowed."""

    model_config = ConfigDict(json_schema_extra={"examples": EXAMPLES["as_needed"]})

    kind: Literal["as_needed"]
    min_interval: Duration | None = Field(default=None, description="At least so long between two doses.")
    max: MaximumBody | None = Field(
        default=None,
        description="At most so many doses in any such period: it rolls, and is not the day of a calendar.",
    )
    start_date: Day | None = Field(default=None, description="null: today.")
    dose: DoseBody

    def plan(self, today: date) -> SchedulePlan:
        most = None if self.max is None else Maximum(self.max.count, self.max.per)
        return self.planned(AsNeededRule(self.min_interval, most), self.start_date or today, self.dose.dose())


class NewScheduleBody(
    RootModel[Annotated[CalendarBody | IntervalBody | StepsBody | AsNeededBody, Field(discriminator="kind")]]
):
    """A schedule of one of the kinds."""

    model_config = ConfigDict(json_schema_extra={"examples": [one for kind in EXAMPLES.values() for one in kind]})

    def plan(self, today: date) -> SchedulePlan:
        """The value the domain works with; it checks what one field alone cannot tell. `today` is a missing start."""
        return self.root.plan(today)


def _times(texts: Sequence[str] | None) -> tuple[time, ...]:
    return tuple(wall_clock(text, field=f"times.{number}") for number, text in enumerate(texts or ()))


def _weekdays(days: Sequence[Weekday] | None, field: str) -> frozenset[Weekday] | None:
    if days is None:
        return None
    for number, day in enumerate(days):
        if day in days[:number]:
            raise Invalid(f"{day} is there twice.", field=f"{field}.{number}")
    return frozenset(days)
