"""The stock of a medication: how it is counted, what is there, and the ledger of its changes."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from carecircle.db.supply import SupplyEntry, SupplyRow
from carecircle.domain.supply import (
    MAX_DAYS,
    MAX_EQUIVALENTS,
    WARN_DAYS,
    WARN_EXPIRY_DAYS,
    Basis,
    EntryKind,
    Equivalent,
    SupplySettings,
    SupplyWarning,
)
from carecircle.usecases.supplies import NewRefill
from carecircle.usecases.supply_outlook import Outlook
from carecircle_api.schemas.schedules import DoseAnswer
from carecircle_api.schemas.values import Amount, Answer, Body, Change, Day, Flag, Reason, ShortText, Stock, Unit, Whole

Days = Annotated[Whole, Field(ge=0, le=MAX_DAYS)]


class EquivalentBody(Body):
    """One unit of the stock is as much as this: `{"unit": "mg", "quantity": 500}`."""

    unit: Unit
    quantity: Amount

    def equivalent(self) -> Equivalent:
        return Equivalent(self.unit, self.quantity)


class EquivalentAnswer(Answer):
    unit: str
    quantity: Amount


Equivalents = Annotated[list[EquivalentBody], Field(max_length=MAX_EQUIVALENTS)]


class NewSupplyBody(Body):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "unit": "tablet",
                    "stock": 14,
                    "equivalents": [{"unit": "mg", "quantity": 500}],
                    "package_size": 30,
                    "warn_days": 7,
                }
            ]
        }
    )

    unit: Unit = Field(description="What is counted: tablet, ml, puff.")
    stock: Stock = Field(description="What is there now.")
    equivalents: Equivalents = Field(
        default_factory=list[EquivalentBody],
        description="What one unit of the stock is in other units; doses in those come off as well.",
    )
    package_size: Amount | None = Field(default=None, description="What a refill is when it does not say.")
    warn_days: Days | None = Field(
        default=WARN_DAYS, description="Tell the circle when the planned doses leave so many days; null: never."
    )
    warn_stock: Stock | None = Field(
        default=None, description="Tell the circle when there is so much or less; for medicines taken as needed."
    )
    warn_expiry_days: Days | None = Field(
        default=WARN_EXPIRY_DAYS, description="Tell the circle so many days before a package expires; null: never."
    )

    def settings(self) -> SupplySettings:
        return SupplySettings(
            unit=self.unit,
            equivalents=tuple(one.equivalent() for one in self.equivalents),
            package_size=self.package_size,
            warn_days=self.warn_days,
            warn_stock=self.warn_stock,
            warn_expiry_days=self.warn_expiry_days,
        )


@with_config(ConfigDict(extra="forbid", json_schema_extra={"examples": [{"warn_days": 10, "package_size": 100}]}))
class SupplyChangesBody(TypedDict, total=False):
    """What is to change. Another unit needs a new start: `DELETE`, then `POST`."""

    equivalents: Equivalents
    package_size: Amount | None
    warn_days: Days | None
    warn_stock: Stock | None
    warn_expiry_days: Days | None


class SupplyBody(Answer):
    """The stock, and what follows from it at the moment of the answer. Dates are the patient's local ones."""

    medication_id: UUID
    unit: str
    stock: Stock
    counted_at: datetime = Field(description="When somebody last counted.")
    days_left: int | None = Field(description="Days on which every planned dose is covered; 0: not even today's.")
    doses_left: int | None = Field(description="Planned doses that are covered.")
    run_out_at: datetime | None = Field(description="When the first dose is due that the stock does not cover.")
    run_out_on: date | None
    basis: Basis = Field(
        description="What this rests on. `lasts_longer`: than 400 days; the others say why nothing can be said."
    )
    next_expiry: date | None = Field(description="The last good day of the package that expires first.")
    warnings: list[SupplyWarning] = Field(description="The most pressing first.")
    equivalents: list[EquivalentAnswer]
    package_size: Amount | None
    warn_days: int | None
    warn_stock: Stock | None
    warn_expiry_days: int | None

    @classmethod
    def of(cls, view: Outlook) -> Self:
        settings, found = view.settings, view.situation
        return cls.model_validate(
            {
                "medication_id": view.supply.medication_id,
                "unit": settings.unit,
                "stock": found.stock,
                "counted_at": view.supply.counted_at,
                "days_left": found.days_left,
                "doses_left": view.forecast.doses_left,
                "run_out_at": view.forecast.run_out_at,
                "run_out_on": view.run_out_on,
                "basis": view.forecast.basis,
                "next_expiry": found.next_expiry,
                "warnings": view.warnings,
                "equivalents": settings.equivalents,
                "package_size": settings.package_size,
                "warn_days": settings.warn_days,
                "warn_stock": settings.warn_stock,
                "warn_expiry_days": settings.warn_expiry_days,
            }
        )


class NewRefillBody(Body):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {},
                {"quantity": 90, "days_supply": 45, "expires_on": "2028-03-31", "lot": "A1234"},
                {"quantity": 30, "filled_on": "2026-09-01", "days_supply": 30, "in_stock": False},
            ]
        }
    )

    quantity: Amount | None = Field(default=None, description="null: one package.")
    filled_on: Day | None = Field(default=None, description="The patient's local date; null: today.")
    days_supply: Amount | None = Field(
        default=None, description="Whole or half days; null: by what is planned for the next 28 days."
    )
    expires_on: Day | None = Field(default=None, description="The last day on which it is good.")
    lot: ShortText | None = None
    note: Reason | None = None
    in_stock: Flag = Field(
        default=True, description="false: it is counted already, or used up; kept for its days of supply only."
    )

    def refill(self) -> NewRefill:
        return NewRefill(
            quantity=self.quantity,
            filled_on=self.filled_on,
            days_supply=self.days_supply,
            expires_on=self.expires_on,
            lot=self.lot,
            note=self.note,
            in_stock=self.in_stock,
        )


class NewCountBody(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"stock": 14}]})

    stock: Stock = Field(description="What is there.")
    note: Reason | None = None


class NewLossBody(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"quantity": 2, "note": "Fell into the sink"}]})

    quantity: Amount
    note: Reason | None = None


class SupplyEntryBody(Answer):
    """One line of the ledger."""

    id: UUID
    kind: EntryKind
    change: Change
    stock_after: Stock
    unit: str
    at: datetime = Field(description="When it happened.")
    recorded_at: datetime
    recorded_by: str
    administration_id: UUID | None = Field(description="The answer that this follows from.")
    dose: DoseAnswer | None = Field(description="What was taken, in the dose's own unit.")
    undoes: UUID | None = Field(description="The entry that was made in error.")
    quantity: Amount | None = Field(description="Of a refill: what came.")
    filled_on: date | None
    days_supply: Amount | None
    expires_on: date | None
    lot: str | None
    note: str | None

    @classmethod
    def of(cls, entry: SupplyEntry, recorded_by: str) -> Self:
        dose = None
        if entry.dose_quantity is not None:
            dose = DoseAnswer(quantity=entry.dose_quantity, unit=entry.dose_unit or "")
        row = {name: getattr(entry, name) for name in cls.model_fields if name not in {"dose", "recorded_by"}}
        return cls.model_validate({**row, "dose": dose, "recorded_by": recorded_by})


def supply_etag(supply: SupplyRow) -> str:
    """Changes with the settings, not with the stock: who refills does not stand in the way of who edits."""
    return f'"{supply.revision}"'
