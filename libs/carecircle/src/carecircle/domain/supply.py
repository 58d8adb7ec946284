"""What is there of a medication, what a dose takes out of it, and until when it lasts. Pure; amounts are Decimals.

Terms as in FHIR MedicationDispense: supply, refill (a fill of the prescription), days supply, run-out date.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import ROUND_FLOOR, Decimal, localcontext
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from carecircle.domain.dose import MAX_QUANTITY, MAX_UNIT_LENGTH, QUANTITY_PLACES, Dose
from carecircle.domain.errors import Invalid
from carecircle.domain.text import check_text
from carecircle.domain.zones import instant_of, shown_at

if TYPE_CHECKING:
    from collections.abc import Iterable
    from zoneinfo import ZoneInfo

MAX_STOCK = Decimal(10_000_000)
MAX_DAYS = 366
MAX_EQUIVALENTS = 5
WARN_DAYS, WARN_EXPIRY_DAYS = 7, 30
TELL_FROM, TELL_UNTIL = time(9), time(20)
"""When people are told of supplies, by the patient's wall clock: nobody is woken up for a refill."""
RECOVERY_DAYS = 3
"""So far above its threshold a supply has to be, before falling below is worth another message."""
SMALLEST = Decimal(1).scaleb(-QUANTITY_PLACES)


class EntryKind(StrEnum):
    """What changed the stock. Every change is one line of the ledger; nothing is ever rewritten."""

    COUNT = "count"
    """Somebody counted what is there."""
    REFILL = "refill"
    INTAKE = "intake"
    """A dose was taken."""
    LOSS = "loss"
    """Dropped, broken, thrown away."""
    DISCREPANCY = "discrepancy"
    """More was taken than there was, as far as we knew: somebody should count."""
    UNCOUNTED = "uncounted"
    """A dose was taken whose unit says nothing about the stock: nothing came off it."""
    UNDO = "undo"
    """An intake or a refill was entered in error."""


