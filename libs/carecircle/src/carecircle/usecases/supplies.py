"""What people wish for the stock of a medication: start counting it, say what came, what is there, what got lost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypedDict

from carecircle.db.audit import add_entry, difference
from carecircle.db.schedules import circumstances
from carecircle.db.supply import (
    NewEntry,
    SupplyEntry,
    SupplyRow,
    add_supply_entry,
    is_undone,
    ledger_of,
    lock_supply,
    refill_by_id,
    supply_of,
)
from carecircle.domain.errors import Conflict, Invalid, NotFound, RevisionMismatch
from carecircle.domain.people import Action
from carecircle.domain.supply import MAX_STOCK, EntryKind, check_quantity, days_supply, take
from carecircle.usecases.medications import get_medication
from carecircle.usecases.supply_outlook import Outlook, outlook, planned_uses
from carecircle.usecases.supply_watch import settle_alerts

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date, datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.pages import Page, PageRequest
    from carecircle.domain.supply import Equivalent, SupplySettings
    from carecircle.usecases.access import Actor

NOTHING = Decimal(0)
SUPPLY_SPAN = 28
"""Days of the plan from which the days of supply of a refill are worked out: four whole weeks."""
MAX_DAYS_SUPPLY = Decimal(3660)
OLDEST_REFILL = timedelta(days=3660)
FIELDS = ("unit", "equivalents", "package_size", "warn_days", "warn_stock", "warn_expiry_days")


class SupplyExists(Conflict):
    """The stock of this medication is counted already; change its settings, or say what you counted."""

    code = "supply_exists"


class NotCounted(NotFound):
    """Nobody counts the stock of this medication; start with `POST …/supply`."""

    code = "no_supply"


class SupplyChanges(TypedDict, total=False):
    """What is to change; a missing key stays as it is. The unit stays: end the supply and begin anew for another."""

    equivalents: tuple[Equivalent, ...]
    package_size: Decimal | None
    warn_days: int | None
    warn_stock: Decimal | None
    warn_expiry_days: int | None


@dataclass(frozen=True, slots=True)
class NewRefill:
    """What came from the pharmacy."""

    quantity: Decimal | None = None
    """None: one package."""
    filled_on: date | None = None
    """The local date on which it was dispensed; None: today."""
    days_supply: Decimal | None = None
    """None: worked out from what is planned."""
    expires_on: date | None = None
    lot: str | None = None
    note: str | None = None
    in_stock: bool = True
    """False: it is counted already, or used up; only its days of supply are of interest."""


async def start_supply(
    session: AsyncSession,
    actor: Actor,
    medication_id: UUID,
    settings: SupplySettings,
    stock: Decimal,
    now: datetime,
) -> Outlook:
    """Count a medication's stock from now on, beginning with what is there.

    Raises:
        SupplyExists: it is counted already.
    """
    medication = await get_medication(session, actor, medication_id, Action.EDIT)  # holds its row: one at a time
    check_quantity(stock, "stock", at_least=NOTHING, most=MAX_STOCK)
    supply = await lock_supply(session, medication_id, ended=True)
    if supply is not None and supply.ended_at is None:
        raise SupplyExists
    if supply is None:
        supply = SupplyRow(
            medication_id=medication_id,
            patient_id=medication.patient_id,
            stock=NOTHING,
            revision=0,
            counted_at=now,
            last_entry_at=now,
        )
        session.add(supply)
    supply.adopt(settings)
    supply.ended_at = None
    supply.revision += 1
    await session.flush()
    await _count(session, actor, supply, stock, None, now)
    _note(session, actor, "supply.created", supply, {"after": {**_state(supply), "stock": str(stock)}})
    return await _settled(session, supply, now)


async def get_supply(session: AsyncSession, actor: Actor, medication_id: UUID, now: datetime) -> Outlook:
    """The stock and what follows from it now."""
    await get_medication(session, actor, medication_id)
    supply = await supply_of(session, medication_id)
    if supply is None:
        raise NotCounted
    return await outlook(session, supply, now)


async def change_supply(
    session: AsyncSession,
    actor: Actor,
    medication_id: UUID,
    changes: SupplyChanges,
    now: datetime,
    *,
    matches: Callable[[SupplyRow], bool] = lambda _: True,
) -> Outlook:
    """Change how it is counted and when the circle is told.

    Raises:
        RevisionMismatch: `matches` says that the settings are not those that the change is based on.
    """
    supply = await _held(session, actor, medication_id, Action.EDIT)
    if not matches(supply):
        raise RevisionMismatch(field="If-Match")
    before = _state(supply)
    supply.adopt(replace(supply.settings(), **changes))
    if (after := _state(supply)) != before:
        supply.revision += 1
        _note(session, actor, "supply.changed", supply, difference(before, after))
    await session.flush()
    return await _settled(session, supply, now)


async def end_supply(session: AsyncSession, actor: Actor, medication_id: UUID, now: datetime) -> None:
    """Count it no more. The ledger stays, and who begins again begins with a count."""
    supply = await _held(session, actor, medication_id, Action.EDIT)
    supply.ended_at = now
    await session.flush()
    _note(session, actor, "supply.ended", supply, {})


async def refill(
    session: AsyncSession, actor: Actor, medication_id: UUID, new: NewRefill, now: datetime
) -> SupplyEntry:
    """A package came."""
    supply = await _held(session, actor, medication_id, Action.ANSWER)
    quantity = new.quantity or supply.package_size
    if quantity is None:
        raise Invalid("Say how much it is; the supply has no package size to go by.", field="quantity")
    check_quantity(quantity, "quantity")
    change = quantity if new.in_stock else NOTHING
    _check_room(supply.stock + change, "quantity")
    today = (await outlook(session, supply, now, ahead=timedelta(0))).situation.today
    entry = NewEntry(
        kind=EntryKind.REFILL,
        change=change,
        at=now,
        recorded_by=actor.account_id,
        quantity=quantity,
        filled_on=_check_filled_on(new.filled_on or today, today),
        days_supply=await _days_supply(session, supply, quantity, new.days_supply, now),
        expires_on=new.expires_on,
        lot=new.lot,
        note=new.note,
    )
    return await _record(session, actor, supply, entry, now, "supply.refilled")


async def count_stock(
    session: AsyncSession, actor: Actor, medication_id: UUID, stock: Decimal, note: str | None, now: datetime
) -> SupplyEntry:
    """Somebody counted what is there. That is what counts, whatever the ledger said."""
    supply = await _held(session, actor, medication_id, Action.ANSWER)
    check_quantity(stock, "stock", at_least=NOTHING, most=MAX_STOCK)
    entry = await _count(session, actor, supply, stock, note, now)
    _note_entry(session, actor, "supply.counted", entry)
    await _settled(session, supply, now)
    return entry


async def lose(
    session: AsyncSession, actor: Actor, medication_id: UUID, quantity: Decimal, note: str | None, now: datetime
) -> SupplyEntry:
    """Something was dropped, broken or thrown away."""
    supply = await _held(session, actor, medication_id, Action.ANSWER)
    check_quantity(quantity, "quantity")
    if quantity > supply.stock:
        raise Invalid("There is not so much, as far as we know. Say what you count instead.", field="quantity")
    entry = NewEntry(EntryKind.LOSS, -quantity, now, actor.account_id, note=note)
    return await _record(session, actor, supply, entry, now, "supply.lost")


async def undo_refill(session: AsyncSession, actor: Actor, refill_id: UUID, now: datetime) -> Outlook:
    """A refill was entered in error. Undoing twice is undoing once; what was counted since is right as it is."""
    seen = await refill_by_id(session, refill_id)
    if seen is None:
        raise NotFound
    supply = await _held(session, actor, seen.medication_id, Action.ANSWER)
    if not await is_undone(session, refill_id):
        quantity = NOTHING if supply.counted_at > seen.recorded_at else seen.change
        if short := take(supply.stock, quantity).shortfall:
            gap = NewEntry(EntryKind.DISCREPANCY, short, now, actor.account_id)
            await add_supply_entry(session, supply, gap, now)
        undo = NewEntry(EntryKind.UNDO, -quantity, now, actor.account_id, undoes=refill_id)
        await _record(session, actor, supply, undo, now, "supply.refill_undone")
    return await outlook(session, supply, now)


async def read_ledger(
    session: AsyncSession, actor: Actor, medication_id: UUID, request: PageRequest
) -> Page[tuple[SupplyEntry]]:
    """Every change of the stock, newest first; also of a supply that was ended."""
    await get_medication(session, actor, medication_id)
    return await ledger_of(session, medication_id, request)


async def _settled(session: AsyncSession, supply: SupplyRow, now: datetime) -> Outlook:
    """What follows from a change. What the circle was told may be over by it."""
    view = await outlook(session, supply, now)
    await settle_alerts(session, view, now)
    return view


async def _held(session: AsyncSession, actor: Actor, medication_id: UUID, action: Action) -> SupplyRow:
    """The supply under its lock, after that of its medication."""
    await get_medication(session, actor, medication_id, action)
    supply = await lock_supply(session, medication_id)
    if supply is None:
        raise NotCounted
    return supply


async def _count(
    session: AsyncSession, actor: Actor, supply: SupplyRow, stock: Decimal, note: str | None, now: datetime
) -> SupplyEntry:
    entry = NewEntry(EntryKind.COUNT, stock - supply.stock, now, actor.account_id, note=note)
    return await add_supply_entry(session, supply, entry, now)


async def _days_supply(
    session: AsyncSession, supply: SupplyRow, quantity: Decimal, said: Decimal | None, now: datetime
) -> Decimal | None:
    if said is not None:
        if not Decimal("0.5") <= said <= MAX_DAYS_SUPPLY or said % Decimal("0.5"):
            raise Invalid(f"Give 0.5 to {MAX_DAYS_SUPPLY} days, whole or half ones.", field="days_supply")
        return said
    around = await circumstances(session, supply.medication_id)
    if around is None or not around.active:
        return None
    until = now + timedelta(days=SUPPLY_SPAN)
    uses = await planned_uses(session, supply.medication_id, around, supply.settings(), now, until)
    days = days_supply(quantity, (use for use in uses if use.at >= now), SUPPLY_SPAN)
    return days if days and days <= MAX_DAYS_SUPPLY else None


def _check_filled_on(day: date, today: date) -> date:
    if not today - OLDEST_REFILL <= day <= today:
        raise Invalid("Give a date of the past ten years, today at the latest.", field="filled_on")
    return day


def _check_room(stock: Decimal, field: str) -> None:
    if stock > MAX_STOCK:
        raise Invalid(f"That would make more than {MAX_STOCK:,}.", field=field)


async def _record(
    session: AsyncSession, actor: Actor, supply: SupplyRow, new: NewEntry, now: datetime, action: str
) -> SupplyEntry:
    entry = await add_supply_entry(session, supply, new, now)
    _note_entry(session, actor, action, entry)
    await _settled(session, supply, now)
    return entry


def _note_entry(session: AsyncSession, actor: Actor, action: str, entry: SupplyEntry) -> None:
    add_entry(
        session,
        action,
        entry.medication_id,
        actor_id=actor.account_id,
        patient_id=entry.patient_id,
        details={"entry": str(entry.id), "change": str(entry.change), "stock": str(entry.stock_after)},
    )


def _note(session: AsyncSession, actor: Actor, action: str, supply: SupplyRow, details: dict[str, Any]) -> None:
    add_entry(
        session,
        action,
        supply.medication_id,
        actor_id=actor.account_id,
        patient_id=supply.patient_id,
        details=details,
    )


def _state(supply: SupplyRow) -> dict[str, Any]:
    return {field: None if (value := getattr(supply, field)) is None else str(value) for field in FIELDS}
