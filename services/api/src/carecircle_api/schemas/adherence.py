"""How doses were taken: figures of a period and over time. What each means is in docs/adherence.md."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field

from carecircle.domain.adherence import Figures
from carecircle.domain.adherence_gaps import Gap
from carecircle.domain.adherence_series import PartOfDay, Summary, Week
from carecircle.domain.calendar_rule import Weekday
from carecircle.domain.coverage import Coverage
from carecircle.domain.times import duration_text
from carecircle_api.schemas.values import Answer

if TYPE_CHECKING:
    from carecircle.usecases.adherence import AdherenceView, SeriesView

PLACES = 4
Share = Annotated[float | None, Field(ge=0, examples=[0.9048])]
Count = Annotated[int, Field(ge=0)]


class FiguresBody(Answer):
    """Counts of doses, and shares of them; a share is null where nothing can be divided."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "due": 42,
                    "taken": 38,
                    "on_time": 33,
                    "early": 1,
                    "late": 4,
                    "skipped": 1,
                    "missed": 3,
                    "unknown": 2,
                    "on_hold": 0,
                    "open": 1,
                    "taking_adherence": 0.9048,
                    "timing_adherence": 0.7857,
                    "confidence": 0.9545,
                }
            ]
        }
    )

    due: Count = Field(description="`taken + skipped + missed`: doses whose outcome is known.")
    taken: Count = Field(description="`on_time + early + late`.")
    on_time: Count
    early: Count = Field(description="Taken before the on-time window.")
    late: Count = Field(description="Taken after it.")
    skipped: Count
    missed: Count
    unknown: Count = Field(description="Nobody was reminded: in no share but `confidence`.")
    on_hold: Count = Field(description="In a pause: in no share.")
    open: Count = Field(description="Neither answered nor over yet: in no share.")
    taking_adherence: Share = Field(description="`taken / due`.")
    timing_adherence: Share = Field(description="`on_time / due`.")
    confidence: Share = Field(description="`due / (due + unknown)`: how much is known.")

    @classmethod
    def of(cls, figures: Figures) -> Self:
        return cls(
            due=figures.due,
            taken=figures.taken,
            on_time=figures.on_time,
            early=figures.early,
            late=figures.late,
            skipped=figures.skipped,
            missed=figures.missed,
            unknown=figures.unknown,
            on_hold=figures.on_hold,
            open=figures.open,
            taking_adherence=_share(figures.taking_adherence),
            timing_adherence=_share(figures.timing_adherence),
            confidence=_share(figures.confidence),
        )


class GapBody(Answer):
    """The longest time without a dose of one medication."""

    since: datetime
    until: datetime
    length: str = Field(examples=["PT38H15M"], description="Elapsed, less planned breaks: pauses, days off of a cycle.")
    not_taken: Count = Field(description="Doses skipped or missed in it.")
    unknown: Count = Field(description="Doses in it that nobody knows of: it may be shorter than it looks.")
    began_taken: bool = Field(description="false: it begins with the first dose of the period, which was not taken.")
    ended_taken: bool = Field(description="false: it ends with the last dose that was not taken, and may go on.")

    @classmethod
    def of(cls, gap: Gap) -> Self:
        return cls(
            since=gap.since,
            until=gap.until,
            length=duration_text(gap.length),
            not_taken=gap.not_taken,
            unknown=gap.unknown,
            began_taken=gap.began_taken,
            ended_taken=gap.ended_taken,
        )


class StreaksBody(Answer):
    longest_days: Count = Field(description="Days in a row on which every dose was taken.")
    current_days: Count = Field(description="Up to the last day whose doses have an outcome.")


class CoverageBody(Answer):
    """What fills covered. It comes from fills only, never from reminders or answers."""

    days: Count = Field(description="Days of the period, from the first fill on and up to today.")
    covered_days: Count = Field(description="Those with a day's supply on hand; overlap is carried forward.")
    supplied_days: Annotated[float, Field(ge=0)] = Field(description="Days' supply of the fills in the period.")
    fills: Count
    pdc: Share = Field(description="`covered_days / days`, at most 1. null: no fill is known.")
    mpr: Share = Field(description="`supplied_days / days`, may exceed 1. null: no fill is known.")

    @classmethod
    def of(cls, coverage: Coverage) -> Self:
        return cls(
            days=coverage.days,
            covered_days=coverage.covered,
            supplied_days=float(coverage.supplied),
            fills=coverage.fills,
            pdc=_share(coverage.pdc),
            mpr=_share(coverage.mpr),
        )


class SummaryBody(Answer):
    figures: FiguresBody
    longest_gap: GapBody | None = Field(description="null: there are not two doses to have one between.")
    streaks: StreaksBody
    fills: CoverageBody

    @classmethod
    def members(cls, summary: Summary, coverage: Coverage) -> dict[str, object]:
        gap = summary.longest_gap
        return {
            "figures": FiguresBody.of(summary.figures),
            "longest_gap": None if gap is None else GapBody.of(gap),
            "streaks": StreaksBody(longest_days=summary.streaks.longest, current_days=summary.streaks.current),
            "fills": CoverageBody.of(coverage),
        }


class MedicationAdherenceBody(SummaryBody):
    medication_id: UUID
    medication_name: str


class WeekdayBody(Answer):
    day: Weekday
    figures: FiguresBody


class PartOfDayBody(Answer):
    part: PartOfDay = Field(description="By the planned wall time: from 00:00, 06:00, 12:00, 18:00.")
    figures: FiguresBody


class AdherenceBody(Answer):
    patient_id: UUID
    since: date
    until: date = Field(description="Inclusive.")
    overall: SummaryBody = Field(description="Sums over all medications, not means of their shares.")
    medications: list[MedicationAdherenceBody]
    by_weekday: list[WeekdayBody]
    by_part_of_day: list[PartOfDayBody]

    @classmethod
    def of(cls, patient_id: UUID, view: AdherenceView) -> Self:
        found = view.adherence
        return cls(
            patient_id=patient_id,
            since=found.since,
            until=found.until,
            overall=SummaryBody.model_validate(SummaryBody.members(found.overall, view.overall_coverage)),
            medications=[
                MedicationAdherenceBody.model_validate(
                    SummaryBody.members(summary, view.coverage[one])
                    | {"medication_id": one, "medication_name": view.names[one]}
                )
                for one, summary in found.medications.items()
            ],
            by_weekday=[WeekdayBody(day=day, figures=FiguresBody.of(one)) for day, one in found.weekdays.items()],
            by_part_of_day=[
                PartOfDayBody(part=part, figures=FiguresBody.of(one)) for part, one in found.parts_of_day.items()
            ],
        )


class AdherenceWeekBody(Answer):
    week: str = Field(examples=["2026-W02"], description="ISO 8601.")
    since: date
    until: date = Field(description="Inclusive. The first and the last week are cut to the period.")
    figures: FiguresBody

    @classmethod
    def of(cls, week: Week) -> Self:
        return cls(week=week.name, since=week.since, until=week.until, figures=FiguresBody.of(week.figures))


class AdherenceWeeksBody(Answer):
    patient_id: UUID
    since: date
    until: date = Field(description="Inclusive.")
    weeks: list[AdherenceWeekBody] = Field(description="Every ISO week of the period, also those without a dose.")

    @classmethod
    def of(cls, patient_id: UUID, view: SeriesView) -> Self:
        weeks = [AdherenceWeekBody.of(week) for week in view.weeks]
        return cls(patient_id=patient_id, since=view.since, until=view.until, weeks=weeks)


def _share(share: float | None) -> float | None:
    return None if share is None else round(share, PLACES)