@dataclass(frozen=True, slots=True)
class Fill:
    """A refill as adherence figures want it (PDC, MPR): from `on` there was supply for so many days."""

    on: date
    days_supply: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Equivalent:
    """One unit of the stock is as much as `quantity` of another unit: 1 tablet is 500 mg."""

    unit: str
    quantity: Decimal

    def __post_init__(self) -> None:
        _check_unit(self.unit, "equivalents.unit")
        check_quantity(self.quantity, "equivalents.quantity")

    def to_json(self) -> dict[str, Any]:
        return {"unit": self.unit, "quantity": str(self.quantity)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Equivalent:
        return cls(data["unit"], Decimal(data["quantity"]))


@dataclass(frozen=True, slots=True)
class SupplySettings:
    """How the stock of a medication is counted, and when its circle is told. Constructing one checks it."""

    unit: str
    """What is counted: tablet, ml, puff."""
    equivalents: tuple[Equivalent, ...] = ()
    package_size: Decimal | None = None
    warn_days: int | None = WARN_DAYS
    """Tell when the planned doses leave so many days or fewer; None: never."""
    warn_stock: Decimal | None = None
    """Tell when there is so much or less, whatever is planned: the way for medicines taken as needed."""
    warn_expiry_days: int | None = WARN_EXPIRY_DAYS
    """Tell so many days before a package expires; None: never."""

    def __post_init__(self) -> None:
        _check_unit(self.unit, "unit")
        if len(self.equivalents) > MAX_EQUIVALENTS:
            raise Invalid(f"Give at most {MAX_EQUIVALENTS} other units.", field="equivalents")
        units = [same_unit(self.unit), *(same_unit(one.unit) for one in self.equivalents)]
        if len(set(units)) < len(units):
            raise Invalid("A unit is given twice, or is the unit of the stock itself.", field="equivalents")
        if self.package_size is not None:
            check_quantity(self.package_size, "package_size")
        if self.warn_stock is not None:
            check_quantity(self.warn_stock, "warn_stock", at_least=Decimal(0), most=MAX_STOCK)
        for field, days in (("warn_days", self.warn_days), ("warn_expiry_days", self.warn_expiry_days)):
            if days is not None and not 0 <= days <= MAX_DAYS:
                raise Invalid(f"Give 0 to {MAX_DAYS} days.", field=field)

    def amount_of(self, dose: Dose) -> Decimal | None:
        """How much of the stock a dose is, to four places; None when its unit says nothing about the stock.

        A dose that rounds to nothing says nothing either: taking it for 0 would be silently wrong.
        """
        if same_unit(dose.unit) == same_unit(self.unit):
            return dose.quantity
        for one in self.equivalents:
            if same_unit(dose.unit) == same_unit(one.unit):
                amount = (dose.quantity / one.quantity).quantize(SMALLEST)
                return amount if 0 < amount <= MAX_QUANTITY else None
        return None


@dataclass(frozen=True, slots=True)
class Taken:
    """What an intake did to the stock."""

    stock: Decimal
    shortfall: Decimal
    """So much more was taken than was there, as far as we knew."""


def take(stock: Decimal, amount: Decimal) -> Taken:
    """Take out what was taken. The person took it, so it counts whole; the stock stops at 0 and says what is wrong."""
    return Taken(max(stock - amount, Decimal(0)), max(amount - stock, Decimal(0)))


@dataclass(frozen=True, slots=True)
class PlannedUse:
    """A dose that is still to come. `amount`: in the unit of the stock; None when it cannot be told."""

    at: datetime
    amount: Decimal | None


class Basis(StrEnum):
    """What a forecast rests on, or why there is none."""

    PLANNED_DOSES = "planned_doses"
    LASTS_LONGER = "lasts_longer"
    """The stock outlasts the doses that were looked at."""
    NOTHING_PLANNED = "nothing_planned"
    UNIT_UNKNOWN = "unit_unknown"
    """A planned dose has a unit that cannot be converted into the stock's."""
    NOT_ACTIVE = "not_active"
    """The medication is on hold, stopped or completed: nothing is used up."""


@dataclass(frozen=True, slots=True)
class Forecast:
    basis: Basis
    run_out_at: datetime | None
    """When the first dose is due that the stock does not cover."""
    doses_left: int | None
    """Planned doses that it covers; None where there is no run-out."""


def forecast(stock: Decimal, uses: Iterable[PlannedUse], *, active: bool = True) -> Forecast:
    """Until when the stock lasts. `uses` in the order in which they are due; no more are read than needed."""
    if not active:
        return Forecast(Basis.NOT_ACTIVE, None, None)
    left, covered = stock, 0
    for use in uses:
        if use.amount is None:
            return Forecast(Basis.UNIT_UNKNOWN, None, None)
        left -= use.amount
        if left < 0:
            return Forecast(Basis.PLANNED_DOSES, use.at, covered)
        covered += 1
    return Forecast(Basis.LASTS_LONGER if covered else Basis.NOTHING_PLANNED, None, None)


def days_left(run_out_on: date, today: date) -> int:
    """Days on which all planned doses are covered: 0 when one of today is not. Both are local dates (R6)."""
    return max(0, (run_out_on - today).days)


def days_supply(quantity: Decimal, uses: Iterable[PlannedUse], days: int) -> Decimal | None:
    """For how many days the quantity lasts, by what is planned for the next `days` days; None when nothing is.

    Rounded down to half a day: a day that is not covered whole does not count as covered.
    """
    total = Decimal(0)
    for use in uses:
        if use.amount is None:
            return None
        total += use.amount
    if not total:
        return None
    with localcontext() as context:
        context.rounding = ROUND_FLOOR
        return (quantity * days * 2 / total).quantize(Decimal(1)) / 2


@dataclass(frozen=True, slots=True)
class Package:
    """A refill that may still be there. `expires_on` is the last day on which it is good, if known."""

    quantity: Decimal
    expires_on: date | None


def packages_left(packages: Iterable[Package], stock: Decimal) -> list[Package]:
    """What of the packages the stock consists of, the first to expire first.

    Packages are taken to be used in the order in which they expire, those without a date before all others: a date
    that is known is watched for as long as its package may be there.
    """
    by_expiry = sorted(packages, key=lambda one: one.expires_on or date.min, reverse=True)
    left: list[Package] = []
    for package in by_expiry:
        if stock <= 0:
            break
        left.append(Package(min(package.quantity, stock), package.expires_on))
        stock -= package.quantity
    return left[::-1]


def next_expiry(packages: Iterable[Package]) -> date | None:
    return min((one.expires_on for one in packages if one.expires_on is not None), default=None)


class SupplyWarning(StrEnum):
    """What somebody should do something about."""

    OUT = "out"
    LOW = "low"
    EXPIRED = "expired"
    EXPIRING = "expiring"
    DISCREPANCY = "discrepancy"
    """More was taken than was there since the last count."""
    UNIT_UNKNOWN = "unit_unknown"
    """Doses were taken, or are planned, whose unit cannot be converted."""


@dataclass(frozen=True, slots=True)
class Situation:
    """The facts that warnings follow from."""

    stock: Decimal
    forecast: Forecast
    days_left: int | None
    next_expiry: date | None
    today: date
    discrepancy: bool = False
    uncounted: bool = False


def warnings(settings: SupplySettings, facts: Situation) -> list[SupplyWarning]:
    """Everything that holds now, the most pressing first."""
    expired = facts.next_expiry is not None and facts.next_expiry < facts.today
    checks = (
        (SupplyWarning.OUT, is_out(facts)),
        (SupplyWarning.LOW, is_low(settings, facts)),
        (SupplyWarning.EXPIRED, expired),
        (SupplyWarning.EXPIRING, is_expiring(settings, facts) and not expired),
        (SupplyWarning.DISCREPANCY, facts.discrepancy),
        (SupplyWarning.UNIT_UNKNOWN, facts.uncounted or facts.forecast.basis is Basis.UNIT_UNKNOWN),
    )
    return [warning for warning, holds in checks if holds]


def is_out(facts: Situation) -> bool:
    """Nothing is there, or not enough for the next planned dose."""
    return facts.forecast.basis is not Basis.NOT_ACTIVE and (facts.stock <= 0 or facts.forecast.doses_left == 0)


def is_low(settings: SupplySettings, facts: Situation) -> bool:
    """At or below a threshold. What nobody takes at present is not."""
    if facts.forecast.basis is Basis.NOT_ACTIVE:
        return False
    by_days = settings.warn_days is not None and facts.days_left is not None and facts.days_left <= settings.warn_days
    by_stock = settings.warn_stock is not None and facts.stock <= settings.warn_stock
    empty = facts.stock <= 0 and facts.forecast.basis is not Basis.NOTHING_PLANNED
    return by_days or by_stock or (empty and settings.warn_days is not None)


def is_expiring(settings: SupplySettings, facts: Situation) -> bool:
    """A package that may still be there is within so many days of its last good day, or past it."""
    if facts.next_expiry is None or settings.warn_expiry_days is None:
        return False
    return (facts.next_expiry - facts.today).days <= settings.warn_expiry_days


def has_recovered(settings: SupplySettings, facts: Situation) -> bool:
    """Clearly not low any more. One dose that was skipped or undone at the threshold is no recovery."""
    days = settings.warn_days
    return not is_low(replace(settings, warn_days=None if days is None else min(days + RECOVERY_DAYS, MAX_DAYS)), facts)


class AlertKind(StrEnum):
    """What a circle is told about a supply, once each time it begins."""

    LOW = "low"
    EXPIRING = "expiring"


def may_tell_at(now: datetime, zone: ZoneInfo) -> datetime:
    """`now`, if the patient's clock shows a sensible hour; else when it does next."""
    local = shown_at(now, zone)
    if TELL_FROM <= local.time() < TELL_UNTIL:
        return now
    return next_morning(now, zone) if local.time() >= TELL_UNTIL else _morning_of(local.date(), zone)


def next_morning(now: datetime, zone: ZoneInfo) -> datetime:
    """When the first sensible hour of the patient's next day begins."""
    return _morning_of(shown_at(now, zone).date() + timedelta(days=1), zone)


def _morning_of(day: date, zone: ZoneInfo) -> datetime:
    return instant_of(datetime.combine(day, TELL_FROM), zone)


def check_quantity(
    quantity: Decimal, field: str, *, at_least: Decimal = SMALLEST, most: Decimal = MAX_QUANTITY
) -> Decimal:
    """The quantity itself, if it can be stored exactly.

    Raises:
        Invalid: it is out of range, or has more than four decimal places.
    """
    if not quantity.is_finite() or not at_least <= quantity <= most:
        least = "0 or more" if at_least == 0 else "above 0"
        raise Invalid(f"Give an amount {least} and up to {most:,}.", field=field)
    if quantity != round(quantity, QUANTITY_PLACES):
        raise Invalid(f"Give an amount with at most {QUANTITY_PLACES} decimal places.", field=field)
    return quantity


def same_unit(unit: str) -> str:
    """What two spellings of one unit have in common: `Tablet` and `tablet`; not `tablets`."""
    return " ".join(unit.split()).casefold()


def _check_unit(unit: str, field: str) -> None:
    if not unit.strip() or len(unit) > MAX_UNIT_LENGTH:
        raise Invalid(f"Give a unit of 1 to {MAX_UNIT_LENGTH} characters, such as tablet.", field=field)
    check_text(unit, field=field)
