"""The stock of a medication: what is there, what came, until when it lasts."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Body, Header, Response

from carecircle.db.patients import names_of
from carecircle.db.supply import SupplyEntry, SupplyRow
from carecircle.usecases.accounts import get_account
from carecircle.usecases.supplies import (
    SupplyChanges,
    change_supply,
    count_stock,
    end_supply,
    get_supply,
    lose,
    read_ledger,
    refill,
    start_supply,
    undo_refill,
)
from carecircle.usecases.supply_outlook import Outlook
from carecircle_api.deps import Work, WorkDep
from carecircle_api.idempotency import CreatingDep, KeepingRoute
from carecircle_api.schemas.pages import ListOf, PageDep, write_cursor
from carecircle_api.schemas.problem import IN_A_CIRCLE, problems
from carecircle_api.schemas.schedules import matches
from carecircle_api.schemas.supply import (
    NewCountBody,
    NewLossBody,
    NewRefillBody,
    NewSupplyBody,
    SupplyBody,
    SupplyChangesBody,
    SupplyEntryBody,
    supply_etag,
)
from carecircle_api.schemas.values import Id

router = APIRouter(prefix="/v1", tags=["supply"], route_class=KeepingRoute)


@router.post("/medications/{medication_id}/supply", status_code=201, responses=problems(*IN_A_CIRCLE, 409))
async def start_counting(medication_id: Id, body: NewSupplyBody, work: CreatingDep, response: Response) -> SupplyBody:
    """Count the stock of a medication from now on. Doses that are answered `taken` come off it by themselves."""
    view = await start_supply(work.session, work.actor, medication_id, body.settings(), body.stock, work.now)
    response.headers["Location"] = f"/v1/medications/{medication_id}/supply"
    return _tagged(view, response)


@router.get("/medications/{medication_id}/supply", responses=problems(*IN_A_CIRCLE))
async def get_medication_supply(medication_id: Id, work: WorkDep, response: Response) -> SupplyBody:
    """What is there, until when it lasts and why, and what somebody should do something about."""
    return _tagged(await get_supply(work.session, work.actor, medication_id, work.now), response)


@router.patch("/medications/{medication_id}/supply", responses=problems(*IN_A_CIRCLE, 412))
async def change_medication_supply(
    medication_id: Id,
    body: Annotated[SupplyChangesBody, Body()],
    work: WorkDep,
    response: Response,
    if_match: Annotated[
        str | None, Header(max_length=200, description="The `ETag` that the change is based on; optional.")
    ] = None,
) -> SupplyBody:
    """Change how it is counted and when the circle is told. The stock changes by refills, counts and losses."""
    changes = cast("SupplyChanges", dict(body))
    if "equivalents" in body:
        changes["equivalents"] = tuple(one.equivalent() for one in body["equivalents"])

    def as_read(supply: SupplyRow) -> bool:
        return if_match is None or matches(if_match, supply_etag(supply))

    view = await change_supply(work.session, work.actor, medication_id, changes, work.now, matches=as_read)
    return _tagged(view, response)


@router.delete("/medications/{medication_id}/supply", status_code=204, responses=problems(*IN_A_CIRCLE))
async def stop_counting(medication_id: Id, work: WorkDep) -> None:
    """Count it no more. The ledger stays."""
    await end_supply(work.session, work.actor, medication_id, work.now)


@router.post("/medications/{medication_id}/refills", status_code=201, responses=problems(*IN_A_CIRCLE))
async def add_refill(medication_id: Id, body: NewRefillBody, work: CreatingDep, response: Response) -> SupplyEntryBody:
    """A package came. With `in_stock: false`: one of an earlier time, for adherence figures."""
    entry = await refill(work.session, work.actor, medication_id, body.refill(), work.now)
    response.headers["Location"] = f"/v1/refills/{entry.id}"
    return await _mine(work, entry)


@router.delete("/refills/{refill_id}", responses=problems(*IN_A_CIRCLE))
async def undo_one_refill(refill_id: Id, work: WorkDep) -> SupplyBody:
    """A refill was entered in error: it leaves the stock, and stays in the ledger with its undo."""
    return SupplyBody.of(await undo_refill(work.session, work.actor, refill_id, work.now))


@router.post("/medications/{medication_id}/counts", status_code=201, responses=problems(*IN_A_CIRCLE))
async def add_count(medication_id: Id, body: NewCountBody, work: CreatingDep) -> SupplyEntryBody:
    """What somebody counted: that is what is there, whatever the ledger said."""
    return await _mine(
        work, await count_stock(work.session, work.actor, medication_id, body.stock, body.note, work.now)
    )


@router.post("/medications/{medication_id}/losses", status_code=201, responses=problems(*IN_A_CIRCLE))
async def add_loss(medication_id: Id, body: NewLossBody, work: CreatingDep) -> SupplyEntryBody:
    """Something was dropped, broken or thrown away."""
    return await _mine(work, await lose(work.session, work.actor, medication_id, body.quantity, body.note, work.now))


@router.get("/medications/{medication_id}/supply/ledger", responses=problems(*IN_A_CIRCLE))
async def list_supply_entries(medication_id: Id, work: WorkDep, request: PageDep) -> ListOf[SupplyEntryBody]:
    """Every change of the stock with its reason, newest first."""
    page = await read_ledger(work.session, work.actor, medication_id, request)
    entries = [entry for (entry,) in page.rows]
    names = await names_of(work.session, list({entry.recorded_by for entry in entries}))
    return ListOf(
        items=[SupplyEntryBody.of(entry, names[entry.recorded_by]) for entry in entries], next=write_cursor(page.next)
    )


async def _mine(work: Work, entry: SupplyEntry) -> SupplyEntryBody:
    return SupplyEntryBody.of(entry, (await get_account(work.session, work.actor)).display_name)


def _tagged(view: Outlook, response: Response) -> SupplyBody:
    response.headers["ETag"] = supply_etag(view.supply)
    return SupplyBody.of(view)
