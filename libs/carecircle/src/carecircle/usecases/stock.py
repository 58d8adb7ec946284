"""What an answer to a dose does to the stock of its medication, in the answer's own transaction and exactly once.

The ledger's unique indexes stand behind "exactly once"; the lock of the supply's row, taken last, behind every sum.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from carecircle.db.supply import NewEntry, add_supply_entry, entries_of_administration, is_undone, lock_supply
from carecircle.domain.dose import Dose
from carecircle.domain.occurrence import CLOCK_SKEW
from carecircle.domain.supply import EntryKind, take

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.occurrences import Administration

NOTHING = Decimal(0)


async def take_out(session: AsyncSession, medication_id: UUID, administration: Administration, now: datetime) -> None:
    """Take the amount that was really taken out of the stock. Without a supply that is counted: nothing.

    What was taken before the last count is missing from that count already, so nothing comes off for it again. An
    amount that cannot be converted leaves the stock alone and says so in the ledger.
    """
    supply = await lock_supply(session, medication_id)
    if supply is None:
        return
    dose = Dose(administration.dose_quantity, administration.dose_unit)
    amount = supply.settings().amount_of(dose)
    kind = EntryKind.UNCOUNTED if amount is None else EntryKind.INTAKE
    counted_since = administration.at < supply.counted_at - CLOCK_SKEW
    amount = NOTHING if amount is None or counted_since else amount
    taken = take(supply.stock, amount)
    if taken.shortfall:
        # Before the intake, as the ledger never passes below 0: so much more was there than we knew.
        await add_supply_entry(
            session, supply, _of_answer(EntryKind.DISCREPANCY, taken.shortfall, administration, dose), now
        )
    await add_supply_entry(session, supply, _of_answer(kind, -amount, administration, dose), now)


async def put_back(
    session: AsyncSession, medication_id: UUID, administration: Administration, actor_id: UUID, now: datetime
) -> None:
    """Put back what the undone answer took out, once. What somebody has counted since is right as it is."""
    supply = await lock_supply(session, medication_id)
    if supply is None:
        return
    entries = await entries_of_administration(session, administration.id)
    intake = next((one for one in entries if one.kind in {EntryKind.INTAKE, EntryKind.UNCOUNTED}), None)
    if intake is None or await is_undone(session, intake.id):
        return
    counted_since = supply.counted_at > intake.recorded_at
    back = NOTHING if counted_since else -sum((one.change for one in entries), NOTHING)
    await add_supply_entry(
        session,
        supply,
        NewEntry(
            kind=EntryKind.UNDO,
            change=back,
            at=now,
            recorded_by=actor_id,
            administration_id=administration.id,
            undoes=intake.id,
            dose_quantity=intake.dose_quantity,
            dose_unit=intake.dose_unit,
        ),
        now,
    )


def _of_answer(kind: EntryKind, change: Decimal, administration: Administration, dose: Dose) -> NewEntry:
    return NewEntry(
        kind=kind,
        change=change,
        at=administration.at,
        recorded_by=administration.recorded_by,
        administration_id=administration.id,
        dose_quantity=dose.quantity,
        dose_unit=dose.unit,
    )
