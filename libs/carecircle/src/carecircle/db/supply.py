"""The stock of a medication and its ledger. The stock changes only with an entry, under the lock of its row.

Lock order: a supply comes last, after medication, patient, schedules and occurrences; of several, by medication id.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, Select, String, UniqueConstraint, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, aliased, mapped_column

from carecircle.db.base import CreatedAt, Row, new_id
from carecircle.db.pages import Page, PageRequest, page_of
from carecircle.domain.supply import EntryKind, Equivalent, Fill, Package, SupplySettings

MOST_PACKAGES = 100
"""So many of the refills that expire last are looked at."""


class SupplyRow(Row):
    """What is there of one medication, and how its circle wants it counted."""

    __tablename__ = "supply"

    medication_id: Mapped[UUID] = mapped_column(ForeignKey("medication.id", ondelete="CASCADE"), primary_key=True)
    patient_id: Mapped[UUID] = mapped_column(ForeignKey("patient.id", ondelete="CASCADE"), index=True)
    unit: Mapped[str] = mapped_column(String(50))
    stock: Mapped[Decimal] = mapped_column(Numeric(14, 4), default=Decimal(0))
    """In `unit`; never below 0. Always the sum of the ledger's changes since the row was made."""
    equivalents: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    """`[{"unit": "mg", "quantity": "500"}]`: one unit of the stock is 500 mg."""
    package_size: Mapped[Decimal | None] = mapped_column(Numeric(12, 4))
    warn_days: Mapped[int | None]
    warn_stock: Mapped[Decimal | None] = mapped_column(Numeric(14, 4))
    warn_expiry_days: Mapped[int | None]
    revision: Mapped[int] = mapped_column(default=1)
    """Of the settings: rises with each change of them."""
    counted_at: Mapped[datetime]
    """When somebody last counted: what was taken before that is in the count already."""
    last_entry_at: Mapped[datetime]
    check_at: Mapped[CreatedAt]
    """When to look next whether the circle should be told something."""
    created_at: Mapped[CreatedAt]
    ended_at: Mapped[datetime | None]
    """Nobody counts this medication any more; the ledger is kept."""

    __table_args__ = (
        CheckConstraint("stock >= 0", name="stock_not_negative"),
        Index("ix_supply_check_at", "check_at", postgresql_where=text("ended_at IS NULL")),
    )

    def settings(self) -> SupplySettings:
        """What is stored, as a value."""
        return SupplySettings(
            unit=self.unit,
            equivalents=tuple(Equivalent.from_json(one) for one in self.equivalents),
            package_size=self.package_size,
            warn_days=self.warn_days,
            warn_stock=self.warn_stock,
            warn_expiry_days=self.warn_expiry_days,
        )

    def adopt(self, settings: SupplySettings) -> None:
        """Store the value."""
        self.unit = settings.unit
        self.equivalents = [one.to_json() for one in settings.equivalents]
        self.package_size = settings.package_size
        self.warn_days = settings.warn_days
        self.warn_stock = settings.warn_stock
        self.warn_expiry_days = settings.warn_expiry_days


