"""The own account."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Body, Request

from carecircle.domain.errors import Invalid, WrongPassword
from carecircle.usecases.accounts import AccountChanges, change_account, get_account
from carecircle_api.deps import ServicesDep, Work, WorkDep
from carecircle_api.routes.auth import client_address
from carecircle_api.schemas.accounts import Me, MeChanges
from carecircle_api.schemas.problem import SIGNED_IN, problems
from carecircle_api.services import Services

router = APIRouter(prefix="/v1/me", tags=["me"])


@router.get("", responses=problems(*SIGNED_IN))
async def get_me(work: WorkDep) -> Me:
    """Your account."""
    return Me.of(await get_account(work.session, work.actor))


@router.patch("", responses=problems(*SIGNED_IN, 403, 409, 429))
async def change_me(body: Annotated[MeChanges, Body()], work: WorkDep, services: ServicesDep, request: Request) -> Me:
    """Change your account. A new address or password ends every session: log in again."""
    kept = {key: value for key, value in body.items() if key not in {"new_password", "current_password"}}
    changes = cast("AccountChanges", kept)
    if body.keys() & {"email", "new_password"}:
        await _prove(work, services, body.get("current_password"), client_address(request))
    if "new_password" in body:
        changes["password_hash"] = await services.passwords.hash(body["new_password"])
    return Me.of(await change_account(work.session, work.actor, changes, work.now))


async def _prove(work: Work, services: Services, password: str | None, address: str) -> None:
    """Whoever found a phone unlocked must not be able to take over the account, nor to guess its password."""
    if password is None:
        raise Invalid("A new address or password needs the current password.", field="current_password")
    account = await get_account(work.session, work.actor)
    await services.throttle.login(account.email.lower(), address, work.now)
    if not await services.passwords.check(password, account.password_hash):
        raise WrongPassword(field="current_password")
    await services.throttle.logged_in(account.email.lower(), address)
