"""The amount at one time: 1 tablet."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from carecircle.domain.errors import Invalid
from carecircle.domain.text import check_text

MAX_QUANTITY = Decimal(100_000)
QUANTITY_PLACES = 4
MAX_UNIT_LENGTH = 50


@dataclass(frozen=True, slots=True)
class Dose:
    """An amount and its unit. Constructing one checks both."""

    quantity: Decimal
    """Without trailing zeros, however it was given or stored."""
    unit: str

    def __post_init__(self) -> None:
        _check_quantity(self.quantity)
        _check_unit(self.unit)
        object.__setattr__(self, "quantity", _plain(self.quantity))

    def to_json(self) -> dict[str, Any]:
        return {"quantity": str(self.quantity), "unit": self.unit}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Dose:
        return cls(Decimal(data["quantity"]), data["unit"])


def _check_quantity(quantity: Decimal) -> None:
    field = "dose.quantity"
    if not quantity.is_finite() or not 0 < quantity <= MAX_QUANTITY:
        raise Invalid(f"Give an amount above 0 and up to {MAX_QUANTITY:,}.", field=field)
    if quantity != round(quantity, QUANTITY_PLACES):
        raise Invalid(f"Give an amount with at most {QUANTITY_PLACES} decimal places.", field=field)


def _plain(quantity: Decimal) -> Decimal:
    # `normalize` alone would turn 10 into 1E+1.
    return quantity.quantize(Decimal(1)) if quantity == quantity.to_integral_value() else quantity.normalize()


def _check_unit(unit: str) -> None:
    if not unit.strip() or len(unit) > MAX_UNIT_LENGTH:
        raise Invalid(f"Give a unit of 1 to {MAX_UNIT_LENGTH} characters, such as tablet.", field="dose.unit")
    check_text(unit, field="dose.unit")
