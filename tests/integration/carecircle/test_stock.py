"""What answers do to the stock, on a real PostgreSQL: once, never below nothing, and never silently."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from carecircle.db.occurrences import OccurrenceRow
from carecircle.db.supply import NewEntry, SupplyEntry, SupplyRow, add_supply_entry, fills_of, lock_supply
from carecircle.domain.occurrence import AdministrationStatus, AlreadyRecorded
from carecircle.domain.supply import EntryKind, Equivalent, Fill, SupplySettings
from carecircle.usecases.doses import record_administration, undo_administration
from carecircle.usecases.schedules import create_schedule

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.db.session import Database

pytestmark = pytest.mark.postgres

DUE = datetime(2026, 4, 10, 18, 0, tzinfo=UTC)
TAKEN, SKIPPED = AdministrationStatus.TAKEN, AdministrationStatus.SKIPPED
D = Decimal
TABLETS = SupplySettings("tablet")


async def counted(
    session: AsyncSession, circle: Any, now: datetime, stock: str = "14", settings: SupplySettings = TABLETS
) -> SupplyRow:
    """A supply that somebody counted at `now`."""
    supply = SupplyRow(
        medication_id=circle.medication.id,
        patient_id=circle.patient.id,
        stock=D(0),
        counted_at=now,
        last_entry_at=now,
    )
    supply.adopt(settings)
    session.add(supply)
    await session.flush()
    await add_supply_entry(session, supply, NewEntry(EntryKind.COUNT, D(stock), now, circle.anna.account_id), now)
    return supply


async def ledger(session: AsyncSession, circle: Any) -> list[tuple[str, Decimal, Decimal]]:
    """(kind, change, stock after) of every entry, in order; checks that the sums are right."""
    entries = await session.scalars(
        select(SupplyEntry)
        .where(SupplyEntry.medication_id == circle.medication.id)
        .order_by(SupplyEntry.recorded_at)
        .execution_options(populate_existing=True)
    )
    found = [(entry.kind, entry.change.normalize(), entry.stock_after.normalize()) for entry in entries]
    total = D(0)
    for _, change, after in found:
        total += change
        assert total == after
    stock = await session.scalar(select(SupplyRow.stock).where(SupplyRow.medication_id == circle.medication.id))
    assert stock == total
    return found


@pytest.fixture
async def doses(session: AsyncSession, circle: Any, kit: Any) -> list[OccurrenceRow]:
    await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan(), kit.now)
    rows: list[OccurrenceRow] = await circle.occurrences(session)
    return rows


async def answer(session: AsyncSession, circle: Any, dose: OccurrenceRow, **changes: Any) -> Any:
    values: dict[str, Any] = {"status": TAKEN, "at": dose.due_at, "reason": None, "now": dose.due_at, **changes}
    return await record_administration(session, circle.ben, dose.id, **values)


async def test_a_taken_dose_comes_off_and_an_undo_puts_it_back_once(
    session: AsyncSession, circle: Any, doses: list[OccurrenceRow], kit: Any
) -> None:
    await counted(session, circle, kit.now)

    given = await answer(session, circle, doses[0])
    assert await ledger(session, circle) == [("count", 14, 14), ("intake", -1, 13)]

    for _ in range(2):  # undoing twice is undoing once
        await undo_administration(session, circle.anna, doses[0].id, given.id, DUE + timedelta(minutes=5))
    assert await ledger(session, circle) == [("count", 14, 14), ("intake", -1, 13), ("undo", 1, 14)]

    await answer(session, circle, doses[0], now=DUE + timedelta(minutes=6))
    assert (await ledger(session, circle))[-1] == ("intake", -1, 13)


async def test_a_skipped_dose_takes_nothing(
    session: AsyncSession, circle: Any, doses: list[OccurrenceRow], kit: Any
) -> None:
    await counted(session, circle, kit.now)
    given = await answer(session, circle, doses[0], status=SKIPPED)
    await undo_administration(session, circle.anna, doses[0].id, given.id, DUE + timedelta(minutes=5))
    assert await ledger(session, circle) == [("count", 14, 14)]


async def test_a_medication_that_nobody_counts_has_no_ledger(
    session: AsyncSession, circle: Any, doses: list[OccurrenceRow], kit: Any
) -> None:
    given = await answer(session, circle, doses[0])
    supply = await counted(session, circle, DUE + timedelta(hours=1))
    await undo_administration(session, circle.anna, doses[0].id, given.id, DUE + timedelta(hours=2))
    assert await ledger(session, circle) == [("count", 14, 14)]

    supply.ended_at = DUE
    await session.flush()
    await answer(session, circle, doses[1])
    assert await ledger(session, circle) == [("count", 14, 14)]


async def test_who_takes_more_than_there_is_took_it_and_the_ledger_says_what_is_wrong(
    session: AsyncSession, circle: Any, doses: list[OccurrenceRow], kit: Any
) -> None:
    await counted(session, circle, kit.now, "0.25")

    given = await answer(session, circle, doses[0])

    short = [("count", D("0.25"), D("0.25")), ("discrepancy", D("0.75"), D(1)), ("intake", D(-1), D(0))]
    assert await ledger(session, circle) == short
    assert given.dose_quantity == 1

    await undo_administration(session, circle.anna, doses[0].id, given.id, DUE + timedelta(minutes=5))
    assert (await ledger(session, circle))[-1] == ("undo", D("0.25"), D("0.25"))


async def test_a_dose_in_another_unit_comes_off_as_stated_and_else_not_at_all(
    session: AsyncSession, circle: Any, doses: list[OccurrenceRow], kit: Any
) -> None:
    await counted(session, circle, kit.now, settings=SupplySettings("tablet", (Equivalent("mg", D(500)),)))
    for dose, unit in zip(doses, ("mg", "drop"), strict=False):
        await session.execute(
            update(OccurrenceRow).where(OccurrenceRow.id == dose.id).values(dose_quantity=D(250), dose_unit=unit)
        )
    await answer(session, circle, doses[0])
    given = await answer(session, circle, doses[1])

    told = [("count", 14, 14), ("intake", D("-0.5"), D("13.5")), ("uncounted", 0, D("13.5"))]
    assert await ledger(session, circle) == told
    last = await session.scalar(select(SupplyEntry).where(SupplyEntry.administration_id == given.id))
    assert last is not None
    assert (last.dose_quantity, last.dose_unit) == (250, "drop")


async def test_what_was_taken_before_a_count_is_in_the_count(
    session: AsyncSession, circle: Any, doses: list[OccurrenceRow], kit: Any
) -> None:
    given = await answer(session, circle, doses[0])
    supply = await counted(session, circle, DUE + timedelta(hours=1))
    # The second dose was due later, but was taken before the count and is logged only now.
    late = await answer(session, circle, doses[1], at=DUE, now=DUE + timedelta(hours=2))
    assert await ledger(session, circle) == [("count", 14, 14), ("intake", 0, 14)]

    await undo_administration(session, circle.anna, doses[1].id, late.id, DUE + timedelta(hours=3))
    await undo_administration(session, circle.anna, doses[0].id, given.id, DUE + timedelta(hours=3))
    assert (await ledger(session, circle))[-1] == ("undo", 0, 14)

    again = await answer(session, circle, doses[0], at=DUE + timedelta(hours=4), now=DUE + timedelta(hours=4))
    now = DUE + timedelta(hours=5)
    await add_supply_entry(session, supply, NewEntry(EntryKind.COUNT, D(7), now, circle.anna.account_id), now)
    await undo_administration(session, circle.anna, doses[0].id, again.id, DUE + timedelta(hours=6))
    assert (await ledger(session, circle))[-3:] == [("intake", -1, 13), ("count", 7, 20), ("undo", 0, 20)]


async def test_the_table_itself_refuses_a_negative_stock(session: AsyncSession, circle: Any, kit: Any) -> None:
    supply = await counted(session, circle, kit.now, "1")
    with pytest.raises(IntegrityError, match="stock_not_negative"):
        await add_supply_entry(
            session, supply, NewEntry(EntryKind.LOSS, D(-2), kit.now, circle.anna.account_id), kit.now
        )


async def test_fills_are_the_refills_that_stand_and_say_their_days(
    session: AsyncSession, circle: Any, kit: Any
) -> None:
    supply = await counted(session, circle, kit.now)

    async def refill(day: int, days: str | None, *, stock: str = "30") -> SupplyEntry:
        new = NewEntry(
            EntryKind.REFILL,
            D(stock),
            kit.now,
            circle.anna.account_id,
            quantity=D(30),
            filled_on=date(2026, 4, day),
            days_supply=None if days is None else D(days),
        )
        return await add_supply_entry(session, supply, new, kit.now)

    await refill(9, "15")
    await refill(2, "30", stock="0")
    await refill(3, None)
    wrong = await refill(4, "30")
    undo = NewEntry(EntryKind.UNDO, D(-30), kit.now, circle.anna.account_id, undoes=wrong.id)
    await add_supply_entry(session, supply, undo, kit.now)

    assert await fills_of(session, circle.medication.id) == [
        Fill(date(2026, 4, 2), D(30), D(30)),
        Fill(date(2026, 4, 9), D(15), D(30)),
    ]
    assert [fill.on.day for fill in await fills_of(session, circle.medication.id, until=date(2026, 4, 8))] == [2]


async def test_45_six_presses_at_once_take_one_dose(database: Database, kit: Any) -> None:
    async with database.transaction() as session:
        circle = await kit.make_circle(session)
        await create_schedule(session, circle.anna, circle.medication.id, kit.make_plan(), kit.now)
        await counted(session, circle, kit.now)
        dose, *_ = await circle.occurrences(session)
    start = asyncio.Barrier(6)

    async def press(actor: Any) -> str:
        async with database.transaction() as session:
            await start.wait()
            try:
                await record_administration(session, actor, dose.id, status=TAKEN, at=DUE, reason=None, now=DUE)
            except AlreadyRecorded:
                return "already"
        return "taken"

    answers = await asyncio.gather(*(press(actor) for actor in [circle.anna, circle.ben] * 3))

    assert sorted(answers) == ["already"] * 5 + ["taken"]
    async with database.transaction() as session:
        assert await ledger(session, circle) == [("count", 14, 14), ("intake", -1, 13)]


async def test_answers_undos_and_refills_at_once_lose_nothing_and_never_wait_in_a_circle(
    database: Database, kit: Any
) -> None:
    async with database.transaction() as session:
        circle = await kit.make_circle(session)
        for plan in (kit.make_plan("08:00 20:00"), kit.make_plan("07:00 19:00"), kit.make_plan("06:00 18:00")):
            await create_schedule(session, circle.anna, circle.medication.id, plan, kit.now)
        await counted(session, circle, kit.now, "3")
        doses = await circle.occurrences(session)
    callers = asyncio.Semaphore(9)  # as many as the pool has connections, less one
    later = max(dose.due_at for dose in doses)

    async def press(dose: OccurrenceRow) -> None:
        async with callers, database.transaction() as session:
            given = await record_administration(
                session, circle.ben, dose.id, status=TAKEN, at=dose.due_at, reason=None, now=later
            )
        async with callers, database.transaction() as session:
            await undo_administration(session, circle.anna, dose.id, given.id, later)
        async with callers, database.transaction() as session:
            await record_administration(
                session, circle.anna, dose.id, status=TAKEN, at=dose.due_at, reason=None, now=later
            )

    async def refill() -> None:
        async with callers, database.transaction() as session:
            supply = await lock_supply(session, circle.medication.id)
            assert supply is not None
            new = NewEntry(EntryKind.REFILL, D(2), later, circle.anna.account_id, quantity=D(2))
            await add_supply_entry(session, supply, new, later)

    async with asyncio.timeout(60):
        await asyncio.gather(*(press(dose) for dose in doses), *(refill() for _ in range(10)))

    async with database.transaction() as session:
        found = await ledger(session, circle)  # every sum is right
    kinds = [kind for kind, _, _ in found]
    assert (kinds.count("intake"), kinds.count("undo"), kinds.count("refill")) == (2 * len(doses), len(doses), 10)
    assert all(after >= 0 for _, _, after in found)
    short = sum(change for kind, change, _ in found if kind == "discrepancy")
    lent = sum(change for kind, change, _ in found if kind == "undo")
    assert found[-1][2] == 3 + 20 + short + lent - 2 * len(doses)
