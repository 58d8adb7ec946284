"""Registering, logging in, staying logged in."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from starlette.responses import Response as AnyResponse

from carecircle.db.accounts import Account, account_by_email
from carecircle.runtime.clock import utc_now
from carecircle.usecases.accounts import NewAccount, register, rotate, start_session
from carecircle_api.deps import ServicesDep
from carecircle_api.errors import BadCredentials, Unauthenticated, respond
from carecircle_api.schemas.accounts import LoginForm, Me, RefreshRequest, Registration, Tokens
from carecircle_api.schemas.problem import problems
from carecircle_api.schemas.values import normalised_email
from carecircle_api.services import Services

router = APIRouter(prefix="/v1/auth", tags=["auth"])


@router.post("/register", status_code=201, responses=problems(409, 429))
async def register_account(body: Registration, request: Request, response: Response, services: ServicesDep) -> Me:
    """Make an account."""
    await services.throttle.registration(client_address(request), utc_now())
    password_hash = await services.passwords.hash(body.password)
    new = NewAccount(body.email, password_hash, body.display_name, body.zone)
    async with services.database.transaction() as session:
        account = await register(session, new)
    response.headers["Location"] = "/v1/me"
    return Me.of(account)


@router.post("/token", responses=problems(401, 429))
async def log_in(form: Annotated[LoginForm, Form()], request: Request, services: ServicesDep) -> Tokens:
    """Exchange e-mail address and password for tokens (OAuth 2 password form)."""
    email, address = as_typed(form.username), client_address(request)
    await services.throttle.login(email, address, utc_now())
    async with services.database.transaction() as session:
        account = await account_by_email(session, email)
    known = account.password_hash if account is not None else None
    if not await services.passwords.check(form.password, known) or account is None or known is None:
        raise BadCredentials
    await services.throttle.logged_in(email, address)
    return await _session_of(services, account, form.password, known)


@router.post("/refresh", response_model=Tokens, responses=problems(401))
async def refresh_tokens(body: RefreshRequest, request: Request, services: ServicesDep) -> Tokens | AnyResponse:
    """Exchange a refresh token for the next pair. Each works once; a second use ends every session that came of it."""
    now = utc_now()
    async with services.database.transaction() as session:
        rotated = await rotate(session, body.refresh_token, now)
    if rotated is None:
        return respond(request, Unauthenticated())
    return _tokens(services, rotated.account, rotated.refresh_token)


def as_typed(username: str) -> str:
    """The address in the form it was registered in; what is none is looked up as it is, and found nowhere."""
    try:
        return normalised_email(username.strip()).lower()
    except ValueError:
        return username.lower()


def client_address(request: Request) -> str:
    """The peer's address; a proxy's word for it only where the server was told to believe it."""
    return request.client.host if request.client else "unknown"


async def _session_of(services: Services, account: Account, password: str, known: str) -> Tokens:
    """A new session, if the password that was checked is still the account's when it starts."""
    renewed = await services.passwords.hash(password) if services.passwords.outdated(known) else known
    async with services.database.transaction() as session:
        current = await account_by_email(session, account.email)
        if current is None or current.password_hash != known:
            raise BadCredentials
        current.password_hash = renewed
        refresh_token = await start_session(session, current.id, utc_now())
    return _tokens(services, current, refresh_token)


def _tokens(services: Services, account: Account, refresh_token: str) -> Tokens:
    access = services.tokens.issue(account.id, account.token_version, utc_now())
    lifetime = int(services.tokens.lifetime.total_seconds())
    return Tokens(access_token=access, refresh_token=refresh_token, expires_in=lifetime)