class SupplyEntry(Row):
    """One line of the ledger. Written once, never changed."""

    __tablename__ = "supply_entry"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    medication_id: Mapped[UUID] = mapped_column(ForeignKey("supply.medication_id", ondelete="CASCADE"))
    patient_id: Mapped[UUID] = mapped_column(ForeignKey("patient.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    """`domain.supply.EntryKind`."""
    change: Mapped[Decimal] = mapped_column(Numeric(14, 4))
    stock_after: Mapped[Decimal] = mapped_column(Numeric(14, 4))
    unit: Mapped[str] = mapped_column(String(50))
    at: Mapped[datetime]
    """When it happened."""
    recorded_at: Mapped[datetime]
    """Later than that of the entry before, so that the ledger has one order."""
    recorded_by: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    administration_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("administration.id", ondelete="CASCADE"), index=True
    )
    """Of `intake`, `uncounted` and `discrepancy`: the answer that they follow from."""
    undoes: Mapped[UUID | None] = mapped_column(ForeignKey("supply_entry.id", ondelete="CASCADE"))
    dose_quantity: Mapped[Decimal | None] = mapped_column(Numeric(12, 4))
    dose_unit: Mapped[str | None] = mapped_column(String(50))
    """Of an answer: what the person took, in the dose's own unit."""
    quantity: Mapped[Decimal | None] = mapped_column(Numeric(12, 4))
    """Of a refill: what was dispensed. It may be of an earlier day and no part of the stock: then `change` is 0."""
    filled_on: Mapped[date | None]
    """Of a refill: the local date on which it was dispensed."""
    days_supply: Mapped[Decimal | None] = mapped_column(Numeric(6, 1))
    expires_on: Mapped[date | None]
    lot: Mapped[str | None] = mapped_column(String(100))
    note: Mapped[str | None] = mapped_column(String(500))

    __table_args__ = (
        UniqueConstraint("medication_id", "recorded_at"),
        Index(
            "uq_supply_entry_intake",
            "administration_id",
            unique=True,
            postgresql_where=text("kind IN ('intake', 'uncounted')"),
        ),
        Index("uq_supply_entry_undoes", "undoes", unique=True, postgresql_where=text("undoes IS NOT NULL")),
        Index("ix_supply_entry_refill", "medication_id", "filled_on", postgresql_where=text("kind = 'refill'")),
    )


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A change of the stock that is about to be made."""

    kind: EntryKind
    change: Decimal
    at: datetime
    recorded_by: UUID
    administration_id: UUID | None = None
    undoes: UUID | None = None
    dose_quantity: Decimal | None = None
    dose_unit: str | None = None
    quantity: Decimal | None = None
    filled_on: date | None = None
    days_supply: Decimal | None = None
    expires_on: date | None = None
    lot: str | None = None
    note: str | None = None


async def supply_of(session: AsyncSession, medication_id: UUID) -> SupplyRow | None:
    """The supply of a medication, unless nobody counts it (any more)."""
    return await session.scalar(
        select(SupplyRow)
        .where(SupplyRow.medication_id == medication_id, SupplyRow.ended_at.is_(None))
        .execution_options(populate_existing=True)
    )


async def lock_supply(session: AsyncSession, medication_id: UUID, *, ended: bool = False) -> SupplyRow | None:
    """The row, read again under its lock. `ended`: also one that nobody counts any more."""
    query = select(SupplyRow).where(SupplyRow.medication_id == medication_id)
    if not ended:
        query = query.where(SupplyRow.ended_at.is_(None))
    return await session.scalar(query.with_for_update(key_share=True).execution_options(populate_existing=True))


async def lock_supplies(session: AsyncSession, medication_ids: Collection[UUID]) -> None:
    """Lock several in one order, before the answers to several doses each lock theirs."""
    await session.execute(
        select(SupplyRow.medication_id)
        .where(SupplyRow.medication_id.in_(medication_ids))
        .order_by(SupplyRow.medication_id)
        .with_for_update(key_share=True)
    )


async def add_supply_entry(session: AsyncSession, supply: SupplyRow, new: NewEntry, now: datetime) -> SupplyEntry:
    """Change the stock and say why. The caller holds the row; a change below 0 is refused by the table itself."""
    supply.stock += new.change
    supply.last_entry_at = max(now, supply.last_entry_at + datetime.resolution)
    if new.kind is EntryKind.COUNT:
        supply.counted_at = supply.last_entry_at
    entry = SupplyEntry(
        id=new_id(),
        medication_id=supply.medication_id,
        patient_id=supply.patient_id,
        stock_after=supply.stock,
        unit=supply.unit,
        recorded_at=supply.last_entry_at,
        **asdict(new),
    )
    session.add(entry)
    await session.flush()
    return entry


async def entries_of_administration(session: AsyncSession, administration_id: UUID) -> list[SupplyEntry]:
    """What one answer did to the stock, in order: an intake, and a discrepancy if there was one."""
    found = await session.scalars(
        select(SupplyEntry).where(SupplyEntry.administration_id == administration_id).order_by(SupplyEntry.recorded_at)
    )
    return list(found.all())


async def is_undone(session: AsyncSession, entry_id: UUID) -> bool:
    return await session.scalar(select(SupplyEntry.id).where(SupplyEntry.undoes == entry_id)) is not None


async def refill_by_id(session: AsyncSession, refill_id: UUID) -> SupplyEntry | None:
    return await session.scalar(
        select(SupplyEntry).where(SupplyEntry.id == refill_id, SupplyEntry.kind == EntryKind.REFILL)
    )


async def ledger_of(session: AsyncSession, medication_id: UUID, request: PageRequest) -> Page[tuple[SupplyEntry]]:
    """The entries, newest first."""
    query = select(SupplyEntry).where(SupplyEntry.medication_id == medication_id)
    return await page_of(session, query, request, SupplyEntry.recorded_at, SupplyEntry.id, newest_first=True)


async def fills_of(session: AsyncSession, medication_id: UUID, *, until: date | None = None) -> list[Fill]:
    """Every refill that stands and says how many days it is for, by the day it was dispensed: for PDC and MPR."""
    query = (
        _standing_refills(medication_id)
        .where(SupplyEntry.days_supply.is_not(None), SupplyEntry.filled_on.is_not(None))
        .order_by(SupplyEntry.filled_on, SupplyEntry.recorded_at)
    )
    if until is not None:
        query = query.where(SupplyEntry.filled_on <= until)
    return [
        Fill(one.filled_on, one.days_supply, one.quantity)
        for one in await session.scalars(query)
        if one.filled_on is not None and one.days_supply is not None and one.quantity is not None
    ]


async def packages_of(session: AsyncSession, supply: SupplyRow) -> list[Package]:
    """The refills that were added to the stock and stand, those that expire last first."""
    query = (
        _standing_refills(supply.medication_id)
        .where(SupplyEntry.change > 0, SupplyEntry.unit == supply.unit)
        .order_by(SupplyEntry.expires_on.desc().nulls_last(), SupplyEntry.recorded_at.desc())
        .limit(MOST_PACKAGES)
    )
    return [Package(one.change, one.expires_on) for one in await session.scalars(query)]


async def kinds_since(session: AsyncSession, medication_id: UUID, since: datetime) -> set[EntryKind]:
    """The kinds of entries that were made after an instant and stand."""
    undo = aliased(SupplyEntry)
    undone = select(undo.id).where(undo.undoes == SupplyEntry.id).exists()
    answer_undone = (
        select(undo.id)
        .where(undo.administration_id == SupplyEntry.administration_id, undo.kind == EntryKind.UNDO)
        .exists()
    )
    found = await session.scalars(
        select(SupplyEntry.kind)
        .where(
            SupplyEntry.medication_id == medication_id,
            SupplyEntry.recorded_at > since,
            ~undone,
            ~answer_undone,
        )
        .distinct()
    )
    return {EntryKind(kind) for kind in found}


def _standing_refills(medication_id: UUID) -> Select[SupplyEntry]:
    undo = aliased(SupplyEntry)
    undone = select(undo.id).where(undo.undoes == SupplyEntry.id).exists()
    return select(SupplyEntry).where(
        SupplyEntry.medication_id == medication_id, SupplyEntry.kind == EntryKind.REFILL, ~undone
    )
